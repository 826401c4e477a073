"""A band of images: geometries, energies and forces, and the loop that relaxes it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ...potentials.base import Prediction
from ...structures.jumps.paths import respaced
from ...structures.symmetry.fixed import fixed_atoms
from ...structures.symmetry.path_symmetry import Mirror, mirror_of
from ..steps.relax import EXPLODED_eV_PER_A, relaxing
from ..stores.result import Status
from .band import projected, springs, tangents
from .descent import Descent
from .ridge import beside

Floats = NDArray[np.float64]

NEAR_eV_PER_A = 0.5
ASTRAY_eV_PER_A = 1.0
"""Projected forces below which the highest image begins to climb and a band may be split; and above which it stops to."""
FEWEST_IMAGES = 5
DEEP_eV = 0.05
SPLIT_eV_PER_A = 0.2
"""An image is an intermediate minimum when the band is higher by this on both sides, with projected forces below that."""
SETTLED_eV_PER_A = 0.1
"""Below that projected force the saddle is tested for a ridge; no band that climbs is converged before that."""
ON_MIRROR_A = 0.05
"""A band bowed off a ridge is still computed up to its middle where that is nearer to its mirror image."""
RETREAT, RETREATS = 3.0, 3
"""A band whose largest projected force has grown by this factor goes back to where it was smallest, at most so many times:
there may be no way but over a hill."""
SETTLED_A = 0.05
"""A band has settled when a move changes its highest energy by less than the asked force times this: soft atoms feel small
forces far from where they belong."""
SPLITS = 2
"""A band is split, and its parts once more."""
VALLEY_FMAX_eV_PER_A = 0.01
VALLEY_STEPS = 300
SAME_A = 0.3
SIMILAR_A = 0.6
ALIKE_eV = 0.005
"""End points whose energies differ by more are no mirror images; two minima are one where no atom is farther than `SAME_A`
elsewhere, or `SIMILAR_A` with energies that are alike: a soft framework rests in many places."""


@dataclass(frozen=True)
class End:
    """A relaxed end point: its geometry, its energy, and its forces (n_atoms, 3)."""

    atoms: Atoms
    energy_eV: float
    forces_eV_per_A: Floats


@dataclass(frozen=True)
class Course:
    """Settings of a band: when it stops, how many images it has, and the potential's cutoff."""

    cutoff_A: float
    fmax_eV_per_A: float = 0.02
    max_iterations: int = 100
    image_spacing_A: float = 0.75
    mirrored: bool = True

    def n_images(self, length_A: float) -> int:
        """How many images, the ends included, for an atom that goes so far: always odd."""
        return max(FEWEST_IMAGES, 2 * int(np.ceil(length_A / self.image_spacing_A / 2 - 1e-9)) + 1)


@dataclass
class Band:
    """Images from one end point to the other, the energy and forces of each, and the state of the optimisation."""

    atoms: Atoms
    path_A: Floats
    energies_eV: Floats
    forces_eV_per_A: Floats
    mirror: Mirror | None
    near: bool = False
    climbing: int | None = None
    iterations: int = 0
    change_eV: float = np.inf
    converged: bool = False
    problem: str = ""

    @property
    def computed(self) -> range:
        """The images that are computed; those beyond the middle of a mirrored band are turned over."""
        return range(1, len(self.path_A) // 2 + 1 if self.mirror else len(self.path_A) - 1)

    def image(self, index: int) -> Atoms:
        """Give one image."""
        atoms: Atoms = self.atoms.copy()
        atoms.positions = self.path_A[index]
        return atoms

    def move(self, positions_A: Floats) -> None:
        """Put the computed images somewhere, and what is turned over with them."""
        self.path_A[self.computed.start : self.computed.stop] = positions_A
        if self.mirror:
            middle = len(self.path_A) // 2
            self.path_A[middle] = (self.path_A[middle] + self.mirror.image(self.path_A[middle])) / 2
            for index in range(middle):
                self.path_A[-1 - index] = self.mirror.image(self.path_A[index])

    def take(self, predictions: Sequence[Prediction]) -> None:
        """Take what was predicted of the computed images."""
        free = ~fixed_atoms(self.atoms)[:, None]
        highest_eV = self.energies_eV.max()
        for index, prediction in zip(self.computed, predictions, strict=True):
            self.energies_eV[index] = prediction.energy_eV
            self.forces_eV_per_A[index] = prediction.forces_eV_per_A * free
            self.problem = self.problem or _problem(index, len(self.path_A), prediction)
            if self.mirror:
                self.energies_eV[-1 - index] = prediction.energy_eV
                turned = self.mirror.turned(self.forces_eV_per_A[index])
                middle = index == len(self.path_A) // 2
                self.forces_eV_per_A[-1 - index] = (turned + self.forces_eV_per_A[index]) / 2 if middle else turned
        self.iterations += 1
        self.change_eV = abs(float(self.energies_eV.max() - highest_eV))

    def copy(self) -> Band:
        """Give a band that stays as this is now."""
        return replace(
            self,
            path_A=self.path_A.copy(),
            energies_eV=self.energies_eV.copy(),
            forces_eV_per_A=self.forces_eV_per_A.copy(),
        )

    def go_back_to(self, other: Band) -> None:
        """Put the images, and what is known of each, where they were."""
        earlier = other.copy()
        self.path_A, self.energies_eV, self.forces_eV_per_A = earlier.path_A, earlier.energies_eV, earlier.forces_eV_per_A
        self.climbing = earlier.climbing

    @property
    def directions(self) -> Floats:
        """The tangents of the images."""
        return tangents(self.path_A, self.energies_eV)

    @property
    def residues_eV_per_A(self) -> Floats:
        """Largest projected force on an atom of each image, zero for the ends, (n_images,)."""
        forces = projected(self.forces_eV_per_A, self.directions, self.climbing)
        largest: Floats = np.linalg.norm(forces, axis=2).max(axis=1)
        largest[[0, -1]] = 0.0
        return largest

    @property
    def calmness(self) -> tuple[bool, float]:
        """Greater for a band that is nearer to its end: one that climbs, and then one with smaller forces."""
        return self.climbing is not None, -float(self.residues_eV_per_A.max())

    def within(self, fmax_eV_per_A: float) -> bool:
        """Whether no force is larger, and the last move changed the highest energy little."""
        small = self.residues_eV_per_A.max() < fmax_eV_per_A
        return bool(small and self.change_eV < SETTLED_A * fmax_eV_per_A)

    @property
    def highest(self) -> int | None:
        """The highest image; None when that is an end."""
        index = int(self.energies_eV.argmax())
        return index if 0 < index < len(self.path_A) - 1 else None


def joined(start: End, end: End, path_A: Floats, mirror: Mirror | None) -> Band:
    """Make a band of a first path, (n_images, n_atoms, 3), between end points."""
    moves = ~fixed_atoms(start.atoms)[:, None]
    energies = np.full(len(path_A), np.nan)
    energies[[0, -1]] = start.energy_eV, start.energy_eV if mirror else end.energy_eV
    forces = np.zeros_like(path_A)
    forces[0], forces[-1] = start.forces_eV_per_A * moves, end.forces_eV_per_A * moves
    band = Band(start.atoms, path_A.copy(), energies, forces, mirror)
    band.move(band.path_A[band.computed.start : band.computed.stop].copy())
    return band


def mirror_between(start: End, end: End, middle_A: Floats) -> Mirror | None:
    """Find the operation that turns start into end, where the energies say so too."""
    if abs(end.energy_eV - start.energy_eV) > ALIKE_eV:
        return None
    return mirror_of(start.atoms, end.atoms, middle_A)


def parted(
    start: End, end: End, path_A: Floats, mirror: Mirror | None, course: Course, splits: int = SPLITS
) -> Generator[Sequence[Atoms], Sequence[Prediction], list[Band]]:
    """Relax a band; where it has an intermediate minimum, give each part its own band.

    Returns
    -------
        The bands from start to end, the next beginning where one ends.
    """
    band = joined(start, end, path_A, mirror)
    found = yield from _descend(band, course, splits > 0)
    if found is None:
        return [band]
    index, valley = found
    before = np.concatenate([band.path_A[:index], valley.atoms.positions[None]])
    left = yield from _part(start, valley, before, course, splits - 1)
    if mirror and index == len(band.path_A) // 2:
        return [*left, *(_turned(part, mirror) for part in reversed(left))]
    after = np.concatenate([valley.atoms.positions[None], band.path_A[index + 1 :]])
    right = yield from _part(valley, end, after, course, splits - 1)
    return [*left, *right]


def _part(
    start: End, end: End, path_A: Floats, course: Course, splits: int
) -> Generator[Sequence[Atoms], Sequence[Prediction], list[Band]]:
    farthest_A = float(np.linalg.norm(end.atoms.positions - start.atoms.positions, axis=1).max())
    path_A = respaced(path_A, course.n_images(farthest_A))
    mirror = mirror_between(start, end, (start.atoms.positions + end.atoms.positions) / 2) if course.mirrored else None
    return (yield from parted(start, end, path_A, mirror, course, splits))


def _turned(band: Band, mirror: Mirror) -> Band:
    """Give the band that a mirror makes of another, from its end to its start, without a force call."""
    return Band(
        band.atoms,
        np.array([mirror.image(positions) for positions in band.path_A[::-1]]),
        band.energies_eV[::-1].copy(),
        np.array([mirror.turned(forces) for forces in band.forces_eV_per_A[::-1]]),
        band.mirror,
        band.near,
        None if band.climbing is None else len(band.path_A) - 1 - band.climbing,
        change_eV=band.change_eV,
        converged=band.converged,
        problem=band.problem,
    )


def _descend(
    band: Band, course: Course, may_split: bool
) -> Generator[Sequence[Atoms], Sequence[Prediction], tuple[int, End] | None]:
    """Move the images until their projected forces are small; give the intermediate minimum where it is to be split."""
    descent = Descent([band.image(index) for index in band.computed], ~fixed_atoms(band.atoms))
    best, calmest, retreats, tried = band, band, 0, False
    while True:
        band.take((yield [band.image(index) for index in band.computed]))
        if band.problem:
            return None
        band.near = band.residues_eV_per_A.max() < (ASTRAY_eV_PER_A if band.near else NEAR_eV_PER_A)
        band.climbing = band.highest if band.near else None
        index = _valley(band.energies_eV) if may_split and band.residues_eV_per_A.max() < SPLIT_eV_PER_A else None
        if index is not None:
            valley = yield from _bottom(band, index, course.cutoff_A)
            if valley:
                return index, valley
            may_split = False
        if band.climbing is not None and not tried and band.residues_eV_per_A.max() < SETTLED_eV_PER_A:
            tried = True
            if (yield from _leaves_ridge(band)):
                descent = Descent([band.image(index) for index in band.computed], ~fixed_atoms(band.atoms))
                best, calmest = band, band
                continue
        looked = tried or band.climbing is None
        band.converged = band.near and looked and band.within(course.fmax_eV_per_A)
        if band.converged:
            return None
        growth = band.residues_eV_per_A.max() / best.residues_eV_per_A.max()
        if best is band or growth < 1 or band.climbing != best.climbing:
            best = band.copy()
        elif growth > RETREAT and retreats < RETREATS:
            retreats += 1
            band.go_back_to(best)
            descent.forget()
        if calmest is band or band.calmness > calmest.calmness:
            calmest = band.copy()
        if band.iterations > course.max_iterations:
            band.go_back_to(calmest)
            return None
        directions = band.directions
        forces = projected(band.forces_eV_per_A, directions, band.climbing) + springs(band.path_A, directions, band.climbing)
        computed = slice(band.computed.start, band.computed.stop)
        band.move(descent.step(band.path_A[computed], forces[computed]))


def _leaves_ridge(band: Band) -> Generator[Sequence[Atoms], Sequence[Prediction], bool]:
    """If atoms that are pushed aside at the saddle relax to another path, bow the band towards it."""
    last, top = len(band.path_A) - 1, band.climbing or 0
    mover = int(np.linalg.norm(band.path_A[-1] - band.path_A[0], axis=1).argmax())
    moved_A = yield from beside(band.image(top), band.energies_eV[top], band.directions[top], mover)
    if moved_A is None:
        return False
    band.path_A += np.interp(np.arange(last + 1), [0, top, last], [0, 1, 0])[:, None, None] * moved_A
    middle_A = band.path_A[last // 2]
    mirror = mirror_of(band.image(0), band.image(last), middle_A) if band.mirror else None
    held = mirror is not None and np.abs(mirror.image(middle_A) - middle_A).max() < ON_MIRROR_A
    band.mirror = mirror if held else None  # another would draw the middle back onto the ridge
    band.climbing, band.near = None, False
    return True


def _valley(energies_eV: Floats) -> int | None:
    """Give the lowest image between two that are clearly higher."""
    inner = range(1, len(energies_eV) - 1)
    deep = [i for i in inner if min(energies_eV[:i].max(), energies_eV[i + 1 :].max()) - energies_eV[i] > DEEP_eV]
    return min(deep, key=lambda i: (energies_eV[i], i), default=None)


def _bottom(band: Band, index: int, cutoff_A: float) -> Generator[Sequence[Atoms], Sequence[Prediction], End | None]:
    """Relax an image to a minimum; None where it falls back to an end of the band."""
    outcome = yield from relaxing(band.image(index), cutoff_A, VALLEY_FMAX_eV_PER_A, VALLEY_STEPS)
    if outcome.status is not Status.CONVERGED:
        return None
    atoms = outcome.structures["final"]
    apart_A = np.linalg.norm(band.path_A[[0, -1]] - atoms.positions, axis=2).max(axis=1)
    alike = abs(band.energies_eV[[0, -1]] - outcome.scalars["energy_eV"]) < ALIKE_eV
    if (apart_A < np.where(alike, SIMILAR_A, SAME_A)).any():
        return None
    if band.mirror and index == len(band.path_A) // 2:
        atoms.positions = (atoms.positions + band.mirror.image(atoms.positions)) / 2
    return End(atoms, outcome.scalars["energy_eV"], outcome.arrays["forces_eV_per_A"])


def _problem(index: int, n_images: int, prediction: Prediction) -> str:
    """Say what is wrong with a prediction; nothing where it is sound."""
    which = f"image {index} of {n_images}"
    if not (np.isfinite(prediction.energy_eV) and np.isfinite(prediction.forces_eV_per_A).all()):
        why = f": {prediction.reason}" if prediction.reason else ""
        return f"the potential gave a NaN or infinite energy or force for {which}{why}"
    largest = float(np.linalg.norm(prediction.forces_eV_per_A, axis=1).max())
    return f"it exploded: a force of {largest:.3g} eV/Å on {which}" if largest > EXPLODED_eV_PER_A else ""
