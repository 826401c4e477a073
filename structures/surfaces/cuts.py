"""Where to cut: every slab a stack of planes allows, and the best of them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ase import Atoms

from ..crystals.charges import NEUTRAL
from .halves import can_be_halved
from .stacks import Floats, Stack

POLAR_E_PER_A2 = 0.002
"""A slab is polar from this dipole over its volume on; the (111) planes of rock salts have 0.03 to 0.1."""

_SAME_VALENCE = 1e-3
_SAME_HEIGHT_A = 0.02
_SAME_DIPOLE = 1e-4
_SAME_SPREAD = 0.02  # A, times atomic number
_SAME = 1e-8


class Cut(NamedTuple):
    """
    A slab to choose: its lowest plane, its number of planes, and what speaks against it.

    The outermost planes of a halved one are half empty: half of the ions of one were moved to the other face.
    """

    first: int
    layers: int
    halved: bool
    stoichiometric: bool
    charge_e: float
    polar_e_per_A2: float
    broken: float
    symmetric: bool

    def last(self, stack: Stack) -> int:
        """Give the highest plane's number in the stack."""
        return (self.first + self.layers - 1) % len(stack.units)


def cuts(stack: Stack, layers: int | None, thickness_A: float | None) -> list[Cut]:
    """List the slabs from every lowest plane, as thick as asked for and up to one repeat thicker."""
    planes, period = _Planes.of(stack), len(stack.units)
    most = (layers or period * (int((thickness_A or 0) / stack.repeat_A) + 2)) + period + 1
    found = []
    for first in range(period):
        run = planes.upward(first, most, stack.repeat_A)
        least = layers or int(np.argmax(run.high_A - run.low_A >= (thickness_A or 0) - 1e-6)) + 1
        found += [_judged(stack, run, first, number, halved=False) for number in range(least, least + period)]
        halved = [
            _judged(stack, run, first, number, halved=True)
            for number in range(max(least, 2), least + period + 1)
            if can_be_halved(stack, first, (first + number - 1) % period)
        ]
        found += [cut for cut in halved if cut.polar_e_per_A2 == 0]
    return found


def best_cut(stack: Stack, found: list[Cut]) -> Cut:
    """
    Choose a slab: whole formula units, then no charge, then no dipole, then whole planes, then the weakest bonds
    broken, then two equal faces, then cations outermost, then the thinnest.

    What is left is decided by what does not depend on how the crystal is described: heights, elements and bonds of the
    planes from the top.
    """
    rules: list[tuple[Callable[[Cut], float], float]] = [
        (lambda cut: not cut.stoichiometric, 0),
        (lambda cut: abs(cut.charge_e), NEUTRAL),
        (lambda cut: cut.polar_e_per_A2, _SAME_DIPOLE),
        (lambda cut: cut.halved, 0),
        (lambda cut: cut.broken, _SAME_VALENCE),
        (lambda cut: not cut.symmetric, 0),
        (lambda cut: _broken_above(stack, cut), _SAME_VALENCE),
        (lambda cut: -float(stack.charges[stack.planes[cut.last(stack)]].sum()), NEUTRAL),
        (lambda cut: cut.layers, 0),
    ]
    for rule, tolerance in rules:
        found = _least(found, rule, tolerance)
    for depth in range(min(cut.layers for cut in found)):
        for part, tolerance in enumerate((_SAME_HEIGHT_A, _SAME_SPREAD, NEUTRAL, _SAME_VALENCE)):
            found = _least(found, lambda cut, depth=depth, part=part: _shape(stack, cut, depth)[part], tolerance)  # type: ignore[misc]
    return _least(found, lambda cut: _broken_above(stack, cut), _SAME)[0]


def weakest_cut(stack: Stack) -> Cut:
    """Give the one repeat of a stack whose faces break the weakest bonds; it may be charged or polar."""
    period = len(stack.units)
    return best_cut(stack, [_whole(first, period, 2 * stack.broken[first - 1]) for first in range(period)])


def in_order(stack: Stack, planes: list[int]) -> list[int]:
    """Put upper faces in an order that does not depend on the crystal's description, the weakest bonds first."""
    period = len(stack.units)
    left = {plane: _whole((plane + 1) % period, period, stack.broken[plane]) for plane in planes}
    ordered = []
    while left:
        best = best_cut(stack, list(left.values())).last(stack)
        left.pop(best)
        ordered.append(best)
    return ordered


def _whole(first: int, layers: int, broken: float) -> Cut:
    return Cut(first, layers, halved=False, stoichiometric=True, charge_e=0, polar_e_per_A2=0, broken=broken, symmetric=True)


def _least(found: list[Cut], rule: Callable[[Cut], float], tolerance: float) -> list[Cut]:
    values = [rule(cut) for cut in found]
    least = min(values)
    return [cut for cut, value in zip(found, values, strict=True) if value <= least + tolerance]


class _Planes(NamedTuple):
    """Of each plane of a stack: charge, its moment, composition and the heights between which its atoms lie."""

    charge: Floats
    moment: Floats
    counts: Floats
    low_A: Floats
    high_A: Floats

    @classmethod
    def of(cls, stack: Stack) -> "_Planes":
        z = stack.atoms.positions[:, 2]
        species, kind = np.unique(stack.atoms.numbers, return_inverse=True)
        return cls(
            np.array([stack.charges[plane].sum() for plane in stack.planes]),
            np.array([stack.charges[plane] @ z[plane] for plane in stack.planes]),
            np.array([np.bincount(kind[plane], minlength=len(species)) for plane in stack.planes], dtype=float),
            np.array([z[plane].min() for plane in stack.planes]),
            np.array([z[plane].max() for plane in stack.planes]),
        )

    def upward(self, first: int, number: int, repeat_A: float) -> "_Planes":
        """Give so many planes from one upward; of the heights, the lowest and the highest so far."""
        repeats, at = np.divmod(np.arange(first, first + number), len(self.charge))
        rise = repeats * repeat_A
        low, high = np.minimum.accumulate(self.low_A[at] + rise), np.maximum.accumulate(self.high_A[at] + rise)
        return _Planes(self.charge[at], self.moment[at] + self.charge[at] * rise, self.counts[at], low, high)


def _judged(stack: Stack, run: _Planes, first: int, layers: int, *, halved: bool) -> Cut:
    weights = np.ones(layers)
    if halved:
        weights[[0, -1]] = 0.5
    charge, moment = weights @ run.charge[:layers], weights @ run.moment[:layers]
    counts = weights @ run.counts[:layers]
    low, high = run.low_A[layers - 1], run.high_A[layers - 1]
    dipole = moment - charge * (low + high) / 2
    area = abs(float(np.linalg.det(stack.atoms.cell.array[:2, :2])))
    last = (first + layers - 1) % len(stack.units)
    return Cut(
        first,
        layers,
        halved,
        stoichiometric=_is_whole(counts, stack),
        charge_e=round(float(charge), 6) + 0.0,
        polar_e_per_A2=polarity_e_per_A2(dipole, area, high - low),
        broken=_broken_below(stack, first, halved) + _broken_over(stack, last, halved),
        symmetric=first in stack.flips[last],
    )


def polarity_e_per_A2(dipole_e_A: float, area_A2: float, extent_A: float) -> float:
    """Give a slab's dipole over its volume, 0 where it is too small to call the slab polar."""
    density = abs(dipole_e_A) / (area_A2 * max(extent_A, 1.0))
    return float(density) if density > POLAR_E_PER_A2 else 0.0


def electrostatics(slab: Atoms, charges: Floats) -> dict[str, float | bool]:
    """Give charge and dipole of a slab's formal charges, and whether it is polar, as ``info["philic"]`` says it."""
    z, area_A2 = slab.positions[:, 2], float(np.linalg.norm(np.cross(slab.cell[0], slab.cell[1])))
    dipole = float(charges @ (z - (z.min() + z.max()) / 2))
    return {
        "polar": polarity_e_per_A2(dipole, area_A2, float(np.ptp(z))) > 0,
        "charge_e": round(float(charges.sum()), 6) + 0.0,
        "dipole_e_A": round(dipole, 6) + 0.0,
    }


def _is_whole(counts: Floats, stack: Stack) -> bool:
    """Tell whether a slab holds whole formula units."""
    return bool(np.ptp(counts / stack.formula_unit) < NEUTRAL)


def _broken_over(stack: Stack, plane: int, halved: bool) -> float:
    return (stack.broken[plane] + stack.broken[plane - 1]) / 2 if halved else stack.broken[plane]


def _broken_below(stack: Stack, plane: int, halved: bool) -> float:
    return _broken_over(stack, plane, halved) if halved else stack.broken[plane - 1]


def _broken_above(stack: Stack, cut: Cut) -> float:
    return _broken_over(stack, cut.last(stack), cut.halved)


def _shape(stack: Stack, cut: Cut, depth: int) -> tuple[float, float, float, float]:
    """Give a plane's depth below the highest one, the spread of its atoms in height, their mean number, and valence."""
    top, period = cut.first + cut.layers - 1, len(stack.units)
    heights = [stack.levels[number % period] + number // period * stack.repeat_A for number in (top, top - depth)]
    plane = stack.planes[(top - depth) % period]
    off = stack.atoms.positions[plane, 2] - stack.levels[(top - depth) % period]
    numbers, valence = stack.atoms.numbers[plane], stack.valence[(top - depth) % period]
    return float(heights[0] - heights[1]), float(numbers @ (off + off**2)), float(numbers.mean()), valence
