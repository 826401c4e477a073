"""What a training run came to, as a table: errors on the held-out systems, before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from ..parts.styles import new_table
from .train import Trained

RULE = (
    "Mean absolute errors on whole systems that were not trained on. Before: the weights that training started from, with "
    "atomic reference energies fitted to the labels. The held-out systems also chose the epoch, so a test on others will be "
    "somewhat worse. Adsorption: energy per metal atom of hosts with and without metal, against the bulk metal where it is "
    "labelled."
)


def outcome(trained: Sequence[Trained], start: str) -> Iterator[RenderableType]:
    """Show the errors of each potential, and how it is used."""
    table = new_table(f"trained from {start}", ("potential",), ("meV/atom", "forces meV/Å", "adsorption eV", "pairs"))
    for one in trained:
        for name, errors in (("before", one.before), (one.potential, one.after)):
            numbers = [errors[key] for key in ("energy_meV_per_atom", "forces_meV_per_A")]
            pairs = int(errors.get("n_adsorption", 0))
            adsorption = f"{errors['adsorption_eV']:.3f}" if pairs else "-"
            table.add_row(name, *(f"{number:.1f}" for number in numbers), adsorption, str(pairs))
    yield table
    yield Text(RULE)
    names = [one.potential for one in trained]
    yield Text("Use it: --potential " + (names[0] if len(names) == 1 else "committee:" + ",".join(names)))
