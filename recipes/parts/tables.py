"""The one look of every table that is printed."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table


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
