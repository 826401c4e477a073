"""The tables of a store in a database, how they are made and brought up to date, and what their rows hold.

A row that is not what was written is noticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from ase.io.jsonio import decode, encode

from .files import DamagedError
from .result import Result, Status
from .store import Run, State

SCHEMA = 6
ENCODED = ("about", "scalars", "structures", "arrays", "provenance")
"""Columns of a result that hold JSON."""
PLAIN = ("key", "function", "message", "force_calls", "wall_s", "cpu_s")
CHECKED = {
    "results": (*PLAIN, "status", *ENCODED),
    "definitions": ("key", "definition"),
    "runs": ("recipe", "created", "parameters", "lock", "kind", "folder"),
}
"""Columns of which a row holds a checksum: those that do not change once they are written."""

metadata = sa.MetaData()
schema = sa.Table("philic_schema", metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
definitions = sa.Table(
    "definitions",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("checksum", sa.String, nullable=False, server_default=""),
)
results = sa.Table(
    "results",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("function", sa.String, nullable=False, index=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("force_calls", sa.Integer, nullable=False),
    sa.Column("wall_s", sa.Double, nullable=False),
    sa.Column("cpu_s", sa.Double, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in ENCODED),
    sa.Column("checksum", sa.String, nullable=False, server_default=""),
)
_BINARY = sa.String().with_variant(sa.String(collation="C"), "postgresql")  # sorted as Python does


def _indexed(name: str, kind: Any) -> sa.Table:
    """Make a table of one kind of value that results have, sorted by name and value: what they are searched by."""
    columns = (("function", sa.String()), ("name", sa.String()), ("value", kind), ("key", sa.String()))
    made = (sa.Column(column, type_, primary_key=True) for column, type_ in columns)
    return sa.Table(name, metadata, *made, sqlite_with_rowid=False)


numbers, texts = _indexed("numbers", sa.Double()), _indexed("texts", _BINARY)
tries = sa.Table(
    "tries",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)
reserved = sa.Table(
    "reserved",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("owner", sa.String, nullable=False, index=True),
    sa.Column("until", sa.Double, nullable=False),
)
costs = sa.Table(
    "costs",
    metadata,
    *(sa.Column(name, sa.String, primary_key=True) for name in ("potential", "device")),
    sa.Column("n_atoms", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
)
predictions = sa.Table(
    "predictions",
    metadata,
    sa.Column("trail", sa.String, primary_key=True),
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("energy_and_forces", sa.LargeBinary, nullable=False),
)
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("recipe", sa.String, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("parameters", "lock", "keys")),
    *(
        sa.Column(name, sa.String, nullable=False, server_default="")
        for name in ("kind", "folder", "state", "message", "checksum")
    ),
)
_LOCK = 0x7068696C6963  # "philic", PostgreSQL's advisory lock while tables are made


def checksum(table: str, row: Mapping[str, Any]) -> str:
    """Return the checksum of a row, of the columns in `CHECKED`."""
    return hashlib.sha256(json.dumps([row[name] for name in CHECKED[table]], default=repr).encode()).hexdigest()[:32]


def version_of(connection: sa.Connection) -> tuple[int, list[str]]:
    """Return the schema of a database, 0 where philic made no table, and the names of all its tables."""
    names = sorted(sa.inspect(connection).get_table_names())
    if schema.name not in names:
        return 0, names
    return int(connection.execute(sa.select(sa.func.max(schema.c.version))).scalar() or 0), names


def bring_up_to_date(connection: sa.Connection) -> int:
    """Make every table and column that is not there, in the transaction of the connection: killed half-way, nothing is made.

    Returns the schema that there was.

    A schema only ever adds tables, and columns that have a default: nothing that is stored is rewritten, so an older store
    keeps every digit, and the few lines below do what a migration tool would.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    version, _ = version_of(connection)
    metadata.create_all(connection)
    seen = sa.inspect(connection)
    for table in metadata.sorted_tables:
        there = {column["name"] for column in seen.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                definition = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {definition}"))
    if version < SCHEMA:
        connection.execute(sa.delete(schema))
        connection.execute(sa.insert(schema).values(version=SCHEMA))
    return version


_JSON = {"results": ENCODED, "definitions": ("definition",), "runs": ("parameters", "lock", "keys")}
_LARGE = ("structures", "arrays")
_RUN = ("id", "recipe", "created", "parameters", "lock", "keys", "kind", "folder", "message")
_WORDS = {"results": "result", "definitions": "step", "runs": "run"}


def row_of(result: Result) -> dict[str, Any]:
    """Return a result as a row, with its checksum."""
    row = {name: getattr(result, name) for name in PLAIN} | {"status": result.status.value}
    row |= {name: encode(getattr(result, name)) for name in ENCODED}
    return {**row, "checksum": checksum("results", row)}


def result_of(row: Mapping[str, Any], whole: bool = True) -> Result:
    """Return the result that a row holds, with its structures and arrays or, sooner, without.

    Raises
    ------
    DamagedError
        If the row is not what was written.
    """
    values = decoded("results", row["key"], row, () if whole else _LARGE)
    return Result(**{**values, "status": Status(values["status"])})


def decoded(table: str, key: str, row: Mapping[str, Any], but: Sequence[str] = ()) -> dict[str, Any]:
    """Return the columns of a row, those that hold JSON decoded, without some. A row of an older philic has no checksum.

    Raises
    ------
    DamagedError
        If the row is not what was written.
    """
    values = dict(row)
    check = values.pop("checksum", "")
    problem = "a number or word of it changed" if check and check != checksum(table, values) else ""
    try:
        values = {name: decode(v) if name in _JSON[table] else v for name, v in values.items() if name not in but}
    except Exception as error:  # whatever a parser says of what nobody wrote
        problem = str(error)
    if problem:
        raise _damaged(table, key, problem)
    return values


def _damaged(table: str, key: str, problem: str) -> DamagedError:
    mend = "`philic check --mend` forgets it" + ("" if table == "runs" else ", and the next run computes it again")
    return DamagedError(f"the {_WORDS[table]} {key} is damaged ({problem}): {mend}")


def run_of(row: Mapping[str, Any]) -> Run:
    """Return the run that a row holds.

    Raises
    ------
    DamagedError
        If the row is not what was written.
    """
    values = decoded("runs", str(row["id"]), row)
    return Run(**{name: values.get(name, "") for name in _RUN}, state=state_of(row["id"], values.get("state")))


def state_of(run: int, stored: str | None) -> State:
    """Return how far a run is.

    Raises
    ------
    DamagedError
        If the word is none of them.
    """
    if not stored:
        return State.FINISHED  # philic 0.1 recorded none
    if stored not in tuple(State):
        raise _damaged("runs", str(run), f"{stored!r} is no state")
    return State(stored)
