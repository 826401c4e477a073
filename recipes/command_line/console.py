"""What the commands print to, and how they refuse bad input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

TABLE_WIDTH, RESULTS_WIDTH = 112, 160
"""Characters that tables need: a narrower terminal wraps its lines, which is better than losing digits."""


@contextmanager
def refusals() -> Iterator[None]:
    """Bad input is a sentence on stderr and exit code 2; nothing has been computed by then."""
    try:
        yield
    except (ValueError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


def terminal(width: int = TABLE_WIDTH) -> Any:
    """Return a console at least as wide as the tables."""
    from rich.console import Console

    console = Console()
    console.width = max(console.width, width)
    return console
