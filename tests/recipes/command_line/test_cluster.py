"""Runs on several processes, as a user meets them: the same digits as one process gives, whatever dies in between."""

import contextlib
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from ase.build import bulk

from philic.recipes.running.planning import begin, prepare
from philic.recipes.running.recipe_files import read
from philic.workflows.cluster import keeper
from philic.workflows.cluster.jobs import Jobs
from philic.workflows.cluster.queues import Local, QueueError
from philic.workflows.cluster.settings import Cluster
from philic.workflows.cluster.spool import READY, RUNNING, Spool
from philic.workflows.cluster.status import packs_of, runs_of
from philic.workflows.fireworks import mending, submitter
from philic.workflows.fireworks.submitter import Submitter
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.store import State

COMMAND = f"{sys.executable} -m philic.recipes.command_line.cli"
CLUSTER = 'queue: {queue}\nfolder: packs\nstore: philic.db\njobs: 2\ntime: "00:05:00"\n'
SITES = """\
recipe: surface-diffusion
question: Does a recipe that is planned twice end when nobody looks?
metal: K
hosts: pristine
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, glass):
    bulk("Cu", cubic=True).write(tmp_path / "cu.vasp")
    (tmp_path / "glass.yaml").write_text(glass(0.1))
    (tmp_path / "long.yaml").write_text(glass(5))
    (tmp_path / "sites.yaml").write_text(SITES)
    (tmp_path / "cluster.yaml").write_text(CLUSTER.format(queue="local"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    stop(tmp_path)


def stop(folder):
    """End what a failed test left: only processes of this folder."""
    found = keeper.keeper(Spool(folder / "packs"))
    if found and found.pid != os.getpid():
        kill(found.pid)
    for path in (folder / "packs" / "jobs").glob("*.job"):
        kill(-int(path.read_text()))


def kill(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(-pid, number) if pid < 0 else os.kill(pid, number)


def philic(*arguments, cwd, code=0, **options):
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", *map(str, arguments)]
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=200, **options)
    assert ran.returncode == code, ran.stderr + ran.stdout
    return ran.stdout + ran.stderr


def ended(folder, seconds=150):
    """Wait until no run is open."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        runs = open_store(folder / "philic.db").runs()
        if runs and not any(run.state.open for run in runs):
            return runs
        time.sleep(0.2)
    raise AssertionError((folder / "packs" / "submitter.log").read_text())


def assert_same_digits(one, other):
    """Every result of the last run is in both stores, with the same numbers to the last bit."""
    one, other = open_store(one), open_store(other)
    keys = one.runs()[-1].keys
    first, second = one.get(keys), other.get(keys)
    assert first.keys() == second.keys() == set(keys)
    for key in keys:
        left, right = ({k: v for k, v in r[key].scalars.items() if k != "folder"} for r in (first, second))
        assert left == right
        for name, array in first[key].arrays.items():
            np.testing.assert_array_equal(array, second[key].arrays[name])
        for name, atoms in first[key].structures.items():
            np.testing.assert_array_equal(atoms.positions, second[key].structures[name].positions)


def table(text):
    """What is printed in the end, but for the seconds."""
    return [line for line in text.splitlines() if not re.match(r"\d+/\d+ |\d+ force calls", line)]


def test_two_processes_give_the_table_and_the_digits_of_one(folder):
    one = philic("run", "glass.yaml", "--store", "one.db", cwd=folder)
    two = philic("run", "glass.yaml", "--store", "two.db", "--workers", 2, cwd=folder)
    assert table(one) == table(two)
    assert_same_digits(folder / "one.db", folder / "two.db")
    assert not list((folder / "two.db.packs" / "jobs").glob("*.job"))
    again = philic("run", "glass.yaml", "--store", "two.db", "--workers", 2, cwd=folder)
    assert "0 force calls, 0 steps computed" in again


def test_a_submitted_recipe_ends_when_nobody_looks_and_is_one_run_over_its_stages(folder):
    said = philic("submit", "sites.yaml", "--workers", 2, cwd=folder)
    assert "run 1: 5 of 5 steps to compute, at most 2 jobs at once" in said
    (run,) = ended(folder)
    assert run.state is State.FINISHED
    ran = Counter(result.function.rpartition(".")[2] for result in open_store(folder / "philic.db").get(run.keys).values())
    assert ran["neb"] == ran["migration"] > 0  # planned once it was known which sites hold the metal
    assert ran["hopping"] == 1
    philic("run", "sites.yaml", "--store", "alone.db", cwd=folder)
    assert_same_digits(folder / "philic.db", folder / "alone.db")
    said = philic("status", cwd=folder)
    assert re.search(rf"1 +sites +finished +{len(run.keys)} +{len(run.keys)} +0", said)
    assert keeper.keeper(Spool(folder / "packs")) is None


def test_the_submitter_is_killed_and_another_finds_everything(folder):
    philic("submit", "long.yaml", cwd=folder)
    spool = Spool(folder / "packs")
    wait(lambda: spool.packs(RUNNING))
    kill(keeper.keeper(spool).pid)
    assert "no submitter is at work: philic watch starts one" in philic("status", cwd=folder)
    assert "run 1: " in philic("submit", "long.yaml", cwd=folder)  # the same run, not another
    (run,) = ended(folder)
    assert run.state is State.FINISHED
    philic("run", "long.yaml", "--store", "alone.db", cwd=folder)
    assert_same_digits(folder / "alone.db", folder / "philic.db")


def wait(condition, seconds=60):
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


@pytest.fixture
def at_work(folder, monkeypatch):
    """A submitter in this process with real workers in others, and a function that lets it work until a condition."""
    monkeypatch.setattr(submitter, "DEAD_S", 1.0)
    store = open_store(folder / "philic.db")
    cluster = Cluster.model_validate({"queue": "local", "folder": folder / "packs"})
    Spool(cluster.folder).make()
    token = keeper.become(Spool(cluster.folder))
    made = Submitter(store, cluster, Jobs(cluster, Local(), lambda: 2))

    def until(condition, seconds=90):
        end = time.monotonic() + seconds
        while not (found := condition()):
            made.round()
            assert time.monotonic() < end, (folder / "packs" / "jobs").glob("*.out")
            time.sleep(0.05)
        return found

    yield made, until
    made.end(wait_s=10)
    keeper.leave(made.spool, token)
    store.close()


def submitted(made, recipe):
    run = begin(prepare(read(recipe), made.store.address), made.store)
    made.spool.look_after(run)
    return run


def test_two_submitters_on_one_store_compute_a_step_once(at_work, folder):
    made, until = at_work
    cluster = Cluster.model_validate({"queue": "local", "folder": folder / "others"})
    Spool(cluster.folder).make()
    other = Submitter(made.store, cluster, Jobs(cluster, Local(), lambda: 1))
    shutil.copy("glass.yaml", "again.yaml")
    runs = {submitted(made, "glass.yaml"), submitted(other, "again.yaml")}
    steps = {made: set(), other: set()}

    def over():
        other.round()
        for one, keys in steps.items():
            keys.update(key for pack in one.packs.values() for key in pack.keys)
        states = made.store.states()
        return all(states[run] is State.FINISHED for run in runs)

    until(over)
    other.end(wait_s=10)
    assert len(runs) == 2
    assert not steps[made] & steps[other]
    assert steps[made] | steps[other] == set(made.store.runs()[0].keys)
    made.end()
    assert not made.store.owners()


def test_a_run_that_was_killed_is_shown_as_interrupted_until_it_goes_on(folder):
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", "run", "long.yaml"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait(lambda: (folder / "philic.db").exists() and open_store("philic.db").owners("run 1 by "))
        assert re.search(r"1 +long +running", philic("status", cwd=folder))
        process.kill()
    said = philic("status", cwd=folder)
    assert re.search(r"1 +long +interrupted", said)
    assert "nobody is at work on it; the same `philic run` goes on where it was" in said


def state(made, run):
    return next(one.state for one in made.store.runs() if one.id == run)


def test_a_worker_is_killed_and_its_pack_goes_to_another(folder, at_work):
    made, until = at_work
    run = submitted(made, "long.yaml")
    pack = until(lambda: next((one for one in packs_of(made.spool) if one.worker), None))
    kill(int(pack.worker.partition(":")[2]))
    until(lambda: not state(made, run).open)
    philic("run", "long.yaml", "--store", "alone.db", cwd=folder)
    assert_same_digits(folder / "alone.db", folder / "philic.db")
    assert made.spool.packs(RUNNING) == made.spool.packs(READY) == []


def test_a_paused_run_starts_nothing_until_it_is_resumed(folder, at_work):
    made, until = at_work
    run = submitted(made, "glass.yaml")
    made.store.change_run(run, state=State.PAUSED)
    for _ in range(5):
        made.round()
    assert made.spool.packs(READY) == made.spool.packs(RUNNING) == []
    assert "resumed" in philic("resume", cwd=folder)
    until(lambda: state(made, run) is State.FINISHED)


def test_a_cancelled_run_leaves_no_pack_and_no_job_and_keeps_what_it_has(folder, at_work):
    made, until = at_work
    run = submitted(made, "long.yaml")
    until(lambda: made.spool.packs(RUNNING))
    made.store.change_run(run, state=State.CANCELLED)
    made.round()
    assert made.spool.packs(READY) == made.spool.packs(RUNNING) == []
    made.end(wait_s=20)
    assert not made.jobs.ours(made.jobs.queue.states())
    assert "run 1 is not open" in philic("cancel", 1, cwd=folder, code=2)


def test_a_step_that_always_crashes_is_quarantined_and_a_retry_mends_it(folder, at_work, monkeypatch):
    """A file where the folder of trajectories should be is what crashes, until it is taken away."""
    monkeypatch.setattr(mending, "BACK_OFF_S", (0.5, 0.5, 0.5))
    made, until = at_work
    in_the_way = folder / "philic.db.work"
    in_the_way.touch()
    run = submitted(made, "glass.yaml")
    until(lambda: state(made, run) is State.STOPPED)
    (found,) = runs_of(made.store, made.spool, run)
    assert {trouble.tries for trouble in found.troubles} == {3}
    said = philic("status", 1, "--store", made.store.address, cwd=folder)
    assert re.search(r"md .*: quarantined after 3 tries: NotADirectoryError", said.replace("\n", " "))
    assert "philic retry 1 tries the quarantined steps again" in said
    in_the_way.unlink()
    assert "2 crashed steps of run 1 will be tried again" in philic("retry", 1, cwd=folder)
    until(lambda: state(made, run) is State.FINISHED)


def test_a_run_that_stopped_here_goes_on_there(folder):
    """What `philic run` left, `philic retry` gives to the submitter where there is one, and else says how to go on."""
    (folder / "cluster.yaml").rename(folder / "later.yaml")
    in_the_way = folder / "philic.db.work"
    in_the_way.touch()
    philic("run", "glass.yaml", cwd=folder, code=1)
    in_the_way.unlink()
    assert "steps of run 1 will be tried again: start `philic run` once more" in philic("retry", cwd=folder)
    assert "stopped" in philic("status", cwd=folder)
    (folder / "later.yaml").rename(folder / "cluster.yaml")
    Spool(folder / "packs").make()
    (folder / "packs" / "runs" / ".nfs0001").touch()
    philic("retry", cwd=folder)
    (run,) = ended(folder)
    assert run.state is State.FINISHED


def test_a_queue_that_does_not_answer_loses_no_job(at_work, monkeypatch):
    made, until = at_work
    run = submitted(made, "long.yaml")
    until(lambda: made.spool.packs(RUNNING))
    jobs = made.jobs.ours(made.jobs.queue.states())

    def silent():
        raise QueueError("`squeue` failed: Socket timed out")

    monkeypatch.setattr(made.jobs.queue, "states", silent)
    for _ in range(20):
        made.round()
        time.sleep(0.1)
    assert made.jobs.alive is None
    monkeypatch.undo()
    assert set(jobs) <= set(made.jobs.queue.states())
    made.jobs._ask_after = 0.0  # do not wait for the back-off
    until(lambda: state(made, run) is State.FINISHED)


def test_a_changed_model_stops_the_run(folder, at_work, tiny_mace):
    made, until = at_work
    path = tiny_mace("float64")
    recipe = folder / "mace.yaml"
    recipe.write_text(f"recipe: migration\nquestion: q\nmetal: K\nhosts: MF\npotential: 'mace:{path}'\n")
    run = submitted(made, str(recipe))
    path.write_bytes(path.read_bytes() + b"x")
    from philic.potentials import registry

    for one in (registry.fingerprint, registry.load):
        getattr(one, "cache_clear", lambda: None)()
    until(lambda: not state(made, run).open)
    (found,) = (one for one in made.store.runs() if one.id == run)
    assert found.state is State.STOPPED
    assert "has changed since: start a new run" in found.message


def test_one_submitter_at_a_time(folder):
    spool = Spool(folder / "packs")
    spool.make()
    token = keeper.become(spool)
    with pytest.raises(ValueError, match=r"a submitter is at work on .* \(process \d+\)"):
        keeper.become(spool)
    assert keeper.still(spool, token)
    keeper.leave(spool, token)
    other = keeper.become(spool)
    assert not keeper.still(spool, token)
    assert keeper.still(spool, other)
    keeper.leave(spool, other)
    assert "a submitter is at work" not in philic("status", cwd=folder, code=2)


def test_a_stale_submitter_of_another_machine_gives_way(folder, monkeypatch):
    spool = Spool(folder / "packs")
    spool.make()
    monkeypatch.setattr(keeper.platform, "node", lambda: "elsewhere")
    token = keeper.become(spool)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="a submitter is at work on elsewhere"):
        keeper.become(spool)
    old = time.time() - 2 * keeper.STALE_S
    os.utime(spool.folder / "submitter.json", (old, old))
    keeper.become(spool)
    assert not keeper.still(spool, token)


def test_settings_are_checked_line_by_line(folder):
    assert "WRONG" not in philic("cluster", "check", cwd=folder)
    (folder / "cluster.yaml").write_text(CLUSTER.format(queue="local") + "setup: [no-such-module load python]\n")
    said = philic("cluster", "check", cwd=folder, code=1)
    assert "ok    folder: " in said
    assert "ok    queue: local answers" in said
    assert re.search(r"WRONG setup: its lines run, and find the command `philic`: .*no-such-module: command not found", said)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["submit", "glass.yaml", "--cluster", "none.yaml"], "`none.yaml` does not exist: `philic cluster init` writes one"),
        (["status", "9"], "does not exist: run a recipe first"),
        (["work", "--folder", "nowhere"], "`nowhere` is no folder of packs: give that of cluster.yaml"),
        (["cancel", "9", "--store", "empty.db"], "there is no run 9 in"),
        (["pause", "--store", "empty.db"], "no run is open"),
        (["work", "--launchpad", "none.yaml"], "`none.yaml` does not exist: `lpad init` writes one"),
    ],
)
def test_bad_input_is_one_sentence(folder, arguments, words):
    open_store(folder / "empty.db").close()
    said = philic(*arguments, cwd=folder, code=2)
    assert said.startswith("error: ")
    assert words in said


def test_a_silent_worker_is_reported_and_its_pack_taken_on_request(folder, at_work):
    made, until = at_work
    run = submitted(made, "long.yaml")
    pack = until(lambda: next((one for one in packs_of(made.spool) if one.worker), None))
    worker = int(pack.worker.partition(":")[2])
    kill(worker, signal.SIGSTOP)
    beat = made.spool.folder / RUNNING / pack.name / "beat"
    long_ago = time.time() - 500
    os.utime(beat, (long_ago, long_ago))
    said = philic("status", run, cwd=folder)
    assert re.search(r"(499|50\d) s ago \(lost\?", said)
    assert "1 packs taken from silent workers" in philic("retry", "--lost", cwd=folder)
    kill(worker, signal.SIGCONT)  # it notices that its pack was taken away
    until(lambda: state(made, run) is State.FINISHED)
    philic("run", "long.yaml", "--store", "alone.db", cwd=folder)
    assert_same_digits(folder / "alone.db", folder / "philic.db")


def test_jobs_that_cannot_write_end_at_once_and_no_flood_of_them_follows(folder):
    """As on a full disk: a limit of zero bytes for any file, set by a set-up line, until the line is taken out."""
    path = folder / "cluster.yaml"
    path.write_text(CLUSTER.format(queue="local") + f"setup: ['ulimit -f 0', 'philic() {{ {COMMAND} \"$@\"; }}']\n")
    philic("submit", "glass.yaml", cwd=folder)
    wait(lambda: "jobs ended at once: see the .out files" in philic("status", cwd=folder).replace("\n", " "))
    n = len(list((folder / "packs" / "jobs").glob("*.sh")))
    time.sleep(5)
    assert len(list((folder / "packs" / "jobs").glob("*.sh"))) == n <= 6
    path.write_text(CLUSTER.format(queue="local"))
    (run,) = ended(folder)
    assert run.state is State.FINISHED
    assert "is sound: 1 runs" in philic("check", cwd=folder)


def test_a_damaged_pack_is_made_again(folder, at_work):
    """A byte is changed in what the first pack starts from, before a worker can take it."""
    made, until = at_work
    run = submitted(made, "glass.yaml")
    made.jobs._hand_in_after = math.inf
    (name, *_) = until(lambda: made.spool.packs(READY))
    for file in ("pack.json", "parents.json"):
        path = made.spool.folder / READY / name / file
        path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))
    made.jobs._hand_in_after = 0.0
    until(lambda: state(made, run) is State.FINISHED)
    assert "is sound: 1 runs" in philic("check", cwd=folder)


def test_two_runs_that_share_steps_compute_each_once(folder, at_work, caplog, glass):
    caplog.set_level("INFO", logger="philic")
    made, until = at_work
    (folder / "one.yaml").write_text(glass(2).replace("seeds: [0, 1]", "seeds: [0]"))
    (folder / "both.yaml").write_text(glass(2))
    runs = [submitted(made, name) for name in ("one.yaml", "both.yaml")]
    until(lambda: not any(state(made, run).open for run in runs))
    assert [state(made, run) for run in runs] == [State.FINISHED] * 2
    shared = set(made.store.runs()[0].keys) & set(made.store.runs()[1].keys)
    ends = [record.__dict__["key"] for record in caplog.records if record.__dict__.get("event") == "end"]
    assert shared <= set(ends)
    assert len(ends) == len(set(ends))


# On real servers


@pytest.fixture
def on_slurm(folder, slurm):  # noqa: ARG001
    """A folder whose jobs go to Slurm."""
    here = f'philic() {{ {sys.executable} -m philic.recipes.command_line.cli "$@"; }}; export -f philic'
    lines = [f"export PYTHONPATH={os.environ.get('PYTHONPATH', '')}", here]
    (folder / "cluster.yaml").write_text(
        CLUSTER.format(queue="slurm") + "setup:\n" + "".join(f"- '{line}'\n" for line in lines)
    )
    return folder


def squeue():
    return subprocess.run(["squeue", "-h", "-o", "%i %T"], capture_output=True, text=True, check=True).stdout


@pytest.mark.server
def test_on_slurm_an_adaptive_recipe_ends_with_the_digits_of_one_process(on_slurm):
    assert "WRONG" not in philic("cluster", "check", cwd=on_slurm)
    philic("submit", "sites.yaml", "--workers", 2, cwd=on_slurm)
    (run,) = ended(on_slurm)
    assert run.state is State.FINISHED
    philic("run", "sites.yaml", "--store", "alone.db", cwd=on_slurm)
    assert_same_digits(on_slurm / "alone.db", on_slurm / "philic.db")
    wait(lambda: not squeue())


@pytest.mark.server
def test_on_slurm_a_killed_job_is_noticed_and_its_pack_goes_to_another(on_slurm, glass):
    (on_slurm / "long.yaml").write_text(glass(8))
    philic("submit", "long.yaml", "--workers", 1, cwd=on_slurm)
    spool = Spool(on_slurm / "packs")
    pack = wait(lambda: next((one for one in packs_of(spool) if one.worker and one.n_steps == 2), None))
    time.sleep(3)
    kill(int(pack.worker.partition(":")[2]))  # without a warning: the script of the job ends with its worker
    (run,) = ended(on_slurm, seconds=240)
    assert run.state is State.FINISHED
    assert "its worker was lost" in (spool.folder / "submitter.log").read_text()
    philic("run", "long.yaml", "--store", "alone.db", cwd=on_slurm)
    assert_same_digits(on_slurm / "alone.db", on_slurm / "philic.db")


@pytest.mark.server
def test_on_slurm_a_run_that_the_walltime_cuts_twice_ends_with_the_same_digits(on_slurm, glass):
    settings = (on_slurm / "cluster.yaml").read_text().replace("00:05:00", "00:01:00").replace("jobs: 2", "jobs: 1")
    (on_slurm / "cluster.yaml").write_text(settings)
    (on_slurm / "long.yaml").write_text(glass(60))
    philic("submit", "long.yaml", cwd=on_slurm)
    (run,) = ended(on_slurm, seconds=1500)
    assert run.state is State.FINISHED
    log = (on_slurm / "packs" / "submitter.log").read_text()
    assert len(re.findall(r"came back with \d of \d steps done: (SIGTERM|the walltime ends)", log)) >= 2
    philic("run", "long.yaml", "--store", "alone.db", cwd=on_slurm)
    assert_same_digits(on_slurm / "alone.db", on_slurm / "philic.db")


@pytest.fixture
def pulling(folder, mongodb):
    """A folder whose runs go to a launchpad on a server."""
    path = mongodb.launchpad(folder)
    (folder / "cluster.yaml").write_text(CLUSTER.format(queue="local") + f"launchpad: {path}\n")
    return folder


@pytest.mark.server
def test_workers_that_pull_from_a_launchpad_give_the_digits_of_one_process(pulling):
    philic("submit", "sites.yaml", "--workers", 2, cwd=pulling)
    (run,) = ended(pulling)
    assert run.state is State.FINISHED
    philic("run", "sites.yaml", "--store", "alone.db", cwd=pulling)
    assert_same_digits(pulling / "alone.db", pulling / "philic.db")


@pytest.mark.server
def test_a_launchpad_lists_readable_names(pulling):
    from philic.workflows.fireworks.launchpads import read_launchpad

    philic("submit", "sites.yaml", cwd=pulling)
    launchpad = read_launchpad(pulling / "my_launchpad.yaml")
    names = {one["name"] for one in launchpad.fireworks.find({}, {"name": 1})}
    launchpad.connection.close()
    assert {"relax pristine (1)", "plan again"} <= names
    ended(pulling)


@pytest.mark.server
def test_a_server_killed_and_started_again_loses_nothing(pulling, mongodb, glass):
    (pulling / "long.yaml").write_text(glass(8))
    philic("submit", "long.yaml", "--workers", 2, cwd=pulling)
    store = open_store(pulling / "philic.db")
    wait(lambda: runs_of(store, None)[0].finished)
    mongodb.kill()
    time.sleep(2)
    mongodb.start()
    (run,) = ended(pulling, seconds=200)
    assert run.state is State.FINISHED
    philic("run", "long.yaml", "--store", "alone.db", cwd=pulling)
    assert_same_digits(pulling / "alone.db", pulling / "philic.db")


@pytest.mark.server
def test_pauses_and_ends_reach_the_launchpad(pulling):
    from philic.workflows.fireworks.launchpads import read_launchpad

    philic("submit", "long.yaml", "--workers", 1, cwd=pulling)
    launchpad, store = read_launchpad(pulling / "my_launchpad.yaml"), open_store(pulling / "philic.db")
    wait(lambda: launchpad.fireworks.count_documents({"state": "RUNNING"}))
    philic("pause", cwd=pulling)
    wait(lambda: launchpad.fireworks.find_one({"name": "plan again"})["state"] == "PAUSED")
    wait(lambda: not launchpad.fireworks.count_documents({"state": {"$in": ["READY", "RUNNING"]}}), seconds=120)
    philic("resume", cwd=pulling)
    wait(lambda: launchpad.fireworks.count_documents({"state": {"$in": ["READY", "RUNNING"]}}))
    philic("cancel", cwd=pulling)
    wait(lambda: not launchpad.fireworks.count_documents({"state": {"$in": ["READY", "RUNNING", "WAITING"]}}), seconds=120)
    launchpad.connection.close()
    (run,) = store.runs()
    assert run.state is State.CANCELLED
    wait(lambda: keeper.keeper(Spool(pulling / "packs")) is None)
