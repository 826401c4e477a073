"""Runs on one store at once do the work once, whoever is killed."""

import logging
import os
import signal
import subprocess
import sys
import time

import pytest
from ase.build import bulk

from philic.workflows.engine.flow import Flow, Step
from philic.workflows.engine.sharing import _started, execute_once
from philic.workflows.fireworks.here import run_here
from philic.workflows.stores.opening import open_store

N = 6
RUN = """
import sys, time
import philic.workflows.engine.execute as execute
from philic.workflows.fireworks.here import run_here
from philic.workflows.stores.opening import open_store
from test_sharing import flow, Slow
execute.LOG.addHandler(handler := Slow())
execute.LOG.setLevel("DEBUG")
print("ready", flush=True)
sys.stdin.readline()
run_here(flow(), open_store(sys.argv[1]), "shared")
print(handler.calls, flush=True)
"""


class Slow(logging.Handler):
    """Counts force calls and makes each take a moment."""

    calls = 0

    def emit(self, record):
        if getattr(record, "event", "") == "force call":
            self.calls += 1
            time.sleep(0.03)


def copper(seed):
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    atoms.rattle(0.1, seed=seed)
    return atoms


def flow():
    return Flow([Step("relax", {"fmax_eV_per_A": 1e-4}, copper(seed), potential="emt") for seed in range(N)])


@pytest.fixture
def start(tmp_path):
    """Start processes that wait for a line before they run."""
    running = []

    def started():
        path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(tmp_path / "philic.db")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            cwd=tmp_path,
        )
        running.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield started
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def go(process):
    process.stdin.write("\n")
    process.stdin.flush()


def alone(tmp_path):
    store = open_store(tmp_path / "alone.db")
    run_here(flow(), store, "alone")
    return store.get(flow().steps)


def same(results, others):
    assert results.keys() == others.keys()
    for key, result in results.items():
        assert result.scalars == others[key].scalars


def test_three_runs_at_once_do_the_work_of_one(start, tmp_path):
    expected = alone(tmp_path)
    processes = [start() for _ in range(3)]
    for process in processes:
        go(process)
    calls = [int(process.communicate(timeout=120)[0]) for process in processes]
    store = open_store(tmp_path / "philic.db")
    same(store.get(flow().steps), expected)
    assert sum(calls) == sum(result.force_calls for result in expected.values())
    assert store.owners() == set()


def test_a_run_goes_on_when_the_one_it_waits_for_is_killed(start, tmp_path):
    first, second = start(), start()
    go(first)
    store = open_store(tmp_path / "philic.db")
    while not store.owners():
        time.sleep(0.02)
    go(second)
    time.sleep(0.3)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert int(second.communicate(timeout=60)[0]) > 0
    same(store.get(flow().steps), alone(tmp_path))
    assert store.owners() == set()


def test_a_process_of_another_machine_is_waited_for_until_its_lease_ends(tmp_path):
    store = open_store(tmp_path / "philic.db")
    plan = flow()
    store.add_definitions({key: step.definition() for key, step in plan.steps.items()})
    assert store.reserve(plan.steps, "elsewhere 1 1 a", 3.0) == set(plan.steps)
    begun = time.monotonic()
    assert execute_once(store, list(plan.steps)) == {}
    assert 1.0 < time.monotonic() - begun < 30
    same(store.get(plan.steps), alone(tmp_path))


def test_what_another_process_finishes_is_taken(tmp_path):
    store, plan = open_store(tmp_path / "philic.db"), flow()
    expected = alone(tmp_path)
    store.add_definitions({key: step.definition() for key, step in plan.steps.items()})
    for result in expected.values():
        store.add(result)
    store.reserve(plan.steps, "elsewhere 1 1 a", 1000.0)
    assert execute_once(store, list(plan.steps)) == {}  # and waits for nobody


def test_the_start_of_a_process_tells_it_from_a_later_one_of_its_number():
    assert _started(os.getpid()) == _started(os.getpid()) != "-"
    assert _started(2**22 + 1) == "-"
