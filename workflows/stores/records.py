"""Results, definitions and runs as rows of a database, and back; what is not what was written is noticed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ase.io.jsonio import decode, encode

from . import tables
from .files import DamagedError
from .result import Result, Status
from .store import Run, State

_JSON = {"results": tables.ENCODED, "definitions": ("definition",), "runs": ("parameters", "lock", "keys")}
_LARGE = ("structures", "arrays")
_RUN = ("id", "recipe", "created", "parameters", "lock", "keys", "kind", "folder", "message")
_WORDS = {"results": "result", "definitions": "step", "runs": "run"}


def row_of(result: Result) -> dict[str, Any]:
    """Return a result as a row, with its checksum."""
    row = {name: getattr(result, name) for name in tables.PLAIN} | {"status": result.status.value}
    row |= {name: encode(getattr(result, name)) for name in tables.ENCODED}
    return {**row, "checksum": tables.checksum("results", row)}


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
    problem = "a number or word of it changed" if check and check != tables.checksum(table, values) else ""
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
