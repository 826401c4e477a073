"""Migration barriers: a band of images between two relaxed end points, relaxed to the minimum-energy path."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms

from ...potentials.base import Potential, Prediction
from ...structures.jumps.paths import Approach, closest_approach, farthest_A, interpolated, matched, path_lengths_A, straight
from ..steps.together import Asking, Watch, together
from ..stores.result import Memory, Outcome, Result, Status
from .band import along
from .path import Band, Course, End, mirror_between, parted

CLOSED_eV = 0.001
"""Forward minus reverse barrier and the end points' difference agree when they are nearer than this."""


def neb(
    structures: Sequence[Atoms],
    potential: Potential,
    *,
    parents: Sequence[Mapping[str, Result]],
    memories: Sequence[Memory] | None = None,
    watch: Watch = lambda _: None,
    fmax_eV_per_A: float = 0.02,
    max_iterations: int = 100,
    image_spacing_A: float = 0.75,
) -> Iterator[tuple[int, Outcome]]:
    """Find the minimum-energy path between two relaxed end points, and its barriers.

    Several bands share calls of the potential and do not see each other. The way of a band depends on nothing that
    says where it stops: a tighter `fmax_eV_per_A` goes on from what the memory holds.

    Parameters
    ----------
    structures
        Relaxed starts.
    potential
        Energies and forces.
    parents
        For each start, the relaxations of both end points: ``start`` and ``end``.
    memories
        What each band remembers; None remembers nothing.
    watch
        Called with a band's index each time the forces of one of its images have been computed.
    fmax_eV_per_A
        Largest projected force on any atom of any image at the end, the climbing one's included.
    max_iterations
        Moves of a band after which it is given up as unconverged.
    image_spacing_A
        How far the atom that goes farthest moves from image to image, at most.

    Yields
    ------
    index, outcome
        As each band ends; see `band`.
    """
    course = Course(potential.card.cutoff_A, fmax_eV_per_A, max_iterations, image_spacing_A)
    bands = (_between(start, ends, course) for start, ends in zip(structures, parents, strict=True))
    return together(bands, potential, watch=watch, memories=memories)


def band(start: End, end: End, course: Course) -> Asking:
    """Relax a band between two relaxed end points, as a calculation for `philic.workflows.steps.together`.

    Atoms are matched, collisions on the straight line avoided, and the first path interpolated by distances (IDPP).
    Once every image's projected force is below `philic.workflows.neb.path.NEAR_eV_PER_A`, the highest image climbs. Once it
    has settled, the atom that goes farthest is pushed aside there and all relax across the way: where they do not come
    back, the band lies on a ridge, where its symmetry keeps it, and is bowed off it. A jump that a symmetry operation
    turns into its reverse is computed up to its middle. A band with an intermediate minimum is split there, and each part
    gets its own.

    Parameters
    ----------
    start, end
        The end points.
    course
        What the band keeps to.

    Returns
    -------
        In the scalars ``barrier_forward_eV``, ``barrier_reverse_eV``, ``reaction_energy_eV`` (end minus start),
        ``closure_eV`` (forward minus reverse minus that), ``climb_forward_eV`` and ``climb_reverse_eV`` (the largest rise
        on the way: more than the barrier where a minimum on the way is deeper than the end one comes from),
        ``band_force_eV_per_A`` and ``saddle_force_eV_per_A``
        (largest projected force on an atom of any image, and of the highest), ``n_images``, ``image_calls``
        (every structure whose forces were asked for, the look for a ridge and the relaxation of a minimum included),
        ``path_length_A``, ``clearance_A`` (the closest approach of two atoms on the straight line), ``collision``
        (whether that is too near), ``mirror``, ``climbing`` and ``n_parts``. In the arrays ``path_A``, ``energies_eV``
        (above the start) and ``tangent_forces_eV_per_A``, (n_images,) each, and ``part_barriers_eV``, (n_parts, 2), forward
        and reverse. Structures: ``initial``, ``final`` (the saddle), ``end`` and each ``image.0`` onwards. A NaN, an
        explosion or end points that do not fit are a failed outcome with a sentence.
    """
    try:
        last, order = matched(start.atoms, end.atoms)
    except ValueError as error:
        return Outcome(Status.FAILED, str(error), {}, {"initial": start.atoms})
    end = End(last, end.energy_eV, end.forces_eV_per_A[order])
    line = closest_approach(start.atoms, np.array([start.atoms.positions, last.positions]))
    rough = straight(start.atoms, last, course.n_images(farthest_A(start.atoms, last)))
    mirror = mirror_between(start, end, rough[len(rough) // 2]) if course.mirrored else None
    parts, image_calls = yield from _counted(parted(start, end, interpolated(start.atoms, rough), mirror, course))
    return _outcome(parts, image_calls, start, end, line, course.fmax_eV_per_A)


def _counted(
    descent: Generator[Sequence[Atoms], Sequence[Prediction], list[Band]],
) -> Generator[Sequence[Atoms], Sequence[Prediction], tuple[list[Band], int]]:
    """Relax bands, and count every structure whose forces are computed."""
    calls = 0
    try:
        wanted = next(descent)
        while True:
            calls += len(wanted)
            wanted = descent.send((yield wanted))
    except StopIteration as end:
        return end.value, calls


def _between(start: Atoms, ends: Mapping[str, Result], course: Course) -> Asking:
    """Relax a band between two results, if both are converged."""
    for role in ("start", "end"):
        result = ends[role]
        if result.status is not Status.CONVERGED:
            message = f"the {role} is {result.status.value} but both end points must be converged: {result.message}"
            return Outcome(Status.FAILED, message, {}, {"initial": start})
    first, last = (
        End(ends[role].structures["final"], ends[role].scalars["energy_eV"], ends[role].arrays["forces_eV_per_A"])
        for role in ("start", "end")
    )
    return (yield from band(replace(first, atoms=start), last, course))


def _outcome(parts: Sequence[Band], image_calls: int, start: End, end: End, line: Approach, fmax: float) -> Outcome:
    problem = next((part.problem for part in parts if part.problem), "")
    if problem:
        return Outcome(Status.FAILED, problem, {}, {"initial": start.atoms})
    path_A = _chained([part.path_A for part in parts])
    energies = _chained([part.energies_eV for part in parts]) - start.energy_eV
    slopes = _chained([along(part.forces_eV_per_A, part.directions) for part in parts])
    top = int(energies.argmax())
    forces = [part.residues_eV_per_A.max() for part in parts]
    saddle_force = _chained([part.residues_eV_per_A for part in parts])[top]
    forward, reverse = float(energies[top]), float(energies[top] - energies[-1])
    reaction = end.energy_eV - start.energy_eV
    highest = _highest(parts)
    scalars = {
        "barrier_forward_eV": forward,
        "barrier_reverse_eV": reverse,
        "reaction_energy_eV": reaction,
        "closure_eV": forward - reverse - reaction,
        "climb_forward_eV": _climb(energies),
        "climb_reverse_eV": _climb(energies[::-1]),
        "band_force_eV_per_A": float(max(forces)),
        "saddle_force_eV_per_A": float(saddle_force),
        "n_images": len(path_A),
        "image_calls": image_calls,
        "path_length_A": float(path_lengths_A(path_A)[-1]),
        "clearance_A": line.distance_A,
        "collision": line.collides,
        "mirror": parts[0].mirror is not None,
        "climbing": highest.climbing is not None,
        "n_parts": len(parts),
        "n_atoms": len(start.atoms),
    }
    arrays = {
        "path_A": path_lengths_A(path_A),
        "energies_eV": energies,
        "tangent_forces_eV_per_A": slopes,
        "part_barriers_eV": np.array([_barriers(part) for part in parts]),
    }
    images = {f"image.{i}": _placed(start.atoms, positions) for i, positions in enumerate(path_A)}
    structures = {"initial": start.atoms, "final": images[f"image.{top}"], "end": end.atoms, **images}
    status = Status.CONVERGED if all(part.converged for part in parts) else Status.UNCONVERGED
    return Outcome(status, _sentence(parts, scalars, start.atoms, line, fmax), scalars, structures, arrays)


def _sentence(parts: Sequence[Band], scalars: Mapping[str, float], atoms: Atoms, line: Approach, fmax: float) -> str:
    """Say how it ended, and what a reader must know of the path."""
    sentences = [f"converged in {scalars['image_calls']} image calls"]
    for part in [part for part in parts if not part.converged][:1]:
        force, change_meV = part.residues_eV_per_A.max(), 1e3 * part.change_eV
        sentences = [
            f"not converged: after {part.iterations - 1} moves the largest projected force is {force:.3f} eV/Å (limit"
            f" {fmax:g}) and the last move changed the barrier by {change_meV:.1f} meV"
        ]
    if not scalars["climbing"]:
        sentences.append("no saddle between the end points: one of them is the highest point")
    if len(parts) > 1:
        barriers = ", ".join(f"{_barriers(part)[0]:.3f}" for part in parts)
        sentences.append(f"the path has an intermediate minimum and was split: barriers of its parts {barriers} eV")
    if scalars["climb_forward_eV"] > scalars["barrier_forward_eV"] + CLOSED_eV:
        sentences.append(f"the path dips below its start; the climb from there is {scalars['climb_forward_eV']:.3f} eV")
    if line.collides:
        pair = " and ".join(f"{i} ({atoms.symbols[i]})" for i in (line.mover, line.other))
        sentences.append(f"on the straight line atoms {pair} come within {line.distance_A:.2f} Å; the path goes around")
    if abs(scalars["closure_eV"]) > CLOSED_eV:
        closure = 1e3 * scalars["closure_eV"]
        sentences.append(f"forward minus reverse misses the end points' difference by {closure:.1f} meV: relax them tighter")
    return "; ".join(sentences)


def _climb(energies_eV: np.ndarray) -> float:
    """The largest rise from an image to a later one: what has to be climbed, also out of an intermediate minimum."""
    return float((energies_eV - np.minimum.accumulate(energies_eV)).max())


def _highest(parts: Sequence[Band]) -> Band:
    return max(parts, key=lambda part: float(part.energies_eV.max()))


def _barriers(part: Band) -> tuple[float, float]:
    """Forward and reverse barrier of a part."""
    top = float(part.energies_eV.max())
    return top - float(part.energies_eV[0]), top - float(part.energies_eV[-1])


def _chained(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Join what parts hold by image; where one ends the next begins."""
    return np.concatenate([arrays[0], *(array[1:] for array in arrays[1:])])


def _placed(atoms: Atoms, positions_A: np.ndarray) -> Atoms:
    placed: Atoms = atoms.copy()
    placed.positions = positions_A
    return placed
