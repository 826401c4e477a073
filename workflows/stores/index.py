"""The index of the results, by which they are searched and sorted: a million are not read where ten are asked for.

It follows from the results. Whoever searches by it compares what he finds, and `philic check` compares all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from . import tables
from .files import DamagedError
from .result import Result
from .rows import Condition, Kind, flat, kind_of
from .tables import result_of

NAME = "index"
SINCE = 6
"""The first schema that has one."""
LONGEST = 500
"""Characters that are kept of a text: a server's index takes no more than some two thousand bytes."""
INDEXES: dict[Kind, sa.Table] = {"numbers": tables.numbers, "texts": tables.texts}
DIRECT = ("key", "function", "message")
"""Columns that are looked up in the results themselves."""
_COLUMNS = tuple(tables.numbers.c.keys())
Entries = dict[Kind, list[dict[str, Any]]]


def entries(results: Iterable[Result]) -> Entries:
    """Return the rows of each of `INDEXES` for some results."""
    found: Entries = {"numbers": [], "texts": []}
    for result in results:
        for name, value in flat(result).items():
            kind = kind_of(value)
            if kind and name not in DIRECT:
                plain = float(value) if kind == "numbers" else value[:LONGEST]
                found[kind].append({"function": result.function, "name": name, "value": plain, "key": result.key})
    return found


def insertions(insert: Callable[[sa.Table], Any]) -> list[Any]:
    """Return the statements that enter what is not there yet, for a kind of database."""
    return [insert(table).on_conflict_do_nothing() for table in INDEXES.values()]


def put(connection: sa.Connection, results: Iterable[Result], statements: Sequence[Any]) -> None:
    """Enter results by the statements that `insertions` gives."""
    for statement, rows in zip(statements, entries(results).values(), strict=True):
        if rows:
            connection.execute(statement, rows)


def take_out(connection: sa.Connection, row: Mapping[str, Any]) -> None:
    """Take the result of a row out, as it was entered; all of its key where the row is damaged, which reads every entry."""
    try:
        found = entries([result_of(row, whole=False)])
    except DamagedError:
        for table in INDEXES.values():
            connection.execute(sa.delete(table).where(table.c.key == row["key"]))
        return
    for table, rows in zip(INDEXES.values(), found.values(), strict=True):
        ours = sa.and_(*(table.c[name] == sa.bindparam(f"_{name}") for name in _COLUMNS))
        if rows:
            connection.execute(sa.delete(table).where(ours), [{f"_{k}": v for k, v in one.items()} for one in rows])


def tidy(connection: sa.Connection) -> None:
    """Take out results that are no longer there."""
    for table in INDEXES.values():
        connection.execute(sa.delete(table).where(table.c.key.not_in(sa.select(tables.results.c.key))))


def make_anew(connection: sa.Connection, statements: Sequence[Any]) -> None:
    """Enter every sound result; what was entered before is forgotten."""
    for table in INDEXES.values():
        connection.execute(sa.delete(table))
    rows = connection.execute(sa.select(tables.results).execution_options(yield_per=500))
    for some in rows.partitions():
        put(connection, _sound(some), statements)


def _sound(rows: Iterable[Any]) -> Iterator[Result]:
    for row in rows:
        try:
            yield result_of(row._mapping, whole=False)
        except DamagedError:
            continue  # `philic check` names it


def missing(connection: sa.Connection, results: Sequence[Result]) -> tuple[int, int]:
    """Return how many rows results should have, and how many of these are not there."""
    expected, there = 0, 0
    for table, rows in zip(INDEXES.values(), entries(results).values(), strict=True):
        expected += len(rows)
        names = sa.tuple_(*table.c)
        for start in range(0, len(rows), 500):
            some = [tuple(row[name] for name in _COLUMNS) for row in rows[start : start + 500]]
            query = sa.select(sa.func.count()).select_from(table).where(names.in_(some))
            there += connection.execute(query).scalar_one()
    return expected, expected - there


def n_entries(connection: sa.Connection) -> int:
    """Return how many rows there are."""
    return sum(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in INDEXES.values())


def columns(connection: sa.Connection, function: str) -> dict[str, set[Kind]]:
    """Return the columns that a step function's results are searched by, and what they hold."""
    found: dict[str, set[Kind]] = {name: {"texts"} for name in DIRECT}
    for kind, table in INDEXES.items():
        name: str | None = ""
        while name is not None:  # from one name to the next, where DISTINCT would read every row
            after = (table.c.function == function) & (table.c.name > name)
            name = connection.execute(sa.select(sa.func.min(table.c.name)).where(after)).scalar()
            if name:
                found.setdefault(name, set()).add(kind)
    return found


def queries(
    select: sa.Select[Any], function: str, conditions: Sequence[Condition], sort: str, largest_first: bool
) -> Iterator[sa.Select[Any]]:
    """Yield queries that one after the other give what meets every condition, sorted as `rows.in_order` does."""
    results = tables.results
    ours = [_meeting(function, condition) for condition in conditions] or [results.c.function == function]
    if not sort:
        yield select.where(*ours)
    elif sort in DIRECT:
        yield select.where(*ours).order_by(_by(results.c[sort], largest_first))
    else:
        named = {table: (table.c.function == function) & (table.c.name == sort) for table in INDEXES.values()}
        for table, those in named.items():
            order = (_by(table.c[column], largest_first) for column in ("value", "key"))
            yield select.join(table, table.c.key == results.c.key).where(those, *ours).order_by(*order)
        without = (results.c.key.not_in(sa.select(table.c.key).where(those)) for table, those in named.items())
        yield select.where(results.c.function == function, *ours, *without).order_by(_by(results.c.key, largest_first))


def _by(column: Any, largest_first: bool) -> Any:
    return column.desc() if largest_first else column


def _meeting(function: str, condition: Condition) -> Any:
    if condition.name in DIRECT:
        compared = sa.true() if condition.pattern else condition(tables.results.c[condition.name])
        return (tables.results.c.function == function) & compared
    table = INDEXES[condition.kind]
    those = (table.c.function == function, table.c.name == condition.name, _may_meet(table.c.value, condition))
    return tables.results.c.key.in_(sa.select(table.c.key).where(*those))


def _may_meet(column: Any, condition: Condition) -> Any:
    """Compare texts as far as they are kept: whatever meets the condition is among what is found."""
    if condition.pattern:
        return sa.true()
    if not isinstance(condition.value, str):  # a number is kept whole
        return condition(column)
    weaker = {"<": "<=", ">": ">="}.get(condition.compare, condition.compare)
    found = replace(condition, compare=weaker, value=condition.value[:LONGEST])(column)
    return found | (sa.func.length(column) == LONGEST) if weaker == "!=" else found
