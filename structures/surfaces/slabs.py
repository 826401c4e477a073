"""Slabs of any crystal: any Miller index, any termination, whole molecular units; polar ones are said to be so."""

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.data import covalent_radii
from ase.neighborlist import natural_cutoffs, neighbor_list

from ..limits import check_n_atoms
from ..symmetry.periodic import OVERLAP_SHARE, VACUUM_A, check_periodic, gaps_A
from .building import build
from .cuts import Cut, best_cut, cuts, electrostatics
from .faces import face_names, matching_planes, shown_formula
from .halves import all_halves, outer_energy
from .stacks import Stack, stack_planes, turns_over

HIGHEST = 20
"""Of Miller indices."""


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

    Layers are planes of atoms (heights equal within 0.1 A). Molecular units (CO3, PO4, SbS4, O2, OH, Ge4), and chains
    and sheets that run in the plane, are never cut and count as one. Of the slabs as thick as asked for, or up to one
    repeat thicker, the best is built: whole formula units, then no charge, then no dipole, then the weakest bonds
    broken (by bond valence), then two equal faces, then cations outermost, then the thinnest. Where whole planes leave
    a dipole, half of the outermost ions of one face are moved to the other (Tasker's cure), in a doubled cell if need
    be. The choice does not depend on how the crystal is described: its cell, origin or orientation. An element whose
    planes are all alike gets exactly the layers asked for.

    Charges and dipoles are those of `philic.structures.crystals.charges.formal_charges`.

    Parameters
    ----------
    crystal
        Bulk cell, conventional or not; its lattice vectors are kept as they are.
    miller
        Miller indices in the cell of the crystal as given; the common divisor is taken out.
    layers, thickness_A
        The least number of atomic planes, or the least distance between the outermost atoms: one of the two.
    termination
        What the upper face shows: one of `terminations`, or only the formula of the outermost plane (``"K"``); by
        default any.
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
        tags counting planes from 1 at the top. ``info["philic"]`` holds termination, ``stoichiometric``,
        ``symmetric``, ``polar``, ``tasker`` (the type of Tasker, J. Phys. C 12, 4977, 1979: 1 neutral
        planes, 2 charged planes without a dipole, 3 polar or kept from it by moving or losing ions only; none for a
        metal), ``half_moved`` (the formula of the plane of which half was moved to the other face, None if none was),
        ``charge_e`` and ``dipole_e_A`` of formal charges in the in-plane cell before ``size``.

    Raises
    ------
    ValueError
        When the indices are all zero or not three, the crystal is not periodic in three directions or has vacuum, its
        atoms overlap, the termination is unknown, no slab has two equal faces, or a number is out of range.

    Examples
    --------
    >>> from ase.build import bulk
    >>> cut = slab(bulk("KF", "rocksalt", a=5.34, cubic=True), (1, 0, 0), layers=4)
    >>> str(cut.symbols), cut.info["philic"]["tasker"]
    ('KFKFKFKF', 1)
    """
    _check_numbers(layers, thickness_A, vacuum_A, fixed_layers, size)
    check_n_atoms(layers or 0, f"a slab of {layers} layers")
    stack = _stack(crystal, miller)
    thick_A = thickness_A or 0
    repeats = thick_A / stack.repeat_A - 1  # the outermost may lack some planes
    check_n_atoms(repeats * len(stack.atoms), f"a slab ({shown_miller(miller)}) of {thick_A:g} Å")
    known = str(crystal.info.get("philic", {}).get("host", shown_formula(crystal)))
    name = f"{known.removesuffix(' bulk')}({shown_miller(miller)})"
    upper = matching_planes(stack, termination, name)
    found = [cut for cut in cuts(stack, layers, thickness_A) if cut.last(stack) in upper]
    if symmetric:
        found = [cut for cut in found if cut.symmetric]
    if not found:
        raise ValueError(f"`symmetric` is True but no such slab of {name} has two equal faces: leave it out")
    best = best_cut(stack, found)
    if fixed_layers > best.layers:
        raise ValueError(f"`fixed_layers` is {fixed_layers} but the slab has only {best.layers} layers")
    bare = _bare(stack, best, vacuum_A)
    about = electrostatics(bare, bare.arrays.pop("formal")) | {
        "symmetric": best.symmetric and (not best.halved or turns_over(bare))
    }
    built = _widened(bare, size)
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
        "termination": face_names(stack)[best.last(stack)],
        "half_moved": shown_formula(stack.atoms[stack.planes[best.first]]) if best.halved else None,
        "stoichiometric": best.stoichiometric,
        **about,
        "tasker": _tasker(stack, best, bool(about["polar"])),
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
    return sorted(set(face_names(_stack(crystal, miller))))


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
        When they are not three, all are zero, or one is too large for a face that could be told from its neighbours.
    """
    if len(miller) != 3:
        raise ValueError(f"`miller` is {tuple(miller)} but must be three indices: of four, leave out the third")
    if not any(miller):
        raise ValueError(f"`miller` is {tuple(miller)} but at least one index must differ from 0")
    if max(map(abs, miller)) > HIGHEST:
        raise ValueError(f"`miller` is {tuple(miller)} but indices are at most {HIGHEST}: take a vicinal face of lower ones")


def check_apart(crystal: Atoms) -> None:
    """
    Refuse a crystal in which two atoms overlap.

    Raises
    ------
    ValueError
        When two atoms are closer than half the sum of their covalent radii.
    """
    first, second, length = neighbor_list("ijd", crystal, natural_cutoffs(crystal, mult=OVERLAP_SHARE))
    if len(first):
        at = int(length.argmin())
        i, j = first[at], second[at]
        least = OVERLAP_SHARE * covalent_radii[crystal.numbers[[i, j]]].sum()
        raise ValueError(
            f"`crystal` has atoms {i} ({crystal.symbols[i]}) and {j} ({crystal.symbols[j]}) "
            f"{length[at]:.2f} A apart but they must be at least {least:.2f} A apart: remove one of them"
        )


def _check_filled(crystal: Atoms) -> None:
    """Refuse sheets, slabs and tubes: of the crystals of the library none is empty over more than 4.2 A."""
    for letter, gap_A in zip("abc", gaps_A(crystal), strict=True):
        if gap_A > VACUUM_A:
            raise ValueError(
                f"`crystal` is {crystal.symbols} with {gap_A:.1f} A of vacuum along {letter} but must be a bulk crystal: "
                "a sheet, slab or tube has no such faces"
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
    _check_filled(crystal)
    check_apart(crystal)
    return stack_planes(crystal, miller)


def _tasker(stack: Stack, cut: Cut, polar: bool) -> int | None:
    if not stack.charges.any():
        return None
    if all(abs(stack.charges[plane].sum()) < 1e-6 for plane in stack.planes) and not polar:
        return 1
    return 2 if cut.stoichiometric and not polar and not cut.halved else 3


def _bare(stack: Stack, cut: Cut, vacuum_A: float) -> Atoms:
    """Build a slab with its smallest in-plane cell; of the ways to halve its planes, one with equal faces if there is."""
    if not cut.halved:
        return build(stack, cut.first, cut.layers, vacuum_A)
    ways = all_halves(stack, cut.first, cut.last(stack))
    built = [build(stack, cut.first, cut.layers, vacuum_A, halves) for halves in ways]
    built.sort(key=lambda slab: (round(outer_energy(slab), 7), round(float(slab.cell.lengths().sum()), 3)))
    equal_faces = (slab for slab in built if cut.symmetric and turns_over(slab))
    return next(equal_faces, built[0])


def _widened(bare: Atoms, size: tuple[int, int]) -> Atoms:
    """Repeat a slab in the plane, its atoms from the lowest plane up."""
    check_n_atoms(len(bare) * size[0] * size[1], f"a slab of {len(bare)} atoms in {size[0]}x{size[1]} cells")
    wide = bare * (*size, 1)
    upwards: Atoms = wide[np.argsort(-wide.get_tags(), kind="stable")]
    return upwards
