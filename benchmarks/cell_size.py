"""How much of a migration barrier is the size of the periodic cell: ``python benchmarks/cell_size.py [METAL:HOST ...]``.

Prints the barrier of a vacancy in cells that repeat the conventional one 2, 3 (``--largest 4``: and 4) times along every
direction, and what two of them give for an infinite cell. Everything is kept in ``cell_size.db``.
"""

from __future__ import annotations

import argparse

from philic.recipes.barriers.migration import Migration, plan
from philic.recipes.parts.hosts import host_atoms
from philic.workflows.analyses.cell_size import at_infinity
from philic.workflows.fireworks.here import run_here
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.store import Store

HOSTS = tuple(f"{metal}:{host}" for host in ("MF", "MCl", "M2O") for metal in ("Li", "Na", "K"))


def barrier_eV(store: Store, metal: str, host: str, repeats: int, potential: str) -> tuple[int, float]:
    """Give the number of atoms of the cell and the barrier of its shortest vacancy jump."""
    side_A = float(host_atoms(host, metal).cell.lengths().min())
    one_cell = {"min_image_A": (repeats - 0.1) * side_A, "larger_cell_atoms": 0}
    made = plan(Migration(metal=(metal,), hosts=(host,), potential=potential, **one_cell))
    run_here(made.flow, store, "cell size")
    ((step,),) = made.jumps.values()
    return step.parents["band"].n_atoms, store.get([step.key])[step.key].scalars["barrier_forward_eV"]


def main() -> None:
    """Print one line for each crystal and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hosts", nargs="*", default=HOSTS)
    parser.add_argument("--largest", type=int, default=3)
    parser.add_argument("--potential", default="chgnet")
    asked = parser.parse_args()
    store = open_store("cell_size.db")
    print(f"{'crystal':10} {'atoms':>6} {'barrier eV':>11} {'limit eV':>9}")
    for metal, host in (name.split(":") for name in asked.hosts):
        last = None
        for repeats in range(2, asked.largest + 1):
            atoms, barrier = barrier_eV(store, metal, host, repeats, asked.potential)
            limit = "" if last is None else f"{float(at_infinity(last, barrier, repeats**3 / (repeats - 1) ** 3)):.3f}"
            print(f"{metal + ' ' + host:10} {atoms:6} {barrier:11.3f} {limit:>9}", flush=True)
            last = barrier


if __name__ == "__main__":
    main()
