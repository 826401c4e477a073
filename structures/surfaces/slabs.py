"""Slabs of any crystal: any Miller index, any termination, polar ones told."""

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.data import covalent_radii
from ase.neighborlist import natural_cutoffs, neighbor_list

from ..symmetry.periodic import check_periodic
from ..symmetry.species import kept
from .stacks import Floats, Integers, Stack, stack_planes

_OVERLAP = 0.5  # of the sum of covalent radii: H2, the shortest bond there is, has 1.19 times its sum
_POLAR_E_PER_A2 = 0.002  # dipole over volume; the (111) planes of rock salts have 0.03 to 0.1


class _Cut(NamedTuple):
    """A slab to choose: its lowest plane, its number of planes, and what speaks against it."""

    first: int
    layers: int
    polar: bool
    stoichiometric: bool
    broken: int
    symmetric: bool
    charge_e: float
    dipole_e_A: float

    def rank(self) -> tuple[bool, bool, int, bool, int, int]:
        """Order the cuts, best first."""
        return (
            self.polar,
            not self.stoichiometric,
            self.broken,
            not self.symmetric,
            self.layers,
            self.first,
        )


def slab(
    crystal: Atoms,
    miller: tuple[int, int, int],
    *,
    layers: int | None = None,
    thickness_A: float | None = None,
    termination: str | None = None,
    symmetric: bool = False,
    vacuum_A: float = 15.0,
    fixed_layers: int = 0,
    size: tuple[int, int] = (1, 1),
) -> Atoms:
    """
    Cut a slab with the smallest in-plane cell from a crystal.

    Layers are atomic planes (heights equal within 0.1 A); finite molecular ions (CO3, PO4, SbS4, O2, OH, Ge4)
    are never cut and count as one. Of the slabs as thick as asked for, or up to one repeat thicker, the best
    is built: no dipole, then stoichiometric, then the fewest broken bonds, then two equal faces, then the
    thinnest. An element whose planes are all alike gets exactly the layers asked for.

    Dipoles follow from the crystal's initial charges or, when it has none, from pymatgen's guess of the
    oxidation states; alloys whose electronegativities differ by less than 0.5 have none.

    Parameters
    ----------
    crystal
        Bulk cell, conventional or not; its lattice vectors are kept as they are.
    miller
        Miller indices in the cell of the crystal as given; the common divisor is taken out.
    layers, thickness_A
        The least number of atomic planes, or the least distance between the outermost atoms: one of the two.
    termination
        What the upper face shows, one of `terminations`; by default any.
    symmetric
        Ask for two faces that are images of each other, even at the price of stoichiometry.
    vacuum_A
        Empty gap between the upper face and the lower face of the periodic image.
    fixed_layers
        How many of the lowest planes are held by ``FixAtoms``.
    size
        Repeats of the in-plane cell.

    Returns
    -------
    Atoms
        Centred along z, which is the surface normal; a along x; atoms from the lowest plane to the highest,
        tags counting planes from 1 at the top. ``info["philic"]`` tells termination, ``stoichiometric``,
        ``symmetric``, ``polar``, ``tasker`` (the type of Tasker, J. Phys. C 12, 4977, 1979: 1 neutral
        planes, 2 charged planes without a dipole, 3 polar or kept from it by losing ions only; none for a
        metal), ``charge_e`` and ``dipole_e_A`` of formal charges in the in-plane cell before ``size``.

    Raises
    ------
    ValueError
        When the indices are all zero or not three, the crystal is not periodic in three directions, its
        atoms overlap, the termination is unknown, no slab has two equal faces, or a number is out of range.

    Examples
    --------
    >>> from ase.build import bulk
    >>> cut = slab(bulk("KF", "rocksalt", a=5.34, cubic=True), (1, 0, 0), layers=4)
    >>> str(cut.symbols), cut.info["philic"]["tasker"]
    ('KFKFKFKF', 1)
    """
    _check_numbers(layers, thickness_A, vacuum_A, fixed_layers, size)
    stack = _stack(crystal, miller)
    name = f"{_formula(crystal)}({shown_miller(miller)})"
    names = _termination_names(stack)
    if termination is not None and termination not in names:
        known = ", ".join(sorted(set(names)))
        raise ValueError(f"`termination` is {termination!r} but {name} has: {known}")
    cuts = [
        cut
        for cut in _cuts(stack, layers, thickness_A)
        if (not symmetric or cut.symmetric) and termination in (None, names[_top(stack, cut)])
    ]
    if not cuts:
        raise ValueError(f"`symmetric` is True but no such slab of {name} has two equal faces: leave it out")
    best = min(cuts, key=_Cut.rank)
    if fixed_layers > best.layers:
        raise ValueError(f"`fixed_layers` is {fixed_layers} but the slab has only {best.layers} layers")
    built = _build(stack, best, vacuum_A, size)
    if fixed_layers:
        built.set_constraint(FixAtoms(mask=built.get_tags() > best.layers - fixed_layers))
    built.info["philic"] = {
        "family": "slab",
        **crystal.info.get("philic", {}),
        "host": name,
        "miller": [int(i) for i in miller],
        "layers": best.layers,
        "size": [int(n) for n in size],
        "vacuum_A": float(vacuum_A),
        "fixed_layers": int(fixed_layers),
        "area_A2": float(np.linalg.norm(np.cross(built.cell[0], built.cell[1]))),
        "termination": names[_top(stack, best)],
        "stoichiometric": best.stoichiometric,
        "symmetric": best.symmetric,
        "polar": best.polar,
        "tasker": _tasker(stack, best),
        "charge_e": best.charge_e,
        "dipole_e_A": best.dipole_e_A,
    }
    return built


def terminations(crystal: Atoms, miller: tuple[int, int, int]) -> list[str]:
    """
    Name the symmetry-distinct upper faces of a lattice plane, as `slab` takes them.

    A face is named by the composition of its outermost plane, and by the plane beneath it where two share
    that: ``"Li over O"``.

    Parameters
    ----------
    crystal, miller
        As `slab` takes them.

    Raises
    ------
    ValueError
        As `slab`.

    Examples
    --------
    >>> from ase.build import bulk
    >>> terminations(bulk("KF", "rocksalt", a=5.34, cubic=True), (1, 1, 1))
    ['F', 'K']
    """
    return sorted(set(_termination_names(_stack(crystal, miller))))


def shown_miller(miller: tuple[int, int, int]) -> str:
    """
    Write Miller indices the short way where that is clear.

    Examples
    --------
    >>> shown_miller((1, 1, 0)), shown_miller((1, -1, 0))
    ('110', '1 -1 0')
    """
    return "".join(map(str, miller)) if all(0 <= i <= 9 for i in miller) else " ".join(map(str, miller))


def check_miller(miller: tuple[int, int, int]) -> None:
    """
    Refuse what are no Miller indices.

    Raises
    ------
    ValueError
        When they are not three, or all are zero.
    """
    if len(miller) != 3:
        raise ValueError(f"`miller` is {tuple(miller)} but must be three indices: of four, leave out the third")
    if not any(miller):
        raise ValueError(f"`miller` is {tuple(miller)} but at least one index must differ from 0")


def check_apart(crystal: Atoms) -> None:
    """
    Refuse a crystal in which two atoms overlap.

    Raises
    ------
    ValueError
        When two atoms are closer than half the sum of their covalent radii.
    """
    first, second, length = neighbor_list("ijd", crystal, natural_cutoffs(crystal, mult=_OVERLAP))
    if len(first):
        at = int(length.argmin())
        i, j = first[at], second[at]
        least = _OVERLAP * covalent_radii[crystal.numbers[[i, j]]].sum()
        raise ValueError(
            f"`crystal` has atoms {i} ({crystal.symbols[i]}) and {j} ({crystal.symbols[j]}) "
            f"{length[at]:.2f} A apart but they must be at least {least:.2f} A apart: remove one of them"
        )


def _check_numbers(
    layers: int | None,
    thickness_A: float | None,
    vacuum_A: float,
    fixed_layers: int,
    size: tuple[int, int],
) -> None:
    if (layers is None) == (thickness_A is None):
        raise ValueError(f"`layers` is {layers} and `thickness_A` is {thickness_A} but one of the two must be given")
    if layers is not None and layers < 1:
        raise ValueError(f"`layers` is {layers} but must be at least 1")
    if thickness_A is not None and not thickness_A > 0:
        raise ValueError(f"`thickness_A` is {thickness_A} but must be above 0")
    if not vacuum_A > 0:
        raise ValueError(f"`vacuum_A` is {vacuum_A} but must be above 0")
    if fixed_layers < 0:
        raise ValueError(f"`fixed_layers` is {fixed_layers} but must be at least 0")
    if min(size) < 1:
        raise ValueError(f"`size` is {tuple(size)} but both numbers must be at least 1")


def _stack(crystal: Atoms, miller: tuple[int, int, int]) -> Stack:
    check_miller(miller)
    check_periodic(crystal)
    check_apart(crystal)
    return stack_planes(crystal, miller)


def _termination_names(stack: Stack) -> list[str]:
    """Name the face above each plane; faces that are the same have the same name."""
    formulas = [_formula(stack.atoms[plane]) for plane in stack.planes]
    names = {i: formulas[i] for i in sorted(set(stack.up_class))}
    beneath = {i: f"{formulas[i]} over {formulas[i - 1]}" for i in names}
    shared = {name for name in names.values() if list(names.values()).count(name) > 1}
    names = {i: beneath[i] if name in shared else name for i, name in names.items()}
    for name in set(names.values()):
        same = [i for i in names if names[i] == name]
        names.update({i: f"{name} #{number}" for number, i in enumerate(same, 1) if len(same) > 1})
    return [names[i] for i in stack.up_class]


def _formula(atoms: Atoms) -> str:
    """Write the reduced formula, electropositive elements first."""
    if len(set(atoms.numbers)) == 1:
        return str(atoms.symbols[0])
    from pymatgen.core.composition import Composition

    return str(Composition(atoms.get_chemical_formula()).reduced_formula)


def _top(stack: Stack, cut: _Cut) -> int:
    return (cut.first + cut.layers - 1) % len(stack.planes)


def _cuts(stack: Stack, layers: int | None, thickness_A: float | None) -> list[_Cut]:
    """List the slabs from every lowest plane, as thick as asked for and up to one repeat thicker."""
    period = len(stack.planes)
    cuts = []
    for first in range(period):
        least = layers or _layers_for(stack, first, thickness_A or 0.0)
        cuts += [_judged(stack, first, number) for number in range(least, least + period)]
    return cuts


def _layers_for(stack: Stack, first: int, thickness_A: float) -> int:
    number = max(1, int(thickness_A / stack.repeat_A))
    while np.ptp(_positions(stack, first, number)[1][:, 2]) < thickness_A - 1e-6:
        number += 1
    return number


def _positions(stack: Stack, first: int, layers: int) -> tuple[Integers, Floats, Integers]:
    """Give a slab's atoms from the lowest plane up: index in the stack, position, and number of the plane."""
    period = len(stack.planes)
    rows = [(i, (first + k) // period, k) for k in range(layers) for i in stack.planes[(first + k) % period]]
    index, repeats, plane = np.array(rows).T
    return index, stack.atoms.positions[index] + repeats[:, None] * stack.atoms.cell.array[2], plane


def _judged(stack: Stack, first: int, layers: int) -> _Cut:
    index, positions, _ = _positions(stack, first, layers)
    period = len(stack.planes)
    top = (first + layers - 1) % period
    charge = float(stack.charges[index].sum())
    z = positions[:, 2] - (positions[:, 2].min() + positions[:, 2].max()) / 2
    dipole = float(stack.charges[index] @ z)
    whole = np.bincount(stack.atoms.numbers)
    mine = np.bincount(stack.atoms.numbers[index], minlength=len(whole))
    a, b, _ = stack.atoms.cell.array
    volume = float(np.linalg.norm(np.cross(a, b))) * max(float(np.ptp(z)), 1.0)
    return _Cut(
        first,
        layers,
        polar=abs(dipole) > _POLAR_E_PER_A2 * volume,
        stoichiometric=bool((mine * len(stack.atoms) == whole * len(index)).all()),
        broken=stack.broken[first - 1] + stack.broken[top],
        symmetric=first in stack.flips[top],
        charge_e=round(charge, 6) + 0.0,
        dipole_e_A=round(dipole, 6) + 0.0,
    )


def _tasker(stack: Stack, cut: _Cut) -> int | None:
    if not stack.charges.any():
        return None
    if all(abs(stack.charges[plane].sum()) < 1e-6 for plane in stack.planes) and not cut.polar:
        return 1
    return 2 if cut.stoichiometric and not cut.polar else 3


def _build(stack: Stack, cut: _Cut, vacuum_A: float, size: tuple[int, int]) -> Atoms:
    index, positions, plane = _positions(stack, cut.first, cut.layers)
    built = Atoms(
        stack.atoms.numbers[index], positions=positions, tags=cut.layers - plane, pbc=True, **kept(stack.atoms, index)
    )
    cell = stack.atoms.cell.array.copy()
    cell[2] = 0, 0, np.ptp(positions[:, 2]) + vacuum_A
    built.set_cell(cell)
    built.positions[:, 2] += vacuum_A / 2 - positions[:, 2].min()
    built.wrap(pbc=(True, True, False), eps=1e-6)
    built *= (*size, 1)
    upwards: Atoms = built[np.argsort(-built.get_tags(), kind="stable")]
    return upwards
