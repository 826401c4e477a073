"""Laws of the thermostats and the barostat on particles that do not feel each other, where the distributions are known."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.units import GPa, fs, kB

from philic.potentials import Prediction, load
from philic.workflows.integrators import Ensemble, after_forces, before_forces, begin_motion, take_forces

T = 500.0


def gas(n_atoms=8, mixed=True):
    symbols = ["Li", "K"] * (n_atoms // 2) if mixed else ["Ar"] * n_atoms
    return Atoms(symbols, positions=np.random.default_rng(0).random((n_atoms, 3)) * 20, cell=[20, 20, 20], pbc=True)


def free_flight(atoms, ensemble, n_steps, observe):
    nothing = Prediction(0.0, np.zeros((len(atoms), 3)), np.zeros(6))
    motion = begin_motion(atoms, ensemble, 1)
    take_forces(motion, nothing)
    seen = []
    for _ in range(n_steps):
        before_forces(motion, ensemble)
        after_forces(motion, ensemble, nothing)
        seen.append(observe(motion))
    return motion, np.array(seen)


def blocks_error(values):
    return values[: len(values) // 20 * 20].reshape(20, -1).mean(axis=1).std(ddof=1) / np.sqrt(20)


@pytest.mark.parametrize("thermostat", ["bussi", "langevin"])
def test_the_kinetic_energy_is_canonical(thermostat):
    ensemble = Ensemble(20 * fs if thermostat == "bussi" else 200 * fs, thermostat, T)
    motion, kinetic = free_flight(gas(), ensemble, 20_000, lambda m: m.kinetic_eV)
    freedom = 3 * 8 - 3
    assert motion.freedom == freedom
    assert abs(kinetic.mean() - freedom * kB * T / 2) < 4 * blocks_error(kinetic)
    spread = (kinetic - kinetic.mean()) ** 2
    assert abs(spread.mean() - freedom * (kB * T) ** 2 / 2) < 4 * blocks_error(spread)


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


def test_fixed_atoms_take_no_energy():
    atoms = gas()
    atoms.set_constraint(FixAtoms([0, 1]))
    motion, _ = free_flight(atoms, Ensemble(2 * fs, "langevin", T), 50, lambda m: m.step)
    assert motion.freedom == 18
    np.testing.assert_array_equal(motion.positions[:2], atoms.positions[:2])
    np.testing.assert_array_equal(motion.momenta[:2], 0.0)


def copper(thermostat, timestep_fs, n_steps):
    """Return the energy that should be conserved, and the temperature, along a run of copper."""
    atoms, emt = bulk("Cu", cubic=True), load("emt")
    ensemble = Ensemble(timestep_fs * fs, thermostat, 800.0)
    motion = begin_motion(atoms, ensemble, 4)
    take_forces(motion, emt.evaluate([atoms])[0])
    kept, temperatures = [], []
    for _ in range(n_steps):
        before_forces(motion, ensemble)
        atoms.positions = motion.positions
        after_forces(motion, ensemble, emt.evaluate([atoms])[0])
        kept.append(motion.potential_eV + motion.kinetic_eV + motion.heat_eV)
        temperatures.append(motion.temperature_K)
    return np.array(kept), np.array(temperatures)


@pytest.mark.parametrize("thermostat", ["none", "nose-hoover"])
def test_the_error_of_the_conserved_energy_falls_with_the_square_of_the_timestep(thermostat):
    long, _ = copper(thermostat, 8.0, 60)
    short, _ = copper(thermostat, 4.0, 120)
    assert long.std() / short.std() == pytest.approx(4.0, rel=0.25)


def test_a_nose_hoover_chain_keeps_copper_at_its_temperature():
    _, temperatures = copper("nose-hoover", 5.0, 1000)
    settled = temperatures[200:]
    assert abs(settled.mean() - 800.0) < 4 * blocks_error(settled)
