"""Which device models run on, and batches of structures that fit into its memory."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .base import Prediction
from .torch_threads import import_torch, map_in_threads, threads

if TYPE_CHECKING:
    from ase import Atoms

DEVICE = "PHILIC_DEVICE"
"""Environment variable: ``auto`` (a GPU if torch finds one), ``cpu``, ``cuda`` or ``cuda:N``, AMD's GPUs included."""
OUT_OF_MEMORY = re.compile("out of memory|ALLOC_FAILED")
"""TorchScript, of which MACE is made, raises torch's `OutOfMemoryError` as another with its words; cuBLAS has its own."""


def device() -> str:
    """Return where models run, as torch calls it: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    ValueError
        `PHILIC_DEVICE` is none of its values, or names a GPU that torch does not find.
    """
    asked = os.environ.get(DEVICE) or "auto"
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", asked):
        raise ValueError(f"`{DEVICE}` is {asked!r} but must be auto, cpu, cuda or cuda:N")
    if asked == "cpu":
        return asked
    torch = import_torch()
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        return "cuda" if n_gpus else "cpu"
    if int(asked.partition(":")[2] or 0) >= n_gpus:
        there = ", ".join(f"cuda:{i}" for i in range(n_gpus)) or "none"
        raise ValueError(
            f"`{DEVICE}` is {asked!r} but PyTorch {torch.__version__} finds {there} here: "
            "set it to auto or cpu, or install the PyTorch for this machine's GPU"
        )
    return asked


def device_name() -> str:
    """Return where models run, for a person: ``cpu``, or ``cuda (NVIDIA H100)``."""
    found = device()
    return found if found == "cpu" else f"{found} ({import_torch().cuda.get_device_name(found)})"


def check_machine() -> None:
    """Refuse wrong values of `PHILIC_DEVICE` and `PHILIC_THREADS`; torch is imported only where a value needs it."""
    threads()
    if (os.environ.get(DEVICE) or "auto") != "auto":
        device()


class Input(NamedTuple):
    """A structure, the graph that a model makes of it, and the rows of its largest tensors (bonds and angles)."""

    atoms: Atoms
    graph: Any
    n_rows: int


Call = Callable[[Sequence[Input]], list[Prediction]]
"""One call of a model for several structures."""


@dataclass
class Batches:
    """How many structures fit into the memory of a device; known better with every call.

    Attributes
    ----------
    device
        Its name, for a person.
    n_rows
        Rows of a batch at most. The first guess takes 0.2 GB with CHGNet and 2 GB with a MACE of medium size in float64
        (16 kB and 0.2 MB a row, measured on a CPU). It doubles with every full batch until memory runs out for the first
        time, and halves whenever it does.
    ran_out
        Whether memory has run out.
    """

    device: str
    n_rows: int = 10_000
    ran_out: bool = False

    def evaluate(self, call: Call, inputs: Sequence[Input]) -> list[Prediction]:
        """Call a model for as many structures at a time as fit; the predictions come in order.

        Raises
        ------
        MemoryError
            One structure alone does not fit.
        """
        found: list[Prediction] = []
        while left := inputs[len(found) :]:
            rows = np.cumsum([1 + one.n_rows for one in left])  # free atoms have none, and must be halved too
            n = max(1, int(np.searchsorted(rows, self.n_rows, side="right")))
            if (predictions := _unless_out_of_memory(call, left[:n])) is not None:
                found += predictions
                if n < len(left) and not self.ran_out:
                    self.n_rows *= 2
            elif n > 1:
                self.n_rows, self.ran_out = int(rows[n - 1]) // 2, True
            else:
                formula, n_atoms = left[0].atoms.get_chemical_formula(), len(left[0].atoms)
                raise MemoryError(
                    f"{formula} has {n_atoms} atoms, too many for the memory of {self.device}: "
                    f"take a smaller cell, a device with more memory, or {DEVICE}=cpu"
                )
        return found


def _unless_out_of_memory(call: Call, inputs: Sequence[Input]) -> list[Prediction] | None:
    try:
        return call(inputs)
    except RuntimeError as error:
        if not OUT_OF_MEMORY.search(str(error)):
            raise
    import_torch().cuda.empty_cache()  # not earlier: the error's traceback holds the tensors of the call
    return None


def evaluate(call: Call, inputs: Iterable[Input], batches: Batches | None) -> list[Prediction]:
    """Call a model for structures, in batches or, without, one by one in threads; the predictions come in order.

    One by one, a structure's numbers do not depend on its company.
    """
    if batches is not None:
        return batches.evaluate(call, list(inputs))
    return map_in_threads(lambda one: call([one])[0], inputs)


def batches_of_this_machine() -> Batches | None:
    """Return the batches of a GPU; None on a CPU."""
    return None if device() == "cpu" else Batches(device_name())
