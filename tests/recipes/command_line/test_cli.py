"""The command line as a user meets it: real processes, a real potential, a store on disk."""

import contextlib
import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

import ase.db
import ase.io
import pytest
from ase.build import bulk

from philic.workflows.engine.registry import STEPS
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Result, Status
from philic.workflows.stores.store import State

SMALL = """\
recipe: adsorption
question: Does nitrogen help graphene to hold potassium?
metal: K
dopants: N
size: [3, 3]
sites: hollow
near_A: 1.5
fmax_eV_per_A: 0.05
"""


def philic(*arguments, cwd, **options):
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, **options)


def start(*arguments, cwd):
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a recipe that has been run once, unbroken."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "small.yaml").write_text(SMALL)
    run = philic("run", "small.yaml", cwd=folder)
    assert run.returncode == 0, run.stderr
    (folder / "first.txt").write_text(run.stdout)
    return folder


def table(text):
    """The cells of the ranked table, by host."""
    rows = [line.split() for line in text.splitlines() if line.strip()[:1] in ("1", "2")]
    return {row[1]: row for row in rows if row[1] in ("N", "pristine")}


def test_a_run_prints_a_plan_a_ranked_table_and_what_the_potential_is_worth(folder):
    text = (folder / "first.txt").read_text()
    assert "K on 2 hosts, 2 sites; potential chgnet" in text
    assert "0 already stored; about " in text
    rows = table(text)
    assert rows["pristine"][4] == "+0.000"
    vs_pristine, vs_bulk = map(float, rows["N"][4:6])
    assert vs_pristine == pytest.approx(vs_bulk - float(rows["pristine"][5]), abs=0.0011)
    assert "chgnet is doubtful for K: bulk modulus" in text
    assert "It cannot tell whether a host holds K" in " ".join(text.split())
    assert "philic\n" not in text
    assert "phobic" not in text


def test_a_second_run_computes_nothing_and_says_so(folder):
    again = philic("run", "small.yaml", cwd=folder)
    assert "nothing to compute" in again.stdout
    assert "0 force calls, 0 steps computed" in again.stdout
    assert table(again.stdout) == table((folder / "first.txt").read_text())
    assert len(open_store(folder / "philic.db").runs()) >= 2


def test_a_dry_run_writes_nothing(folder, tmp_path):
    dry = philic("run", folder / "small.yaml", "--dry-run", cwd=tmp_path)
    assert dry.returncode == 0
    assert "0 already stored; about" in dry.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_run_records_what_a_rerun_needs(folder):
    run = open_store(folder / "philic.db").runs()[0]
    assert run.recipe == "small"
    assert run.parameters["fmax_eV_per_A"] == 0.05
    assert run.lock["potential"]["weights_sha256"]
    assert {"philic", "ase", "torch", "chgnet", "fireworks"} <= run.lock["versions"].keys()
    assert len(run.keys) == len(open_store(folder / "philic.db").finished(run.keys))


@pytest.mark.parametrize("enough", [0, 5])
def test_killed_and_run_again_it_ends_with_the_same_digits(folder, tmp_path, enough):
    store = tmp_path / "killed.db"
    worker = start("run", folder / "small.yaml", "--store", store, cwd=tmp_path)
    while worker.poll() is None and (not store.exists() or len(finished(store)) < enough):
        time.sleep(0.05)
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    before = finished(store)
    resumed = philic("run", folder / "small.yaml", "--store", store, cwd=tmp_path)
    assert f"{len(before)} already stored" in resumed.stdout
    unbroken = finished(folder / "philic.db")
    after = finished(store)
    assert {key: result.scalars for key, result in after.items()} == {k: r.scalars for k, r in unbroken.items()}
    assert all(after[key].provenance == result.provenance for key, result in before.items())


def finished(path):
    if not path.exists():
        return {}
    try:
        store = open_store(path)
    except ValueError:  # the other process is making the file
        return {}
    return {r.key: r for function in STEPS for r in store.results(function)}


def test_two_users_run_one_recipe_on_one_store(folder, tmp_path):
    store = tmp_path / "shared.db"
    workers = [start("run", folder / "small.yaml", "--store", store, cwd=tmp_path) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    ours, theirs = finished(store), finished(folder / "philic.db")
    assert {key: result.scalars for key, result in ours.items()} == {k: r.scalars for k, r in theirs.items()}


def test_results_are_printed_filtered_and_exported(folder, tmp_path):
    store = ("--store", folder / "philic.db")
    printed = philic("results", "--where", "host=N", "--sort", "vs_bulk_eV", *store, cwd=tmp_path)
    assert "hollow C5N" in printed.stdout
    assert "pristine " not in printed.stdout
    for ending in ("csv", "json", "parquet", "xyz", "db"):
        written = philic("results", "--to", f"out.{ending}", *store, cwd=tmp_path)
        assert written.stdout == f"2 results written to out.{ending}\n"
    assert {row["host"] for row in json.loads((tmp_path / "out.json").read_text())} == {"N", "pristine"}
    assert len(ase.io.read(tmp_path / "out.xyz", ":")) == 2
    assert {row.host for row in ase.db.connect(str(tmp_path / "out.db")).select()} == {"N", "pristine"}
    listed = subprocess.run(
        [sys.executable, "-m", "ase", "db", "out.db"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "KC18" in listed.stdout
    gates = philic("results", "--function", "gate", *store, cwd=tmp_path)
    assert "doubtful" in gates.stdout


def test_a_search_that_finds_nothing_says_so_and_ends_with_1(folder, tmp_path):
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", "results", "--where", "metal=Na", "--to", "out.csv"]
    command += ["--store", str(folder / "philic.db")]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 1
    assert "none of the adsorption results in" in found.stderr
    assert "meets metal=Na" in found.stderr
    assert not list(tmp_path.iterdir())


def test_a_table_ends_after_a_thousand_rows_and_says_so(tmp_path):
    store = open_store(tmp_path / "philic.db")
    for number in range(1002):
        store.add(Result(Status.CONVERGED, "", {"energy_eV": -float(number)}, key=f"{number:04}", function="relax"))
    printed = philic("results", "--function", "relax", "--sort", "-energy_eV", cwd=tmp_path).stdout
    assert "-999.000" in printed
    assert "-1000.000" not in printed
    assert "These are the first 1,000: narrow them with --where, or write them all with --to FILE." in printed
    assert "1002 results written" in philic("results", "--function", "relax", "--to", "all.csv", cwd=tmp_path).stdout
    few = philic("results", "--function", "relax", "--where", "energy_eV<-1", cwd=tmp_path).stdout
    assert "These are the first" not in few


def test_show_and_list_tell_what_there_is(folder):
    shown = philic("show", "k-philic-dopants", cwd=folder).stdout
    for words in ("Which dopants and defects", "hollow C9N3", "pyridinic-3N", "largest force", "Co-N4"):
        assert words in shown
    listed = philic("list", cwd=folder).stdout
    for words in ("k-philic-dopants", "chgnet", "chgnet:r2scan", "emt", "lj"):
        assert words in listed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "nope"], "error: `nope` is not a recipe file"),
        (["run", "small.yaml", "--set", "metal=Mg"], "error: --set metal: `metal` is 'Mg' but must be one of: Li, Na, K"),
        (["run", "small.yaml", "--metals", "Li,Xx"], "error: --set metal: `metal` is 'Xx' but must be one of: Li, Na, K"),
        (["run", "small.yaml", "--set", "dopants=Q"], "error: --set dopants: `dopants` is 'Q' but must be one of: pristine"),
        (["run", "small.yaml", "--set", "colour=red"], "error: --set colour: `colour` is not a key of this recipe"),
        (["run", "small.yaml", "--set", "metal"], "error: --set metal: give it as KEY=VALUE, such as --set metal=Na"),
        (["run", "small.yaml", "--potential", "magic"], "error: --set potential: 'magic' is not a known potential"),
        (["run", "small.yaml", "--potential", "emt"], "error: K is unknown to the potential 'emt'"),
        (["run", "small.yaml", "--store", "small.yaml"], "cannot be read as a store: file is not a database"),
        (["results", "--store", "none.db"], "error: `none.db` does not exist: run a recipe first"),
        (["results", "--where", "colour=red"], "error: `colour` is no column of these results"),
        (["results", "--where", "metal==K"], "error: `metal==K` is no condition: give a column, one of"),
        (["results", "--where", "metal<K*"], "error: `metal<K*` is no condition: * stands for any characters after ="),
        (["results", "--where", "vs_bulk_eV<few"], "`vs_bulk_eV` holds numbers, and what is asked for is none"),
        (["results", "--where", "metal<3"], "`metal` holds texts, and what is asked for is none"),
        (["results", "--function", "adsorbtion"], "no step is called `adsorbtion`: nearest are adsorption"),
        (["results", "--function", "md"], "has no results of `md` but of: relax, "),
        (["results", "--to", "small.yaml"], "error: `small.yaml` ends in '.yaml' but must end in one of"),
        (
            ["run", "small.yaml", "--set", "metal=Na"],
            "error: `PHILIC_DEVICE` is 'gpu' but must be auto, cpu, cuda or",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(folder, arguments, sentence, monkeypatch):
    if "PHILIC_DEVICE" in sentence:
        monkeypatch.setenv("PHILIC_DEVICE", "gpu")
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.suffix != ".db-shm"}
    refused = philic(*arguments, cwd=folder)
    assert refused.returncode == 2
    assert sentence in refused.stderr
    assert refused.stdout == ""
    assert len(refused.stderr.splitlines()) == 1
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.suffix != ".db-shm"} == before


def wait_for(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def copper(tmp_path, glass):
    bulk("Cu", cubic=True).write(tmp_path / "cu.vasp")
    (tmp_path / "glass.yaml").write_text(glass(0.1))
    return tmp_path


def test_a_run_that_lacks_something_says_how_much_and_ends_with_1(copper):
    (copper / "philic.db.work").touch()  # no folder of trajectories can be made
    run = philic("run", "glass.yaml", cwd=copper)
    assert run.returncode == 1
    assert re.search(r"error: \d+ steps crashed: the answer lacks them", run.stderr)
    (copper / "philic.db.work").unlink()
    again = philic("run", "glass.yaml", cwd=copper)
    assert (again.returncode, again.stderr) == (0, "")


def test_a_reader_that_leaves_does_not_stop_a_run(copper):
    command = f"{sys.executable} -m philic.recipes.command_line.cli run glass.yaml | head -1; exit ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", command], cwd=copper, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("\n") == 1
    assert all(result.status.usable for result in open_store(copper / "philic.db").results("md"))
    assert next(run.state for run in open_store(copper / "philic.db").runs()) is State.FINISHED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_end_cleans_up_and_goes_on_when_asked(copper, glass, number):
    """Nothing of it stays in the system's folder for temporary files."""
    there = copper / "tmp"
    there.mkdir()
    (copper / "long.yaml").write_text(glass(60))
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", "run", "long.yaml"]
    running = subprocess.Popen(
        command,
        cwd=copper,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(there)},
    )
    wait_for(lambda: len(list(copper.glob("philic.db.work/*"))) > 1)
    assert list(there.iterdir())
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said == "stopped; what is finished is stored: run it again to resume\n"
    assert not list(there.iterdir())


def test_a_store_that_is_moved_under_a_run_is_not_made_anew(copper, glass):
    (copper / "long.yaml").write_text(glass(3))
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", "run", "long.yaml"]
    running = subprocess.Popen(command, cwd=copper, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(list(copper.glob("philic.db.work/*"))) > 1)
    (copper / "philic.db").rename(copper / "moved.db")
    _, said = running.communicate(timeout=120)
    assert running.returncode == 1
    assert re.search("philic.db` is gone: it was moved or deleted while a run was on it; put it back and run again\n$", said)
    assert not (copper / "philic.db").exists()


def test_what_is_damaged_is_named_forgotten_on_request_and_computed_again(copper):
    philic("run", "glass.yaml", cwd=copper)
    assert philic("check", cwd=copper).stdout.endswith("philic.db is sound: 1 runs\n")
    philic("results", "--function", "md", "--to", "before.csv", cwd=copper)
    md, other = sorted(open_store(copper / "philic.db").results("md"), key=lambda one: one.key)[:2]
    chunk = min((copper / md.scalars["folder"]).glob("*.npz"))
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"x")
    with contextlib.closing(sqlite3.connect(copper / "philic.db")) as connection, connection:
        connection.execute("UPDATE results SET scalars = replace(scalars, '1', '2') WHERE key = ?", (other.key,))
    found = philic("check", cwd=copper)
    assert found.returncode == 1
    assert re.search(
        rf"the result {other.key} is damaged .*`philic check --mend` forgets it, and the next run", found.stdout
    )
    assert re.search(rf"md .*: `.*{chunk.name}` is damaged: it is not what was written; put it back, or", found.stdout)
    table = philic("results", "--function", "md", "--to", "rest.csv", cwd=copper)
    assert f"the result {other.key} is damaged" in table.stderr
    refused = philic("run", "glass.yaml", cwd=copper)
    assert (refused.returncode, other.key in refused.stderr, "Traceback" in refused.stderr) == (2, True, False)
    assert "2 rows are forgotten: run the recipe again" in philic("check", "--mend", cwd=copper).stdout
    again = philic("run", "glass.yaml", cwd=copper)
    assert again.returncode == 0
    assert "2 steps computed" in again.stdout
    philic("results", "--function", "md", "--to", "after.csv", cwd=copper)
    assert digits(copper / "after.csv") == digits(copper / "before.csv")


def digits(path):
    """What is in a table, but for what it cost, by key."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    cost = ("created", "wall_s", "cpu_s", "force_calls", "device")
    return {row["key"]: {name: value for name, value in row.items() if name not in cost} for row in rows}


def test_text_of_the_user_is_text(copper, glass):
    """Brackets, colons, dollars and an @ mean nothing in a question or a file's name."""
    name, question = "a@1 [bold] $x$ :smile:.xyz", "Is [/nope] [bold]it[/bold] :smile: $5?"
    bulk("Cu", cubic=True).write(copper / "plain.xyz")
    (copper / "plain.xyz").rename(copper / name)
    asked = "Does a melt end with the same digits, however it is run?"
    recipe = glass(0.2).replace(asked, f'"{question}"').replace("cu.vasp", f'"{name}"')
    (copper / "odd.yaml").write_text(recipe)
    run = philic("run", "odd.yaml", cwd=copper)
    assert run.returncode == 0, run.stderr
    assert question in run.stdout
    assert f"relax {name}, seed 0: converged in" in run.stdout
    table = philic("results", "--function", "md", cwd=copper)
    assert table.returncode == 0, table.stderr
    assert "a@1" in table.stdout
    assert philic("results", "--function", "glass", "--to", "glass.png", cwd=copper).returncode == 0
