"""Where an adatom rests on a surface: over a site or beside one, found by a trial relaxation from every site."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple, get_args

import numpy as np
from ase import Atoms
from ase.geometry import find_mic

from ..crystals.supercells import crystal_name
from .adatoms import adatom_geometry
from .faces import heights_A, lateral_A
from .sites import (
    Anchors,
    Floats,
    LateralOperations,
    Site,
    adsorption_sites,
    lateral_distances_A,
    lateral_operations,
    lateral_position,
)
from .slab_sites import Kind

KINDS: tuple[Kind, ...] = get_args(Kind)
ASIDE_A = (0.25, 0.15)
STAYED_A = 0.5
WENT_A = 0.1
LOWEST_eV = 0.005
"""A trial starts `ASIDE_A` beside a place. The place is a minimum if the adatom ends within `STAYED_A` of it and no more
than `WENT_A` farther away than it started, and if it also moved back by more than `WENT_A`, or its energy is within
`LOWEST_eV` of the lowest end and no other minimum is nearer: on the flat top of a barrier an adatom stays where it is put,
or moves away. Ends of trials that may be minima are tried themselves, from twice as far."""

_DESORBED_A = 5.0
_BELOW_A = -0.5
_WRECKED_A = 1.5
_ROUNDS = 5  # of a mean over symmetric images: round a six-fold axis the first brings only neighbours together
_DECIMALS = 2  # of what a relaxation gave: the last digits differ between machines


@dataclass(frozen=True)
class Rest:
    """
    A place for an adatom: a site, or a point beside it.

    Attributes
    ----------
    anchors, face
        The site's.
    label
        The site's, or ``"near hollow Cu4"``; unique within the host.
    distance_A
        Of the site from the host's defect.
    aside_A
        How far from the site the place is, along x and y.
    height_A
        Over the highest anchor; None to place it by covalent radii.
    """

    anchors: Anchors
    face: int
    label: str
    distance_A: float
    aside_A: tuple[float, float] = (0.0, 0.0)
    height_A: float | None = None

    @property
    def is_aside(self) -> bool:
        """Whether it is the end of a trial, not a site."""
        return self.height_A is not None

    @property
    def trial_aside_A(self) -> tuple[float, float]:
        """How far beside it a trial starts."""
        x, y = ASIDE_A
        return (2 * x, 2 * y) if self.is_aside else ASIDE_A

    def placement(self, aside_A: tuple[float, float] = (0.0, 0.0)) -> dict[str, Any]:
        """Give it as `place_adatoms` takes it, in plain JSON, a little aside of it where asked."""
        aside = [round(float(own + more), 6) + 0.0 for own, more in zip(self.aside_A, aside_A, strict=True)]
        place: dict[str, Any] = {
            "anchors": [[[int(number) for number in anchor] for anchor in self.anchors]],
            "face": self.face,
        }
        place |= {"aside_A": aside} if any(aside) else {}
        return place | ({} if self.height_A is None else {"height_A": self.height_A})


@dataclass(frozen=True, eq=False)
class Trial:
    """An adatom that was put aside of a place and relaxed: the last atom, where it was put and where it ended."""

    rest: Rest
    start: Atoms
    end: Atoms
    energy_eV: float


class _Clean(NamedTuple):
    """A clean host, its sites and its symmetry."""

    host: Atoms
    sites: Sequence[Site]
    operations: LateralOperations


def on_site(site: Site) -> Rest:
    """Give the place over a site."""
    return Rest(site.anchors, site.face, site.label, site.distance_A)


def on_sites(host: Atoms, kinds: Collection[str] = KINDS) -> list[Rest]:
    """
    List the places over sites.

    Parameters
    ----------
    host
        A sheet or slab in the xy plane.
    kinds
        Which sites to include: kinds, or labels of `adsorption_sites`.

    Raises
    ------
    ValueError
        When a kind is unknown, or the host has no such site.
    """
    sites = adsorption_sites(host)
    known = [*KINDS, *(site.label for site in sites)]
    for kind in kinds:
        if kind not in known:
            raise ValueError(f"`kinds` holds {kind!r} but must be of: {', '.join(known)}")
    chosen = [on_site(site) for site in sites if site.kind in kinds or site.label in kinds]
    if not chosen:
        raise ValueError(
            f"`kinds` is {list(kinds)} but {crystal_name(host)} has only: {', '.join(site.label for site in sites)}"
        )
    return chosen


def rest_position(host: Atoms, rest: Rest) -> Floats:
    """Give where a place is, xy, shape ``(2,)``."""
    return np.asarray(lateral_position(host, rest.anchors) + rest.aside_A)


def trial_problem(trial: Trial) -> str:
    """Say why a trial does not count: the metal desorbed, sank in, or the surface rearranged. Empty if it counts."""
    away_A = adatom_geometry(trial.end, 1).nearest_distance_A
    if away_A > _DESORBED_A:
        return f"the metal desorbed: it is {away_A:.1f} Å from the nearest host atom"
    displacements = _displacements(trial)
    moved_A = float(np.linalg.norm(displacements[:-1], axis=1).max())
    if moved_A > _WRECKED_A:
        return f"the surface rearranged: one of its atoms moved by {moved_A:.1f} Å"
    rises = trial.rest.face * (heights_A(trial.end)[-1] - heights_A(trial.end)[:-1])
    spots = lateral_A(trial.end)
    aside_A = lateral_distances_A(trial.end, spots[:-1] - spots[-1])
    if rises[aside_A < STAYED_A + aside_A.min()].min() < _BELOW_A:
        return "the metal went under the surface"
    return ""


def resting_places(host: Atoms, trials: Sequence[Trial]) -> tuple[list[Rest], list[Rest]]:
    """
    Find the minima of an adatom, and the places that must be tried before the list is complete.

    A trial that leaves its place ends in a known minimum, within `STAYED_A` and up to the symmetry of the clean host, or
    finds a new place. A new place within `LOWEST_eV` of the lowest is a minimum; a higher one may be the flat top of a
    barrier and must be tried.

    Parameters
    ----------
    host
        The clean host, as the sites were found on it.
    trials
        Those that converged, from sites and from places that this function asked to try.

    Returns
    -------
    tuple of list
        The minima, lowest first, and the places to try.
    """
    clean = _Clean(host, adsorption_sites(host), lateral_operations(host))
    low_eV = min((trial.energy_eV for trial in trials), default=0.0) + LOWEST_eV
    stayed = [trial for trial in trials if _stays(host, trial)]
    held = [trial for trial in stayed if _back_A(trial) > WENT_A]
    held += [
        trial for trial in stayed if trial not in held and trial.energy_eV <= low_eV and not _goes_to(clean, trial, held)
    ]
    found: list[tuple[float, Rest]] = []
    for trial in sorted(held, key=lambda trial: trial.energy_eV):
        if all(_apart_A(clean, trial.rest, rest) >= STAYED_A for _, rest in found):  # a top may be right over a bridge
            found.append((trial.energy_eV, trial.rest))
    known = [rest for _, rest in found] + [trial.rest for trial in trials if trial.rest.is_aside]
    untried = []
    for trial in sorted(trials, key=lambda trial: trial.energy_eV):
        if trial in stayed:
            continue
        rest = _end(clean, trial, {rest.label for rest in known})
        if trial.rest.is_aside and _apart_A(clean, rest, trial.rest) < STAYED_A:
            found.append((trial.energy_eV, trial.rest))  # it went over to its like: both are minima
        elif not any(_apart_A(clean, rest, other) < STAYED_A for other in known):
            known.append(rest)
            if trial.energy_eV <= low_eV:
                found.append((trial.energy_eV, rest))
            else:
                untried.append(rest)
    return [rest for _, rest in sorted(found, key=lambda item: item[0])], untried


def same_places(host: Atoms, one: Atoms, other: Atoms) -> bool:
    """
    Whether adatoms rest on equivalent places in two structures: an operation of the host maps one set onto the other.

    Parameters
    ----------
    host
        The clean host, as its sites were found.
    one, other
        The host's atoms, relaxed, followed by the same number of adatoms. Places are the same within `STAYED_A`, laterally.

    Raises
    ------
    ValueError
        When a structure has no adatom, or the two have not the same number of them.

    Examples
    --------
    >>> from philic.structures.carbons.carbon import graphene
    >>> from philic.structures.sites.adatoms import place_adatoms
    >>> top, bridge = ([[0, 0, 0]], [[0, 0, 0], [1, 0, 0]])
    >>> one, two, three = (place_adatoms(graphene(), "K", [at]) for at in (top, [[3, 0, 0]], bridge))
    >>> same_places(graphene(), one, two), same_places(graphene(), one, three)
    (True, False)
    """
    if not len(host) < len(one) == len(other):
        raise ValueError(
            f"`one` and `other` have {len(one)} and {len(other)} atoms but must have equally many, "
            f"more than the {len(host)} of the host"
        )
    (spots, sides), (aims, other_sides) = _adatoms(host, one), _adatoms(host, other)
    turns, shifts, flips = lateral_operations(host)
    images = np.einsum("oij,nj->oni", turns, spots) + shifts[:, None]
    apart_A: Floats = lateral_distances_A(host, images[:, :, None] - aims)
    near = (apart_A < STAYED_A) & ((flips[:, None] * sides)[:, :, None] == other_sides)
    return bool(near.any(axis=2).all(axis=1).any())


def _adatoms(host: Atoms, atoms: Atoms) -> tuple[Floats, Floats]:
    """Give where adatoms are on an undrifted host, xy, shape ``(n_adatoms, 2)``, and on which side, +1 or -1."""
    n_host, levels = len(host), heights_A(atoms)
    drift = find_mic(atoms.positions[:n_host] - host.positions, host.cell, host.pbc)[0].mean(axis=0)
    sides = np.where(levels[n_host:] >= levels[:n_host].mean(), 1.0, -1.0)
    return lateral_A(atoms)[n_host:] - drift[:2], sides


def _displacements(trial: Trial) -> Floats:
    """How far each atom went, shape ``(n_atoms, 3)``, the host's drift taken out."""
    displacements = find_mic(trial.end.positions - trial.start.positions, trial.end.cell, trial.end.pbc)[0]
    return np.asarray(displacements - displacements[:-1].mean(axis=0))


def _stays(host: Atoms, trial: Trial) -> bool:
    """Whether an adatom ended near its place; if it moved away, there is a lower place beside it."""
    return _off_A(host, trial) < min(STAYED_A, float(np.linalg.norm(trial.rest.trial_aside_A)) + WENT_A)


def _off_A(host: Atoms, trial: Trial) -> float:
    """How far from its place an adatom ended, laterally."""
    return float(lateral_distances_A(host, trial.rest.trial_aside_A + _displacements(trial)[-1, :2]))


def _back_A(trial: Trial) -> float:
    """How far an adatom moved back towards its place."""
    return float(-_displacements(trial)[-1, :2] @ ASIDE_A / np.linalg.norm(ASIDE_A))


def _goes_to(clean: _Clean, trial: Trial, held: Sequence[Trial]) -> bool:
    """Whether an adatom ended nearer to another minimum than to its own place: a slope may be flat."""
    end = _end(clean, trial, ())
    return any(_apart_A(clean, end, other.rest) < _off_A(clean.host, trial) for other in held)


def _end(clean: _Clean, trial: Trial, taken: Collection[str]) -> Rest:
    """Give the end of a trial as a place beside the listed site that is nearest to it or to one of its images."""
    host, face = clean.host, trial.rest.face
    spot = rest_position(host, trial.rest) + trial.rest.trial_aside_A + _displacements(trial)[-1, :2]
    for _ in range(_ROUNDS):  # onto the mirror plane or axis that it is near
        own = _to_nearest(host, _images(clean, spot) - spot)
        spot = spot + own[np.linalg.norm(own, axis=1) < STAYED_A].mean(axis=0)
    sites = [site for site in clean.sites if site.face == face]
    centres = np.array([lateral_position(host, site.anchors) for site in sites])
    displacements = _to_nearest(host, _images(clean, spot)[:, None] - centres)
    image, at = np.unravel_index(np.linalg.norm(displacements, axis=2).round(3).argmin(), displacements.shape[:2])
    site, levels = sites[int(at)], face * heights_A(trial.end)
    name = f"near {site.label}"
    label = next(label for n in count(1) if (label := name if n == 1 else f"{name} #{n}") not in taken)
    aside = tuple(np.round(displacements[image, at], _DECIMALS).tolist())
    height_A = levels[-1] - levels[[atom for atom, *_ in site.anchors]].max()
    return Rest(site.anchors, face, label, site.distance_A, aside, round(float(height_A), _DECIMALS))


def _apart_A(clean: _Clean, one: Rest, other: Rest) -> float:
    """Give the shortest lateral distance between two places and all their images."""
    if one.face != other.face:
        return float("inf")
    displacements = _images(clean, rest_position(clean.host, one)) - rest_position(clean.host, other)
    return float(lateral_distances_A(clean.host, displacements).min())


def _images(clean: _Clean, spot: Floats) -> Floats:
    """Give the images of a position under the operations that keep the face, shape ``(n, 2)``."""
    turns, shifts, flips = clean.operations
    return np.asarray((turns @ spot + shifts)[flips == 1])


def _to_nearest(host: Atoms, vectors: Floats) -> Floats:
    """Give lateral vectors, shape ``(..., 2)``, to the nearest periodic image."""
    flat = np.zeros((vectors.size // 2, 3))
    flat[:, :2] = vectors.reshape(-1, 2)
    return np.asarray(find_mic(flat, host.cell, pbc=(True, True, False))[0][:, :2].reshape(vectors.shape))
