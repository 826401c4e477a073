"""Settings files: which calculator, with which arguments, for which structures."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ..base import sha256_of_file

FOLDER = Path(__file__).parent / "settings"
"""Settings that come with philic."""
KPTS = "KPTS"
"""Stands in the arguments for the numbers of k-points."""
FOLDER_WORD = "FOLDER"
"""Stands in arguments and variables for the settings file's folder."""

Elements = Annotated[
    tuple[str, ...] | Literal["all"], BeforeValidator(lambda v: (v,) if isinstance(v, str) and v != "all" else v)
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Shape(_Strict):
    """What holds for structures of one shape only: sheets (empty space along the third vector) or crystals."""

    arguments: dict[str, Any] = {}
    """Laid over the arguments for every structure."""
    k_spacing_per_A: PositiveFloat | None = None
    """Largest distance between k-points, 2 pi included."""


class Preparation(_Strict):
    """A file that is made before the first structure with an element: a PAW dataset, say."""

    element: str
    file: str
    command: tuple[str, ...] = Field(description="arguments of the interpreter, run in a cache folder (`CACHE`)")


class Settings(_Strict):
    """An ASE calculator and what decides its numbers."""

    factory: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="module:callable that returns the calculator")
    arguments: dict[str, Any] = Field({}, description="its arguments; KPTS stands for the numbers of k-points")
    calculation: Literal["model", "dft"] = Field("model", description="dft: new, and in a folder of its own, each time")
    elements: Elements = Field("all", description="chemical symbols that it knows")
    functional: str = Field(description="exchange-correlation functional")
    cohesive_reference: Literal["PBE_MatPES", "r2SCAN_MatPES"] | None = Field(None, description="table of cohesive energies")
    training_set: str = Field("none", description="what a model was trained on")
    dispersion: str = Field("none", description="dispersion correction that is part of it")
    cutoff_A: PositiveFloat | None = Field(None, description="radius within which atoms interact directly; empty: none")
    sheet: Shape = Shape()
    crystal: Shape = Shape()
    spin_arguments: dict[str, Any] = Field({}, description="laid over the arguments where there are magnetic moments")
    magnetic_moments: dict[str, float] = Field({}, description="initial moment by element, in Bohr magnetons")
    open_carbon_moment: float = Field(0.0, description="initial moment of carbon that has fewer than three neighbours")
    python: str = Field(sys.executable, description="interpreter of the environment it is installed in")
    environment: dict[str, str] = Field({}, description="environment variables")
    packages: tuple[str, ...] = Field((), description="distributions whose versions count; else the factory's own")
    program: str = Field("", description="version of the program it calls, in words")
    files: tuple[Path, ...] = Field((), description="weights, POTCAR, UPF …: their content counts")
    prepare: tuple[Preparation, ...] = ()
    seconds_per_atom_call: PositiveFloat = Field(0.02, description="wall time of one call per atom, for estimates")

    @model_validator(mode="after")
    def _no_fixed_grid(self) -> Self:
        """Refuse numbers of k-points that are the same for every cell."""
        spaced = {bool(shape.k_spacing_per_A) for shape in (self.sheet, self.crystal)}
        asked = KPTS in json.dumps(self.all_arguments)
        if spaced != {asked}:
            raise ValueError(
                f"give `k_spacing_per_A` for `sheet` and `crystal`, and write {KPTS} in `arguments` where the numbers of "
                "k-points belong: both, or neither"
            )
        grids = [one["kpts"] for one in _nested(self.all_arguments) if isinstance(one, Mapping) and "kpts" in one]
        fixed = [grid for grid in grids if KPTS not in json.dumps(grid)]
        if fixed:
            raise ValueError(
                f"`kpts` is {fixed[0]!r} but a fixed grid has another accuracy in each cell: write {KPTS} and "
                "give `k_spacing_per_A`"
            )
        return self

    @model_validator(mode="after")
    def _files_exist(self) -> Self:
        for path in self.files:
            if not path.is_file():
                raise ValueError(f"`files` names {path}, which does not exist")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The distributions whose versions enter the fingerprint."""
        return self.packages or (self.factory.split(":")[0].split(".")[0],)

    @cached_property
    def sha256(self) -> str:
        """Checksum of what decides the numbers, apart from files and versions."""
        counting = {
            "factory",
            "arguments",
            "calculation",
            "sheet",
            "crystal",
            "magnetic_moments",
            "open_carbon_moment",
            "spin_arguments",
            "prepare",
            "environment",
        }
        plain = json.dumps(self.model_dump(mode="json", include=counting), sort_keys=True)
        for path in self.counted:  # their content counts, not where they lie
            plain = plain.replace(str(path.parent), "")
        return hashlib.sha256(plain.encode()).hexdigest()

    @property
    def all_arguments(self) -> list[dict[str, Any]]:
        """The arguments for every structure, and what is laid over them."""
        return [self.arguments, self.sheet.arguments, self.crystal.arguments, self.spin_arguments]

    @property
    def counted(self) -> tuple[Path, ...]:
        """Files whose content decides the numbers: those named as such, and those whose path is an argument."""
        paths = [Path(text) for text in _nested(self.all_arguments) if isinstance(text, str)]
        files = [path for path in paths if path.is_absolute() and path.is_file()]
        return tuple(dict.fromkeys([*self.files, *sorted(files)]))

    @cached_property
    def files_sha256(self) -> str:
        """Checksum of the files' checksums."""
        return hashlib.sha256(" ".join(sha256_of_file(path) for path in self.counted).encode()).hexdigest()


def _nested(value: Any) -> Iterator[Any]:
    """Give a value and everything in it, at any depth."""
    yield value
    for one in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _nested(one)


def shipped() -> dict[str, str]:
    """Return the settings that come with philic: name and the comment in the first line."""
    return {path.stem: path.read_text().splitlines()[0].lstrip("# ") for path in sorted(FOLDER.glob("*.yaml"))}


def path_of(name: str) -> Path:
    """Return the settings file that a name, or a path, means.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    if name in shipped():
        return FOLDER / f"{name}.yaml"
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise FileNotFoundError(f"`{name}` is no settings file and none that comes with philic: {', '.join(shipped())}")
    return path


def read(path: Path) -> Settings:
    """Read a settings file.

    Paths in it are relative to its folder. ``extends: gpaw`` takes everything from another file, and what is written
    replaces it key by key.

    Raises
    ------
    ValueError
        Says what is wrong with which key.
    """
    content = _content(path)
    try:
        return Settings(**content)
    except ValidationError as error:
        problems = [_problem(one) for one in error.errors()]
        raise ValueError(f"{path}: {'; '.join(problems)}") from error


def _content(path: Path, extending: tuple[Path, ...] = ()) -> dict[str, Any]:
    if path in extending:
        raise ValueError(f"{path}: `extends` leads back to this file")
    try:
        found = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML file: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: it must hold keys and values, such as `factory: gpaw:GPAW`")
    try:
        own = _in_folder(found, path.parent)
        base = str(own.pop("extends", "") or "")
        if not base:
            return own
        other = path_of(base if base in shipped() else str(path.parent / base))
    except (FileNotFoundError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    return merged(_content(other, (*extending, path)), own)


def _in_folder(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the settings file's folder where it is meant."""
    own: dict[str, Any] = replaced(content, FOLDER_WORD, str(folder))
    if "files" in own:
        if not isinstance(own["files"] or [], list):
            raise TypeError(f"`files` is {own['files']!r} but must be a list of paths")
        own["files"] = [folder / str(name) for name in own["files"] or []]
    if "python" in own:
        own["python"] = str(folder / Path(str(own["python"])).expanduser())
    return own


def replaced(value: Any, word: str, by: Any) -> Any:
    """Write something else for a word, wherever it occurs in a value; numbers within a text are separated by spaces."""
    if isinstance(value, Mapping):
        return {name: replaced(one, word, by) for name, one in value.items()}
    if isinstance(value, list):
        return [replaced(one, word, by) for one in value]
    if value == word:
        return by
    words = by if isinstance(by, str) else " ".join(map(str, by))
    return value.replace(word, words) if isinstance(value, str) else value


def merged(base: Mapping[str, Any], *others: Mapping[str, Any]) -> dict[str, Any]:
    """Lay mappings over each other, key by key at every depth."""
    result = dict(base)
    for other in others:
        for name, value in other.items():
            both = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
            result[name] = merged(result[name], value) if both else value
    return result


def _problem(error: Any) -> str:
    where = ".".join(map(str, error["loc"]))
    words = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"`{where}` is no key of settings; the keys are: {', '.join(Settings.model_fields)}"
    return f"`{where}`: {words}" if where else words
