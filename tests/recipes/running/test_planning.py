"""Planning a recipe against a store: what it reads, what it may not write, and the disk that a run still needs."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from ase.build import bulk

from philic.recipes.running.planning import missing_bytes, prepare
from philic.recipes.running.recipe_files import read
from philic.workflows.dynamics.trajectory import estimated_bytes
from philic.workflows.engine.flow import Step
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.store import StoreError


def md(steps, seed=0):
    parameters = {"temperature_K": 600, "steps": steps, "timestep_fs": 2.0, "seed": seed}
    return Step("md", parameters, bulk("Cu", cubic=True), potential="emt")


def older_store(path):
    """A store of the first schema, which had no table of predictions."""
    open_store(path).close()
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE predictions")
    connection.execute("UPDATE philic_schema SET version = 1")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("make", [older_store, Path.touch, lambda _: None], ids=["older", "empty", "missing"])
def test_planning_leaves_a_store_as_it_is(tmp_path, make):
    path = tmp_path / "philic.db"
    make(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    prepared = prepare(read("metal-on-host", {"metal": "K"}), path)
    assert len(prepared.missing) == len(prepared.plan.flow)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_store_in_no_folder_is_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(StoreError, match="cannot be a store: give the path of a file in a folder that exists"):
        prepare(read("metal-on-host", {"metal": "K"}), tmp_path / "nowhere" / "philic.db")


def test_what_a_run_has_on_the_disk_is_not_counted_again(tmp_path):
    """100 frames are asked for and 2000 bytes are there; then more than is asked for, which is no room for another run."""
    work, step = tmp_path / "philic.db.work", md(1000)
    whole = estimated_bytes(4, 100)
    assert missing_bytes([step], work) == whole
    folder = work / step.trail
    folder.mkdir(parents=True)
    (folder / "0000000000.npz").write_bytes(bytes(2000))
    assert missing_bytes([step], work) == whole - 2000
    assert missing_bytes([step, md(1000, seed=1)], work) == 2 * whole - 2000
    (folder / "0000000500.npz").write_bytes(bytes(whole))
    assert missing_bytes([step, md(1000, seed=1)], work) == whole
    shutil.rmtree(folder)
    assert missing_bytes([md(500), md(1000)], work) == whole  # the longer goes on from the shorter
