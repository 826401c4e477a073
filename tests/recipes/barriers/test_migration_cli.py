"""Migration from the command line: a recipe file, its tables, and what is stored as CSV and picture."""

import csv
import subprocess
import sys

RECIPE = """\
recipe: migration
question: How easily does a vacancy move in KF?
metal: K
hosts: [KF, Si]
min_image_A: 7.0
larger_cell_atoms: 0
fmax_eV_per_A: 0.1
endpoint_fmax_eV_per_A: 0.05
"""


def philic(*arguments, cwd):
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_recipe_file_runs_and_its_results_are_exported(tmp_path):
    (tmp_path / "small.yaml").write_text(RECIPE)
    run = philic("run", "small.yaml", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "warning: K in Si by vacancy is left out" in run.stdout
    assert "vacancy 3.78 A" in run.stdout
    assert "…" not in run.stdout
    assert "of 6 steps 6 converged" in run.stdout

    for name in ("x.csv", "x.png"):
        export = philic("results", "--function", "migration", "--to", name, cwd=tmp_path)
        assert (export.returncode, export.stdout) == (0, f"1 results written to {name}\n"), export.stderr
    (row,) = csv.DictReader((tmp_path / "x.csv").read_text().splitlines())
    assert (row["metal"], row["host"], row["trust"]) == ("K", "KF", "doubtful")
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"

    again = philic("results", "--function", "migration", "--to", "x.png", cwd=tmp_path)
    assert again.returncode == 2
    assert again.stderr == "error: `x.png` exists already: choose another name or remove it first\n"
