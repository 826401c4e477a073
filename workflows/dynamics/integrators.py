"""One step of molecular dynamics, in two halves around the force call, with its thermostats and barostat.

Small enough to take several replicas through one force call and to save all of its state. ASE's classes drive one structure
and hold their state in private attributes; its Nosé-Hoover chain and MTK barostat count 3 N degrees of freedom though the
centre of mass rests, which makes a cell of N atoms hotter than asked by N / (N - 1).

Units are ASE's: Å, eV, u, and Å sqrt(u / eV) for time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from ase.units import GPa, fs, kB
from numpy.typing import NDArray

from ...potentials.base import Prediction
from ...structures.symmetry.fixed import fixed_atoms

Array = NDArray[np.float64]

DAMPING_fs = {"none": np.inf, "bussi": 100.0, "nose-hoover": 100.0, "langevin": 1000.0}
"""Time constant of each thermostat. Langevin's is the only one that slows diffusion, so it is weak."""
BAROSTAT_fs = 1000.0
COMPRESSIBILITY_per_GPa = 0.1
"""It only sets how fast the cell follows; between the values of an alkali metal (0.3) and a solid electrolyte (0.03)."""
CHAIN = 3
_YOSHIDA = (1 / (2 - 2 ** (1 / 3)), 1 - 2 / (2 - 2 ** (1 / 3)), 1 / (2 - 2 ** (1 / 3)))


@dataclass(frozen=True)
class Ensemble:
    """What is held constant.

    Attributes
    ----------
    timestep
        ASE units.
    thermostat
        One of `DAMPING_fs`.
    temperature_K
        Of the thermostat; without one, where a start at rest settles.
    pressure_GPa
        None keeps the cell.
    isotropic
        Whether the cell keeps its shape.
    """

    timestep: float
    thermostat: str
    temperature_K: float
    pressure_GPa: float | None = None
    isotropic: bool = True

    @property
    def kT(self) -> float:
        """Thermal energy in eV."""
        return kB * self.temperature_K

    @property
    def damping(self) -> float:
        """Time constant of the thermostat."""
        return DAMPING_fs[self.thermostat] * fs


@dataclass
class Motion:
    """Everything that changes from step to step; what a checkpoint holds.

    Positions, momenta and forces have the shape ``(n_atoms, 3)``, masses ``(n_atoms, 1)``; `chain_rate` holds the velocities
    of the Nosé-Hoover chain. `heat_eV` is the energy that the thermostat took.
    """

    masses: Array
    fixed: NDArray[np.bool_]
    positions: Array
    momenta: Array
    cell: Array
    rng: np.random.Generator
    forces: Array = field(default_factory=lambda: np.empty(0))
    stress: Array | None = None
    potential_eV: float = np.nan
    heat_eV: float = 0.0
    chain_rate: Array = field(default_factory=lambda: np.zeros(CHAIN))
    step: int = 0

    @property
    def freedom(self) -> int:
        """Degrees of freedom."""
        return degrees_of_freedom(self.fixed)

    @property
    def kinetic_eV(self) -> float:
        """Kinetic energy."""
        return float(np.vdot(self.momenta, self.momenta / self.masses)) / 2

    @property
    def temperature_K(self) -> float:
        """Instantaneous temperature."""
        return 2 * self.kinetic_eV / (self.freedom * kB)

    @property
    def pressure_GPa(self) -> float:
        """Instantaneous pressure; NaN where the stress was not asked for."""
        return float(np.trace(_pressure(self))) / 3 / GPa if self.stress is not None else np.nan


def degrees_of_freedom(fixed: NDArray[np.bool_]) -> int:
    """Return three for each free atom, less the three of the centre of mass, which rests where no atom is fixed.

    Examples
    --------
    >>> degrees_of_freedom(np.array([False, False])), degrees_of_freedom(np.array([True, False]))
    (3, 3)
    """
    return 3 * int((~fixed).sum()) - (0 if fixed.any() else 3)


def random_numbers(atoms: Atoms, temperature_K: float, seed: int) -> np.random.Generator:
    """Return the generator of a run: runs that differ in seed, temperature or start share no random numbers.

    Runs that shared them would be hot and cold together, and such errors do not average out of an activation energy.
    """
    values = [[temperature_K], atoms.get_masses(), atoms.cell.array.ravel(), atoms.positions.ravel()]
    content = (np.concatenate(values).round(6) + 0.0).astype("<f8").tobytes()
    words = np.frombuffer(hashlib.sha256(content).digest(), "<u4")
    return np.random.default_rng([seed, *words.tolist()])


def begin_motion(atoms: Atoms, ensemble: Ensemble, seed: int) -> Motion:
    """Return a start with Maxwell-Boltzmann momenta and no net momentum; `FixAtoms` are at rest.

    Without a thermostat it has exactly twice the kinetic energy, half of which a crystal at rest gives to its springs.
    """
    rng = random_numbers(atoms, ensemble.temperature_K, seed)
    at_rest, cell = np.zeros((len(atoms), 3)), atoms.cell.array.copy()
    motion = Motion(atoms.get_masses()[:, None], fixed_atoms(atoms), atoms.get_positions(), at_rest, cell, rng)
    motion.momenta = _thermal(motion, ensemble.kT)
    if ensemble.thermostat == "none":
        motion.momenta *= np.sqrt(motion.freedom * ensemble.kT / motion.kinetic_eV)
    return motion


def before_forces(motion: Motion, ensemble: Ensemble) -> None:
    """Advance to the positions at which forces are needed next."""
    dt = ensemble.timestep
    if ensemble.thermostat == "nose-hoover":
        _nose_hoover(motion, ensemble, dt / 2)
    motion.momenta += dt / 2 * motion.forces
    if ensemble.pressure_GPa is not None:
        _rescale_cell(motion, ensemble)
    if ensemble.thermostat == "langevin":
        motion.positions += dt / 2 * motion.momenta / motion.masses
        _langevin(motion, ensemble)
        motion.positions += dt / 2 * motion.momenta / motion.masses
    else:
        motion.positions += dt * motion.momenta / motion.masses


def after_forces(motion: Motion, ensemble: Ensemble, prediction: Prediction) -> None:
    """Take the forces at the new positions and complete the step."""
    dt = ensemble.timestep
    take_forces(motion, prediction)
    motion.momenta += dt / 2 * motion.forces
    if ensemble.thermostat == "nose-hoover":
        _nose_hoover(motion, ensemble, dt / 2)
    elif ensemble.thermostat == "bussi":
        _bussi(motion, ensemble)
    motion.step += 1


def take_forces(motion: Motion, prediction: Prediction) -> None:
    """Store energy, forces and stress of the present positions."""
    motion.forces = np.where(motion.fixed[:, None], 0.0, prediction.forces_eV_per_A)
    motion.potential_eV = prediction.energy_eV
    voigt = prediction.stress_eV_per_A3
    motion.stress = None if voigt is None else voigt_6_to_full_3x3_stress(voigt)


def _thermal(motion: Motion, kT: float) -> Array:
    """Draw momenta at a temperature; the projection keeps the canonical distribution of all but the centre of mass."""
    momenta: Array = np.sqrt(kT * motion.masses) * motion.rng.standard_normal((len(motion.masses), 3))
    if motion.fixed.any():
        momenta[motion.fixed] = 0
    else:
        momenta -= motion.masses * (momenta.sum(axis=0) / motion.masses.sum())
    return momenta


def _langevin(motion: Motion, ensemble: Ensemble) -> None:
    """Mix in thermal momenta: the O of BAOAB, B. Leimkuhler and C. Matthews, Appl. Math. Res. Express 2013, 34."""
    keep = np.exp(-ensemble.timestep / ensemble.damping)
    before = motion.kinetic_eV
    motion.momenta = keep * motion.momenta + np.sqrt(1 - keep**2) * _thermal(motion, ensemble.kT)
    motion.heat_eV += before - motion.kinetic_eV


def _bussi(motion: Motion, ensemble: Ensemble) -> None:
    """Rescale all momenta so that the kinetic energy is canonical: G. Bussi et al., J. Chem. Phys. 126, 014101 (2007)."""
    keep = np.exp(-ensemble.timestep / ensemble.damping)
    kinetic = motion.kinetic_eV
    part = (1 - keep) * ensemble.kT / 2 / kinetic
    normal = motion.rng.standard_normal()
    others = motion.rng.chisquare(motion.freedom - 1)
    square = keep + part * (normal**2 + others) + 2 * normal * np.sqrt(keep * part)
    motion.momenta *= np.sqrt(square)
    motion.heat_eV += kinetic * (1 - square)


def _nose_hoover(motion: Motion, ensemble: Ensemble, time: float) -> None:
    """Advance the chain: G. J. Martyna et al., Mol. Phys. 87, 1117 (1996), Yoshida's fourth order."""
    kT, rate, freedom = ensemble.kT, motion.chain_rate, motion.freedom
    inertia = kT * ensemble.damping**2 * np.array([freedom, *[1] * (CHAIN - 1)])
    kinetic = start = motion.kinetic_eV
    for weight in _YOSHIDA:
        delta = weight * time
        for links in (range(CHAIN - 1, -1, -1), range(CHAIN)):
            for j in links:
                drag = np.exp(-delta / 4 * rate[j + 1]) if j < CHAIN - 1 else 1.0
                push = 2 * kinetic - freedom * kT if j == 0 else inertia[j - 1] * rate[j - 1] ** 2 - kT
                rate[j] = (rate[j] * drag + delta / 2 * push / inertia[j]) * drag
            if links.step < 0:
                kinetic *= np.exp(-2 * delta * rate[0])
    motion.momenta *= np.sqrt(kinetic / start)
    motion.heat_eV += start - kinetic


def _pressure(motion: Motion) -> Array:
    """Return the pressure tensor in eV/Å³."""
    assert motion.stress is not None
    pressure: Array = motion.momenta.T @ (motion.momenta / motion.masses) / abs(np.linalg.det(motion.cell)) - motion.stress
    return pressure


def _rescale_cell(motion: Motion, ensemble: Ensemble) -> None:
    """Strain the cell: M. Bernetti and G. Bussi, J. Chem. Phys. 153, 114107 (2020); anisotropic without rotations.

    For all shapes: V. Del Tatto et al., Appl. Sci. 12, 1139 (2022).
    """
    assert ensemble.pressure_GPa is not None
    mobility = COMPRESSIBILITY_per_GPa / GPa / (3 * BAROSTAT_fs * fs) * ensemble.timestep
    noise = motion.rng.standard_normal((3, 3))
    spread = np.sqrt(2 * ensemble.kT * mobility / abs(np.linalg.det(motion.cell)))
    drive = mobility * (_pressure(motion) - ensemble.pressure_GPa * GPa * np.eye(3))
    strain = drive + spread * (noise + noise.T) / 2
    if ensemble.isotropic:
        strain = np.eye(3) * np.trace(strain) / 3
    values, axes = np.linalg.eigh(strain)
    motion.cell = motion.cell @ (axes * np.exp(values)) @ axes.T
    motion.positions = motion.positions @ (axes * np.exp(values)) @ axes.T
    motion.momenta = motion.momenta @ (axes * np.exp(-values)) @ axes.T
