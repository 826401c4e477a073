"""Stored results as rows: filter, sort, and write them for other programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import ase.db
import ase.io
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from .files import whole
from .result import Result
from .rows import Condition, Row, columns_of, flat, in_order
from .store import Store

_PART = 10_000  # rows of a row group


@dataclass(frozen=True)
class Selection:
    """A step function's results that meet every condition, sorted; read from the store each time they are asked for.

    Energies that one potential has at the geometries of another are left out, unless a condition asks for a ``geometry``.
    What is sorted by a calibrated energy is held in memory.

    Attributes
    ----------
    store
        Where to look.
    function
        Name of a step function (``adsorption``, ``gate``, ``relax`` …).
    conditions
        What they must meet.
    sort, largest_first
        Column to sort by, results without it last.
    """

    store: Store
    function: str
    conditions: Sequence[Condition] = ()
    sort: str = ""
    largest_first: bool = False

    def results(self, whole: bool = True) -> Iterator[Result]:
        """Yield them, with structures and arrays or, sooner, without."""
        stored = self.store.columns(self.function)
        later = [condition for condition in self.conditions if condition.name not in stored]
        sooner = [condition for condition in self.conditions if condition.name in stored]
        sort = self.sort if self.sort in stored else ""
        found = self.store.results(self.function, sooner, sort, largest_first=self.largest_first, whole=whole)
        if not any(condition.name == "geometry" for condition in self.conditions):
            found = (result for result in found if "geometry" not in result.about)
        if self.function == "adsorption":
            found = _calibrated(self.store, found)
        if later:
            found = (result for result in found if all(condition.met_by(flat(result)) for condition in later))
        yield from in_order(found, self.sort, self.largest_first) if self.sort != sort else found

    def rows(self) -> Iterator[Row]:
        """Yield them as rows."""
        return map(flat, self.results(whole=False))


def select(store: Store, function: str, where: Sequence[str] = (), sort: str = "") -> Selection:
    """Select a step function's results that meet every condition, sorted.

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
    conditions, by = [Condition.read(text) for text in where], sort.removeprefix("-")
    columns = store.columns(function)
    if function == "adsorption":
        columns = {**store.columns("calibrated"), **columns}
    for name in [*(condition.name for condition in conditions), *([by] if by else [])]:
        if name not in columns:
            raise ValueError(f"`{name}` is no column of these results; the columns are: {', '.join(columns)}")
    for condition, text in zip(conditions, where, strict=True):
        if condition.kind not in columns[condition.name]:
            kind = " and ".join(sorted(columns[condition.name]))
            raise ValueError(f"`{text}` is met by nothing: `{condition.name}` holds {kind}, and what is asked for is none")
    return Selection(store, function, conditions, by, sort.startswith("-"))


def _calibrated(store: Store, results: Iterable[Result]) -> Iterator[Result]:
    """Add to adsorption energies their calibrated values, where the store has any."""
    calibrated = store.results("calibrated", whole=False)
    found = {result.provenance["parents"]["adsorption"]: result.scalars for result in calibrated}
    for result in results:
        yield replace(result, scalars={**result.scalars, **found[result.key]}) if result.key in found else result


def write(selection: Selection, path: Path) -> int:
    """Write results for another program, by the ending of the file's name, and return how many; memory stays as it is.

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
        return WRITERS[path.suffix](selection, beside)


def _write_csv(selection: Selection, path: Path) -> int:
    n = 0
    with path.open("x", newline="") as file:
        writer = csv.DictWriter(file, columns_of(selection.rows()))
        writer.writeheader()
        for row in selection.rows():
            n += 1
            writer.writerow({name: _as_text(value) for name, value in row.items()})
    return n


def _as_text(value: Any) -> Any:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")) else value


def _write_json(selection: Selection, path: Path) -> int:
    n = 0
    with path.open("x") as file:
        file.write("[")
        for n, row in enumerate(selection.rows(), 1):
            file.write((",\n" if n > 1 else "\n") + json.dumps(row, allow_nan=False))
        file.write("\n]\n")
    return n


def _write_parquet(selection: Selection, path: Path) -> int:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError("Parquet needs pyarrow: pip install 'philic[parquet]'") from error

    def parts() -> Iterator[Any]:
        rows = selection.rows()
        while some := list(islice(rows, _PART)):
            columns = columns_of(some)
            yield pyarrow.Table.from_pylist([{name: row.get(name) for name in columns} for row in some])

    schema, n = pyarrow.schema([]), 0
    for part in parts():
        schema = pyarrow.unify_schemas([schema, part.schema], promote_options="permissive")
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for part in parts():
            n += part.num_rows
            missing = (field for field in schema if field.name not in part.column_names)
            for field in missing:
                part = part.append_column(field, pyarrow.nulls(part.num_rows, field.type))
            writer.write_table(part.select(schema.names).cast(schema))
    return n


def _write_xyz(selection: Selection, path: Path) -> int:
    n = 0
    with path.open("x") as file:
        for result in _with_structure(selection):
            n += 1
            atoms = _labelled(result)
            atoms.info = {name: value for name, value in flat(result).items() if value is not None}
            ase.io.write(file, atoms, format="extxyz")
    return n


def _write_ase(selection: Selection, path: Path) -> int:
    reserved, n = {"key", "energy", "id"}, 0
    path.touch()  # as the umask says
    with ase.db.connect(str(path)) as database:
        for result in _with_structure(selection):
            n += 1
            pairs = {f"philic_{k}" if k in reserved else k: v for k, v in flat(result).items()}
            plain = {k: v for k, v in pairs.items() if isinstance(v, (int, float, bool)) or _word(v)}
            database.write(_labelled(result), key_value_pairs=plain, data=flat(result))
    return n


def _with_structure(selection: Selection) -> Iterator[Result]:
    return (result for result in selection.results() if "final" in result.structures)


WRITERS: dict[str, Callable[[Selection, Path], int]] = {
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
