"""MACE model files: the names mace-torch knows, where weights lie, and what a file says without torch."""

from __future__ import annotations

import ast
import contextlib
import os
import pickle
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PREFIX = "mace:"
_DTYPES = {"DoubleStorage": "float64", "FloatStorage": "float32"}


@dataclass(frozen=True)
class MaceName:
    """The parts of ``mace:MODEL`` or ``mace:MODEL@HEAD``.

    Attributes
    ----------
    model
        A name mace-torch knows, or the path of a file.
    head
        Which of a model's several outputs to use, or None.
    """

    model: str
    head: str | None

    @property
    def is_foundation(self) -> bool:
        """Whether mace-torch knows the model by this name."""
        return self.model in foundation_urls()


def parse(name: str) -> MaceName:
    """Split a potential's name; a path that exists is taken whole."""
    model = name.removeprefix(PREFIX)
    if "@" not in model or Path(model).is_file():
        return MaceName(model, None)
    model, _, head = model.rpartition("@")
    return MaceName(model, head)


@cache
def foundation_urls() -> dict[str, str]:
    """Return mace-torch's foundation models, name to download address; empty without mace-torch.

    Read from the text of ``mace.calculators.foundations_models``, because importing it imports torch.
    """
    spec = find_spec("mace")
    if spec is None or spec.origin is None:
        return {}
    tree = ast.parse(_foundations_module(Path(spec.origin)).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "mace_mp_urls":
            return dict(ast.literal_eval(node.value))
    return {}


def weights_file(name: str) -> Path:
    """Return the file of a MACE potential; a foundation model that is not here yet is downloaded once.

    Raises
    ------
    ModuleNotFoundError
        mace-torch is not installed.
    ValueError
        The name is neither a file nor a model mace-torch knows.
    FileNotFoundError
        The file is missing, or the download failed.
    """
    if find_spec("mace") is None:
        raise ModuleNotFoundError(f"{name!r} needs mace-torch, which is not installed; run pip install 'philic[mace]'")
    parts = parse(name)
    if parts.is_foundation:
        return _cached_or_downloaded(parts.model)
    path = Path(parts.model).expanduser()
    if path.is_file():
        return path
    if path.suffix or len(path.parts) > 1:
        raise FileNotFoundError(
            f"{str(path.absolute())!r} does not exist but {name!r} must name a model file; check the path"
        )
    raise ValueError(
        f"{parts.model!r} is not a model mace-torch knows; choose one of {', '.join(foundation_urls())}, "
        "or give the path of a .model file"
    )


def resolve(name: str) -> str:
    """Return the name with the path of a model file made absolute; raises as `weights_file` does."""
    path, parts = weights_file(name), parse(name)
    if parts.is_foundation:
        return name
    file_dtype(path)  # refuses what is no model before anything unpickles it
    return f"{PREFIX}{path.absolute()}" + (f"@{parts.head}" if parts.head else "")


def file_dtype(path: Path) -> str:
    """Return the floating-point type most of a model's numbers have, "float32" or "float64".

    The pickle inside the file is read without importing or running anything it names.

    Raises
    ------
    ValueError
        The file is not a PyTorch model.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (entry,) = (entry for entry in archive.namelist() if entry.endswith("/data.pkl"))
            with archive.open(entry) as file:
                reader = _StorageReader(file)
                reader.load()
    except (zipfile.BadZipFile, pickle.UnpicklingError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is not a PyTorch model but must be a MACE .model file; fetch it again") from error
    ((storage, _),) = reader.sizes.most_common(1)
    return _DTYPES[storage]


class _Anything:
    """Stands for every class and function a pickle names; takes whatever is done to it and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Anything:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None: ...
    def __setitem__(self, key: Any, value: Any) -> None: ...
    def append(self, item: Any) -> None: ...
    def extend(self, items: Any) -> None: ...
    def add(self, item: Any) -> None: ...
    def update(self, items: Any) -> None: ...


class _StorageReader(pickle.Unpickler):
    """Counts the numbers in the tensors of a pickle, by type of storage."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.sizes: Counter[str] = Counter()

    def find_class(self, module: str, name: str) -> Any:
        del module
        return type(name, (_Anything,), {})

    def persistent_load(self, pid: Any) -> Any:
        _, storage, _, _, size = pid
        if storage.__name__ in _DTYPES:
            self.sizes[storage.__name__] += size
        return _Anything()


def _foundations_module(mace_init: Path) -> Path:
    return mace_init.parent / "calculators" / "foundations_models.py"


def _cached_or_downloaded(model: str) -> Path:
    """Return the cached file of a foundation model, as mace-torch names it, or let mace-torch download it."""
    url = foundation_urls()[model]
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mace"
    path = folder / "".join(c for c in url.rpartition("/")[2] if c.isalnum() or c == "_")
    if path.is_file():
        return path
    try:
        return _download(model)
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"the weights of {PREFIX}{model} are not at {str(path)!r} and could not be downloaded ({error}); "
            f"fetch {url} on a machine with network and put it there under exactly that name"
        ) from error


def _download(model: str) -> Path:
    """Let mace-torch download a model; what it prints, licence included, goes to stderr."""
    from .importing import import_mace

    import_mace()
    from mace.calculators.foundations_models import download_mace_mp_checkpoint

    with contextlib.redirect_stdout(sys.stderr):
        return Path(download_mace_mp_checkpoint(model))
