"""Where results live, by key: one SQLite file that several processes may use at once."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from ase.io.jsonio import decode, encode
from numpy.typing import NDArray
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.schema import CreateIndex, CreateTable

from ...potentials.base import Prediction
from .result import Memory, Result, Status

SCHEMA = 2
WAIT_FOR_LOCK_S = 60
_BATCH = 500  # keys a query names at once: SQLite limits the number of bound values

_metadata = sa.MetaData()
_PLAIN = ("key", "function", "message", "force_calls", "wall_s", "cpu_s")
_ENCODED = ("about", "scalars", "structures", "arrays", "provenance")
_schema = sa.Table("philic_schema", _metadata, sa.Column("version", sa.Integer, primary_key=True))
_definitions = sa.Table(
    "definitions",
    _metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("definition", sa.Text, nullable=False),
)
_results = sa.Table(
    "results",
    _metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("function", sa.String, nullable=False, index=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("force_calls", sa.Integer, nullable=False),
    sa.Column("wall_s", sa.Float, nullable=False),
    sa.Column("cpu_s", sa.Float, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in _ENCODED),
)
_predictions = sa.Table(
    "predictions",
    _metadata,
    sa.Column("trail", sa.String, primary_key=True),
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("energy_and_forces", sa.LargeBinary, nullable=False),
)
_runs = sa.Table(
    "runs",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("recipe", sa.String, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("parameters", "lock", "keys")),
)


class StoreError(ValueError):
    """The file is not a store that this version of philic can use."""


@dataclass(frozen=True)
class Run:
    """One execution of a recipe.

    Attributes
    ----------
    id
        Counts up from 1 in each store.
    recipe, created
        Name of the recipe, and when it was started (ISO 8601, UTC).
    parameters
        Every parameter, resolved.
    lock
        Versions of the packages and the fingerprint of the potential.
    keys
        The steps it is made of.
    """

    id: int
    recipe: str
    created: str
    parameters: Mapping[str, Any]
    lock: Mapping[str, Any]
    keys: Sequence[str]


class Store:
    """Results, definitions of steps and runs in one SQLite file.

    Every call is one transaction; the file is in WAL mode, so readers never wait and writers wait for each other. Keep it on
    a local disk: SQLite's WAL does not work over a network file system.

    Parameters
    ----------
    path
        The file; made if it does not exist.
    reading
        Open without writing: no file or table is created, and a file without tables reads as an empty store.

    Raises
    ------
    StoreError
        If the file is no SQLite database, another program's, of a newer schema (it is left as it is), or cannot be written.
    """

    def __init__(self, path: str | Path, *, reading: bool = False) -> None:
        self.path = Path(path).absolute()
        schema = _schema_of(self.path)
        if reading and not schema:
            self._engine = sa.create_engine("sqlite://")
            _metadata.create_all(self._engine)
            return
        if schema != SCHEMA and not reading:
            _make_tables(self.path)
        url = sa.URL.create("sqlite", database=str(self.path))
        self._engine = sa.create_engine(url, connect_args={"timeout": WAIT_FOR_LOCK_S})
        if not reading:
            sa.event.listen(self._engine, "connect", _configure)

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """One transaction; a full disk, a lock that is not given up or a file that broke is a `StoreError`."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise StoreError(f"`{self.path}` cannot be used: {error.orig}") from error

    def close(self) -> None:
        """Close every connection; the store can still be used, and opens new ones."""
        self._engine.dispose()

    def add_definitions(self, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        """Write down what the steps are, by key, so that any worker can run them.

        A newer definition of a key replaces an older one: the calculation is the same, a potential's file may have moved.
        """
        rows = [{"key": key, "definition": encode(definition)} for key, definition in definitions.items()]
        statement = insert(_definitions)
        new = {"definition": statement.excluded.definition}
        with self._transaction() as connection:
            for some in _batches(rows):
                connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=new), some)

    def definition(self, key: str) -> dict[str, Any]:
        """Return what a step is.

        Raises
        ------
        KeyError
            If no step of that key was written down.
        """
        with self._transaction() as connection:
            text = connection.execute(sa.select(_definitions.c.definition).where(_definitions.c.key == key)).scalar()
        if text is None:
            raise KeyError(f"no step {key} is written down in `{self.path}`")
        found: dict[str, Any] = decode(text)
        return found

    def add(self, result: Result) -> None:
        """Commit a result. What is already stored stays, unless it is a crash."""
        row = {name: getattr(result, name) for name in _PLAIN}
        row |= {name: encode(getattr(result, name)) for name in _ENCODED}
        statement = insert(_results).values(status=result.status.value, **row)
        values = {name: statement.excluded[name] for name in (*row, "status") if name != "key"}
        crashed = _results.c.status == Status.CRASHED.value
        with self._transaction() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values, where=crashed))

    def get(self, keys: Iterable[str]) -> dict[str, Result]:
        """Return the results that are stored, by key."""
        found = {}
        with self._transaction() as connection:
            for some in _batches(list(keys)):
                for row in connection.execute(sa.select(_results).where(_results.c.key.in_(some))):
                    found[row.key] = _result(row)
        return found

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Return which of the keys have a result that a rerun takes as it is."""
        final = [status.value for status in Status if status.final]
        found: set[str] = set()
        with self._transaction() as connection:
            for some in _batches(list(keys)):
                query = sa.select(_results.c.key).where(_results.c.key.in_(some), _results.c.status.in_(final))
                found.update(connection.execute(query).scalars())
        return found

    def results(self, function: str) -> Iterator[Result]:
        """Yield every stored result of a step function."""
        with self._transaction() as connection:
            for row in connection.execute(sa.select(_results).where(_results.c.function == function)):
                yield _result(row)

    def memory(self, trail: str) -> Memory:
        """Return the memory of a calculation: the predictions it has received so far, in this run or an earlier one."""
        return _Memory(self, trail)

    def folder(self, trail: str) -> Path:
        """Return the folder for files of a calculation that are too large for the store; the writer creates it."""
        return work_folder(self.path, trail)

    def add_run(self, recipe: str, parameters: Mapping[str, Any], lock: Mapping[str, Any], keys: Sequence[str]) -> int:
        """Record an execution of a recipe and return its id."""
        created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        row = {"parameters": encode(parameters), "lock": encode(lock), "keys": encode(list(keys))}
        with self._transaction() as connection:
            inserted = connection.execute(insert(_runs).values(recipe=recipe, created=created, **row))
            (identity,) = inserted.inserted_primary_key or (0,)
        return int(identity)

    def runs(self) -> list[Run]:
        """Return every run, oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(sa.select(_runs).order_by(_runs.c.id)).all()
        return [
            Run(
                row.id,
                row.recipe,
                row.created,
                decode(row.parameters),
                decode(row.lock),
                decode(row._mapping["keys"]),
            )
            for row in rows
        ]


@dataclass(frozen=True)
class _Memory:
    """Predictions on one trail, each written as it comes."""

    store: Store
    trail: str

    def get(self, digest: str, /) -> Prediction | None:
        ours = (_predictions.c.trail == self.trail) & (_predictions.c.digest == digest)
        with self.store._transaction() as connection:
            stored = connection.execute(sa.select(_predictions.c.energy_and_forces).where(ours)).scalar()
        if stored is None:
            return None
        return _prediction(np.frombuffer(stored))

    def update(self, new: Mapping[str, Prediction], /) -> None:
        rows = [
            {
                "trail": self.trail,
                "digest": digest,
                "energy_and_forces": _numbers(prediction).tobytes(),
            }
            for digest, prediction in new.items()
        ]
        with self.store._transaction() as connection:
            connection.execute(insert(_predictions).on_conflict_do_nothing(), rows)


def _numbers(prediction: Prediction) -> NDArray[np.float64]:
    """Energy and forces in a row; where there is a stress, it and a mark follow, so that the length tells."""
    stress = prediction.stress_eV_per_A3
    return np.concatenate(
        [[prediction.energy_eV], prediction.forces_eV_per_A.ravel(), [] if stress is None else [*stress, 0.0]]
    )


def _prediction(numbers: NDArray[np.float64]) -> Prediction:
    if len(numbers) % 3 == 1:
        return Prediction(float(numbers[0]), numbers[1:].reshape(-1, 3))
    return Prediction(float(numbers[0]), numbers[1:-7].reshape(-1, 3), numbers[-7:-1])


def work_folder(store: Path, trail: str) -> Path:
    """Return the folder beside a store's file for the files of a calculation."""
    return store.absolute().with_name(f"{store.name}.work") / trail


def _schema_of(path: Path) -> int:
    """Return the schema of a store, 0 for an empty or missing file; a foreign file is refused and left unchanged."""
    if path.is_dir() or not path.parent.is_dir():
        raise StoreError(f"`{path}` cannot be a store: give the path of a file in a folder that exists")
    if not path.exists() or path.stat().st_size == 0:
        return 0
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=WAIT_FOR_LOCK_S)) as connection:
            tables = sorted(name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'"))
            ours = _schema.name in tables
            newest = connection.execute(f"SELECT max(version) FROM {_schema.name}").fetchone()[0] if ours else None
    except sqlite3.Error as error:
        raise StoreError(f"`{path}` cannot be read as a store: {error}; give another file to --store") from error
    if tables and not ours:
        raise StoreError(
            f"`{path}` is a database of another program (it has the tables {', '.join(tables[:3])}): "
            "give another file to --store"
        )
    if newest is not None and newest > SCHEMA:
        raise StoreError(
            f"`{path}` has schema {newest} but this philic knows up to {SCHEMA}, so a newer philic wrote it: "
            "update philic or give another file to --store"
        )
    return int(newest or 0)


def _make_tables(path: Path) -> None:
    """Make every table that is not there, or none: killed half-way, the file is as empty as it was."""
    made: list[sa.schema.ExecutableDDLElement] = []
    for table in _metadata.sorted_tables:
        made += [CreateTable(table, if_not_exists=True), *(CreateIndex(i, if_not_exists=True) for i in table.indexes)]
    statements = [str(statement.compile(dialect=sqlite.dialect())) for statement in made]
    statements.append(f"INSERT OR IGNORE INTO {_schema.name} VALUES ({SCHEMA})")
    try:
        with closing(sqlite3.connect(path, timeout=WAIT_FOR_LOCK_S)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(";\n".join(["BEGIN IMMEDIATE", *statements, "COMMIT"]))
    except sqlite3.Error as error:
        raise StoreError(f"`{path}` cannot be written: {error}; give another file to --store") from error


def _configure(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _result(row: Any) -> Result:
    plain = {name: getattr(row, name) for name in _PLAIN}
    return Result(status=Status(row.status), **plain, **{name: decode(getattr(row, name)) for name in _ENCODED})


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
