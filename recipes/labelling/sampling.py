"""Structures made of a relaxed host: metal at every site and height, on the host as it is, rattled, and strained."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from ...structures.sites.adatoms import place_adatoms
from ...structures.sites.sites import Site


@dataclass(frozen=True)
class Sampling:
    """What is varied.

    Attributes
    ----------
    heights_A
        Heights of the metal over the highest atom of its site.
    distorted
        How many distorted copies of a host.
    rattle_A, strain
        Standard deviation of each coordinate, and largest strain along a and b, of a distorted copy.
    """

    heights_A: Sequence[float]
    distorted: int
    rattle_A: float
    strain: float


def sampled(host: str, clean: Atoms, sites: Sequence[Site], metals: Sequence[str], sampling: Sampling) -> list[Atoms]:
    """Make every structure of a host; metal is always the last atom, and the host without it is `bare`.

    Parameters
    ----------
    host, clean
        Its name, and its relaxed atoms.
    sites
        Where metal may lie.
    metals, sampling
        What lies there, and what is varied.
    """
    heights = sampling.heights_A
    found = [
        named(with_metal, f"{host}-relaxed", f"{metal}@{site.label}+{height_A:g}", "scan", host, metal)
        for metal in metals
        for site in sites
        for height_A in heights
        for with_metal in _placed(clean, metal, site, height_A)
    ]
    for number in range(sampling.distorted):
        group = f"{host}-distorted{number}"
        generator = np.random.default_rng(zlib.crc32(group.encode()))
        copy = distorted(clean, sampling.rattle_A, sampling.strain, generator)
        for metal in metals:
            site, height_A = sites[int(generator.integers(len(sites)))], float(generator.choice(heights))
            found += [
                named(with_metal, group, f"{metal}@{site.label}+{height_A:g}", "distorted", host, metal)
                for with_metal in _placed(copy, metal, site, height_A)
            ]
    return found


def _placed(host: Atoms, metal: str, site: Site, height_A: float) -> Iterator[Atoms]:
    """Yield the host with metal at a site, where there is room."""
    try:
        yield place_adatoms(host, metal, [site.anchors], face=site.face, height_A=height_A)
    except ValueError:
        return


def distorted(atoms: Atoms, rattle_A: float, strain: float, generator: np.random.Generator) -> Atoms:
    """Strain along a and b, and move every atom by a Gaussian step."""
    moved: Atoms = atoms.copy()
    moved.set_constraint()
    scales = [*(1 + generator.uniform(-strain, strain, size=2)), 1.0]
    moved.set_cell(moved.cell.array * np.array(scales)[:, None], scale_atoms=True)
    moved.positions += generator.normal(scale=rattle_A, size=moved.positions.shape)
    return moved


def named(atoms: Atoms, group: str, rest: str, kind: str, host: str, metal: str) -> Atoms:
    """Copy a structure without constraints and its builder's words, and say what it is."""
    plain = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    plain.info = {"name": f"{group}-{rest}", "class": kind, "group": group, "host": host, "metal": metal}
    return plain


def bare(atoms: Atoms) -> Atoms:
    """Return the host of a structure, in the same geometry."""
    about = atoms.info
    return named(atoms[:-1], about["group"], "clean", f"{about['class']} clean", about["host"], "none")
