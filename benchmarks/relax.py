"""Force calls that optimisers need for K on doped graphene: what the choice in `philic.workflows.steps.relax` rests on.

Run ``python benchmarks/relax.py`` (some minutes on two cores). Each optimiser starts from the same geometry, a
relaxed host with K placed over a hollow, and stops at 0.02 eV/Å or after 300 calls (``!``). Behind the calls: energy at the
end in meV against the first column's.
"""

from ase.optimize import BFGS, FIRE, FIRE2, LBFGS
from rich.console import Console
from rich.table import Table

from philic.potentials import load
from philic.structures.carbons.carbon import carbon_host
from philic.structures.sites.adatoms import place_adatoms
from philic.structures.sites.sites import adsorption_sites
from philic.workflows.steps.relax import relax

HOSTS = ("pristine", "N", "vacancy", "S", "O-P", "O-C-B")
STEPS, FMAX_eV_PER_A = 300, 0.02


def starts(potential):
    """Yield K on the nearest hollow of each relaxed host."""
    hosts = [carbon_host(name) for name in HOSTS]
    outcomes = dict(relax(hosts, potential))
    for index, (name, host) in enumerate(zip(HOSTS, hosts, strict=True)):
        site = next(site for site in adsorption_sites(host) if site.kind == "hollow")
        yield name, place_adatoms(outcomes[index].structures["final"], "K", [site.anchors], face=site.face)


def ase_calls(optimiser, start, potential):
    atoms = start.copy()
    atoms.calc = potential.calculator()
    optimisation = optimiser(atoms, logfile=None)
    converged = optimisation.run(fmax=FMAX_eV_PER_A, steps=STEPS)
    return optimisation.nsteps + 1, converged, atoms.get_potential_energy()


def main():
    potential = load("chgnet")
    table = Table("host", "philic", *(optimiser.__name__ for optimiser in (BFGS, LBFGS, FIRE, FIRE2)))
    for name, start in starts(potential):
        (ours,) = (outcome for _, outcome in relax([start], potential, fmax_eV_per_A=FMAX_eV_PER_A, max_steps=STEPS))
        cells = [f"{ours.force_calls}{'' if ours.status == 'converged' else '!'}"]
        for optimiser in (BFGS, LBFGS, FIRE, FIRE2):
            calls, converged, energy_eV = ase_calls(optimiser, start, potential)
            cells.append(f"{calls}{'' if converged else '!'} ({1e3 * (energy_eV - ours.scalars['energy_eV']):+.0f})")
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
