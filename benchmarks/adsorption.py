"""Force calls of the adsorption recipe, and whether its starts miss a minimum: ``python benchmarks/adsorption.py [STORE]``.

Each recipe is run as it is, and with every symmetry-distinct top, bridge and hollow within 3 Å of the dopant or defect as a
start (of a face, all). What a host's own starts miss of its lowest energy is printed. Some 20 minutes on two cores.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from philic.recipes.adsorption.adsorption import analyse, plan
from philic.recipes.running.recipe_files import read
from philic.workflows.fireworks.here import run_here
from philic.workflows.stores.opening import open_store

RECIPES = {
    "k-philic-dopants": {},
    "the same for Li": {"metal": "Li"},
    "faces of crystals": {"metal": "Na", "dopants": "[]", "hosts": "[Cu(111), MF(100), M2O(111)]", "near_A": "all"},
}
EVERYWHERE = {"sites": "[top, bridge, hollow]", "near_A": "3"}
MISSED_eV = 0.002


def lowest(overrides, store):
    """Give the lowest energy by host, and how many relaxations and force calls it took."""
    made = plan(read("k-philic-dopants", {"cross_check": "none", **overrides}).parameters)
    run_here(made.flow, store, "benchmark")
    results = store.get(made.flow.steps)
    sites = [step for step in made.flow if step.function == "relax"]
    calls = sum(results[step.key].force_calls for step in sites)
    energies = {row.host: row.best.scalars["vs_bulk_eV"] for row in analyse(made, results) if row.rank}
    return energies, len(sites), calls


def main():
    table = Table("recipe", "relaxations", "force calls", "all starts", "force calls", "misses (eV)")
    with TemporaryDirectory() as folder:
        store = open_store(Path(sys.argv[1] if len(sys.argv) > 1 else f"{folder}/benchmark.db"))
        for name, overrides in RECIPES.items():
            few, n, calls = lowest(overrides, store)
            every, n_all, calls_all = lowest(overrides | EVERYWHERE, store)
            missed = {host: few[host] - every[host] for host in every if few[host] > every[host] + MISSED_eV}
            words = ", ".join(f"{host} {energy_eV:.3f}" for host, energy_eV in missed.items()) or "none"
            table.add_row(name, f"{n}", f"{calls}", f"{n_all}", f"{calls_all}", words)
            Console(width=120).print(table)


if __name__ == "__main__":
    main()
