"""Gather finished labels into committed batches, and write the table of what there is.

    python training/collect.py --folder labels

A batch holds the converged ones of a hundred structures that follow each other in the list, so that a later collection
changes only the batches that were not full. The same labels give the same bytes. What is in a batch stays in it: the
folder of JSON files need not survive. Needs ASE and NumPy only.
"""

import argparse
import gzip
import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

HERE = Path(__file__).parent
BATCH = 100
NUMBERS = ("energy", "free_energy", "forces", "stress", "magmom")


def frame(record: dict[str, Any]) -> Atoms:
    """Make the labelled structure of a converged record: results as those of a calculator, the rest in ``info``."""
    atoms = Atoms(record["symbols"], positions=record["positions"], cell=record["cell"], pbc=record["pbc"])
    chosen = record["settings"]
    atoms.info.update({key: record[key] for key in ("name", "class", "metal", "host", "iterations", "wall_s", "cpu_s")})
    atoms.info["spin_polarised"] = chosen["spin_polarised"]
    atoms.info["gpaw"] = record["versions"]["gpaw"]
    atoms.info["settings"] = json.dumps(chosen, sort_keys=True)
    results = {
        key: np.array(record[key]) if key in ("forces", "stress") else record[key] for key in NUMBERS if key in record
    }
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def packed(frames: list[Atoms]) -> bytes:
    """Write extended XYZ, compressed: the same bytes for the same frames."""
    text = io.StringIO()
    write(text, frames, format="extxyz")
    return gzip.compress(text.getvalue().encode(), mtime=0)


def unpacked(path: Path) -> list[Atoms]:
    """Read a batch."""
    frames: list[Atoms] = read(path, ":", format="extxyz")
    return frames


def check_same(frames: list[Atoms], path: Path) -> None:
    """
    Read a batch again and compare it with what was written, and with what it would be written as now.

    Raises
    ------
    ValueError
        When a number differs by more than the digits that extended XYZ holds, or the bytes do.
    """
    again = unpacked(path)
    if [one.info["name"] for one in again] != [one.info["name"] for one in frames]:
        raise ValueError(f"`{path.name}` holds other structures than were written: delete it and collect again")
    for one, other in zip(frames, again, strict=True):
        pairs = [(one.positions, other.positions), (one.cell.array, other.cell.array)]
        pairs += [(one.calc.results[key], other.calc.results[key]) for key in NUMBERS if key in one.calc.results]
        if any(np.abs(np.subtract(a, b)).max() > 1e-8 for a, b in pairs) or str(one.symbols) != str(other.symbols):
            raise ValueError(f"{one.info['name']!r} in `{path.name}` differs from its label: delete it and collect again")
    if packed(again) != path.read_bytes():
        raise ValueError(f"`{path.name}` is not written as it was read: ASE changed its format")


def collect(folder: Path, candidates: Path, batches: Path) -> tuple[list[Atoms], list[dict[str, Any]]]:
    """Merge the JSON files into the batches; give all labels, and the records that did not converge."""
    batches.mkdir(parents=True, exist_ok=True)
    records = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    left_out = batches / "not-converged.json"
    failed = {record["name"]: record for record in json.loads(left_out.read_text())} if left_out.exists() else {}
    keys = ("name", "class", "iterations", "cpu_s", "settings")
    failed |= {name: {key: record[key] for key in keys} for name, record in records.items() if not record["converged"]}
    names = [atoms.info["name"] for atoms in read(candidates, ":", format="extxyz")]
    labels = []
    for start in range(0, len(names), BATCH):
        path = batches / f"labels-{start // BATCH:03d}.xyz.gz"
        known = {atoms.info["name"]: atoms for atoms in unpacked(path)} if path.exists() else {}
        for name in names[start : start + BATCH]:
            if name in records and records[name]["converged"] and name not in known:
                known[name] = frame(records[name])
        frames = [known[name] for name in names[start : start + BATCH] if name in known]
        if frames:
            path.write_bytes(packed(frames))
            check_same(frames, path)
        labels += frames
    if failed:
        left_out.write_text(json.dumps([failed[name] for name in sorted(failed)], indent=1) + "\n")
    return labels, list(failed.values())


def table(labels: list[Atoms], failed: list[dict[str, Any]], n_candidates: int) -> str:
    """Write the table of labels by class as markdown."""
    rows: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    for atoms in labels:
        row = rows[atoms.info["class"]]
        row[0] += 1
        row[1] += len(atoms)
        row[3] += atoms.info["cpu_s"] / 3600
    for record in failed:
        row = rows[record["class"]]
        row[2] += 1
        row[3] += record["cpu_s"] / 3600
    lines = [
        f"# Labels: {len(labels)} of {n_candidates} candidates",
        "",
        "Written by `collect.py`. CPU hours hold those of runs that did not converge.",
        "",
        "| class | labels | atoms | not converged | CPU hours |",
        "|---|--:|--:|--:|--:|",
    ]
    total = [sum(row[i] for row in rows.values()) for i in range(4)]
    for name, row in [*sorted(rows.items()), ("all", total)]:
        lines.append(f"| {name} | {row[0]} | {row[1]} | {row[2]} | {row[3]:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Collect, check and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="the JSON files of `label.py`")
    parser.add_argument("--candidates", type=Path, default=HERE / "candidates.xyz.gz", help="the list of structures")
    parser.add_argument("--batches", type=Path, default=HERE / "labels", help="where the batches are")
    options = parser.parse_args()
    labels, failed = collect(options.folder, options.candidates, options.batches)
    n_candidates = len(read(options.candidates, ":", format="extxyz"))
    (options.batches / "README.md").write_text(table(labels, failed, n_candidates))
    print(f"{len(labels)} labels and {len(failed)} not converged in {options.batches}")


if __name__ == "__main__":
    main()
