"""A store in a database: one SQLite file, or PostgreSQL where several machines write."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from ase.io.jsonio import encode
from sqlalchemy.dialects import postgresql, sqlite

from . import index, tables
from .files import DamagedError
from .predictions import packed, unpacked
from .result import Memory, Result, Status
from .rows import Condition, Kind, flat, in_order, kind_of
from .store import Cost, Problem, Run, State, StoreError, Tries
from .tables import decoded, result_of, row_of, run_of, state_of

WAIT_FOR_LOCK_S = 60
PATIENCE_S = 600.0
"""How long a database that is out of reach is waited for, once it has been reached."""
_BATCH = 500  # keys a query names at once: SQLite limits the number of bound values

LOG = logging.getLogger(__name__)
T = TypeVar("T")
INSERT: Mapping[str, Callable[[sa.Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_NOW = {
    "sqlite": sa.cast(sa.func.strftime("%s", "now"), sa.Double),
    "postgresql": sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Double),
}


_ALL_RUNS = sa.text("SELECT * FROM runs ORDER BY id")


class SqlStore:
    """A `philic.workflows.stores.store.Store` in a database.

    SQLite is in WAL mode, so readers never wait and writers wait for each other. A commit survives a killed process; a
    power failure may take the last ones, which are then computed again.

    Parameters
    ----------
    engine
        The database; its tables are there and up to date.
    address
        What opens the store again, and how it is named in errors.
    work
        Folder for what is too large for a database: trajectories. None refuses to give one.
    schema
        That of the tables, where an older store is read and left as it is.
    """

    def __init__(self, engine: sa.Engine, address: str, work: Path | None, schema: int = tables.SCHEMA) -> None:
        self.engine, self.address, self.work, self.schema = engine, address, work, schema
        self._said: set[str] = set()
        self._insert, self._now = INSERT[engine.dialect.name], _NOW[engine.dialect.name]

    def _do(self, what: Callable[[sa.Connection], T]) -> T:
        """Call with a connection, in one transaction.

        A server that went away is waited for up to `PATIENCE_S`. What cannot be mended by waiting is a `StoreError`.
        """
        wait_s, until = 0.5, time.monotonic() + PATIENCE_S
        while True:
            try:
                with self.engine.begin() as connection:
                    return what(connection)
            except sa.exc.DBAPIError as error:
                gone = self.engine.dialect.name != "sqlite" and isinstance(error, sa.exc.OperationalError)
                if not gone or time.monotonic() > until:
                    raise StoreError(f"`{self.address}` cannot be used: {error.orig}") from error
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, 15.0)

    def _rows(self, query: Any) -> list[Any]:
        return self._do(lambda connection: list(connection.execute(query)))

    def _rows_of(self, query: Any, column: Any, keys: Iterable[str]) -> Iterator[Any]:
        """Yield the rows of a query whose column is one of the keys."""
        for some in _batches(list(keys)):
            yield from self._rows(query.where(column.in_(some)))

    def problems(self) -> Iterator[Problem]:
        """Yield everything that is wrong."""
        try:
            if broken := self._broken():
                yield Problem(broken)
                return
            yield from self._damage()
            for row in self._rows(_ALL_RUNS):
                try:
                    run = run_of(row._mapping)
                except DamagedError as error:
                    yield Problem(str(error), "runs", str(row.id))
                    continue
                if unknown := self._unknown(run.keys):
                    n = len(unknown)
                    words = f"run {run.id} ({run.recipe}): {n} of its steps are not written down, {unknown[0]} for one"
                    yield Problem(words)
        except StoreError as error:
            yield Problem(str(error))

    def forget(self, problem: Problem) -> None:
        """Remove the row that is damaged, or make the index anew."""
        if problem.table == index.NAME:
            self._do(lambda connection: index.make_anew(connection, self._adding.entries))
            return
        table = tables.metadata.tables[problem.table]
        (column,) = table.primary_key
        key = int(problem.key) if problem.table == "runs" else problem.key

        def remove(connection: sa.Connection) -> None:
            connection.execute(sa.delete(table).where(column == key))
            if table is tables.results:
                index.tidy(connection)

        self._do(remove)

    def _broken(self) -> str:
        """Say that the file itself is damaged, so that no row can be trusted; empty where it is not."""
        if self.engine.dialect.name != "sqlite":
            return ""
        found = [row[0].replace("\n", "; ") for row in self._rows(sa.text("PRAGMA integrity_check"))]
        if found == ["ok"]:
            return ""
        return f"the file is damaged ({'; '.join(found)}): take a copy of it, or recover what is left: sqlite3 FILE .recover"

    def _damage(self) -> Iterator[Problem]:
        sound, expected, missing = True, 0, 0
        for keys in _batches([key for (key,) in self._rows(sa.select(tables.results.c.key))]):
            found: list[Result] = []
            for key in keys:
                try:
                    found += self.get([key]).values()
                except DamagedError as error:
                    sound = False
                    yield Problem(str(error), tables.results.name, key)
            if self._has_index:
                more = self._do(lambda connection, some=found: index.missing(connection, some))  # type: ignore[misc]
                expected, missing = expected + more[0], missing + more[1]
        if sound and self._has_index and (missing or self._do(index.n_entries) != expected):
            words = "the index of the results, which they are searched by, is damaged: `philic check --mend` makes it anew"
            yield Problem(words, index.NAME)
        for (key,) in self._rows(sa.select(tables.definitions.c.key)):
            try:
                self.definitions([key])
            except DamagedError as error:
                yield Problem(str(error), tables.definitions.name, key)

    def _all(self, table: sa.Table) -> sa.Select[Any]:
        """Select every column that the store has; an older one has no checksums."""
        return sa.select(*(column for column in table.columns if self.schema >= 4 or column.name != "checksum"))

    def _unknown(self, keys: Sequence[str]) -> list[str]:
        table = tables.definitions
        known = {row.key for row in self._rows_of(sa.select(table.c.key), table.c.key, keys)}
        return [key for key in keys if key not in known]

    def close(self) -> None:
        """Close every connection; the store can still be used, and opens new ones."""
        self.engine.dispose()

    def add_definitions(self, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        """Write down what the steps are."""
        rows = [{"key": key, "definition": encode(definition)} for key, definition in definitions.items()]
        rows = [{**row, "checksum": tables.checksum("definitions", row)} for row in rows]
        statement = self._insert(tables.definitions)
        new = {name: statement.excluded[name] for name in ("definition", "checksum")}
        changed = tables.definitions.c.definition != statement.excluded.definition
        upsert = statement.on_conflict_do_update(index_elements=["key"], set_=new, where=changed)

        def write(connection: sa.Connection) -> None:
            for some in _batches(rows):
                connection.execute(upsert, some)

        self._do(write)

    def definitions(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return what steps are, by key, in the order of the keys."""
        asked = list(keys)
        table = tables.definitions
        found = {row.key: row._mapping for row in self._rows_of(self._all(table), table.c.key, asked)}
        for key in asked:
            if key not in found:
                raise KeyError(f"no step {key} is written down in `{self.address}`")
        return {key: decoded("definitions", key, found[key])["definition"] for key in asked}

    def add(self, result: Result) -> None:
        """Commit a result; a crash is counted too."""
        row, cost, adding = row_of(result), _cost(result), self._adding

        def write(connection: sa.Connection) -> None:
            old = connection.execute(adding.crashed, {"of": result.key}).first()
            if not connection.execute(adding.result, row).first():
                return
            if old:
                index.take_out(connection, dict(old._mapping))
            index.put(connection, [result], adding.entries)
            if not result.status.final:
                connection.execute(adding.tries, {"key": result.key, "n": 1})
            if cost:
                connection.execute(adding.cost, cost)

        self._do(write)

    @cached_property
    def _adding(self) -> _Adding:
        return _Adding(self._insert, self._now)

    def get(self, keys: Iterable[str]) -> dict[str, Result]:
        """Return the results that are stored, by key."""
        rows = self._rows_of(self._all(tables.results), tables.results.c.key, keys)
        return {row.key: result_of(row._mapping) for row in rows}

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Return which of the keys have a result that a rerun takes as it is."""
        table, final = tables.results, [status.value for status in Status if status.final]
        query = sa.select(table.c.key).where(table.c.status.in_(final))
        return {row.key for row in self._rows_of(query, table.c.key, keys)}

    def columns(self, function: str) -> dict[str, set[Kind]]:
        """Return the columns by which a step function's results are filtered and sorted, and what they hold."""
        if self._has_index:
            return self._do(lambda connection: index.columns(connection, function))
        found: dict[str, set[Kind]] = {name: {"texts"} for name in index.DIRECT}
        for row in map(flat, self.results(function, whole=False)):
            for name, value in row.items():
                if kind := kind_of(value):
                    found.setdefault(name, set()).add(kind)
        return found

    def results(
        self,
        function: str,
        conditions: Sequence[Condition] = (),
        sort: str = "",
        *,
        largest_first: bool = False,
        whole: bool = True,
    ) -> Iterator[Result]:
        """Yield a step function's results that meet every condition, sorted by a column."""
        every = self._all(tables.results)
        queries: Iterable[Any] = [every.where(tables.results.c.function == function)]
        if self._has_index:
            queries = index.queries(every, function, conditions, sort, largest_first)
        ours = (result for result in self._found(queries, whole) if _meets(result, function, conditions))
        yield from ours if self._has_index or not sort else in_order(ours, sort, largest_first)

    @property
    def _has_index(self) -> bool:
        return self.schema >= index.SINCE

    def _found(self, queries: Iterable[Any], whole: bool) -> Iterator[Result]:
        """Yield results as they are read; a damaged one is named once, and left out."""
        for query in queries:
            for row in self._stream(query):
                try:
                    yield result_of(row._mapping, whole)
                except DamagedError as error:
                    if str(error) not in self._said:
                        LOG.warning("%s", error)
                    self._said.add(str(error))

    def _stream(self, query: Any) -> Iterator[Any]:
        """Yield rows as they are read, so that memory does not grow with their number."""
        try:
            with self.engine.connect() as connection:
                yield from connection.execute(query.execution_options(yield_per=_BATCH))
        except sa.exc.DBAPIError as error:
            raise StoreError(f"`{self.address}` cannot be used: {error.orig}") from error

    def tries(self, keys: Iterable[str]) -> dict[str, Tries]:
        """Return how often steps crashed, by key."""
        table = tables.tries
        if self.schema < 3:
            return {}
        query = sa.select(table.c.key, table.c.n, (self._now - table.c.at).label("ago_s"))
        return {row.key: Tries(row.n, max(0.0, float(row.ago_s))) for row in self._rows_of(query, table.c.key, keys)}

    def forget_tries(self, keys: Iterable[str]) -> None:
        """Let crashed steps be tried again."""

        def delete(connection: sa.Connection) -> None:
            for some in _batches(list(keys)):
                connection.execute(sa.delete(tables.tries).where(tables.tries.c.key.in_(some)))

        self._do(delete)

    def reserve(self, keys: Iterable[str], owner: str, lease_s: float) -> set[str]:
        """Reserve steps for a process, and return which of them are now its own."""
        table = tables.reserved
        insert = self._insert(table)
        upsert = insert.on_conflict_do_update(
            index_elements=["key"],
            set_={"owner": insert.excluded.owner, "until": insert.excluded.until},
            where=(table.c.owner == owner) | (table.c.until < self._now),
        )
        wanted = sorted(keys)  # two processes that lock rows in one order never wait for each other

        def write(connection: sa.Connection) -> set[str]:
            until = connection.execute(sa.select(self._now)).scalar_one() + lease_s
            for some in _batches(wanted):
                connection.execute(upsert, [{"key": key, "owner": owner, "until": until} for key in some])
            own = connection.execute(sa.select(table.c.key).where(table.c.owner == owner))
            return {row.key for row in own} & set(wanted)

        return self._do(write)

    def release(self, owner: str) -> None:
        """Free the steps of a process."""
        self._do(lambda connection: connection.execute(sa.delete(tables.reserved).where(tables.reserved.c.owner == owner)))

    def owners(self, prefix: str = "") -> set[str]:
        """Return the processes that have reserved what begins with a prefix, and whose lease has not run out."""
        table = tables.reserved
        if self.schema < 5:
            return set()
        theirs = table.c.key.startswith(prefix, autoescape=True) & (table.c.until >= self._now)
        return {row.owner for row in self._rows(sa.select(table.c.owner).distinct().where(theirs))}

    def costs(self) -> list[Cost]:
        """Return what force calls took so far."""
        return [] if self.schema < 3 else [Cost(**row._mapping) for row in self._rows(sa.select(tables.costs))]

    def memory(self, trail: str) -> Memory:
        """Return the memory of a calculation."""
        return _Memory(self, trail)

    def folder(self, trail: str) -> Path:
        """Return the folder for files of a calculation.

        Raises
        ------
        StoreError
            If the store has none.
        """
        if self.work is None:
            raise StoreError(f"`{self.address}` has no folder for trajectories: name one in PHILIC_WORK")
        return self.work / trail

    def add_run(
        self,
        recipe: str,
        parameters: Mapping[str, Any],
        lock: Mapping[str, Any],
        keys: Sequence[str],
        kind: str = "",
        folder: str = "",
    ) -> int:
        """Record an execution of a recipe, running, and return its id."""
        created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        row = {"recipe": recipe, "created": created, "kind": kind, "folder": folder, "state": State.RUNNING.value}
        row |= {"parameters": encode(parameters), "lock": encode(lock), "keys": encode(list(keys))}
        insert = sa.insert(tables.runs).values(checksum=tables.checksum("runs", row), **row)
        return self._do(lambda connection: int((connection.execute(insert).inserted_primary_key or (0,))[0]))

    def change_run(
        self, run: int, *, keys: Sequence[str] | None = None, state: State | None = None, message: str = ""
    ) -> None:
        """Record that a run has more steps, or how far it is, and why."""
        new = {"keys": keys and encode(list(keys)), "state": state and state.value, "message": state and message}
        update = sa.update(tables.runs).where(tables.runs.c.id == run)
        self._do(lambda connection: connection.execute(update.values({k: v for k, v in new.items() if v is not None})))

    def runs(self) -> list[Run]:
        """Return every run, oldest first."""
        return [run_of(row._mapping) for row in self._rows(_ALL_RUNS)]

    def states(self) -> dict[int, State]:
        """Return how far every run is, by id."""
        if self.schema < 3:
            return {run.id: run.state for run in self.runs()}
        query = sa.select(tables.runs.c.id, tables.runs.c.state).order_by(tables.runs.c.id)
        return {row.id: state_of(row.id, row.state) for row in self._rows(query)}


class _Adding:
    """The statements that add a result, made once: making them takes longer than what they do."""

    def __init__(self, insert: Callable[[sa.Table], Any], now: Any) -> None:
        results, tries, costs = tables.results, tables.tries, tables.costs
        crashed = results.c.status == Status.CRASHED.value
        self.crashed = sa.select(results).where(results.c.key == sa.bindparam("of"), crashed)
        new = insert(results)
        values = {column.name: new.excluded[column.name] for column in results.columns if column.name != "key"}
        upsert = new.on_conflict_do_update(index_elements=["key"], set_=values, where=crashed)
        self.result = upsert.returning(results.c.key)
        self.entries = index.insertions(insert)
        again = {"n": tries.c.n + 1, "at": now}
        self.tries = insert(tries).values(at=now).on_conflict_do_update(index_elements=["key"], set_=again)
        spent = insert(costs)
        sums = {name: costs.c[name] + spent.excluded[name] for name in ("calls", "seconds")}
        self.cost = spent.on_conflict_do_update(index_elements=["potential", "device", "n_atoms"], set_=sums)


@dataclass(frozen=True)
class _Memory:
    """Predictions on one trail, each written as it comes."""

    store: SqlStore
    trail: str

    def get(self, digest: str, /) -> Any:
        table = tables.predictions
        ours = (table.c.trail == self.trail) & (table.c.digest == digest)
        rows = self.store._rows(sa.select(table.c.energy_and_forces).where(ours))
        return unpacked(digest, bytes(rows[0].energy_and_forces)) if rows else None

    def update(self, new: Mapping[str, Any], /) -> None:
        rows = [{"trail": self.trail, "digest": d, "energy_and_forces": packed(d, p)} for d, p in new.items()]
        insert = self.store._insert(tables.predictions).on_conflict_do_nothing()
        if rows:
            self.store._do(lambda connection: connection.execute(insert, rows))


def _meets(result: Result, function: str, conditions: Sequence[Condition]) -> bool:
    """Whether a result is one that was asked for, whatever the index says."""
    row = flat(result)
    return result.function == function and all(condition.met_by(row) for condition in conditions)


def _cost(result: Result) -> dict[str, Any]:
    """Return what the force calls of a result took, as a row; nothing where there were none."""
    if not result.force_calls or not result.structures:
        return {}
    origin = result.provenance
    names = {"potential": origin.get("fingerprint", {}).get("name", ""), "device": origin.get("device", "cpu")}
    atoms = len(next(iter(result.structures.values())))
    return {**names, "n_atoms": atoms, "calls": result.force_calls, "seconds": result.wall_s}


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
