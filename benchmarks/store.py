"""What it costs to search, sort and export a large store: seconds, and memory at its peak.

    python benchmarks/store.py [--results 10000 100000 1000000] [--folder FOLDER]

Each result is an adsorption energy of one of three metals on one of 1,000 hosts, with 33 atoms and their forces.
A search reads the first 1,000 rows. Each line is of a process of its own. Memory is what the
process grows by, beyond its imports. The last line of each size adds a thousand results one by one, as a run does.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

ASKED = {
    "one host": (["host=host-517", "metal=K"], ""),
    "a thousandth by energy": (["vs_bulk_eV<-0.998"], ""),
    "one metal and a tenth by energy": (["metal=Na", "vs_bulk_eV>0.8"], ""),
    "the thousand lowest of a metal": (["metal=K"], "vs_bulk_eV"),
    "nothing": (["metal=Rb"], ""),
}
SHOWN = 1_000


def results(n):
    import numpy as np
    from ase import Atoms

    from philic.workflows.stores.result import Result, Status

    chosen = random.Random(1)
    atoms = Atoms("KC32", np.random.default_rng(1).random((33, 3)) * 10, cell=[10, 10, 20], pbc=[1, 1, 0])
    origin = {"fingerprint": {"name": "chgnet"}, "device": "cpu", "created": "2026-01-01T00:00:00+00:00"}
    for number in range(n):
        scalars = {
            "vs_bulk_eV": chosen.uniform(-1, 1),
            "vs_atom_eV": chosen.uniform(-2, 0),
            "height_A": chosen.uniform(2, 3),
        }
        yield Result(
            Status.CONVERGED,
            "adsorbed",
            {
                **scalars,
                "height_A": chosen.uniform(2, 3),
                "stayed": True,
                "n_atoms": 33,
                "energy_eV": chosen.uniform(-300, -200),
            },
            {"final": atoms},
            {"forces_eV_per_A": np.zeros((33, 3))},
            key=f"{number:064x}",
            function="adsorption",
            about={"metal": ("Li", "Na", "K")[number % 3], "host": f"host-{number // 3 % 1000}", "site": "hollow C6"},
            provenance=origin,
        )


def fill(path, n):
    """Enter results, many in a transaction: one by one, a commit each is what takes the time."""
    import sqlalchemy as sa

    from philic.workflows.stores import index, tables
    from philic.workflows.stores.opening import open_store
    from philic.workflows.stores.sql import INSERT
    from philic.workflows.stores.tables import row_of

    store = open_store(path)
    given, statements, start = results(n), index.insertions(INSERT["sqlite"]), time.perf_counter()
    while some := list(islice(given, 10_000)):
        with store.engine.begin() as connection:
            connection.execute(sa.insert(tables.results), [row_of(result) for result in some])
            index.put(connection, some, statements)
    return {"seconds": time.perf_counter() - start, "MB": 0, "rows": n}


def add(path, n):
    """Add results one by one, as a run does."""
    from philic.workflows.stores.opening import open_store

    store = open_store(path)
    more = [replace(result, key=f"more-{result.key}") for result in results(n)]
    start = time.perf_counter()
    for result in more:
        store.add(result)
    return {"seconds": time.perf_counter() - start, "MB": 0, "rows": len(more)}


def search(path, name):
    from philic.workflows.stores.export import select
    from philic.workflows.stores.opening import open_store

    before, start = peak_MB(), time.perf_counter()
    rows = list(islice(select(open_store(path, reading=True), "adsorption", *ASKED[name]).rows(), SHOWN))
    return {"seconds": time.perf_counter() - start, "MB": peak_MB() - before, "rows": len(rows)}


def export(path, ending):
    from philic.workflows.stores.export import select, write
    from philic.workflows.stores.opening import open_store

    if ending == ".parquet":
        import pyarrow.parquet  # noqa: F401
    target = path.with_suffix(ending)
    before, start = peak_MB(), time.perf_counter()
    n = write(select(open_store(path, reading=True), "adsorption"), target)
    figures = {"seconds": time.perf_counter() - start, "MB": peak_MB() - before, "rows": n}
    target.unlink()
    return figures


def peak_MB():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


MEASURED = {"fill": fill, "add": add, "search": search, "export": export}


def measured(what, path, of):
    command = [sys.executable, __file__, "--measure", what, str(path), str(of)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="where the stores are made, 9 GB for a million; the system's folder")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, path, of = options.measure
        print(json.dumps(MEASURED[what](Path(path), int(of) if what in ("fill", "add") else of)))
        return
    print("| results | what | rows | s | MB |\n|---|---|---|---|---|")
    for n in options.results:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            path = Path(folder) / "philic.db"
            exports = (("export", ending) for ending in (".csv", ".parquet"))
            lines = [("fill", n), *(("search", name) for name in ASKED), *exports, ("add", 1_000)]
            for what, of in lines:
                figures = measured(what, path, of)
                words = what if what in ("fill", "add") else f"{what}: {of}"
                print("| {} | {} | {rows} | {seconds:.2f} | {MB:.0f} |".format(n, words, **figures), flush=True)
            print(f"| {n} | size of the file | | | {path.stat().st_size / 1e6:.0f} |")


if __name__ == "__main__":
    main()
