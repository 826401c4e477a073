"""Build the structures that are labelled with density functional theory, in the order in which they are.

Runs where philic is installed, and takes a quarter of an hour on one core, nearly all of it CHGNet's relaxations of sheets:

    python training/candidates.py

Every slot has a random generator of its own, seeded by its name, so that a slot added or changed later leaves the others
as they are. CHGNet's forces differ in the last digits between machines, hence the committed list is what counts.
"""

import argparse
import gzip
import io
import zlib
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.data import covalent_radii
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import FIRE
from numpy.typing import NDArray

from philic.potentials import load
from philic.potentials.calculator import PotentialCalculator
from philic.structures.carbons.carbon import carbon_host
from philic.structures.sites.adatoms import place_adatoms
from philic.structures.sites.sites import adsorption_sites
from philic.structures.surfaces.slabs import slab
from philic.workflows.steps.relax import isolated

Floats = NDArray[np.float64]

METALS = ("K", "Na", "Li")
BCC_A = {"Li": 3.44, "Na": 4.20, "K": 5.285}
FCC_A = {"Li": 4.33, "Na": 5.30, "K": 6.67}
PBE_A = {  # lattice constants of the salts, conventional cubic cells
    **{"LiF": 4.07, "NaF": 4.70, "KF": 5.42, "LiCl": 5.15, "NaCl": 5.70, "KCl": 6.38},
    **{"Li2O": 4.63, "Na2O": 5.57, "K2O": 6.47},
}
SPIN_HOSTS = ("vacancy", "divacancy", "pyrrolic-N", "carbonyl")
"""Hosts with carbon atoms that lack a bond, and metal clusters, are computed spin-polarised."""
HOSTS = (
    *("pristine", "B", "N", "pyridinic-3N", "O", "P", "S", "pyrrolic-N", "pyridinic-1N", "F", "N-B", "vacancy"),
    *("O-B", "pyridinic-4N", "N-S", "N-P", "epoxy", "N-C-B", "pyridinic-2N", "B-P", "B-S", "O-P", "hydroxyl"),
    *("O-C-B", "N-O", "S-P", "divacancy", "B-F", "carbonyl", "N-F", "O-S"),
)
CUTOFF_A = 6.0
"""CHGNet's: it refuses an atom with no neighbour that near."""
GAP_A = 10.0
"""Empty height between a sheet or slab with what lies on it and its periodic image."""
HEIGHTS_A = (1.5, 1.8, 2.1, 2.4, 2.7, 3.0, 3.4, 3.9, 4.6, 5.5, 7.0)
LOWER = {"K": 1.0, "Na": 0.95, "Li": 0.85}
"""What the heights above are multiplied by."""


def generator_of(name: str) -> np.random.Generator:
    """Make the generator of a slot from its name."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def candidate(atoms: Atoms, name: str, group: str, *, metal: str = "none", host: str = "none", spin: bool = False) -> Atoms:
    """Copy a structure without what its builder wrote, and say what it is; the name has no dots or slashes."""
    plain = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    plain.info.update({"name": name, "class": group, "metal": metal, "host": host, "spin_polarised": spin})
    return plain


def rattled(atoms: Atoms, size_A: float, generator: np.random.Generator, *, closest: float = 0.62) -> Atoms:
    """
    Move every atom by a Gaussian step, and again while two atoms are too near.

    Parameters
    ----------
    atoms, size_A, generator
        What is moved, by what standard deviation along each axis, and where the numbers come from.
    closest
        Least distance of two atoms, in sums of covalent radii; steps shrink by a tenth with each trial.
    """
    moved = atoms.copy()
    for trial in range(40):
        moved.positions = atoms.positions + generator.normal(scale=size_A * 0.9**trial, size=(len(atoms), 3))
        if nearest(moved) > closest:
            break
    return moved


def nearest(atoms: Atoms) -> float:
    """Tell the shortest distance of two atoms, images included, in sums of covalent radii."""
    block = atoms * [2 if periodic else 1 for periodic in atoms.pbc]
    distances = block.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    radii = covalent_radii[block.numbers]
    return float((distances / (radii[:, None] + radii[None, :])).min())


def strained(atoms: Atoms, volume: float, shear: float, generator: np.random.Generator) -> Atoms:
    """Scale the volume by a factor and add a random symmetric strain of that size."""
    strain = generator.normal(scale=shear, size=(3, 3)) if shear else np.zeros((3, 3))
    deformed = atoms.copy()
    scale = np.cbrt(volume) * np.eye(3) + (strain + strain.T) / 2
    deformed.set_cell(atoms.cell.array @ scale, scale_atoms=True)
    return deformed


def layered(atoms: Atoms) -> Atoms:
    """Put a sheet or slab in the middle of a cell as high as it is thick plus `GAP_A`, in steps of half an angstrom."""
    fitted = atoms.copy()
    thickness = max(float(np.ptp(atoms.positions[:, 2])), 3.0)
    fitted.cell[2] = [0, 0, np.ceil(2 * (thickness + GAP_A) - 1e-6) / 2]
    fitted.positions[:, 2] += fitted.cell[2, 2] / 2 - (atoms.positions[:, 2].min() + atoms.positions[:, 2].max()) / 2
    fitted.pbc = (True, True, False)
    return fitted


# Metals


def metals() -> Iterator[Atoms]:
    """Yield crystals, hot and molten-like cells, vacancies, slabs and clusters of the three metals, mixed."""
    kinds = (
        *("bcc", "strained", "hot", "110", "rattled", "vacancy", "fcc", "cluster", "100", "melt"),
        *("strained", "hot", "rattled", "110", "melt", "cluster", "adatom", "100"),
    )
    for number, kind in enumerate(cycle(kinds)):
        for metal in METALS:
            yield metal_cell(metal, kind, number)


def metal_cell(metal: str, kind: str, number: int) -> Atoms:
    """Build one structure of pure metal; the kind says what, the number makes it one of many."""
    name = f"{metal}-{kind}-{number:03d}"
    generator = generator_of(name)
    bcc = bulk(metal, "bcc", a=BCC_A[metal], cubic=True)
    fcc = bulk(metal, "fcc", a=FCC_A[metal], cubic=True)
    spin = False
    match kind:
        case "bcc":
            atoms = strained(bcc, 1.0 if number == 0 else generator.uniform(0.85, 1.2), 0.0, generator)
        case "fcc":
            atoms = strained(fcc, generator.uniform(0.88, 1.15), 0.0, generator)
        case "strained":
            cell = bcc if generator.random() < 0.6 else fcc
            atoms = rattled(strained(cell, generator.uniform(0.85, 1.2), 0.04, generator), 0.05, generator)
        case "rattled":
            cell = bcc * (2, 2, 1) if generator.random() < 0.6 else fcc * (2, 1, 1)
            atoms = rattled(strained(cell, generator.uniform(0.93, 1.1), 0.02, generator), 0.04 * BCC_A[metal], generator)
        case "hot":
            cell = bcc * (2, 2, 1) if generator.random() < 0.5 else bcc * (2, 1, 1)
            size_A = generator.uniform(0.05, 0.09) * BCC_A[metal]
            atoms = rattled(strained(cell, generator.uniform(0.9, 1.15), 0.02, generator), size_A, generator)
        case "melt":
            cell = strained(bcc * (2, 2, 2), generator.uniform(0.95, 1.25), 0.03, generator)
            atoms = rattled(cell, 0.13 * BCC_A[metal], generator, closest=0.72)
        case "vacancy":
            cell = strained(bcc * (2, 2, 2), generator.uniform(0.97, 1.03), 0.0, generator)
            del cell[0]
            atoms = rattled(cell, 0.0 if number < 18 else 0.03 * BCC_A[metal], generator)
        case "110" | "100":
            face = (1, 1, 0) if kind == "110" else (1, 0, 0)
            size = (1, 1) if number < 18 or generator.random() < 0.5 else (2, 1)
            layers = int(generator.integers(5, 8)) if size == (1, 1) else 4
            cut = slab(strained(bcc, 1.0, 0.0, generator), miller=face, layers=layers, size=size)
            atoms = layered(rattled(cut, 0.0 if number < 18 else 0.04 * BCC_A[metal], generator))
        case "adatom":
            cut = slab(bcc, miller=(1, 1, 0), layers=3, size=(2, 2))
            top = cut.positions[:, 2].max()
            x, y, _ = generator.random(3) @ cut.cell.array
            cut += Atoms(metal, positions=[(x, y, top + generator.uniform(0.45, 0.9) * BCC_A[metal])])
            atoms = layered(rattled(cut, 0.02 * BCC_A[metal], generator))
        case _:
            atoms, spin = cluster(metal, 1 + number // 4 if number < 24 else int(generator.integers(2, 7)), generator), True
    return candidate(atoms, name, f"metal {kind}" if kind not in ("110", "100") else "metal slab", metal=metal, spin=spin)


def cluster(metal: str, n: int, generator: np.random.Generator) -> Atoms:
    """Grow a cluster atom by atom at bond lengths, in a box with 5.5 A of vacuum around."""
    bond_A = BCC_A[metal] * 0.866
    places: list[Floats] = [np.zeros(3)]
    while len(places) < n:
        way = generator.normal(size=3)
        place = places[int(generator.integers(len(places)))] + bond_A * generator.uniform(0.85, 1.15) * way / np.linalg.norm(
            way
        )
        if min(np.linalg.norm(place - other) for other in places) > 0.8 * bond_A:
            places.append(place)
    atoms = Atoms([metal] * n, positions=places)
    atoms.center(vacuum=5.5)
    return atoms


# Salts


def salts() -> Iterator[Atoms]:
    """Yield MF, MCl and M2O: at rest, strained, rattled, hot, with a vacancy, and half-way along hops of the metal."""
    kinds = ("rest", "rattled", "hop", "strained", "vacancy", "hot", "rattled", "hop", "vacancy", "strained")
    for number, kind in enumerate(cycle(kinds)):
        for salt, metal in ((f"{metal}{rest}", metal) for rest in ("F", "2O", "Cl") for metal in METALS):
            yield salt_cell(salt, metal, kind, number)


def salt_cell(salt: str, metal: str, kind: str, number: int) -> Atoms:
    """Build one structure of a salt; a vacancy is that of a formula unit, into which a hop moves a metal."""
    name = f"{salt}-{kind}-{number:03d}"
    generator = generator_of(name)
    a = PBE_A[salt]
    if "2O" in salt:
        cell = bulk("O" + metal + metal, "fluorite", a=a, cubic=True)
    else:
        cell = bulk(salt, "rocksalt", a=a, cubic=True)
    if kind != "rest":
        shear = 0.03 if kind == "strained" else 0.01
        cell = strained(cell, generator.uniform(*((0.88, 1.15) if kind == "strained" else (0.96, 1.08))), shear, generator)
    if kind in ("hop", "vacancy"):
        cell = vacant(cell, metal, generator, along=generator.uniform(0.15, 0.5) if kind == "hop" else 0.0)
    size_A = {"rest": 0.0, "hot": 0.06 * a, "strained": 0.02}.get(kind, generator.uniform(0.01, 0.035) * a)
    return candidate(rattled(cell, size_A, generator), name, f"salt {kind}", metal=metal, host=salt)


def vacant(cell: Atoms, metal: str, generator: np.random.Generator, *, along: float) -> Atoms:
    """Remove one metal (and in an M2O one more, in an MX one X far away), and move a neighbour some way into the hole."""
    places = np.flatnonzero(np.array(cell.symbols) == metal)
    hole = int(generator.choice(places))
    others = places[places != hole]
    steps = cell.get_distances(hole, others, mic=True, vector=True)
    lengths = np.linalg.norm(steps, axis=1)
    near = int(generator.choice(np.flatnonzero(lengths < lengths.min() + 0.1)))
    moved = cell.copy()
    moved.positions[others[near]] -= along * steps[near]
    anion = np.flatnonzero(np.array(cell.symbols) != metal)
    counter = int(anion[np.argmax(cell.get_distances(hole, anion, mic=True))])
    if len(places) > len(anion):  # M2O: a second metal makes the cell lack M2O without one O
        far = others[np.argmax(lengths)]
        del moved[[hole, int(far), counter]]
    else:
        del moved[[hole, counter]]
    return moved


# Sheets


class Sheets:
    """
    Carbon hosts and what lies on them.

    Parameters
    ----------
    calculator
        Relaxes hosts and adatoms and runs short trajectories.
    """

    def __init__(self, calculator: Calculator) -> None:
        self.calculator = calculator
        self._relaxed: dict[tuple[str, int], Atoms] = {}

    def groups(self) -> Iterator[list[Atoms]]:
        """
        Yield groups that begin with a clean host, or continue that of an earlier group.

        Every host comes first relaxed, then at further sites and heights, then rattled, then hot: of the hosts in their
        order, each style starts four places behind the style before it.
        """
        styles = (self.relaxed, self.scan, self.rattled, self.hot, self.scan, self.large, self.rattled, self.hot, self.scan)
        slots = [
            (place + 4 * turn, turn, host, style) for turn, style in enumerate(styles) for place, host in enumerate(HOSTS)
        ]
        for _, turn, host, style in sorted(slots, key=lambda slot: slot[:2]):
            if style is not self.large or host in HOSTS[:12]:
                yield style(host, turn)

    def relaxed(self, host: str, turn: int, size: int = 3) -> list[Atoms]:
        """Relax a host, and each metal on the hollow nearest to its defect."""
        sheet = self._host(host, size)
        on = [self._settled(adsorbed(sheet, metal, 1, generator_of(f"{host}-{metal}"), first=True), 60) for metal in METALS]
        kind = "relaxed" if size == 3 else "large"
        return self._named(sheet, on, host, f"{kind}-{turn}", f"{size}x{size}")

    def large(self, host: str, turn: int) -> list[Atoms]:
        """Do the same on a 4x4 sheet."""
        return self.relaxed(host, turn, size=4)

    def scan(self, host: str, turn: int) -> list[Atoms]:
        """Put metal at other sites and heights, from very near to desorbed, on the relaxed host as it is."""
        sheet = self._host(host, 3)
        generator = generator_of(f"{host}-scan-{turn}")
        on = [adsorbed(sheet, metal, int(generator.choice([1, 1, 1, 2])), generator) for metal in METALS]
        return self._named(sheet, on, host, f"scan-{turn}", "3x3")[1:]

    def rattled(self, host: str, turn: int) -> list[Atoms]:
        """Rattle, strain and in half of the groups buckle a host, flat as built or relaxed, and put metal on it."""
        generator = generator_of(f"{host}-rattled-{turn}")
        sheet = self._host(host, 3).copy() if generator.random() < 0.5 else carbon_host(host, (3, 3))
        info = sheet.info["philic"]
        if generator.random() < 0.5:
            phase = 2 * np.pi * (sheet.get_scaled_positions() @ [*generator.permutation([1, 0]), 0] + generator.random())
            sheet.positions[:, 2] += generator.uniform(0.1, 0.4) * np.sin(phase)
        scale = generator.uniform(0.985, 1.02)
        sheet.set_cell(sheet.cell.array * [[scale], [scale], [1]], scale_atoms=True)
        sheet = rattled(sheet, generator.uniform(0.03, 0.09), generator)
        sheet.info["philic"] = info
        on = [adsorbed(sheet, metal, int(generator.choice([1, 1, 1, 1, 2, 3])), generator) for metal in METALS]
        return self._named(sheet, on, host, f"rattled-{turn}", "3x3")

    def hot(self, host: str, turn: int) -> list[Atoms]:
        """Take the end of a short trajectory of one to three metal atoms on a host; first the host of the first of them."""
        generator = generator_of(f"{host}-hot-{turn}")
        on = []
        for metal in METALS:
            start = adsorbed(self._host(host, 3), metal, int(generator.choice([1, 1, 2, 3])), generator)
            while isolated(start, CUTOFF_A):
                start = adsorbed(self._host(host, 3), metal, int(generator.choice([1, 1, 2, 3])), generator)
            on.append(self._heated(self._settled(start, 15), generator.uniform(400, 1200), generator))
        bare = on[0][: len(self._host(host, 3))]
        return self._named(bare, on, host, f"hot-{turn}", "3x3")

    def _named(self, sheet: Atoms, on: list[Atoms], host: str, style: str, size: str) -> list[Atoms]:
        """Name a host and what lies on it."""
        kind = f"sheet {style.split('-')[0]}"
        spin = host in SPIN_HOSTS
        named = [candidate(layered(sheet), f"{host}-{size}-{style}-clean", f"{kind} clean", host=host, spin=spin)]
        for metal, atoms in zip(METALS, on, strict=True):
            name = f"{host}-{size}-{style}-{metal}{len(atoms) - len(sheet)}"
            named.append(candidate(layered(atoms), name, kind, metal=metal, host=host, spin=spin))
        return named

    def _host(self, host: str, size: int) -> Atoms:
        """Relax a host once; it starts rattled, off saddle points."""
        if (host, size) not in self._relaxed:
            built = carbon_host(host, (size, size))
            start = rattled(built, 0.03, generator_of(f"{host}-{size}"))
            self._relaxed[host, size] = self._settled(start, 80)
            self._relaxed[host, size].info["philic"] = built.info["philic"]
        return self._relaxed[host, size]

    def _settled(self, atoms: Atoms, steps: int) -> Atoms:
        """Relax with the cell held, for that many steps at most."""
        moved: Atoms = atoms.copy()
        moved.calc = self.calculator
        FIRE(moved, logfile=None).run(fmax=0.05, steps=steps)
        moved.calc = None
        return moved

    def _heated(self, atoms: Atoms, temperature_K: float, generator: np.random.Generator) -> Atoms:
        """Run 160 fs at a temperature, the centre of mass at rest."""
        moved: Atoms = atoms.copy()
        moved.calc = self.calculator
        MaxwellBoltzmannDistribution(moved, temperature_K=temperature_K, rng=generator)
        friction = 0.02 / units.fs
        Langevin(moved, 2 * units.fs, temperature_K=temperature_K, friction=friction, rng=generator, fixcm=False).run(80)
        moved.calc = None
        return moved


def adsorbed(sheet: Atoms, metal: str, n: int, generator: np.random.Generator, *, first: bool = False) -> Atoms:
    """
    Put metal atoms above or below a sheet.

    Parameters
    ----------
    sheet, metal, n, generator
        The host, what is put on it, how many, and where chance comes from.
    first
        Take the hollow nearest to the defect at philic's own height. Else any site, or half of the time any place,
        at a height that is drawn, apart from the host and from each other.
    """
    info = sheet.info["philic"]
    sites = adsorption_sites(carbon_host(info["host"], tuple(info["size"])))
    if first:
        hollow = min((site for site in sites if site.kind == "hollow" and site.face == 1), key=lambda site: site.distance_A)
        return place_adatoms(sheet, metal, [hollow.anchors], aside_A=(0.05, 0.03))
    face = int(generator.choice([1, -1]))
    atoms = sheet
    while len(atoms) < len(sheet) + n:
        lateral: Floats = (generator.random(2) @ sheet.cell.array[:2])[:2]
        if generator.random() < 0.5:
            site = sites[int(generator.integers(len(sites)))]
            lateral = place_adatoms(sheet, metal, [site.anchors]).positions[-1, :2]
        height_A = float(generator.choice(HEIGHTS_A)) * LOWER[metal]
        with_one = atoms + Atoms(metal, positions=[(*lateral, surface_A(sheet, lateral) + face * height_A)])
        others = [with_one.get_distance(-1, i, mic=True) for i in range(len(sheet), len(atoms))]
        if nearest(with_one) > 0.6 and min(others, default=np.inf) > 0.65 * BCC_A[metal]:
            atoms = with_one
    return atoms


def surface_A(sheet: Atoms, lateral: Floats) -> float:
    """Tell the mean height of the sheet's atoms within 4 A of a place in the plane."""
    flat = Atoms(sheet.symbols, positions=sheet.positions * [1, 1, 0], cell=sheet.cell, pbc=(True, True, False))
    flat += Atoms("H", positions=[(*lateral, 0.0)])
    near = flat.get_distances(-1, range(len(sheet)), mic=True) < 4.0
    return float(sheet.positions[near, 2].mean())


# The list


def ordered(sheets: Sheets) -> Iterator[Atoms]:
    """Take turns: the three metals at rest, then a group of sheets, two metals, one salt, and again."""
    pure, salt = metals(), salts()
    yield from islice(pure, 3)
    for group in sheets.groups():
        yield from group
        yield from islice(pure, 2)
        yield from islice(salt, 1)


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "candidates.xyz.gz", help="where to write it")
    parser.add_argument("--first", type=int, default=None, help="how many structures; all by default")
    options = parser.parse_args()
    chosen = list(islice(ordered(Sheets(PotentialCalculator(load("chgnet")))), options.first))
    text = io.StringIO()
    write(text, chosen, format="extxyz")
    options.to.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    print(f"{len(chosen)} structures in {options.to}")


if __name__ == "__main__":
    main()
