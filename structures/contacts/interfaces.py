"""Coherent interfaces: two slabs, the film strained onto the smallest common cell with the substrate."""

from itertools import product

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.data import covalent_radii
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from ..limits import check_n_atoms
from ..sites.sites import Floats, lateral_distances_A
from ..surfaces.building import turn_a_along_x
from ..surfaces.caveats import slab_flaws
from ..surfaces.slabs import shown_miller, slab, terminations
from ..surfaces.stacks import axes_along
from ..symmetry.species import kept
from .matching import FAR_STRAIN, Match, all_matches, best_matches, biot_strain, smallest_area_A2

Miller = tuple[int, int, int]

_REACH_A = 6.0  # only atoms this near to an interface decide its gap
_FLOOR_A = 1.0  # the least default gap


def interfaces(
    film: Atoms,
    substrate: Atoms,
    film_miller: Miller,
    substrate_miller: Miller,
    *,
    max_area_A2: float = 150.0,
    max_strain: float = 0.05,
    film_thickness_A: float = 10.0,
    substrate_thickness_A: float = 10.0,
    gap_A: float | None = None,
    vacuum_A: float = 15.0,
) -> list[Atoms]:
    """
    Cut two crystals and join them in every coherent match that no smaller one equals.

    Slabs are cut by `philic.structures.surfaces.slabs.slab`, one for each termination that meets the other crystal:
    molecular units stay whole. A termination that only a charged, polar or non-stoichiometric slab shows is left out
    where the face has better ones. Every pair is built. See `coherent` for the rest.

    Parameters
    ----------
    film, substrate
        Crystals; the film takes the strain.
    film_miller, substrate_miller
        Miller indices in the cells given: give conventional cells.
    max_area_A2
        Largest area of the common cell.
    max_strain
        Largest principal strain of the film, 0.05 for 5 %.
    film_thickness_A, substrate_thickness_A
        Least thickness of each slab.
    gap_A
        Height between the substrate's highest and the film's lowest atom; by default as `coherent` says.
    vacuum_A
        Over the film; 0 for a periodic sandwich with two interfaces.

    Raises
    ------
    ValueError
        When a number is out of range, or nothing matches: the sentence says which limit to relax to what.

    Examples
    --------
    >>> from ase.build import bulk
    >>> film, substrate = bulk("K", cubic=True), bulk("KF", "rocksalt", a=5.34, cubic=True)
    >>> best = interfaces(film, substrate, (1, 0, 0), (1, 0, 0))[0].info["philic"]
    >>> best["host"], round(best["strain"]["largest"], 3)
    ('K(100)|KF(100)', 0.021)
    """
    films = [_turned_over(slab, film_miller) for slab in _slabs(film, _opposite(film_miller), film_thickness_A)]
    substrates = _slabs(substrate, substrate_miller, substrate_thickness_A)
    found = [
        interface
        for upper, lower in product(films, substrates)
        for interface in coherent(
            upper, lower, max_area_A2=max_area_A2, max_strain=max_strain, gap_A=gap_A, vacuum_A=vacuum_A
        )
    ]
    return sorted(found, key=_rank)


def coherent(
    film: Atoms,
    substrate: Atoms,
    *,
    max_area_A2: float = 150.0,
    max_strain: float = 0.05,
    gap_A: float | None = None,
    vacuum_A: float = 15.0,
) -> list[Atoms]:
    """
    Join two slabs in every coherent match that no smaller one equals, the least strained first.

    Common cells are found as Zur and McGill did (J. Appl. Phys. 55, 378, 1984). A match is kept when no
    smaller one is as little strained.

    Parameters
    ----------
    film, substrate
        Slabs in the xy plane; vacuum along c is cut away. The film's lower face meets the substrate's upper.
    max_area_A2, max_strain, gap_A, vacuum_A
        As `interfaces` takes them. By default the film is let down until an atom touches: one pair is as near
        as the sum of ASE's covalent radii (Cordero et al., Dalton Trans. 2008, 2832), the gap at least 1 A.

    Returns
    -------
    list of Atoms
        Substrate atoms first, then the film's; a along x. ``info["philic"]`` holds the strain of the film
        (Biot strain in the cell's frame, the largest principal one), area, gaps, shift and ``n_substrate``.

    Raises
    ------
    ValueError
        As `interfaces`.
    """
    _check_limits(max_area_A2, max_strain, gap_A, vacuum_A)
    lower, upper = _laid_flat(substrate), _laid_flat(film)
    matches = best_matches(_plane(upper), _plane(lower), max_area_A2, max_strain)
    if not matches:
        raise ValueError(_no_match(upper, lower, max_area_A2, max_strain))
    return sorted((_joined(upper, lower, match, gap_A, vacuum_A) for match in matches), key=_rank)


def halves(interface: Atoms) -> tuple[Atoms, Atoms]:
    """
    Give the substrate and the film of an interface, each alone in its cell: what adhesion is measured from.

    ``W_adh = [E(substrate) + E(film) - E(interface)] / area`` for one interface; half of that in a sandwich.

    Raises
    ------
    ValueError
        When the atoms are no interface.
    """
    n_substrate = _n_substrate(interface)
    parts = []
    for name, chosen in (("substrate", slice(None, n_substrate)), ("film", slice(n_substrate, None))):
        part = interface[chosen]
        about = interface.info["philic"]
        part.info["philic"] = {**about, "family": "interface half", "half": name}
        parts.append(part)
    return parts[0], parts[1]


def shift_film(interface: Atoms, shift: tuple[float, float], *, gap_A: float | None = None) -> Atoms:
    """
    Move the film rigidly: to map an interface's energy over its registry, or to part it.

    Parameters
    ----------
    interface
        One of `interfaces`.
    shift
        How far, in fractions of the in-plane cell vectors; added to the shift in ``info``.
    gap_A
        The new gap; the vacuum is kept. By default the old one.

    Raises
    ------
    ValueError
        When the atoms are no interface or the gap is not positive.
    """
    n_substrate = _n_substrate(interface)
    old = film_gap_A(interface)
    if gap_A is not None and gap_A <= 0:
        raise ValueError(f"`gap_A` is {gap_A} but must be above 0")
    rise = 0.0 if gap_A is None else gap_A - old
    moved: Atoms = interface.copy()
    moved.positions[n_substrate:] += (*shift, 0) @ interface.cell.array + (0, 0, rise)
    moved.cell[2, 2] += rise
    moved.wrap(pbc=(True, True, False))
    about = interface.info["philic"]
    total = [float((one + more) % 1) for one, more in zip(about["shift"], shift, strict=True)]
    moved.info["philic"] = {**about, "shift": total, "gap_A": float(old + rise)}
    return moved


def film_gap_A(interface: Atoms) -> float:
    """Measure the height between the substrate's highest and the film's lowest atom."""
    n_substrate = _n_substrate(interface)
    heights = interface.positions[:, 2]
    return float(heights[n_substrate:].min() - heights[:n_substrate].max())


def _opposite(miller: Miller) -> Miller:
    h, k, l = (-index for index in miller)  # noqa: E741
    return h, k, l


def _slabs(crystal: Atoms, miller: Miller, thickness_A: float) -> list[Atoms]:
    """Cut a slab for each upper face, of flawless ones if there are any."""
    found = [slab(crystal, miller, thickness_A=thickness_A, termination=name) for name in terminations(crystal, miller)]
    return [cut for cut in found if not slab_flaws(cut)] or found


def _turned_over(cut: Atoms, miller: Miller) -> Atoms:
    """Turn a slab over, about a: its upper face, the opposite one of a plane, looks down."""
    over: Atoms = cut.copy()
    over.positions = cut.positions * (1, -1, -1) + (0, 0, cut.cell[2, 2])
    over.cell[1] = cut.cell[1] * (-1, 1, 1)
    name = cut.info["philic"]["host"].removesuffix(f"({shown_miller(_opposite(miller))})")
    over.info["philic"] |= {"miller": [int(i) for i in miller], "host": f"{name}({shown_miller(miller)})"}
    over.info["philic"]["dipole_e_A"] = 0.0 - cut.info["philic"]["dipole_e_A"]
    return over


def touching_gap_A(lower: Atoms, upper: Atoms, least_A: Floats) -> float:
    """
    Give the gap at which a slab let down on another first touches it; negative where the two interlock.

    Parameters
    ----------
    lower, upper
        Slabs of one in-plane cell; only heights within each matter.
    least_A
        How near each pair may come, shape ``(n_lower, n_upper)``.
    """
    depth = lower.positions[:, 2].max() - lower.positions[:, 2]
    rise = upper.positions[:, 2] - upper.positions[:, 2].min()
    below, above = np.flatnonzero(depth < _REACH_A), np.flatnonzero(rise < _REACH_A)
    apart = upper.positions[above, :2] - lower.positions[below, None, :2]
    lateral = lateral_distances_A(lower, apart)
    least = least_A[np.ix_(below, above)]
    needed = np.sqrt(np.maximum(least**2 - lateral**2, 0)) - depth[below, None] - rise[above]
    return float(np.where(lateral < least, needed, -np.inf).max())


def _laid_flat(slab: Atoms) -> Atoms:
    """Turn a along x and the normal along z, shorten the in-plane cell, and cut the vacuum."""
    a, b, c = slab.cell.array
    normal = np.cross(a, b) / np.linalg.norm(np.cross(a, b))
    if normal @ c < 0:
        a, b, normal = b, a, -normal
    flat = Atoms(slab.numbers, _gathered(slab), cell=[a, b, normal * 100.0], pbc=(True, True, False), **kept(slab))
    flat.set_cell(minkowski_reduce(flat.cell, pbc=(True, True, False))[0])
    frame = axes_along(flat.cell.array[0], normal)
    flat.set_positions(flat.positions @ frame.T)
    flat.set_cell(flat.cell.array @ frame.T)
    flat.positions[:, 2] -= flat.positions[:, 2].min()
    flat.cell[2] = (0, 0, np.ptp(flat.positions[:, 2]) + _REACH_A)
    flat.wrap(pbc=(True, True, False))
    flat.info["philic"] = {"host": str(slab.symbols), **slab.info.get("philic", {})}
    return flat


def _gathered(slab: Atoms) -> Floats:
    """Give the positions of a slab in one piece: the widest gap along c lies over it."""
    if not slab.pbc[2]:
        return np.asarray(slab.positions)
    parts = slab.get_scaled_positions()
    heights = np.sort(parts[:, 2])
    gaps = np.diff(heights, append=heights[0] + 1)
    if gaps[-1] >= gaps.max() - 1e-6:
        return np.asarray(slab.positions)
    first = heights[int(gaps.argmax()) + 1] - 1e-9
    parts[:, 2] = (parts[:, 2] - first) % 1
    return np.asarray(parts @ slab.cell.array)


def _joined(film: Atoms, substrate: Atoms, match: Match, gap_A: float | None, vacuum_A: float) -> Atoms:
    lower = _widened(substrate, match.substrate)
    turn_a_along_x(lower)
    upper = _widened(film, match.film)
    bare = _plane(upper)
    upper.set_cell([*lower.cell.array[:2], upper.cell.array[2]], scale_atoms=True)
    touching = covalent_radii[lower.numbers][:, None] + covalent_radii[upper.numbers]
    gap = gap_A or max(touching_gap_A(lower, upper, touching), _FLOOR_A)
    over = vacuum_A or gap_A or max(touching_gap_A(upper, lower, touching.T), _FLOOR_A)
    atoms = stacked(lower, upper, gap, over)
    strain = biot_strain(bare, _plane(atoms))
    about = {"film": film.info["philic"], "substrate": substrate.info["philic"]}
    atoms.info["philic"] = {
        "family": "interface",
        "host": f"{about['film']['host']}|{about['substrate']['host']}",
        **about,
        "n_substrate": len(lower),
        "area_A2": abs(float(np.linalg.det(_plane(atoms)))),
        "strain": {
            "xx": float(strain[0, 0]),
            "yy": float(strain[1, 1]),
            "xy": float(strain[0, 1]),
            "largest": float(np.abs(np.linalg.eigvalsh(strain)).max()),
        },
        "film_matrix": match.film.tolist(),
        "substrate_matrix": match.substrate.tolist(),
        "gap_A": float(gap),
        "gap_over_film_A": float(over),
        "shift": [0.0, 0.0],
        "formula": atoms.symbols.formula.format("hill"),
    }
    return atoms


def stacked(lower: Atoms, upper: Atoms, gap_A: float, over_A: float) -> Atoms:
    """Put two slabs of one in-plane cell on each other, half of the space over the upper below the lower."""
    below, above = lower.positions[:, 2], upper.positions[:, 2]
    atoms = Atoms(pbc=True, cell=lower.cell)
    atoms += Atoms(lower.numbers, lower.positions - (0, 0, below.min() - over_A / 2), **kept(lower))
    rise = over_A / 2 + np.ptp(below) + gap_A
    atoms += Atoms(upper.numbers, upper.positions - (0, 0, above.min() - rise), **kept(upper))
    atoms.cell[2] = (0, 0, np.ptp(below) + np.ptp(above) + gap_A + over_A)
    atoms.wrap(pbc=(True, True, False))
    return atoms


def _plane(slab: Atoms) -> Floats:
    return np.array(slab.cell.array[:2, :2])


def _widened(slab: Atoms, matrix: NDArray[np.int64]) -> Atoms:
    whole = np.eye(3, dtype=np.int64)
    whole[:2, :2] = matrix
    check_n_atoms(len(slab) * abs(np.linalg.det(matrix)), "one side of the interface")
    wide: Atoms = make_supercell(slab, whole, wrap=False)
    return wide


def _no_match(film: Atoms, substrate: Atoms, max_area_A2: float, max_strain: float) -> str:
    """Say which limit to relax, and to what."""
    cells = _plane(film), _plane(substrate)
    ways = []
    strained = [match.strain for match in all_matches(*cells, max_area_A2, FAR_STRAIN) if match.strain <= FAR_STRAIN]
    if strained:
        ways.append(f"raise `max_strain` to {np.ceil(min(strained) * 1000) / 1000:.3f}")
    if max_strain > 0 and (wide := smallest_area_A2(*cells, max_area_A2, max_strain)):
        ways.append(f"raise `max_area_A2` to {np.ceil(wide):.0f}")
    mend = ", or ".join(ways) or "raise both"
    names = [slab.info["philic"]["host"] for slab in (film, substrate)]
    return (
        f"`max_area_A2` is {max_area_A2:g} and `max_strain` is {max_strain:g} but no cell of {names[0]} on"
        f" {names[1]} is so small and so little strained: {mend}"
    )


def _check_limits(max_area_A2: float, max_strain: float, gap_A: float | None, vacuum_A: float) -> None:
    if max_area_A2 <= 0:
        raise ValueError(f"`max_area_A2` is {max_area_A2} but must be above 0")
    if not 0 <= max_strain < FAR_STRAIN:
        raise ValueError(f"`max_strain` is {max_strain} but must be from 0 to below {FAR_STRAIN}")
    if gap_A is not None and gap_A <= 0:
        raise ValueError(f"`gap_A` is {gap_A} but must be above 0")
    if vacuum_A < 0:
        raise ValueError(f"`vacuum_A` is {vacuum_A} but must be at least 0")


def _n_substrate(interface: Atoms) -> int:
    count = interface.info.get("philic", {}).get("n_substrate")
    if not isinstance(count, int):
        raise ValueError(f"`interface` is {interface.symbols} but must come from `interfaces` or `coherent`")
    return count


def _rank(interface: Atoms) -> tuple[float, float, str]:
    about = interface.info["philic"]
    ends = f"{about['film'].get('termination', '')} {about['substrate'].get('termination', '')}"
    return round(about["strain"]["largest"], 4), round(about["area_A2"], 2), ends
