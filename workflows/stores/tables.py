"""The tables of a store in a database, how they are made, and how those of an older philic are brought up to date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

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
