"""Stored results as rows: filter, sort, and write them for other programs."""

from __future__ import annotations

import csv
import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.db
import ase.io
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from .files import whole
from .result import Result
from .store import Store

Row = dict[str, Any]
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}


def flat(result: Result) -> Row:
    """Flatten a result into plain values: key, function, status, what it is about, scalars, message, cost."""
    fingerprint = result.provenance.get("fingerprint") or {}
    return {
        "key": result.key,
        "function": result.function,
        "status": result.status.value,
        **result.about,
        **({"potential": fingerprint["name"]} if fingerprint else {}),
        **{name: value if _number(value) else None for name, value in result.scalars.items()},
        "message": result.message,
        "force_calls": result.force_calls,
        "wall_s": result.wall_s,
        "device": result.provenance.get("device"),
        "created": result.provenance.get("created"),
    }


def _number(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def select(store: Store, function: str, where: Sequence[str] = (), sort: str = "") -> list[Result]:
    """Return a step function's results that meet every condition, sorted.

    Energies that one potential has at the geometries of another are left out, unless a condition asks for a ``geometry``.

    Parameters
    ----------
    store
        Where to look.
    function
        Name of a step function (``adsorption``, ``gate``, ``relax`` …).
    where
        Conditions such as ``metal=K`` or ``vs_bulk_eV<-0.5``; a result without the column does not meet one.
    sort
        Column to sort by, results without it last; ``-column`` for largest first.

    Raises
    ------
    ValueError
        If a condition cannot be read or names an unknown column.
    """
    results = with_calibration(store, list(store.results(function)))
    if not any(text.startswith("geometry") for text in where):
        results = [result for result in results if "geometry" not in result.about]
    columns = columns_of(results)
    conditions = [_condition(text, columns) for text in where]
    chosen = [result for result in results if all(meets(flat(result)) for meets in conditions)]
    if sort:
        name = _known(sort.removeprefix("-"), columns)
        with_value = [result for result in chosen if flat(result).get(name) is not None]
        without = [result for result in chosen if flat(result).get(name) is None]
        with_value.sort(key=lambda result: flat(result)[name], reverse=sort.startswith("-"))
        chosen = with_value + without
    return chosen


def with_calibration(store: Store, results: list[Result]) -> list[Result]:
    """Add to adsorption energies their calibrated values, where the store has any."""
    if not any(result.function == "adsorption" for result in results):
        return results
    found = {result.provenance["parents"]["adsorption"]: result.scalars for result in store.results("calibrated")}
    return [replace(result, scalars={**result.scalars, **found.get(result.key, {})}) for result in results]


def columns_of(results: Sequence[Result]) -> list[str]:
    """Return every column that the rows of these results have, in order."""
    return list(dict.fromkeys(name for result in results for name in flat(result)))


def write(results: Sequence[Result], path: Path) -> None:
    """Write results for another program, by the ending of the file's name.

    ``.csv``, ``.json`` and ``.parquet`` hold rows; ``.xyz`` (extended XYZ) and ``.db`` (ASE database) the final structures
    with the row beside each.

    Raises
    ------
    ValueError
        If the ending is none of these, the file exists already, or pyarrow is missing for Parquet.
    """
    if path.suffix not in WRITERS:
        raise ValueError(f"`{path}` ends in {path.suffix or 'nothing'!r} but must end in one of: {', '.join(WRITERS)}")
    if path.exists():
        raise ValueError(f"`{path}` exists already: give another name, or remove it")
    with whole(path) as beside:
        WRITERS[path.suffix](results, beside)


def _write_csv(results: Sequence[Result], path: Path) -> None:
    with path.open("x", newline="") as file:
        writer = csv.DictWriter(file, columns_of(results))
        writer.writeheader()
        writer.writerows({name: _as_text(value) for name, value in flat(result).items()} for result in results)


def _as_text(value: Any) -> Any:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")) else value


def _write_json(results: Sequence[Result], path: Path) -> None:
    path.write_text(json.dumps([flat(result) for result in results], indent=1, allow_nan=False) + "\n")


def _write_parquet(results: Sequence[Result], path: Path) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError("Parquet needs pyarrow: pip install 'philic[parquet]'") from error
    columns = columns_of(results)
    rows = [{name: flat(result).get(name) for name in columns} for result in results]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def _write_xyz(results: Sequence[Result], path: Path) -> None:
    frames = []
    for result in results:
        if "final" in result.structures:
            atoms = _labelled(result)
            atoms.info = {name: value for name, value in flat(result).items() if value is not None}
            frames.append(atoms)
    ase.io.write(path, frames, format="extxyz")


def _write_ase(results: Sequence[Result], path: Path) -> None:
    reserved = {"key", "energy", "id"}
    with ase.db.connect(str(path)) as database:
        for result in results:
            if "final" in result.structures:
                pairs = {f"philic_{k}" if k in reserved else k: v for k, v in flat(result).items()}
                plain = {k: v for k, v in pairs.items() if isinstance(v, (int, float, bool)) or _word(v)}
                database.write(_labelled(result), key_value_pairs=plain, data=flat(result))


WRITERS: dict[str, Callable[[Sequence[Result], Path], None]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".parquet": _write_parquet,
    ".xyz": _write_xyz,
    ".db": _write_ase,
}


def _labelled(result: Result) -> Atoms:
    """Return the final structure with the energy and forces it was given, where the result has them."""
    atoms: Atoms = result.structures["final"].copy()
    atoms.info = {}
    if "forces_eV_per_A" in result.arrays:
        forces = result.arrays["forces_eV_per_A"]
        atoms.calc = SinglePointCalculator(atoms, energy=result.scalars["energy_eV"], forces=forces)
    return atoms


def _word(value: Any) -> bool:
    """Whether the ASE database takes a text as a value: it refuses what looks like a number."""
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


def _condition(text: str, columns: Sequence[str]) -> Callable[[Mapping[str, Any]], bool]:
    match = re.fullmatch(r"\s*(\w+)\s*(<=|>=|!=|<|>|=)\s*(.*?)\s*", text)
    if not match:
        raise ValueError(f"`{text}` is no condition: give a column, one of {' '.join(OPERATORS)} and a value")
    name, compare, value = _known(match[1], columns), OPERATORS[match[2]], _value(match[3])

    def meets(values: Mapping[str, Any]) -> bool:
        ours = values.get(name)
        comparable = isinstance(ours, (int, float)) == isinstance(value, (int, float))
        return ours is not None and comparable and compare(ours, value)

    return meets


def _known(name: str, columns: Sequence[str]) -> str:
    if name not in columns:
        raise ValueError(f"`{name}` is no column of these results; the columns are: {', '.join(columns) or 'none'}")
    return name


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text
