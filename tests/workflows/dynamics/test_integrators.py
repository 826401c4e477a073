"""Laws of the thermostats and the barostat where distributions are known: an ideal gas, soft spheres, an elastic sponge."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.stress import full_3x3_to_voigt_6_stress
from ase.units import GPa, fs, kB

from philic.potentials import Prediction, load
from philic.workflows.dynamics.integrators import (
    Ensemble,
    after_forces,
    before_forces,
    begin_motion,
    random_numbers,
    take_forces,
)

T = 500.0


def gas(n_atoms=8, mixed=True):
    symbols = ["Li", "K"] * (n_atoms // 2) if mixed else ["Ar"] * n_atoms
    return Atoms(symbols, positions=np.random.default_rng(0).random((n_atoms, 3)) * 20, cell=[20, 20, 20], pbc=True)


def nothing(motion):
    return Prediction(0.0, np.zeros_like(motion.positions), np.zeros(6))


def free_flight(atoms, ensemble, n_steps, observe, predict=nothing):
    motion = begin_motion(atoms, ensemble, 1)
    take_forces(motion, predict(motion))
    seen = []
    for _ in range(n_steps):
        before_forces(motion, ensemble)
        after_forces(motion, ensemble, predict(motion))
        seen.append(observe(motion))
    return motion, np.array(seen)


def soft_spheres(motion, reach_A=10.0, height_eV=2.0):
    """Let neighbours push each other away: a liquid at any temperature."""
    edge_A = motion.cell[0, 0]
    apart = motion.positions[:, None] - motion.positions
    apart -= edge_A * np.rint(apart / edge_A)
    overlap = np.clip(1 - (apart**2).sum(axis=2) / reach_A**2, 0, None)
    np.fill_diagonal(overlap, 0)
    forces = (6 * height_eV / reach_A**2 * overlap[..., None] ** 2 * apart).sum(axis=1)
    return Prediction(height_eV * (overlap**3).sum() / 2, forces)


def blocks_error(values):
    return values[: len(values) // 20 * 20].reshape(20, -1).mean(axis=1).std(ddof=1) / np.sqrt(20)


@pytest.mark.parametrize(
    ("thermostat", "timestep_fs", "predict", "n_fixed", "freedom"),
    [
        ("bussi", 20, nothing, 0, 3 * 8 - 3),
        ("bussi", 20, nothing, 2, 3 * 6),
        ("langevin", 200, nothing, 0, 3 * 8 - 3),
        ("langevin", 200, nothing, 2, 3 * 6),
        ("nose-hoover", 5, soft_spheres, 0, 3 * 8 - 3),
    ],
)
def test_the_kinetic_energy_is_canonical(thermostat, timestep_fs, predict, n_fixed, freedom):
    ensemble = Ensemble(timestep_fs * fs, thermostat, T)
    atoms = gas()
    atoms.set_constraint([FixAtoms(range(n_fixed))] if n_fixed else [])
    motion, kinetic = free_flight(atoms, ensemble, 20_000, lambda m: m.kinetic_eV, predict)
    kinetic = kinetic[2000:]
    assert motion.freedom == freedom
    assert abs(kinetic.mean() - freedom * kB * T / 2) < 4 * blocks_error(kinetic)
    spread = (kinetic - kinetic.mean()) ** 2
    assert abs(spread.mean() - freedom * (kB * T) ** 2 / 2) < 4 * blocks_error(spread)


@pytest.mark.parametrize("thermostat", ["bussi", "langevin"])
def test_runs_of_one_seed_at_two_temperatures_are_independent(thermostat):
    """Kinetic energies of 800 and 1000 K: with shared random numbers they correlate at 0.96."""
    kinetic = [
        free_flight(gas(), Ensemble(100 * fs, thermostat, kelvin), 4000, lambda m: m.kinetic_eV)[1] for kelvin in (800, 1000)
    ]
    assert abs(np.corrcoef(kinetic)[0, 1]) < 0.15


def heavy_hydrogen():
    atoms = gas()
    atoms.set_masses([2.014 if symbol == "Li" else None for symbol in atoms.symbols])
    return atoms


def moved(by_A):
    atoms = gas()
    atoms.positions[0, 0] += by_A
    return atoms


def stretched():
    atoms = gas()
    atoms.set_cell(1.1 * atoms.cell.array)
    return atoms


@pytest.mark.parametrize(
    ("atoms", "temperature_K", "seed"),
    [(gas(), T, 1), (gas(), T + 1, 0), (gas(10), T, 0), (heavy_hydrogen(), T, 0), (moved(0.1), T, 0), (stretched(), T, 0)],
)
def test_runs_that_differ_share_no_random_numbers(atoms, temperature_K, seed):
    here, there = random_numbers(gas(), T, 0), random_numbers(atoms, temperature_K, seed)
    assert abs(np.corrcoef(here.normal(size=1000), there.normal(size=1000))[0, 1]) < 0.15


def test_a_run_has_the_same_random_numbers_every_time_whatever_rounding_did_to_its_start():
    numbers = [random_numbers(atoms, T, 0).normal() for atoms in (gas(), gas(), moved(1e-12))]
    assert numbers == [numbers[0]] * 3


def test_light_and_heavy_atoms_share_the_energy():
    _, parts = free_flight(gas(), Ensemble(200 * fs, "langevin", T), 20_000, lambda m: (m.momenta**2 / m.masses).sum(axis=1))
    light, heavy = parts[:, ::2].mean(axis=1), parts[:, 1::2].mean(axis=1)
    total = gas().get_masses().sum()
    for mean, mass, error in ((light, 6.94, blocks_error(light)), (heavy, 39.0983, blocks_error(heavy))):
        assert abs(mean.mean() - 3 * kB * T * (1 - mass / total)) < 4 * error  # the centre of mass takes its part


@pytest.mark.parametrize("thermostat", ["none", "bussi", "nose-hoover", "langevin"])
def test_there_is_never_a_net_momentum(thermostat):
    _, net = free_flight(gas(), Ensemble(2 * fs, thermostat, T), 200, lambda m: m.momenta.sum(axis=0))
    assert np.abs(net).max() < 1e-10


@pytest.mark.parametrize("isotropic", [True, False])
def test_an_ideal_gas_has_the_volume_of_its_pressure(isotropic):
    """The volume is gamma distributed: mean N kT / P, variance N (kT / P)²; here both in units of kT / P."""
    n, pressure_GPa = 20, 10.0
    ensemble = Ensemble(20 * fs, "bussi", T, pressure_GPa, isotropic)
    unit = kB * T / (pressure_GPa * GPa)
    start = gas(n, mixed=False)
    start.set_cell([(n * unit) ** (1 / 3)] * 3, scale_atoms=True)
    _, volumes = free_flight(start, ensemble, 30_000, lambda m: abs(np.linalg.det(m.cell)) / unit)
    assert abs(volumes.mean() - n) < 4 * blocks_error(volumes)
    spread = (volumes - n) ** 2
    assert abs(spread.mean() - n) < 4 * blocks_error(spread)


BULK_MODULUS_GPa, PRESSURE_GPa = 5.0, 2.0


def test_a_sponge_has_the_volume_and_the_pressure_that_belong_to_what_is_asked():
    """A gas in an elastic box, U = B (V - V0)² / 2 V0: volumes are as V^(N - 1) exp(-(U + P V) / kT), integrated here."""
    n, empty_A3 = 8, 120.0

    def sponge(motion):
        strain = abs(np.linalg.det(motion.cell)) / empty_A3 - 1
        stress = BULK_MODULUS_GPa * GPa * strain * np.array([1, 1, 1, 0, 0, 0])
        return Prediction(BULK_MODULUS_GPa * GPa * empty_A3 * strain**2 / 2, np.zeros((n, 3)), stress)

    volumes = np.linspace(0.2, 2.0, 10_000) * empty_A3
    energies = BULK_MODULUS_GPa * (volumes - empty_A3) ** 2 / (2 * empty_A3) + PRESSURE_GPa * volumes
    weights = volumes ** (n - 1) * np.exp(-energies * GPa / (kB * T))
    mean = np.average(volumes, weights=weights)
    start = gas(n, mixed=False)
    start.set_cell([mean ** (1 / 3)] * 3, scale_atoms=True)
    ensemble = Ensemble(20 * fs, "bussi", T, PRESSURE_GPa, isotropic=True)
    _, seen = free_flight(start, ensemble, 20_000, lambda m: (abs(np.linalg.det(m.cell)), m.pressure_GPa), sponge)
    spread = (seen[:, 0] - mean) ** 2
    exact = (mean, np.average((volumes - mean) ** 2, weights=weights), PRESSURE_GPa)
    for values, expected in zip((seen[:, 0], spread, seen[:, 1]), exact, strict=True):
        assert abs(values.mean() - expected) < 4 * blocks_error(values)


def test_each_strain_of_an_elastic_box_is_canonical():
    """U = C V0 tr(E E) / 2 of Green's strain E: its diagonal has the variance kT / (C V0), the rest half of it."""
    edge_A, stiffness = 10.0, 50 * GPa
    volume = edge_A**3

    def strain(motion):
        deformation = motion.cell / edge_A
        return deformation, (deformation @ deformation.T - np.eye(3)) / 2

    def box(motion):
        deformation, E = strain(motion)
        stress = stiffness * deformation.T @ E @ deformation / np.linalg.det(deformation)
        return Prediction(stiffness * volume * (E**2).sum() / 2, np.zeros((2, 3)), full_3x3_to_voigt_6_stress(stress))

    start = gas(2, mixed=False)
    start.set_cell([edge_A] * 3, scale_atoms=True)
    ensemble = Ensemble(20 * fs, "langevin", T, 0.0, isotropic=False)
    _, seen = free_flight(start, ensemble, 20_000, lambda m: full_3x3_to_voigt_6_stress(strain(m)[1]), box)
    squares = (seen - seen.mean(axis=0)) ** 2 * stiffness * volume / (kB * T)
    for entry, expected in enumerate([1, 1, 1, 0.5, 0.5, 0.5]):
        assert abs(squares[:, entry].mean() - expected) < 4 * blocks_error(squares[:, entry])
        assert abs(seen[:, entry].mean()) < 4 * blocks_error(seen[:, entry]) + 1e-3  # the gas pushes a little


def test_fixed_atoms_take_no_energy():
    atoms = gas()
    atoms.set_constraint(FixAtoms([0, 1]))
    motion, _ = free_flight(atoms, Ensemble(2 * fs, "langevin", T), 50, lambda m: m.step)
    assert motion.freedom == 18
    np.testing.assert_array_equal(motion.positions[:2], atoms.positions[:2])
    np.testing.assert_array_equal(motion.momenta[:2], 0.0)


def copper(thermostat, timestep_fs, n_steps):
    """Return the energy that should be conserved along a run of copper, and what the thermostat took."""
    atoms, emt = bulk("Cu", cubic=True), load("emt")
    ensemble = Ensemble(timestep_fs * fs, thermostat, 800.0)
    motion = begin_motion(atoms, ensemble, 4)
    take_forces(motion, emt.evaluate([atoms])[0])
    kept, heat = [], []
    for _ in range(n_steps):
        before_forces(motion, ensemble)
        atoms.positions = motion.positions
        after_forces(motion, ensemble, emt.evaluate([atoms])[0])
        kept.append(motion.potential_eV + motion.kinetic_eV + motion.heat_eV)
        heat.append(motion.heat_eV)
    return np.array(kept), np.array(heat)


@pytest.mark.parametrize("thermostat", ["bussi", "nose-hoover", "langevin"])
def test_what_a_thermostat_takes_is_accounted_for(thermostat):
    kept, heat = copper(thermostat, 2.0, 150)
    assert kept.std() < 0.05 * heat.std()


@pytest.mark.parametrize("thermostat", ["none", "nose-hoover"])
def test_the_error_of_the_conserved_energy_falls_with_the_square_of_the_timestep(thermostat):
    long, _ = copper(thermostat, 8.0, 60)
    short, _ = copper(thermostat, 4.0, 120)
    assert long.std() / short.std() == pytest.approx(4.0, rel=0.25)
