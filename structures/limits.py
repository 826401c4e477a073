"""How many atoms a structure may have while a recipe is planned: what is larger is refused before it is built."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MAX_ATOMS = 5000
"""Unless a recipe says otherwise. CHGNet takes some seconds for the forces on so many."""
_allowed: ContextVar[tuple[float, str]] = ContextVar("max_atoms", default=(math.inf, ""))


@contextmanager
def at_most(n_atoms: int, mend: str = "raise `max_atoms`") -> Iterator[None]:
    """Refuse larger structures within, and say how to have them."""
    token = _allowed.set((n_atoms, mend))
    try:
        yield
    finally:
        _allowed.reset(token)


def check_n_atoms(n_atoms: float, what: str) -> None:
    """
    Refuse a structure that is not built yet; outside of `at_most` nothing is too large.

    Parameters
    ----------
    n_atoms
        How many atoms it will have, or a lower bound.
    what
        Names it in the error.

    Raises
    ------
    ValueError
        When it is too large.

    Examples
    --------
    >>> check_n_atoms(1e9, "a whisker")
    >>> with at_most(5000):
    ...     check_n_atoms(1e9, "a whisker")
    Traceback (most recent call last):
    ValueError: a whisker would have 1,000,000,000 atoms but at most 5,000 are allowed: make it smaller, or raise `max_atoms`
    """
    most, mend = _allowed.get()
    if n_atoms > most:
        raise ValueError(
            f"{what} would have {n_atoms:,.0f} atoms but at most {most:,} are allowed: make it smaller, or {mend}"
        )
