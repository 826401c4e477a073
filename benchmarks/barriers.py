"""Barriers of a potential beside published ones: both end points relaxed, then the band, for each path of a folder.

Run ``python benchmarks/barriers.py FOLDER --potential chgnet``; ``FOLDER/paths.json`` is a list of entries with ``name``,
``barrier_dft_eV``, ``cell``, ``symbols``, ``scaled_initial``, ``mover_index`` and ``mover_final_scaled``. Each path is
printed as it ends. What is in the store is not computed again: stop it and go on at will.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from ase import Atoms
from scipy.stats import spearmanr

from philic.workflows.engine.flow import Derived, Flow, Step
from philic.workflows.fireworks.here import run_here
from philic.workflows.stores.opening import open_store

FMAX_eV_PER_A = 0.05


def end_points(path):
    start = Atoms(path["symbols"], scaled_positions=path["scaled_initial"], cell=path["cell"], pbc=True)
    end = start.copy()
    end.positions[path["mover_index"]] = path["mover_final_scaled"] @ start.cell
    return start, end


def band(path, potential):
    start, end = (
        Step("relax", {}, atoms, potential=potential, about={"host": path["name"], "site": role})
        for role, atoms in zip(("start", "end"), end_points(path), strict=True)
    )
    parents = {"start": start, "end": end}
    about = {"host": path["name"]}
    return Step(
        "neb",
        {"fmax_eV_per_A": FMAX_eV_PER_A},
        Derived(start, start.n_atoms),
        parents=parents,
        potential=potential,
        about=about,
    )


def line(path, results):
    """Print the result of a path; return its error in eV where there is one."""
    *relaxed, found = results
    calls = f"{sum(result.force_calls for result in relaxed):4d} + {found.force_calls:3d} calls"
    published = path["barrier_dft_eV"]
    print(f"{path['name']:24s} {len(path['symbols']):3d} atoms  {calls}  DFT {published:.3f}", end="  ")
    if "barrier_forward_eV" not in found.scalars:
        print(f"{found.status.value}: {found.message}", flush=True)
        return None
    barrier = found.scalars["climb_forward_eV"]
    print(f"here {barrier:.3f} eV  {barrier - published:+.3f}  {found.message}", flush=True)
    return barrier if found.status == "converged" else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--potential", default="chgnet")
    parser.add_argument("--store", type=Path, default=Path("barriers.db"))
    parser.add_argument("--only", nargs="*", help="names of paths")
    asked = parser.parse_args()
    paths = json.loads((asked.folder / "paths.json").read_text(encoding="utf-8"))
    store = open_store(asked.store)
    pairs, calls = [], 0
    chosen = [path for path in paths if not asked.only or path["name"] in asked.only]
    for path in chosen:
        step = band(path, asked.potential)
        run_here(Flow([step]), store, path["name"])
        results = store.get([*(parent.key for parent in step.parents.values()), step.key])
        ordered = [results[parent.key] for parent in step.parents.values()] + [results[step.key]]
        calls += sum(result.force_calls for result in ordered)
        barrier = line(path, ordered)
        if barrier is not None:
            pairs.append((path["barrier_dft_eV"], barrier))
    print(f"{len(pairs)} of {len(chosen)} paths converged, {calls} force calls")
    if len(pairs) > 1:
        published, found = np.array(pairs).T
        errors = found - published
        rank = spearmanr(published, found).statistic
        mean, median = abs(errors).mean(), np.median(abs(errors))
        print(f"MAE {mean:.3f} eV, median {median:.3f}, bias {errors.mean():+.3f}, rank {rank:.2f}")


if __name__ == "__main__":
    main()
