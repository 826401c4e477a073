"""Nanoseconds a day of molecular dynamics, ours beside plain ASE with the same calculator in the same run.

Run ``python benchmarks/md.py [POTENTIAL ...]`` (some minutes on two cores). Both integrate velocity Verlet without a
thermostat from the same momenta, in turns of ten steps so that a busy machine is as hard on both. ``loop`` is what ours
costs above its force calls, with frames, checks and checkpoint; ``drift`` is of the total energy, in meV per atom and
picosecond, over the picosecond that is timed. The last columns run two and four replicas through joint
calls: nanoseconds of all together a day, over those of one.

A skin that keeps neighbours from step to step would gain CHGNet nothing: making its graph anew takes 1 % of a force call of
64 or 216 atoms, 3 % of 384.
"""

import sys
import tempfile
import time
from pathlib import Path

from ase.build import bulk
from ase.md.verlet import VelocityVerlet
from ase.units import fs
from rich.console import Console
from rich.table import Table

from philic.potentials import load
from philic.workflows.dynamics.integrators import Ensemble, begin_motion
from philic.workflows.dynamics.md import md

TIMESTEP_fs, TEMPERATURE_K, STEPS, STEPS_OF_SEVERAL, BLOCK = 2.0, 300.0, 500, 20, 10
CELLS = {
    "chgnet": [bulk("NaCl", "rocksalt", a=5.64, cubic=True) * n for n in ((1, 1, 1), (2, 2, 2))],
    "emt": [bulk("Cu", cubic=True) * n for n in ((2, 2, 2), (3, 3, 3))],
    "lj": [bulk("Ar", a=5.4, cubic=True) * n for n in ((1, 1, 1), (2, 2, 2))],
}


def ours(structures, potential, folders, steps, watch=lambda _: None):
    """Bring the runs to so many steps; return seconds in all and in force calls, the force calls, and one run's drift."""
    parameters = {"temperature_K": TEMPERATURE_K, "timestep_fs": TIMESTEP_fs, "thermostat": "none", "steps": steps}
    start = time.perf_counter()
    outcomes = [outcome for _, outcome in md(structures, potential, folders=folders, watch=watch, **parameters)]
    seconds = time.perf_counter() - start
    drift = outcomes[0].scalars["drift_meV_per_atom_ps"]
    return seconds, sum(outcome.wall_s for outcome in outcomes), sum(outcome.force_calls for outcome in outcomes), drift


def measure(atoms, potential):
    """Return seconds a step: ASE's, ours, our force calls', ours of one, two and four replicas in turns; and the drift."""
    theirs = atoms.copy()
    theirs.calc = potential.calculator()
    theirs.set_momenta(begin_motion(atoms, Ensemble(TIMESTEP_fs * fs, "none", TEMPERATURE_K), 0).momenta)
    dynamics = VelocityVerlet(theirs, TIMESTEP_fs * fs)
    dynamics.run(1)
    calls, ase_s = 0, 0.0

    def alternate(_):
        nonlocal calls, ase_s
        calls += 1
        if calls % BLOCK == 0:
            start = time.perf_counter()
            dynamics.run(BLOCK)
            ase_s += time.perf_counter() - start

    with tempfile.TemporaryDirectory() as folder:
        ours([atoms], potential, [Path(folder) / "0"], BLOCK)
        both_s, forces_s, n, drift = ours([atoms], potential, [Path(folder) / "0"], BLOCK + STEPS, alternate)
        assert calls == n == STEPS
        several = [replicas(atoms, potential, Path(folder)) for _ in range(2)]
    seconds = [min(times) for times in zip(*several, strict=True)]
    return ase_s / STEPS, (both_s - ase_s) / STEPS, forces_s / STEPS, seconds, drift


def replicas(atoms, potential, folder):
    """Return seconds a step and replica of one, two and four replicas."""
    seconds = []
    for count in (1, 2, 4):
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            folders = [Path(fresh) / str(i) for i in range(count)]
            all_s, _, n, _ = ours([atoms] * count, potential, folders, STEPS_OF_SEVERAL)
        seconds.append(all_s / n)
    return seconds


def ns_per_day(seconds_per_step):
    return 86400 / seconds_per_step * TIMESTEP_fs * 1e-6


def main(names):
    table = Table("potential", "atoms", "ms a force call", "ASE ns/day", "ours ns/day", "loop", "drift", "two", "four")
    for name in names:
        potential = load(name)
        for atoms in CELLS[name]:
            theirs, own, forces, (one, *more), drift = measure(atoms, potential)
            figures = (f"{ns_per_day(t):.3g}" for t in (theirs, own))
            gains = (f"{one / several:.2f}" for several in more)
            table.add_row(
                name, str(len(atoms)), f"{1e3 * forces:.1f}", *figures, f"{own / forces - 1:+.1%}", f"{drift:+.3f}", *gains
            )
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:] or list(CELLS))
