"""Whether everything in a store can be read and fits together."""

from __future__ import annotations

from collections.abc import Iterator

from .sql import SqlStore
from .store import Store, StoreError


def problems(store: Store) -> Iterator[str]:
    """Yield a sentence for everything that is wrong: rows that cannot be read, and runs whose steps are unknown."""
    assert isinstance(store, SqlStore)
    try:
        yield from store.damage()
        for run in store.runs():
            if unknown := store.unknown(run.keys):
                yield f"run {run.id} ({run.recipe}): {len(unknown)} of its steps are not written down, {unknown[0]} for one"
    except (StoreError, ValueError) as error:
        yield str(error)
