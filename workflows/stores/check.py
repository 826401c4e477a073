"""Whether everything in a store can be read and fits together."""

from __future__ import annotations

from collections.abc import Iterator

from .sql import SqlStore
from .store import Store


def problems(store: Store) -> Iterator[str]:
    """Yield a sentence for everything that is wrong: rows that cannot be read, results and runs whose steps are unknown."""
    assert isinstance(store, SqlStore)
    yield from store.damage()
    for run in store.runs():
        try:
            store.definitions(run.keys)
        except KeyError as error:
            yield f"run {run.id} ({run.recipe}): {error.args[0]}"
