"""What is printed for any recipe: the plan, the cost, and stored results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...potentials import fingerprint
from ...workflows.engine.costs import seconds
from ...workflows.stores.result import Result, Status
from ...workflows.stores.rows import Row, columns_of
from ...workflows.stores.store import Store
from ..parts.styles import new_table
from ..running.planning import Prepared

# fmt: off
HIDDEN = {
    "function", "kind", "adatoms", "shift_A", "n_metal", "nearest_element", "atom_reference", "force_calls", "wall_s",
    "closure_eV", "climb_forward_eV", "climb_reverse_eV", "path_length_A", "clearance_A", "collision", "n_images",
    "n_parts", "mirror", "start_moved_A", "end_moved_A", "image_distance_A", "created", "cutoff_A", "source", "n_atoms",
    "gate", "host_kept_bonds", "device",
    "loosest_A", "area_per_metal_A2", "folder", "drift_meV_per_atom_ps", "volume_A3", "n_mobile", "left_out_ps", "asked_K",
    "temperature_error_K", "timestep_fs", "potential_eV", "charge_diffusivity_cm2_per_s", "nernst_einstein_mS_per_cm",
    "framework_rmsd_A", "not_calibrated", "nearest_A", "stayed",
}
# fmt: on
"""Columns that are exported but not printed, like those of the ends of intervals and of pairs of elements."""

_DETAIL = re.compile(r"_(low|high)(95)?(_|$)|^(crystal_)?(peak|neighbours)_|^dopants_")


def plan_lines(prepared: Prepared) -> list[str]:
    """Say what a run would do: structures, steps, what is stored, how long it takes."""
    flow = prepared.plan.flow
    structures = sum(1 for step in flow if step.structure is not None)
    minutes = sum(seconds(step) for step in prepared.missing) / 60
    recipe, potential = prepared.recipe, prepared.potential
    return [
        f"{recipe.question}",
        f"{recipe.kind.headline(recipe.parameters, prepared.plan)}; potential {potential.name} ({potential.functional})",
        f"{structures} structures in {len(flow)} steps, {len(prepared.finished)} already stored; "
        + (f"about {max(minutes, 0.1):.1f} min on 2 cores" if prepared.missing else "nothing to compute"),
        *(f"warning: {sentence}" for sentence in prepared.plan.warnings),
    ]


def card_line(store: Store, potential: str) -> str:
    """Say in one line what a potential's report card says, if the store has one for it as it is installed now."""
    ours = fingerprint(potential).asdict()
    cards = [r for r in store.results("report_card") if {**r.provenance["fingerprint"], "name": ""} == {**ours, "name": ""}]
    return f"Report card of {ours['name']}: {cards[-1].message} (philic verify {potential})." if cards else ""


def recipe_tables(prepared: Prepared) -> RenderableType:
    """Show a recipe: question, parameters with their meaning, what it is about, and what a run would do."""
    parameters, kind = prepared.recipe.parameters, prepared.recipe.kind
    columns = ("key", "value", "meaning")
    settings = new_table("parameters (--set KEY=VALUE changes one)", columns, folds=columns)
    for name, field in type(parameters).model_fields.items():
        value = getattr(parameters, name)
        words = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        settings.add_row(name, words, field.description)
    return Group(Text("\n".join(plan_lines(prepared))), settings, kind.overview(parameters, prepared.plan))


def results_table(rows: Sequence[Row]) -> Table:
    """Table of stored results, the columns that matter to a person; the key is cut to eight digits."""
    smooth = {"message"} if all(row["status"] == Status.CONVERGED.value for row in rows) else set()
    long = {name for row in rows for name, value in row.items() if isinstance(value, dict | list)}
    columns = [name for name in columns_of(rows) if name not in HIDDEN | smooth | long and not _DETAIL.search(name)]
    table = new_table("", columns, folds=columns)
    for column in table.columns:
        column.overflow = "fold"
    for values in rows:
        table.add_row(*(_plain(values.get(name))[: 8 if name == "key" else None] for name in columns))
    return table


def _plain(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.3f}"


def cost_line(results: Mapping[str, Result], computed: Sequence[str], wall_s: float) -> str:
    """Say what this run cost, and how the steps ended."""
    new = [results[key] for key in computed if key in results]
    calls = sum(result.force_calls for result in new)
    ends = [f"{n} {status.value}" for status in Status if (n := sum(r.status is status for r in results.values()))]
    return f"{calls} force calls, {len(new)} steps computed in {wall_s:.0f} s; of {len(results)} steps {', '.join(ends)}."
