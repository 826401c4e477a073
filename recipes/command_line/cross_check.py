"""A whole recipe with another potential, number by number beside the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ...workflows.stores.result import Result, Status
from ..parts.agreement import rank_correlation
from ..parts.styles import new_table

COMPARED = {
    "hopping": ("activation_energy_eV",),
    "migration": ("barrier_forward_eV", "barrier_reverse_eV"),
    "transport": ("diffusivity_cm2_per_s",),
    "arrhenius": ("activation_energy_eV", "conductivity_300K_mS_per_cm"),
    "glass": ("density_g_cm3", "energy_vs_crystal_eV"),
    "wetting": ("height_A", "contact_angle_deg", "vs_bulk_eV"),
}
"""By step function: the numbers that are set beside each other, those of them that it has."""
AGREED = 0.15
"""Numbers that differ by less of the larger one agree."""
UNCERTAIN = 0.5
"""Numbers that differ by more of the larger one are not to be trusted."""


def flag(values: Sequence[float]) -> str:
    """Say whether two potentials agree, by their difference over the larger value.

    Examples
    --------
    >>> flag([1.0, 1.1]), flag([1.0, 1.4]), flag([1.0, 3.0])
    ('agreed', 'uncertain', 'do not trust')
    """
    largest = max(map(abs, values))
    share = (max(values) - min(values)) / largest if largest else 0.0
    return "agreed" if share <= AGREED else "uncertain" if share <= UNCERTAIN else "do not trust"


def compared(first: Mapping[str, Result], second: Mapping[str, Result], names: tuple[str, str]) -> RenderableType:
    """Table of the numbers that both runs have, matched by what they are about.

    Parameters
    ----------
    first, second
        Results of the same recipe with two potentials, by key.
    names
        The potentials.
    """
    table = new_table(f"{names[1]} beside {names[0]}", ("what", "number"), names, ("trust",), folds=("what",))
    theirs = {_about(result): result for result in second.values() if result.function in COMPARED}
    values: dict[str, dict[str, list[float]]] = {}
    for about, result in ((_about(r), r) for r in first.values() if r.function in COMPARED):
        other = theirs.get(about)
        if other is None or not (result.status.usable and other.status.usable):
            table.add_row(" ".join(about[1:]), "", "", "", "not compared: one of them has no result")
            continue
        both = Status.UNCONVERGED not in (result.status, other.status)
        for name in COMPARED[result.function]:
            pair = [value for r in (result, other) if isinstance(value := r.scalars.get(name), float)]
            if len(pair) == 2:
                table.add_row(
                    " ".join(about[1:]), name, *(f"{value:.3g}" for value in pair), flag(pair) if both else "not converged"
                )
                values.setdefault(name, {})[" ".join(about)] = pair
    if not table.rows:
        return Text(f"{names[1]} beside {names[0]}: no number of the two runs can be compared.")
    lines = [sentence for name, pairs in values.items() if (sentence := _order(name, pairs))]
    rule = f"trust: agreed up to a difference of {AGREED:.0%}, uncertain up to {UNCERTAIN:.0%}."
    return Group(table, Text("\n".join([rule, *lines])))


def _order(name: str, pairs: Mapping[str, Sequence[float]]) -> str:
    tau = rank_correlation({of: pair[0] for of, pair in pairs.items()}, {of: pair[1] for of, pair in pairs.items()})
    return "" if tau is None else f"Kendall's tau of the order by {name}: {tau:.2f}."


def _about(result: Result) -> tuple[str, ...]:
    """What a number is about, whatever potential it is from."""
    words = (str(value) for name, value in sorted(result.about.items()) if name not in ("potential", "functional", "folder"))
    return (result.function, *words)
