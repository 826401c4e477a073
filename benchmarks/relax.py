"""Force calls of relaxations: what the choice in `philic.workflows.steps.quasi_newton` rests on.

Run ``python benchmarks/relax.py`` (some minutes on two cores). Each optimiser starts from the same geometry and stops at
0.02 eV/Å or after 300 calls (``!``): K over a hollow of a relaxed host, and crystals of the library with their cells, as
their sources have them. Behind the calls: energy at the end in meV against the first column's.
"""

from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE, FIRE2, LBFGS
from rich.console import Console
from rich.table import Table

from philic.potentials import load
from philic.structures.carbons.carbon import carbon_host
from philic.structures.crystals.crystals import crystal
from philic.structures.sites.adatoms import place_adatoms
from philic.structures.sites.sites import adsorption_sites
from philic.workflows.steps.relax import relax

HOSTS = ("pristine", "N", "vacancy", "S", "O-P", "O-C-B")
CRYSTALS = (("M2O2", "K"), ("MOH", "K"), ("M3PO4", "Li"), ("P-black", None), ("Sb2S3", None), ("LiP7", None))
STEPS, FMAX_eV_PER_A = 300, 0.02


def starts(potential):
    """Yield K on the nearest hollow of each relaxed host, and crystals; whether the cell relaxes."""
    hosts = [carbon_host(name) for name in HOSTS]
    outcomes = dict(relax(hosts, potential))
    for index, (name, host) in enumerate(zip(HOSTS, hosts, strict=True)):
        site = next(site for site in adsorption_sites(host) if site.kind == "hollow")
        yield f"K on {name}", place_adatoms(outcomes[index].structures["final"], "K", [site.anchors], face=site.face), False
    for name, metal in CRYSTALS:
        yield name.replace("M", metal or "M"), crystal(name, metal), True


def ase_calls(optimiser, start, potential, relax_cell):
    atoms = start.copy()
    atoms.calc = potential.calculator()
    optimisation = optimiser(FrechetCellFilter(atoms) if relax_cell else atoms, logfile=None)
    converged = optimisation.run(fmax=FMAX_eV_PER_A, steps=STEPS)
    return optimisation.nsteps + 1, converged, atoms.get_potential_energy()


def main():
    potential = load("chgnet")
    table = Table("", "philic", *(optimiser.__name__ for optimiser in (BFGS, LBFGS, FIRE, FIRE2)))
    for name, start, relax_cell in starts(potential):
        asked = {"fmax_eV_per_A": FMAX_eV_PER_A, "max_steps": STEPS, "relax_cell": relax_cell}
        (ours,) = (outcome for _, outcome in relax([start], potential, **asked))
        cells = [f"{ours.force_calls}{'' if ours.status == 'converged' else '!'}"]
        for optimiser in (BFGS, LBFGS, FIRE, FIRE2):
            calls, converged, energy_eV = ase_calls(optimiser, start, potential, relax_cell)
            cells.append(f"{calls}{'' if converged else '!'} ({1e3 * (energy_eV - ours.scalars['energy_eV']):+.0f})")
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
