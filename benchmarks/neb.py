"""Force calls that bands need with EMT: what the way down in `philic.workflows.neb.descent` rests on.

Run ``python benchmarks/neb.py`` (a minute on two cores). All begin from the same images, end points relaxed to
0.01 eV/Å, and stop at 0.05 eV/Å (ASE counts its springs' forces too) or after 100 moves (``!``). Behind the force calls
(ASE's count both end points): the barrier in eV, which is 0.3740 eV for gold on Al(100).
"""

from dataclasses import replace

import numpy as np
from ase.build import add_adsorbate, bulk, fcc100, fcc111
from ase.constraints import FixAtoms
from ase.mep import NEB
from ase.mep.neb import NEBOptimizer
from ase.optimize import BFGS, FIRE
from rich.console import Console
from rich.table import Table

from philic.potentials import load
from philic.potentials.calculator import PotentialCalculator
from philic.structures.jumps.paths import farthest_A, interpolated, matched, straight
from philic.workflows.neb.neb import band
from philic.workflows.neb.path import Course, End
from philic.workflows.steps.relax import relax
from philic.workflows.steps.together import together

FMAX_eV_PER_A, MOVES = 0.05, 100


def hollow_to_hollow(metal, slab):
    """A metal atom between neighbouring hollows; only it and the top layer move."""
    add_adsorbate(slab, metal, 1.7, "hollow")
    slab.center(axis=2, vacuum=4.0)
    slab.set_constraint(FixAtoms([atom.index for atom in slab if atom.tag > 1]))
    end = slab.copy()
    end.positions[-1, 0] += slab.cell[0, 0] / 3
    return slab, end


def fcc_to_hcp():
    slab = fcc111("Cu", (3, 3, 4))
    add_adsorbate(slab, "Cu", 2.0, "fcc")
    slab.center(axis=2, vacuum=5.0)
    slab.set_constraint(FixAtoms([atom.index for atom in slab if atom.tag > 2]))
    end = slab.copy()
    end.positions[-1] += np.array([1, 1 / 3**0.5, 0]) * slab.cell[0, 0] / 6
    return slab, end


def exchange():
    """An aluminium adatom takes a place in Al(100), and the atom of that place goes up."""
    slab, _ = hollow_to_hollow("Al", fcc100("Al", (3, 3, 3)))
    slab.set_constraint(FixAtoms([atom.index for atom in slab if atom.tag > 2]))
    end, step = slab.copy(), slab.cell[0, 0] / 3
    way = np.array([step / 2, step / 2, 0])
    top = [atom.index for atom in slab if atom.tag == 1]
    target = min(top, key=lambda i: np.linalg.norm((slab.positions[i] - slab.positions[-1] - way)[:2]))
    end.positions[-1] = slab.positions[target]
    end.positions[target] = slab.positions[-1] + 2 * way
    return slab, end


def vacancy():
    whole = bulk("Cu", cubic=True) * (3, 3, 3)
    start, end = whole.copy(), whole.copy()
    end.positions[1] = whole.positions[0]
    del start[0], end[0]
    return start, end


CASES = {
    "Au on Al(100)": lambda: hollow_to_hollow("Au", fcc100("Al", (3, 3, 3))),
    "Cu on Cu(111)": fcc_to_hcp,
    "Al exchanged in Al(100)": exchange,
    "vacancy in Cu": vacancy,
}


def ase_calls(optimiser, images, potential):
    calls = 0

    def counted(structures, stress):
        nonlocal calls
        calls += len(structures)
        return potential.predict(structures, stress)

    band = NEB([image.copy() for image in images], climb=True, method="improvedtangent")
    for image in band.images:
        image.calc = PotentialCalculator(replace(potential, predict=counted))
    optimisation = optimiser(band, logfile=None)
    converged = optimisation.run(fmax=FMAX_eV_PER_A, steps=MOVES)
    energies = [image.get_potential_energy() for image in band.images]
    return f"{calls}{'' if converged else '!'} ({max(energies) - energies[0]:.4f})"


def our_calls(ends, potential, mirrored):
    course = Course(potential.card.cutoff_A, FMAX_eV_PER_A, MOVES, mirrored=mirrored)
    ((_, outcome),) = together([band(*ends, course)], potential)
    done = "" if outcome.status == "converged" else "!"
    return f"{outcome.force_calls}{done} ({outcome.scalars['barrier_forward_eV']:.4f})"


def main():
    potential = load("emt")
    theirs = (FIRE, BFGS, NEBOptimizer)
    table = Table("jump", "philic", "philic, whole band", *(optimiser.__name__ for optimiser in theirs))
    for name, case in CASES.items():
        outcomes = dict(relax(case(), potential, fmax_eV_per_A=0.01))
        ends = [
            End(outcome.structures["final"], outcome.scalars["energy_eV"], outcome.arrays["forces_eV_per_A"])
            for _, outcome in sorted(outcomes.items())
        ]
        start, (end, _) = ends[0].atoms, matched(ends[0].atoms, ends[1].atoms)
        count = Course(potential.card.cutoff_A).n_images(farthest_A(start, end))
        images = []
        for positions in interpolated(start, straight(start, end, count)):
            images.append(start.copy())
            images[-1].positions = positions
        ours = [our_calls(ends, potential, mirrored) for mirrored in (True, False)]
        table.add_row(name, *ours, *(ase_calls(optimiser, images, potential) for optimiser in theirs))
    Console().print(table)


if __name__ == "__main__":
    main()
