"""How torch is imported, and how one evaluation is spread over threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def import_torch() -> Any:
    """Import torch so that idle OpenMP threads sleep.

    Torch's default, spinning, costs 2-20 times the work on a busy machine. The setting counts only before the
    first import of torch in the process, and only where the user did not choose one.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    return torch


def map_in_threads(compute: Callable[[T], R], inputs: Iterable[T]) -> list[R]:
    """Compute every input in a thread of its own and return the results in order.

    As many threads as torch would use itself (``OMP_NUM_THREADS``), each with one torch thread. For structures of 30
    atoms and more that is faster than one model call for all of them on all threads, and a structure's numbers are
    bit-identical whatever its company and however many threads there are, which those of a joint call are not.
    `inputs` is consumed in the calling thread while the first results are already being computed.
    """
    torch = import_torch()
    with ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(compute, one) for one in inputs]
        return [future.result() for future in futures]
