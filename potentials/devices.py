"""Where a model of torch runs, and how several structures share it: threads of a CPU, or batches on a GPU."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

DEVICE = "PHILIC_DEVICE"
"""Environment variable: ``auto`` (a GPU where torch finds one), ``cpu``, ``cuda``, ``cuda:1``; ``cpu-batches`` takes the
path of a GPU on the CPU."""
THREADS = "PHILIC_THREADS"
"""Environment variable: threads for a single structure. Their number changes the last bits."""
FIRST_BATCH = 20_000.0
"""Atoms in the first batch; halved each time the memory does not suffice."""


def import_torch() -> Any:
    """Import torch so that idle OpenMP threads sleep.

    Torch's default, spinning, costs 2-20 times the work on a busy machine. The setting counts only before the
    first import of torch in the process, and only where the user did not choose one.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    return torch


def device() -> str:
    """Return where models run: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    ValueError
        If `DEVICE` is none of these, or there is no such GPU.
    """
    asked = os.environ.get(DEVICE, "auto")
    if not re.fullmatch(r"auto|cpu|cpu-batches|cuda(:\d+)?", asked):
        raise ValueError(f"`{DEVICE}` is {asked!r} but must be auto, cpu, cuda or cuda:N")
    if asked.startswith("cpu"):
        return "cpu"
    torch = import_torch()
    n = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        return "cuda" if n else "cpu"
    if int(asked.partition(":")[2] or 0) >= n:
        raise ValueError(f"`{DEVICE}` is {asked!r} but torch finds {n} GPUs here: use cpu, or a torch built for the GPU")
    return asked


def device_name() -> str:
    """Return where models run, for people: ``cpu``, or ``cuda (NVIDIA H100)``."""
    where = device()
    return where if where == "cpu" else f"{where} ({import_torch().cuda.get_device_name(where)})"


def map_structures(compute: Callable[[Sequence[T]], list[R]], inputs: Iterable[T], size: Callable[[T], int]) -> list[R]:
    """Compute something of every structure: each in a thread of its own on a CPU, in batches on a GPU.

    On a CPU, numbers are bit-identical whatever the company; on a GPU they differ by rounding.

    Parameters
    ----------
    compute
        From some inputs to their results.
    inputs
        What it is computed of; consumed in the calling thread.
    size
        Gives the number of atoms of an input.
    """
    if device() == "cpu" and os.environ.get(DEVICE) != "cpu-batches":
        return map_in_threads(lambda one: compute([one])[0], inputs)
    return in_batches(compute, list(inputs), size)


def map_in_threads(compute: Callable[[T], R], inputs: Iterable[T]) -> list[R]:
    """Compute every input in a thread of its own and return the results in order.

    As many threads as torch would use itself (``OMP_NUM_THREADS``), each with one torch thread. For structures of 30
    atoms and more that is faster than one model call for all of them on all threads, and a structure's numbers are
    bit-identical whatever its company and however many threads there are, which those of a joint call are not.
    `inputs` is consumed in the calling thread while the first results are already being computed.

    Where `THREADS` asks for it, a structure that is alone gets several torch threads.
    """
    torch = import_torch()
    if (threads := _threads()) > 1:
        known = list(inputs)
        if len(known) == 1:
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            try:
                return [compute(known[0])]
            finally:
                torch.set_num_threads(before)
        inputs = known
    with ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(compute, one) for one in inputs]
        return [future.result() for future in futures]


def _threads() -> int:
    asked = os.environ.get(THREADS, "1")
    if asked == "all":
        return len(os.sched_getaffinity(0))
    if not asked.isdigit() or int(asked) < 1:
        raise ValueError(f"`{THREADS}` is {asked!r} but must be a number of threads, or all")
    return int(asked)


_largest = FIRST_BATCH


def in_batches(compute: Callable[[Sequence[T]], list[R]], inputs: Sequence[T], size: Callable[[T], int]) -> list[R]:
    """Compute inputs in batches that fit the memory, and return the results in order.

    The largest batch is halved whenever the memory does not suffice, and stays so for this process.

    Raises
    ------
    MemoryError
        If it does not suffice for a single one.
    """
    global _largest
    torch = import_torch()
    found: list[R] = []
    while len(found) < len(inputs):
        batch = _next_batch(inputs[len(found) :], size)
        try:
            found += compute(batch)
        except torch.cuda.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            atoms = sum(map(size, batch))
            if len(batch) == 1:
                raise MemoryError(
                    f"{atoms} atoms do not fit the memory of {device()}: use a larger GPU, or the CPU"
                ) from error
            _largest = atoms / 2
    return found


def _next_batch(inputs: Sequence[T], size: Callable[[T], int]) -> list[T]:
    batch, atoms = [inputs[0]], size(inputs[0])
    for one in inputs[1:]:
        atoms += size(one)
        if atoms > _largest:
            break
        batch.append(one)
    return batch
