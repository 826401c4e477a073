"""How torch is imported, and how evaluations are spread over threads."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREADS = "PHILIC_THREADS"
"""Environment variable: on how many threads of a CPU one structure is evaluated, a number or ``all``."""


def import_torch() -> Any:
    """Import torch so that idle OpenMP threads sleep.

    Torch's default, spinning, costs 2-20 times the work on a busy machine. The setting counts only before the
    first import of torch in the process, and only where the user did not choose one.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    return torch


def threads() -> int:
    """Return on how many threads one structure is evaluated.

    Raises
    ------
    ValueError
        `PHILIC_THREADS` is none of its values.
    """
    asked = os.environ.get(THREADS) or "1"
    if asked == "all":
        return int(import_torch().get_num_threads())
    if not re.fullmatch("[1-9][0-9]*", asked):
        raise ValueError(f"`{THREADS}` is {asked!r} but must be a whole number from 1, or all")
    return int(asked)


def map_in_threads(compute: Callable[[T], R], inputs: Iterable[T]) -> list[R]:
    """Compute every input in a thread of its own and return the results in order.

    As many threads as torch would use itself (``OMP_NUM_THREADS``), each with one torch thread. For structures of 30
    atoms and more that is faster than one model call for all of them on all threads, and a structure's numbers are
    bit-identical whatever its company and however many threads there are, which those of a joint call are not.
    Where `PHILIC_THREADS` gives each structure several, fewer are computed side by side, and the last bits may differ.
    `inputs` is consumed in the calling thread while the first results are already being computed.
    """
    torch, each = import_torch(), threads()
    n = max(1, torch.get_num_threads() // each)
    with ThreadPoolExecutor(n, initializer=torch.set_num_threads, initargs=(each,)) as pool:
        futures = [pool.submit(compute, one) for one in inputs]
        return [future.result() for future in futures]
