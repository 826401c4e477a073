"""The table of thermal expansion: the mean cell of each run under pressure against the relaxed one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from ...workflows.stores.result import Result
from ..parts.styles import new_table
from .molecular_dynamics import Plan

NOTE = "Expansion is that of the mean cell against the cell relaxed at 0 K; its error covers the length of the run alone."


def tables(plan: Plan, results: Mapping[str, Result]) -> Iterator[RenderableType]:
    """Yield the table where a run had a pressure, and nothing where the cells were kept."""
    numbers = ("GPa", "volume Å³", "volume %", "a %", "b %", "c %")
    table = new_table("expansion of the cells", ("ions", "run"), numbers, folds=("ions",))
    for (metal, host), steps in plan.runs.items():
        for step in steps:
            run = step.parents["run"]
            found = results.get(run.key)
            if found and "expansion_percent" in found.scalars:
                table.add_row(f"{metal} in {host}", str(step.about["site"]), *_cells(found))
    if table.row_count:
        yield Group(table, Text(NOTE))


def _cells(run: Result) -> list[str]:
    scalars = run.scalars
    error = scalars["expansion_error_percent"]
    volume = f"{scalars['expansion_percent']:+.2f}" + ("" if error is None else f" ± {error:.2f}")
    vectors = [f"{scalars[f'expansion_{name}_percent']:+.2f}" for name in "abc"]
    return [f"{scalars['pressure_GPa']:.2f}", f"{scalars['volume_A3']:.1f}", volume, *vectors]
