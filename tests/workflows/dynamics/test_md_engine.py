"""Molecular dynamics as a step of a flow: packs, extension, kills, and one writer at a time."""

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields

import numpy as np
import pytest
from ase.build import bulk

from philic.workflows.dynamics.trajectory import Frames, claimed, read
from philic.workflows.engine.costs import seconds
from philic.workflows.engine.execute import execute
from philic.workflows.engine.flow import Derived, Flow, Step
from philic.workflows.fireworks.here import run_here
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Status


def copper(temperature_K=300.0, seed=0, steps=40, **parameters):
    asked = {"temperature_K": temperature_K, "seed": seed, "steps": steps, "timestep_fs": 5.0, "mobile": "Cu", **parameters}
    about = {"host": "Cu", "site": f"{temperature_K:g} K, seed {seed}"}
    return Step("md", asked, bulk("Cu", cubic=True), potential="emt", about=about)


def transport(run):
    return Step("transport", {"mobile": "Cu", "equilibration_ps": 0.0}, parents={"run": run})


def assert_same_trajectory(one, other):
    for field in fields(Frames):
        np.testing.assert_array_equal(getattr(read(one).frames, field.name), getattr(read(other).frames, field.name))


def test_temperatures_and_seeds_share_a_pack_and_change_no_digit(tmp_path):
    steps = [copper(temperature_K, seed) for temperature_K in (300.0, 600.0) for seed in (0, 1)]
    flow = Flow(steps)
    assert [len(pack) for pack in flow.packs(flow.steps, 256, math.inf, seconds)] == [4]
    longer = Flow([*steps, copper(steps=80)])
    assert [len(pack) for pack in longer.packs(longer.steps, 256, math.inf, seconds)] == [4, 1]
    together, alone = open_store(tmp_path / "together.db"), open_store(tmp_path / "alone.db")
    run_here(flow, together, "together")
    alone.add_definitions({step.key: step.definition() for step in flow})
    for step in flow:
        execute(alone, [step.key])
        assert_same_trajectory(together.folder(step.trail), alone.folder(step.trail))
        ours, theirs = (store.get([step.key])[step.key] for store in (together, alone))
        assert {**ours.scalars, "folder": ""} == {**theirs.scalars, "folder": ""}
        assert ours.scalars["asked_K"] == step.parameters["temperature_K"]
    assert len(list((tmp_path / "together.db.work").iterdir())) == 4


def test_a_longer_run_goes_on_from_a_shorter_and_each_is_analysed_as_what_it_is(tmp_path):
    short, long = copper(steps=40), copper(steps=80)
    store = open_store(tmp_path / "philic.db")
    run_here(Flow([short]), store, "short")
    run_here(Flow([transport(short), transport(long)]), store, "long")
    results = store.get([short.key, long.key, transport(short).key, transport(long).key])
    assert short.trail == long.trail
    assert results[short.key].force_calls == 41
    assert results[long.key].force_calls == 40
    lengths = [results[transport(step).key].scalars for step in (short, long)]
    assert [s["analysed_ps"] + s["left_out_ps"] for s in lengths] == pytest.approx([0.2, 0.4])
    assert results[long.key].scalars["folder"] == f"philic.db.work/{long.trail}"


def test_a_store_and_its_folder_can_move_and_a_lost_folder_is_a_sentence(tmp_path):
    run = copper()
    run_here(Flow([run]), open_store(tmp_path / "philic.db"), "run")
    open_store(tmp_path / "philic.db").close()
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in tmp_path.glob("philic.db*"):
        path.rename(moved / path.name)
    store = open_store(moved / "philic.db")
    lost = moved / "philic.db.work"
    lost.rename(moved / "elsewhere")
    run_here(Flow([transport(run)]), store, "lost")
    crashed = store.get([transport(run).key])[transport(run).key]
    assert crashed.status is Status.CRASHED
    assert f"`{lost / run.trail}` holds no run: give the folder of one; put it back, or let `philic check" in crashed.message
    (moved / "elsewhere").rename(lost)
    run_here(Flow([transport(run)]), store, "found")
    assert store.get([transport(run).key])[transport(run).key].scalars["hops"] == 0


def test_a_folder_has_one_writer_and_the_others_of_its_pack_run_on(tmp_path):
    held, free = copper(seed=0), copper(seed=1)
    store = open_store(tmp_path / "philic.db")
    folder = store.folder(held.trail)
    with claimed(folder):
        run_here(Flow([held, free]), store, "held")
        results = store.get([held.key, free.key])
        assert results[held.key].status is Status.CRASHED
        assert f"`{folder}` is in use by another process that runs this step: wait" in results[held.key].message
        assert results[free.key].status.usable
    run_here(Flow([held, free]), store, "free")
    assert store.get([held.key])[held.key].status.usable


def test_a_run_from_a_relaxed_structure_has_its_folder(tmp_path):
    relaxed = Step("relax", {"fmax_eV_per_A": 0.05}, bulk("Cu", cubic=True), potential="emt")
    run = Step("md", copper().parameters, Derived(relaxed, 4), potential="emt")
    store = open_store(tmp_path / "philic.db")
    run_here(Flow([run]), store, "derived")
    assert store.get([run.key])[run.key].status.usable
    assert len(read(store.folder(run.trail)).frames) == 11


def test_a_full_disk_is_a_crash_and_the_next_run_goes_on(tmp_path):
    full = copper()
    store = open_store(tmp_path / "philic.db")
    folder = store.folder(full.trail)
    folder.mkdir(parents=True)
    (folder / "0000000000.npz.part").symlink_to("/dev/full")
    run_here(Flow([full]), store, "full")
    crashed = store.get([full.key])[full.key]
    assert crashed.status is Status.CRASHED
    assert f"`{folder}/0000000000.npz` cannot be written: No space left on device; make room and run" in crashed.message
    run_here(Flow([full]), store, "room")
    assert store.get([full.key])[full.key].status.usable


SCRIPT = """
import sys
from ase.build import bulk
from philic.workflows.dynamics import md
from philic.workflows.fireworks.here import run_here
from philic.workflows.engine.costs import seconds
from philic.workflows.engine.flow import Flow, Step
from philic.workflows.stores.opening import open_store
md.CHUNK = 4
steps = []
for seed in (0, 1):
    asked = {"temperature_K": 300.0 + 300 * seed, "seed": seed, "steps": 400, "timestep_fs": 5.0, "thermostat": "langevin"}
    steps.append(Step("md", asked, bulk("Cu", cubic=True), potential="emt"))
run_here(Flow(steps), open_store(sys.argv[1]), "to be killed")
"""


def test_killed_at_any_moment_it_goes_on_and_ends_the_same(tmp_path):
    unbroken, broken = tmp_path / "unbroken.db", tmp_path / "broken.db"
    subprocess.run([sys.executable, "-c", SCRIPT, unbroken], check=True)
    worker = subprocess.Popen([sys.executable, "-c", SCRIPT, broken])
    while worker.poll() is None and len(list(tmp_path.glob("broken.db.work/*/0*.npz"))) < 6:
        time.sleep(0.001)
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    assert not list(open_store(broken).results("md"))
    subprocess.run([sys.executable, "-c", SCRIPT, broken], check=True)
    whole, after = ({result.key: result for result in open_store(path).results("md")} for path in (unbroken, broken))
    assert after.keys() == whole.keys()
    for key, result in whole.items():
        assert {**after[key].scalars, "folder": ""} == {**result.scalars, "folder": ""}
        assert after[key].force_calls < result.force_calls == 401
        one, other = (tmp_path / found.scalars["folder"] for found in (after[key], result))
        assert_same_trajectory(one, other)


def begun(tmp_path):
    """Start a process and wait until it is in the middle of its runs."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path / "philic.db"])
    while process.poll() is None and not list(tmp_path.glob("philic.db.work/*/0*.npz")):
        time.sleep(0.001)
    return process


TELL = "\nprint(*(result.message for result in open_store(sys.argv[1]).results('md')), sep=chr(10))"


def test_of_two_processes_one_runs_and_the_other_waits(tmp_path):
    first = begun(tmp_path)
    command = [sys.executable, "-c", SCRIPT + TELL, tmp_path / "philic.db"]
    second = subprocess.run(command, check=True, capture_output=True, text=True)
    assert first.wait() == 0
    assert "2 steps are computed by another run: waiting for their results" in second.stderr
    assert second.stdout.count(" ps at ") == 2
    assert [result.status.usable for result in open_store(tmp_path / "philic.db").results("md")] == [True, True]


def test_a_process_that_does_not_ask_who_is_at_a_step_is_kept_out_of_its_folder(tmp_path):
    first = begun(tmp_path)
    planned = SCRIPT.rpartition("run_here")[0]
    alone = (
        f"{planned}from philic.workflows.engine.execute import execute\n"
        "execute(open_store(sys.argv[1]), [step.key for step in steps])"
    )
    second = subprocess.run(
        [sys.executable, "-c", alone + TELL, tmp_path / "philic.db"], check=True, capture_output=True, text=True
    )
    assert second.stdout.count("is in use by another process that runs this step: wait until it has ended") == 2
    assert first.wait() == 0
    assert [result.status.usable for result in open_store(tmp_path / "philic.db").results("md")] == [True, True]
