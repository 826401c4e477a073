"""The one look of tables that are printed and of figures for files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from ...workflows.stores.files import whole

COLOURS = ("#332288", "#117733", "#882255", "#ddaa33", "#44aa99", "#cc6677", "#88ccee", "#999933")
"""That colour-blind people tell apart (P. Tol, 2021)."""

SIZE_IN = (4.8, 3.8)


def new_table(
    title: str, words: Sequence[str], numbers: Sequence[str] = (), after: Sequence[str] = (), folds: Sequence[str] = ()
) -> Table:
    """Make an empty table with columns of words, of numbers, and of words again.

    Parameters
    ----------
    title
        What it shows.
    words, numbers, after
        Heads of the columns in their order; numbers are right-aligned.
    folds
        The columns that may take several lines; a number is never broken.
    """
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for columns, justify in ((words, "left"), (numbers, "right"), (after, "left")):
        for column in columns:
            table.add_column(column, justify=justify, no_wrap=column not in folds)  # type: ignore[arg-type]
    return table


def panels(rows: int, columns: int, width_in: float, height_in: float) -> tuple[Any, Any]:
    """Make a figure for a file, and its axes, shape ``(rows, columns)``, each of a size in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in * columns, height_in * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def save(figure: Any, path: Path, **options: Any) -> None:
    """Write a figure, all of it or nothing; a dollar sign in a name is a dollar sign."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with whole(path) as beside:
        figure.savefig(beside, **options)
