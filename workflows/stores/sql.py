"""A store in a database: one SQLite file, or PostgreSQL where several machines write."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from ase.io.jsonio import decode, encode
from sqlalchemy.dialects import postgresql, sqlite

from . import tables
from .files import DamagedError
from .predictions import packed, unpacked
from .result import Memory, Result, Status
from .store import Cost, Problem, Run, State, StoreError, Tries

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
_JSON = {"results": tables.ENCODED, "definitions": ("definition",), "runs": ("parameters", "lock", "keys")}
_WORDS = {"results": "result", "definitions": "step", "runs": "run"}
_RUN = ("id", "recipe", "created", "parameters", "lock", "keys", "kind", "folder", "message")


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
                    run = _run(row._mapping)
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
        """Remove the row that is damaged."""
        table = tables.metadata.tables[problem.table]
        (column,) = table.primary_key
        key = int(problem.key) if problem.table == "runs" else problem.key
        self._do(lambda connection: connection.execute(sa.delete(table).where(column == key)))

    def _broken(self) -> str:
        """Say that the file itself is damaged, so that no row can be trusted; empty where it is not."""
        if self.engine.dialect.name != "sqlite":
            return ""
        found = [row[0].replace("\n", "; ") for row in self._rows(sa.text("PRAGMA integrity_check"))]
        if found == ["ok"]:
            return ""
        return f"the file is damaged ({'; '.join(found)}): take a copy of it, or recover what is left: sqlite3 FILE .recover"

    def _damage(self) -> Iterator[Problem]:
        for table, decoded in ((tables.results, self.get), (tables.definitions, self.definitions)):
            for (key,) in self._rows(sa.select(table.c.key)):
                try:
                    decoded([key])
                except DamagedError as error:
                    yield Problem(str(error), table.name, key)

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
        return {key: _decoded("definitions", key, found[key])["definition"] for key in asked}

    def add(self, result: Result) -> None:
        """Commit a result; a crash is counted too."""
        row = {name: getattr(result, name) for name in tables.PLAIN} | {"status": result.status.value}
        row |= {name: encode(getattr(result, name)) for name in tables.ENCODED}
        row["checksum"] = tables.checksum("results", row)
        statement = self._insert(tables.results).values(row)
        values = {name: statement.excluded[name] for name in row if name != "key"}
        crashed = tables.results.c.status == Status.CRASHED.value
        upsert = statement.on_conflict_do_update(index_elements=["key"], set_=values, where=crashed)
        first = self._insert(tables.tries).values(key=result.key, n=1, at=self._now)
        again = first.on_conflict_do_update(index_elements=["key"], set_={"n": tables.tries.c.n + 1, "at": self._now})

        cost = _cost(result)
        costs = tables.costs
        spent = self._insert(costs).values(**cost)
        sums = {name: costs.c[name] + spent.excluded[name] for name in ("calls", "seconds")}
        more = spent.on_conflict_do_update(index_elements=["potential", "device", "n_atoms"], set_=sums)

        def write(connection: sa.Connection) -> None:
            written = connection.execute(upsert.returning(tables.results.c.key)).first()
            if written and not result.status.final:
                connection.execute(again)
            if written and cost:
                connection.execute(more)

        self._do(write)

    def get(self, keys: Iterable[str]) -> dict[str, Result]:
        """Return the results that are stored, by key."""
        rows = self._rows_of(self._all(tables.results), tables.results.c.key, keys)
        return {row.key: _result(row._mapping) for row in rows}

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Return which of the keys have a result that a rerun takes as it is."""
        table, final = tables.results, [status.value for status in Status if status.final]
        query = sa.select(table.c.key).where(table.c.status.in_(final))
        return {row.key for row in self._rows_of(query, table.c.key, keys)}

    def results(self, function: str) -> Iterator[Result]:
        """Yield every stored result of a step function."""
        for row in self._rows(self._all(tables.results).where(tables.results.c.function == function)):
            try:
                yield _result(row._mapping)
            except DamagedError as error:
                LOG.warning("%s", error)

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

    def owners(self) -> set[str]:
        """Return the processes that have reserved steps."""
        return {row.owner for row in self._rows(sa.select(tables.reserved.c.owner).distinct())}

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
        return [_run(row._mapping) for row in self._rows(_ALL_RUNS)]

    def states(self) -> dict[int, State]:
        """Return how far every run is, by id."""
        if self.schema < 3:
            return {run.id: run.state for run in self.runs()}
        query = sa.select(tables.runs.c.id, tables.runs.c.state).order_by(tables.runs.c.id)
        return {row.id: _state(row.id, row.state) for row in self._rows(query)}


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


def _result(row: Mapping[str, Any]) -> Result:
    values = _decoded("results", row["key"], row)
    return Result(**{**values, "status": Status(values["status"])})


def _decoded(table: str, key: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row that has a checksum, those that hold JSON decoded. One of an older philic has none."""
    values = dict(row)
    check = values.pop("checksum", "")
    problem = "a number or word of it changed" if check and check != tables.checksum(table, values) else ""
    try:
        values |= {name: decode(values[name]) for name in _JSON[table]}
    except Exception as error:  # whatever a parser says of what nobody wrote
        problem = str(error)
    if problem:
        raise _damaged(table, key, problem)
    return values


def _damaged(table: str, key: str, problem: str) -> DamagedError:
    mend = "`philic check --mend` forgets it" + ("" if table == "runs" else ", and the next run computes it again")
    return DamagedError(f"the {_WORDS[table]} {key} is damaged ({problem}): {mend}")


def _cost(result: Result) -> dict[str, Any]:
    """Return what the force calls of a result took, as a row; nothing where there were none."""
    if not result.force_calls or not result.structures:
        return {}
    origin = result.provenance
    names = {"potential": origin.get("fingerprint", {}).get("name", ""), "device": origin.get("device", "cpu")}
    atoms = len(next(iter(result.structures.values())))
    return {**names, "n_atoms": atoms, "calls": result.force_calls, "seconds": result.wall_s}


def _run(row: Mapping[str, Any]) -> Run:
    values = _decoded("runs", str(row["id"]), row)
    return Run(**{name: values.get(name, "") for name in _RUN}, state=_state(row["id"], values.get("state")))


def _state(run: int, stored: str | None) -> State:
    if not stored:
        return State.FINISHED  # philic 0.1 recorded none
    if stored not in tuple(State):
        raise _damaged("runs", str(run), f"{stored!r} is no state")
    return State(stored)


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
