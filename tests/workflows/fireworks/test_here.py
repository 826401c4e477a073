"""Small flows of every shape, run through FireWorks with real potentials."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from fireworks import FWorker
from fireworks.core.rocket_launcher import launch_rocket

from philic.structures.carbons.carbon import graphene
from philic.workflows.engine import execute as execution
from philic.workflows.engine.execute import execute
from philic.workflows.engine.flow import Derived, Flow, Step
from philic.workflows.fireworks import RunSteps
from philic.workflows.fireworks.here import run_here
from philic.workflows.fireworks.launchpads import memory_launchpad
from philic.workflows.fireworks.reading import sentence
from philic.workflows.fireworks.tasks import workflow
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Status
from philic.workflows.stores.store import StoreError


def copper(seed, potential="emt", fmax=0.05):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=seed)
    return Step("relax", {"fmax_eV_per_A": fmax}, atoms, potential=potential, about={"host": f"copper {seed}"})


def overlapping():
    atoms = bulk("Cu", cubic=True)
    atoms.positions[1] = atoms.positions[0] + [0.3, 0, 0]
    return Step("relax", {"fmax_eV_per_A": 0.05}, atoms, potential="emt", about={"host": "overlapping"})


def then(parent, fmax=0.01):
    return Step("relax", {"fmax_eV_per_A": fmax}, Derived(parent, 4), potential="emt", about={"host": "child"})


def fan():
    root = copper(0)
    return [then(root, fmax) for fmax in (0.01, 0.002, 0.001)]


def chain():
    return [then(then(copper(1), 0.02), 0.005)]


def unknown_element(**parameters):
    return Step("relax", parameters, bulk("Fe", cubic=True), potential="emt", about={"host": "iron"})


def stiffness(atoms):
    return Step("bulk_modulus", {}, atoms, potential="emt", about={"host": str(atoms.symbols)})


def without_a_volume():
    return stiffness(Atoms("Cu2", positions=[(0, 0, 0), (2.5, 0, 0)]))


ZOO = {
    "one": (lambda: [copper(0)], [Status.CONVERGED]),
    "many": (lambda: [copper(seed) for seed in range(20)], [Status.CONVERGED] * 20),
    "fan": (fan, [Status.CONVERGED] * 4),
    "chain": (chain, [Status.CONVERGED] * 3),
    "failure": (lambda: [overlapping(), copper(0)], [Status.FAILED, Status.CONVERGED]),
    "child of a failure": (
        lambda: [then(overlapping()), copper(0)],
        [Status.FAILED, Status.FAILED, Status.CONVERGED],
    ),
    "unknown element in company": (
        lambda: [copper(0), unknown_element(fmax_eV_per_A=0.05), copper(1)],
        [Status.CONVERGED, Status.FAILED, Status.CONVERGED],
    ),
    "crash": (lambda: [without_a_volume(), copper(0, fmax=0.04)], [Status.CRASHED, Status.CONVERGED]),
    "crash in company": (
        lambda: [stiffness(bulk("Cu", a=3.59)), without_a_volume(), stiffness(bulk("Au", a=4.06))],
        [Status.CONVERGED, Status.CRASHED, Status.CONVERGED],
    ),
    "child of a crash": (lambda: [then(without_a_volume())], [Status.CRASHED, None]),
}


@pytest.mark.parametrize(("steps", "expected"), ZOO.values(), ids=ZOO)
def test_every_step_of_a_flow_ends_with_a_result_unless_it_waits(tmp_path, steps, expected):
    flow = Flow(steps())
    store = open_store(tmp_path / "philic.db")
    run_here(flow, store, "zoo")
    results = store.get(flow.steps)
    assert [results[key].status if key in results else None for key in flow.steps] == expected
    for key, step in ((key, flow.steps[key]) for key in results):
        assert results[key].provenance["parameters"] == step.parameters
        assert results[key].provenance["fingerprint"] == step.fingerprint
        assert results[key].provenance.get("device") == ("cpu" if results[key].force_calls else None)
        assert results[key].about == step.about


def test_engines_change_no_digit(tmp_path):
    """Through FireWorks in packs, and one by one without it, the numbers are the same to the last bit."""
    flow = Flow([copper(seed) for seed in range(18)])
    packed, single = open_store(tmp_path / "packed.db"), open_store(tmp_path / "single.db")
    run_here(flow, packed, "packed")
    single.add_definitions({step.key: step.definition() for step in flow})
    for step in flow:
        execute(single, [step.key])
    for key, result in packed.get(flow.steps).items():
        other = single.get([key])[key]
        assert other.scalars == result.scalars
        np.testing.assert_array_equal(other.structures["final"].positions, result.structures["final"].positions)


def test_a_second_run_computes_nothing(tmp_path, caplog):
    flow = Flow(fan())
    store = open_store(tmp_path / "philic.db")
    run_here(flow, store, "first")
    before = {key: result.provenance["created"] for key, result in store.get(flow.steps).items()}
    caplog.set_level("DEBUG", logger=execution.__name__)
    run_here(flow, store, "second")
    assert not [record for record in caplog.records if record.name == execution.__name__]
    assert {key: r.provenance["created"] for key, r in store.get(flow.steps).items()} == before


def test_a_crash_says_what_happened_and_is_computed_again(tmp_path):
    flow = Flow([then(without_a_volume())])
    store = open_store(tmp_path / "philic.db")
    run_here(flow, store, "zoo")
    (crashed,) = store.get(flow.steps).values()
    assert crashed.message.startswith("ValueError: You have 0 lattice vectors: volume not defined")
    assert store.finished(flow.steps) == set()
    assert store.tries(flow.steps)[crashed.key].n == 1


def test_a_crash_leaves_its_firework_fizzled_with_the_sentence_and_a_retry_mends_it(tmp_path):
    """A file where the folder of trajectories should be is what crashes, until it is taken away."""
    in_the_way = tmp_path / "philic.db.work"
    in_the_way.touch()
    hot = Step("md", {"steps": 10, "temperature_K": 300}, bulk("Cu", cubic=True), potential="emt", about={"host": "Cu"})
    flow = Flow([then(hot), copper(2)])
    store, launchpad = open_store(tmp_path / "philic.db"), memory_launchpad()
    launchpad.add_wf(workflow(flow, store, "three"))
    launch_all(launchpad)
    states = {name: (state, words) for name, state, words in fireworks(launchpad)}
    state, words = states["md Cu (1)"]
    assert state == "FIZZLED"
    assert words.startswith("1 of 1 steps left: md Cu crashed: NotADirectoryError")
    state, words = states["relax child (1)"]
    assert state == "FIZZLED"
    assert words.startswith("1 of 1 steps left: relax child waits for md Cu, which crashed: NotADirectoryError")
    assert states["relax copper 2 (1)"] == ("COMPLETED", "")
    in_the_way.unlink()
    launchpad.rerun_fw(launchpad.get_fw_ids({"name": "md Cu (1)"})[0])
    launch_all(launchpad)
    assert {(name, words) for name, state, words in fireworks(launchpad) if state != "COMPLETED"} == set()
    assert store.finished(flow.steps) == set(flow.steps)


def test_why_steps_are_left_is_one_line():
    """The last line of a stack is what tells a crashed step from a broken engine."""
    assert sentence({"a": "relax K crashed: two\n lines", "b": "x"}, 3) == "2 of 3 steps left: relax K crashed: two lines"


def launch_all(launchpad):
    while launch_rocket(launchpad, FWorker(), strm_lvl="CRITICAL", err_file=io.StringIO()):
        pass


def fireworks(launchpad):
    """Give name, state and the sentence of a crash of every Firework."""
    for number in launchpad.get_fw_ids():
        firework = launchpad.get_fw_by_id(number)
        stack = firework.launches[-1].action.stored_data.get("_exception", {}).get("_stacktrace", "")
        yield firework.name, firework.state, stack.strip().rpartition("StepsLeftError: ")[2]


def test_a_worker_with_another_potential_refuses(tmp_path, tiny_mace):
    path = tiny_mace("float64")
    salt = bulk("KF", "rocksalt", a=5.4)
    step = Step("relax", {}, salt, potential=f"mace:{path}")
    store = open_store(tmp_path / "philic.db")
    store.add_definitions({step.key: step.definition()})
    replaced = tiny_mace("float64", heads=("other",))
    path.write_bytes(replaced.read_bytes())
    execute(store, [step.key])
    (result,) = store.get([step.key]).values()
    assert result.status is Status.CRASHED
    assert "the step asks for the potential" in result.message


def test_nan_energies_are_a_failed_result_and_the_run_goes_on(tmp_path, tiny_mace):
    import torch

    path = tiny_mace("float64")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # mace is built on TorchScript, which torch deprecates
        model = torch.load(path, weights_only=False)
        for weights in model.parameters():
            weights.fill_(float("nan"))
        torch.save(model, path)
    salt = bulk("KF", "rocksalt", a=5.4)
    salt.rattle(0.05, seed=0)
    flow = Flow([Step("relax", {}, salt, potential=f"mace:{path}"), copper(3)])
    store = open_store(tmp_path / "philic.db")
    run_here(flow, store, "zoo")
    nan, fine = (store.get(flow.steps)[key] for key in flow.steps)
    assert nan.status is Status.FAILED
    assert nan.message == "the potential gave a NaN or infinite energy or force at step 1"
    assert fine.status is Status.CONVERGED


def test_the_spec_holds_keys_and_nothing_else(tmp_path):
    flow = Flow([then(copper(seed)) for seed in range(300)])
    made = workflow(flow, open_store(tmp_path / "philic.db"), "three")
    tasks = [task for firework in made.fws for task in firework.tasks]
    assert all(isinstance(task, RunSteps) for task in tasks)
    assert all(set(task) == {"store", "keys", "_fw_name"} - {"_fw_name"} for task in tasks)
    assert all(firework.spec.keys() <= {"_tasks", "_allow_fizzled_parents"} for firework in made.fws)
    assert all(len(json.dumps(firework.to_dict(), default=str)) < 16_000 for firework in made.fws)
    assert sorted(key for task in tasks for key in task["keys"]) == sorted(flow.steps)
    assert RunSteps._fw_name == "{{philic.workflows.fireworks.RunSteps}}"


def test_it_leaves_the_folder_and_the_screen_as_they_were(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    run_here(Flow([copper(4)]), open_store("philic.db"), "quiet")
    assert Path.cwd() == tmp_path
    assert {path.name for path in tmp_path.iterdir()} <= {"philic.db", "philic.db-wal", "philic.db-shm"}
    assert capfd.readouterr() == ("", "")


def test_a_store_that_cannot_be_written_stops_the_run(tmp_path):
    """As on a full disk: SQLite's page limit stands in for it."""
    store = open_store(tmp_path / "philic.db")
    flow = Flow([copper(seed) for seed in range(8)])
    store.add_definitions({step.key: step.definition() for step in flow})
    small = open_store(tmp_path / "philic.db")

    def limit(connection, _record):
        connection.execute("PRAGMA max_page_count = 8")

    import sqlalchemy as sa

    sa.event.listen(small.engine, "connect", limit)
    small.close()
    with pytest.raises(StoreError, match="cannot be used: database or disk is full"):
        execute(small, list(flow.steps))
    run_here(flow, store, "with room again")
    assert store.finished(flow.steps) == set(flow.steps)


SCRIPT = """
import sys
from ase.build import bulk
from philic.workflows.fireworks.here import run_here
from philic.workflows.engine.flow import Flow, Step
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.store import StoreError
steps = []
for seed in range(30):
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.rattle(0.15, seed=seed)
    steps.append(Step("relax", {"fmax_eV_per_A": 0.001}, atoms, potential="emt"))
run_here(Flow(steps), open_store(sys.argv[1]), "to be killed")
"""


def test_killed_at_any_moment_it_goes_on_and_ends_the_same(tmp_path):
    unbroken, broken = tmp_path / "unbroken.db", tmp_path / "broken.db"
    subprocess.run([sys.executable, "-c", SCRIPT, unbroken], check=True)
    for enough in (1, 9, 20):
        worker = subprocess.Popen([sys.executable, "-c", SCRIPT, broken])
        while worker.poll() is None and (not broken.exists() or len(finished(broken)) < enough):
            time.sleep(0.01)
        os.kill(worker.pid, signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL
        assert enough <= len(finished(broken)) < 30
    before = finished(broken)
    subprocess.run([sys.executable, "-c", SCRIPT, broken], check=True)
    after, whole = finished(broken), finished(unbroken)
    assert all(after[key].provenance == result.provenance for key, result in before.items())
    assert after.keys() == whole.keys()
    for key, result in whole.items():
        assert after[key].scalars == result.scalars
        np.testing.assert_array_equal(after[key].structures["final"].positions, result.structures["final"].positions)


def test_ctrl_c_stops_the_run_and_loses_nothing(tmp_path):
    path = tmp_path / "philic.db"
    command = [sys.executable, "-c", SCRIPT, path]
    # a shell's background job ignores Ctrl-C and its children inherit that: hear it again
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    worker = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
    while worker.poll() is None and (not path.exists() or len(finished(path)) < 2):
        time.sleep(0.01)
    os.kill(worker.pid, signal.SIGINT)
    _, words = worker.communicate(timeout=60)
    assert words.strip().endswith("KeyboardInterrupt")
    assert 2 <= len(finished(path)) < 30


def finished(path):
    try:
        return {result.key: result for result in open_store(path).results("relax")}
    except ValueError:  # the other process is making the file
        return {}


def test_company_changes_no_digit_of_the_default_potential(tmp_path):
    """What a resumed run needs: CHGNet's numbers do not depend on what else is in the pack."""

    def sheet(seed):
        atoms = graphene((2, 2), vacuum_A=10.0)
        atoms.rattle(0.05, seed=seed)
        return Step("relax", {"max_steps": 4}, atoms, potential="chgnet")

    def numbers(steps, name):
        store = open_store(tmp_path / name)
        run_here(Flow(steps), store, name)
        return {key: result.scalars["energy_eV"] for key, result in store.get(s.key for s in steps).items()}

    together = numbers([sheet(seed) for seed in range(5)], "together.db")
    alone = numbers([sheet(3)], "alone.db")
    assert alone.items() <= together.items()


def test_a_launchpad_in_memory_is_touched_by_one_thread_only():
    """FireWorks pings from another thread; where that reaches mongomock this says that there is no launch 1."""
    memory_launchpad().ping_launch(1)
