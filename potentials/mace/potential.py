"""MACE models: the foundation models mace-torch knows, and files of your own.

Batatia et al., arXiv:2401.00096. The weights are downloaded once by mace-torch into its own cache.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import Card, Fingerprint, Kind, Predict, Prediction, sha256_of_file
from ..devices import Batches, Input, batches_of_this_machine, device, device_name, evaluate
from ..torch_threads import import_torch
from ..training import record
from .files import PREFIX, file_dtype, foundation_urls, parse, resolve, weights_file
from .importing import import_mace, old_torchscript

if TYPE_CHECKING:
    from ase import Atoms

LOG = logging.getLogger(__name__)
CODE = "1"
"""Goes up when this room's own code changes a number."""
_DEFAULT_HEADS = {"mh-0": "omat_pbe", "mh-1": "omat_pbe"}  # not verified: the release notes could not be read

# Functional, cohesive energies to use with it and training set, by the part of the name that says so; first
# match wins. Source: github.com/ACEsuit/mace-foundations, README.md; the mh models are not in the one read.
_FACTS = (
    ("matpes-r2scan", "r2SCAN", "r2SCAN_MatPES", "OMat24, then MatPES-r2SCAN"),
    ("matpes-pbe", "PBE", "PBE_MatPES", "OMat24, then MatPES-PBE"),
    ("mh-", "PBE and PBE+U (head omat_pbe)", "PBE_MatPES", "OMat24 and other heads"),
    ("omat", "PBE and PBE+U", "PBE_MatPES", "OMat24"),
    ("mpa", "PBE and PBE+U", "PBE_MatPES", "MPtrj and sAlex"),
    ("", "PBE and PBE+U", "PBE_MatPES", "MPtrj"),
)
_UNKNOWN_FACTS = ("", "unknown: a file of your own", None, "unknown: a file of your own")
_SECONDS_PER_ATOM_CALL = {"small": 4e-3, "medium": 1.1e-2}  # 51 atoms on two cores: 200 and 550 ms


def _descriptions() -> dict[str, str]:
    return {
        f"{PREFIX}{model}": f"MACE foundation model, {functional}, trained on {training_set}; downloaded once"
        for model in foundation_urls()
        for _, functional, _, training_set in [_facts(model)]
    }


def _facts(model: str, head: str | None = None) -> tuple[str, str, str | None, str]:
    """Return the facts of a foundation model by its name, or of a user's file or another head."""
    if model not in foundation_urls():
        return _UNKNOWN_FACTS
    if head != _DEFAULT_HEADS.get(model) and head is not None:
        return ("", f"that of the head {head}", None, f"that of the head {head}")
    return next(facts for facts in _FACTS if facts[0] in model)


def _card(name: str) -> Card:
    """Return the facts; elements and cutoff are in the file, so this loads the model."""
    from ase.data import chemical_symbols

    model = parse(name).model
    _, functional, cohesive_reference, training_set = _facts(model, parse(name).head)
    trained = {} if parse(name).is_foundation else record.read(weights_file(name))
    calculator = _calculator(name)
    elements = {chemical_symbols[number] for number in calculator.z_table.zs}
    return Card(
        name=name,
        description=_descriptions().get(f"{PREFIX}{model}", f"MACE model from the file {model}"),
        functional=trained.get("functional", functional),
        cohesive_reference=cohesive_reference,
        training_set=trained.get("training_set", training_set),
        elements=frozenset(elements.intersection(trained.get("elements", elements))),
        cutoff_A=float(calculator.r_max),
        seconds_per_atom_call=_SECONDS_PER_ATOM_CALL[_size(model)],
    )


def _size(model: str) -> str:
    return "small" if "small" in model else "medium"


def _fingerprint(name: str) -> Fingerprint:
    """Return the fingerprint; a user's file counts by its name and content, wherever it lies."""
    path, parts = weights_file(name), parse(name)
    model = parts.model if parts.is_foundation else path.name
    head = parts.head or _DEFAULT_HEADS.get(parts.model)
    sha256, dtype = _content(path)
    full_name = f"{PREFIX}{model}@{head}" if head else f"{PREFIX}{model}"
    return Fingerprint(
        full_name, sha256, dtype, "none", "mace-torch", version("mace-torch"), head or "", version("torch"), CODE
    )


def _content(path: Path) -> tuple[str, str]:
    """Return checksum and dtype of a file; read again when its time or size changes."""
    stat = path.stat()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@cache
def _read(path: Path, mtime_ns: int, size: int) -> tuple[str, str]:
    del mtime_ns, size
    return sha256_of_file(path), file_dtype(path)


@cache
def _calculator(name: str) -> Any:
    """Load the model, on the CPU, in the dtype of its file; mace's calculator knows its elements and heads."""
    path, parts = weights_file(name), parse(name)
    if not parts.is_foundation:
        _warn_of_code(path)
    import_mace()
    torch = import_torch()
    from mace.calculators.mace import MACECalculator, get_model_dtype

    with old_torchscript():
        model = torch.load(path, map_location="cpu", weights_only=False)
    head = _chosen_head(name, getattr(model, "heads", ["Default"]), parts.head or _DEFAULT_HEADS.get(parts.model))
    # mace would convert a model silently to another dtype: give it the one the model has.
    return MACECalculator(models=[model], device="cpu", default_dtype=get_model_dtype(model), head=head)


def _warn_of_code(path: Path) -> None:
    """Say once of each model file, by its checksum, that loading it runs what it holds."""
    checksum, _ = _content(path)
    known = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "philic" / "models"
    with suppress(OSError):
        if known.is_file() and checksum in known.read_text().split():
            return
    LOG.warning(
        "%s (sha256 %s…) is a pickle: loading it runs code that it holds; use only files you trust", path, checksum[:12]
    )
    with suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True)
        with known.open("a") as file:
            file.write(f"{checksum}\n")


def _chosen_head(name: str, heads: Sequence[str], head: str | None) -> str:
    """Return the head to use; mace would fall back to the last one silently."""
    if head is None and len(heads) == 1:
        return heads[0]
    if head is not None and head in heads:
        return head
    raise ValueError(f"{head!r} is not a head of {name!r}; choose one of {', '.join(heads)} and write mace:MODEL@HEAD")


def _predict(calculator: Any, batches: Batches | None, structures: Sequence[Atoms], stress: bool) -> list[Prediction]:
    """Evaluate structures with torch's default dtype, which mace reads, as the model's."""
    from mace.tools import torch_tools

    with torch_tools.default_dtype(calculator.default_dtype):
        return evaluate(partial(_call, calculator, stress), map(partial(_input, calculator), structures), batches)


def _input(calculator: Any, atoms: Atoms) -> Input:
    from mace.data import AtomicData, KeySpecification, config_from_atoms

    config = config_from_atoms(atoms, KeySpecification(), head_name=calculator.head)
    graph = AtomicData.from_config(
        config, z_table=calculator.z_table, cutoff=calculator.r_max, heads=calculator.available_heads
    )
    return Input(atoms, graph, graph.edge_index.shape[1])


def _call(calculator: Any, stress: bool, inputs: Sequence[Input]) -> list[Prediction]:
    """Call the model once."""
    from mace.tools.torch_geometric import Batch

    (model,) = calculator.models
    batch = Batch.from_data_list([one.graph for one in inputs])  # type: ignore[no-untyped-call]
    output = model(batch.to(next(model.parameters()).device).to_dict(), compute_stress=stress)
    energies, forces = _numbers(output["energy"]), _numbers(output["forces"])
    tensors = _numbers(output["stress"]) if stress else [None] * len(inputs)
    ends = np.cumsum([len(one.atoms) for one in inputs])
    return [
        Prediction(float(energy), of_atoms, None if tensor is None else tensor[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]])
        for energy, of_atoms, tensor in zip(energies, np.split(forces, ends[:-1]), tensors, strict=True)
    ]


def _numbers(tensor: Any) -> Any:
    return tensor.detach().double().cpu().numpy()


def _loaded_predict(name: str) -> Predict:
    calculator = _calculator(name)
    calculator.models[0].to(device())
    return partial(_predict, calculator, batches_of_this_machine())


KIND = Kind(
    prefix="mace",
    variants=_descriptions,
    fingerprint=_fingerprint,
    card=_card,
    predict=_loaded_predict,
    resolve=resolve,
    device=lambda _: device_name(),
)
