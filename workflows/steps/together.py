"""Calculations that request forces: each yields structures, and one call of the potential serves them all."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms

from ...potentials.base import Potential, Prediction
from ..stores.result import Memory, Outcome

Asking = Generator[Sequence[Atoms], Sequence[Prediction], Outcome]
"""A calculation: it yields structures, is sent a prediction of each, and finally returns its outcome. It uses no random
numbers and no clock, so the same predictions always lead it along the same path."""
Watch = Callable[[int], None]
WINDOW = 8
"""Number of calculations in progress at a time; more gain nothing on a few cores."""
WINDOW_GPU = 64
"""The same on a GPU, which is idle with a few structures; a guess that was not measured."""


@dataclass
class _Going:
    calculation: Asking
    memory: Memory
    wants: Sequence[Atoms] = ()
    force_calls: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def go_on(self, answers: Sequence[Prediction] | None) -> Outcome | None:
        """Send the answers, None to begin; gives the outcome when it ends there, with what it cost."""
        try:
            self.wants = self.calculation.send(answers) if answers is not None else next(self.calculation)
        except StopIteration as end:
            outcome: Outcome = end.value
            return replace(outcome, force_calls=self.force_calls, wall_s=self.wall_s, cpu_s=self.cpu_s)
        return None


def together(
    calculations: Iterable[Asking],
    potential: Potential,
    *,
    watch: Watch = lambda _: None,
    stress: bool = False,
    memories: Sequence[Memory] | None = None,
) -> Iterator[tuple[int, Outcome]]:
    """Run calculations side by side; they share calls of the potential and do not see each other.

    What a memory holds is not computed again: a killed calculation is led along its own path to where it was without a force
    call.

    Parameters
    ----------
    calculations
        They are begun in this order, `WINDOW` at a time, or `WINDOW_GPU`; one where a call takes seconds, so that each is
        kept as it ends.
    potential
        Energies and forces.
    watch
        Called with a calculation's index each time the forces of one of its structures have been computed.
    stress
        Whether they need stresses.
    memories
        What each calculation remembers; None remembers nothing.

    Yields
    ------
    index, outcome
        As each ends, with its ``force_calls`` (those computed here) and its share of the seconds.
    """
    waiting = deque(enumerate(calculations))
    active: dict[int, _Going] = {}
    on_gpu = potential.device.startswith("cuda")
    window = 1 if potential.card.slow else WINDOW_GPU if on_gpu else WINDOW
    while waiting or active:
        while waiting and len(active) < window:
            index, calculation = waiting.popleft()
            active[index] = _Going(calculation, memories[index] if memories else {})
            if outcome := active[index].go_on(None):
                del active[index]
                yield index, outcome
        answers = _answers(active, potential, stress, watch)
        for index, going in list(active.items()):
            if outcome := going.go_on(answers[index]):
                del active[index]
                yield index, outcome


def _answers(active: Mapping[int, _Going], potential: Potential, stress: bool, watch: Watch) -> dict[int, list[Prediction]]:
    """Answer every calculation, from its memory where it can be, and else by one call for all."""
    digests = {index: [_digest(atoms) for atoms in going.wants] for index, going in active.items()}
    wanted = {index: dict(zip(digests[index], going.wants, strict=True)) for index, going in active.items()}
    known = {
        index: {digest: known for digest in ours if (known := active[index].memory.get(digest))}
        for index, ours in wanted.items()
    }
    asked = [(index, digest) for index, ours in wanted.items() for digest in ours if digest not in known[index]]
    wall, cpu = time.perf_counter(), time.process_time()
    structures = [wanted[index][digest] for index, digest in asked]
    predictions = potential.evaluate(structures, stress=stress) if asked else []
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    new: dict[int, dict[str, Prediction]] = {index: {} for index, _ in asked}
    for (index, digest), prediction in zip(asked, predictions, strict=True):
        new[index][digest] = prediction
        active[index].force_calls += 1
        active[index].wall_s += wall / len(asked)
        active[index].cpu_s += cpu / len(asked)
        watch(index)
    for index, found in new.items():
        active[index].memory.update(found)
        known[index] |= found
    return {index: [known[index][digest] for digest in ours] for index, ours in digests.items()}


def _digest(atoms: Atoms) -> str:
    """Name a geometry to the last bit."""
    parts = (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:32]
