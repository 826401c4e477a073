"""CHGNet, a universal graph network whose weights ship inside its wheel.

Deng et al., Nat. Mach. Intell. 5, 1031 (2023). The 0.3.0 weights were trained on energies with the Materials
Project's MP2020 corrections (about -0.43 eV per F and -0.6 eV per O): never mix them with another model's or
with raw DFT.
"""

from __future__ import annotations

import contextlib
import io
import warnings
import zipfile
from collections.abc import Sequence
from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import Card, Fingerprint, Kind, Predict, Prediction, nothing_known, sha256_of_file
from ..devices import Batches, Input, batches_of_this_machine, device, device_name, evaluate
from ..torch_threads import import_torch
from ..training import record

if TYPE_CHECKING:
    from ase import Atoms

CUTOFF_A, ANGLE_CUTOFF_A = 6.0, 3.0  # atom graph and bond graph; README.md of the pretrained weights
N_ELEMENTS = 94  # H to Pu: rows of the embedding, chgnet.model.encoders.AtomEmbedding

CODE = "1"
"""Goes up when this room's own code changes a number; the tests pin some."""
_WEIGHTS = {"chgnet": "0.3.0", "chgnet:r2scan": "r2scan"}
_DESCRIPTIONS = {
    "chgnet": "CHGNet 0.3.0, PBE(+U) with MP2020 corrections, 94 elements; the default, weights included",
    "chgnet:r2scan": "CHGNet fine-tuned to r2SCAN, 94 elements; weights included",
}
_FACTS = {  # functional, cohesive energies to use with it, training set: README.md of the pretrained weights
    "chgnet": ("PBE and PBE+U, MP2020 corrections", "PBE_MatPES", "MPtrj"),
    "chgnet:r2scan": (
        "r2SCAN",
        "r2SCAN_MatPES",
        "MPtrj, then MP-r2SCAN (doi 10.6084/m9.figshare.28245650.v2)",
    ),
}

_UNKNOWN_FACTS = ("unknown: a file of your own", None, "unknown: a file of your own")
PREFIX = "chgnet:"


def _card(name: str) -> Card:
    from ase.data import chemical_symbols

    functional, cohesive_reference, training_set = _FACTS.get(name, _UNKNOWN_FACTS)
    trained = {} if name in _WEIGHTS else record.read(_weights_file(name))
    return Card(
        name=name,
        description=_DESCRIPTIONS.get(name, f"CHGNet from the file {name.removeprefix(PREFIX)}"),
        functional=trained.get("functional", functional),
        cohesive_reference=cohesive_reference,
        training_set=trained.get("training_set", training_set),
        elements=frozenset(trained.get("elements", chemical_symbols[1 : N_ELEMENTS + 1])),
        cutoff_A=CUTOFF_A,
        seconds_per_atom_call=1.7e-3,  # K on graphene, 33 atoms, lists of 8: 43 to 65 ms on two cores
    )


def _fingerprint(name: str) -> Fingerprint:
    """Return the fingerprint; a user's file counts by its name and content, wherever it lies."""
    path = _weights_file(name)
    stat = path.stat()
    return Fingerprint(
        name if name in _WEIGHTS else f"{PREFIX}{path.name}",
        _checksum(path, stat.st_mtime_ns, stat.st_size),
        "float32",
        "none",
        "chgnet",
        version("chgnet"),
        torch=version("torch"),
        code=CODE,
    )


@cache
def _checksum(path: Path, mtime_ns: int, size: int) -> str:
    """Return the checksum of a file; read again when its time or size changes."""
    del mtime_ns, size
    return sha256_of_file(path)


def _resolve(name: str) -> str:
    """Return the name with the path of a weights file made absolute.

    Raises
    ------
    ValueError
        The file is not one of a CHGNet.
    FileNotFoundError
        The file does not exist.
    """
    if name in _WEIGHTS:
        return name
    path = _weights_file(name)
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{str(path)!r} is not a PyTorch file but must hold a CHGNet's weights; fetch it again")
    return f"{PREFIX}{path.absolute()}"


def _weights_file(name: str) -> Path:
    """Return a file of the user, or the weights inside the installed package, found without importing it."""
    if name not in _WEIGHTS:
        own = Path(name.removeprefix(PREFIX)).expanduser()
        if not own.is_file() and len(own.parts) == 1 and not own.name.endswith((".tar", ".pth", ".pt")):
            raise ValueError(
                f"{name!r} is not a known potential; choose one of {', '.join(_WEIGHTS)}, or chgnet:PATH.pth.tar"
            )
        if not own.is_file():
            raise FileNotFoundError(
                f"{str(own.absolute())!r} does not exist but {name!r} must name a file of weights; check the path"
            )
        return own
    spec = find_spec("chgnet")
    assert spec is not None, "chgnet is a dependency of philic"
    assert spec.origin is not None
    (path,) = (Path(spec.origin).parent / "pretrained" / _WEIGHTS[name]).glob("*.pth.tar")
    return path


def original(name: str) -> Any:
    """Load the model on the CPU, silently, with the layers of its package.

    Raises
    ------
    ValueError
        The file is not one of a CHGNet.
    """
    torch = import_torch()
    from chgnet.model.model import CHGNet

    with contextlib.redirect_stdout(io.StringIO()):
        if name in _WEIGHTS:
            return CHGNet.load(model_name=_WEIGHTS[name], use_device="cpu", verbose=False)
        path = _weights_file(name)
        try:  # numbers only: a pickle that names anything to run is refused
            return CHGNet.from_dict(torch.load(path, map_location="cpu", weights_only=True)["model"])
        except Exception as error:
            raise ValueError(
                f"{str(path)!r} does not hold the weights of a CHGNet ({type(error).__name__}: {error})"
            ) from error


def _load(name: str) -> Any:
    """Load the model with philic's layers onto the device."""
    from .layers import rearrange

    return rearrange(original(name).to(device()))


def _predict(model: Any, batches: Batches | None, structures: Sequence[Atoms], stress: bool) -> list[Prediction]:
    """Evaluate structures; one with an isolated atom gets NaN, for CHGNet never saw one, and so does one without a cell."""
    with warnings.catch_warnings():
        # chgnet copies the volumes, which it does not use here, out of tensors with a gradient.
        warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad", category=UserWarning)
        return evaluate(partial(_call, model, stress), map(_input, structures), batches)


def _input(atoms: Atoms) -> Input:
    """Return a structure with its graph, or with a sentence in its place where CHGNet can say nothing about it."""
    from .graphs import crystal_graph

    if atoms.cell.rank < 3:
        sentence = (
            f"the cell of {atoms.get_chemical_formula()} has no volume but CHGNet needs three cell "
            "vectors; give it a box, for instance with atoms.center(vacuum=10)"
        )
        return Input(atoms, sentence, 0)
    graph = crystal_graph(atoms, CUTOFF_A, ANGLE_CUTOFF_A)
    n_isolated = len(atoms) - len(graph.atom_graph.reshape(-1, 2)[:, 0].unique())
    if n_isolated:
        sentence = f"{n_isolated} atom(s) have no neighbour within {CUTOFF_A:g} angstrom; it knows no free atoms"
        return Input(atoms, sentence, 0)
    return Input(atoms, graph, len(graph.atom_graph) + len(graph.bond_graph))


def _call(model: Any, stress: bool, inputs: Sequence[Input]) -> list[Prediction]:
    """Call the model once for those structures that have a graph."""
    sound = [one for one in inputs if not isinstance(one.graph, str)]
    found = iter(_differentiated(model, stress, sound) if sound else [])
    return [nothing_known(one.atoms, stress, one.graph) if isinstance(one.graph, str) else next(found) for one in inputs]


def _differentiated(model: Any, stress: bool, inputs: Sequence[Input]) -> list[Prediction]:
    """Call the model and differentiate once, by fractional coordinates and cell vectors together.

    CHGNet's own prediction keeps the graph for training and differentiates twice. The site energies are summed in
    float64, which rounds less than CHGNet's energy per atom times the number of atoms.
    """
    torch = import_torch()
    graphs, place = [one.graph for one in inputs], next(model.parameters()).device
    output = model.forward([graph.to(place) for graph in graphs], task="e", return_site_energies=True)
    site_energies = output["site_energies"]
    leaves = [graph.atom_frac_coord for graph in graphs] + [graph.lattice for graph in graphs] * stress
    by_leaf = [slope.double().numpy() for slope in torch.autograd.grad(torch.cat(site_energies).sum(), leaves)]
    energies = [float(energies.double().sum()) for energies in site_energies]
    by_lattice = by_leaf[len(graphs) :] or [None] * len(graphs)
    return [
        _prediction(one.atoms, *derivatives)
        for one, *derivatives in zip(inputs, energies, by_leaf[: len(graphs)], by_lattice, strict=True)
    ]


def _prediction(atoms: Atoms, energy_eV: float, by_frac: Any, by_lattice: Any) -> Prediction:
    """Turn derivatives by fractional coordinates and cell vectors (rows) into forces and stress."""
    cell = atoms.cell.array
    forces = -by_frac @ np.linalg.inv(cell).T
    if by_lattice is None:
        return Prediction(energy_eV, forces)
    stress = cell.T @ by_lattice / abs(np.linalg.det(cell))
    stress = (stress + stress.T) / 2
    return Prediction(energy_eV, forces, stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]])


def _loaded_predict(name: str) -> Predict:
    return partial(_predict, _load(name), batches_of_this_machine())


KIND = Kind(
    prefix="chgnet",
    variants=lambda: _DESCRIPTIONS,
    fingerprint=_fingerprint,
    card=_card,
    predict=_loaded_predict,
    resolve=_resolve,
    device=lambda _: device_name(),
)
