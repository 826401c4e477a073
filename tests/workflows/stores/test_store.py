import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ase.db
import numpy as np
import pytest
from ase.build import bulk

from philic.potentials.base import Prediction
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Result, Status
from philic.workflows.stores.store import StoreError
from philic.workflows.stores.tables import SCHEMA


def result(key="a", **changes):
    atoms = bulk("K", cubic=True)
    plain = Result(
        Status.CONVERGED,
        "converged in 3 force calls",
        {"energy_eV": -2.1, "stayed": True, "vs_atom_eV": None, "site": "top N"},
        {"final": atoms},
        {"forces_eV_per_A": np.array([[0.1, -1e-17, 2 / 3]] * 2)},
        force_calls=3,
        key=key,
        function="relax",
        about={"metal": "K"},
        provenance={"parameters": {"size": [4, 4]}},
    )
    return replace(plain, **changes)


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "philic.db")


def test_a_result_comes_back_to_the_last_bit(store):
    store.add(result())
    (back,) = store.get(["a", "missing"]).values()
    assert back.structures["final"] == result().structures["final"]
    np.testing.assert_array_equal(back.arrays["forces_eV_per_A"], result().arrays["forces_eV_per_A"])
    same = ("status", "message", "scalars", "force_calls", "key", "function", "about", "provenance")
    assert all(getattr(back, name) == getattr(result(), name) for name in same)


def test_a_final_result_stays_and_a_crash_gives_way(store):
    store.add(result(status=Status.CRASHED, message="disk full"))
    assert store.finished(["a"]) == set()
    store.add(result(message="first"))
    store.add(result(message="second"))
    store.add(result(status=Status.CRASHED, message="late crash"))
    assert store.get(["a"])["a"].message == "first"
    assert store.finished(["a", "b"]) == {"a"}


@pytest.mark.parametrize("status", [Status.CONVERGED, Status.UNCONVERGED, Status.FAILED])
def test_a_rerun_takes_every_result_but_a_crash(store, status):
    store.add(result(status=status))
    assert store.finished(["a"]) == {"a"}


def test_many_keys_are_found_at_once(store):
    keys = [f"k{i}" for i in range(1203)]
    for key in keys[::100]:
        store.add(result(key))
    assert store.finished(keys) == set(keys[::100]) == store.get(keys).keys()


def test_runs_are_numbered_and_kept(store):
    for metal in ("K", "Na"):
        store.add_run("k-philic-dopants", {"metal": metal}, {"python": "3.11"}, ["a", "b"])
    assert [(run.id, run.parameters["metal"], run.keys) for run in store.runs()] == [
        (1, "K", ["a", "b"]),
        (2, "Na", ["a", "b"]),
    ]


def test_an_unknown_step_is_named(store):
    with pytest.raises(KeyError, match="no step nope is written down"):
        store.definitions(["nope"])


WRITER = """
import sys
from philic.workflows.stores.result import Result, Status
from philic.workflows.stores.opening import open_store
store = open_store(sys.argv[1])
for i in range(40):
    for key in (f"{sys.argv[2]}-{i}", f"shared-{i}"):
        store.add(Result(Status.CONVERGED, sys.argv[2], key=key, function="relax"))
"""


def test_several_processes_make_and_write_one_store_at_once(tmp_path):
    path = tmp_path / "philic.db"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "xyz"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    stored = list(open_store(path).results("relax"))
    assert len(stored) == 4 * 40
    assert len({result.key for result in stored}) == len(stored)


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look like a file that matters\n" * 9)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"notes.txt` cannot be read as a store: file is not a database"):
        open_store(path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "atoms.db"
    ase.db.connect(str(path)).write(bulk("K"))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"atoms.db` is a database of another program \(it has the tables"):
        open_store(path)
    assert path.read_bytes() == before


def test_a_store_of_a_newer_schema_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "philic.db"
    open_store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE philic_schema SET version = {SCHEMA + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"has schema {SCHEMA + 1} but this philic knows up to {SCHEMA}"):
        open_store(path)
    assert path.read_bytes() == before


def test_a_store_of_an_older_schema_is_brought_up_to_date(tmp_path):
    path = tmp_path / "philic.db"
    open_store(path).add(result())
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE predictions")
        connection.execute("UPDATE philic_schema SET version = 1")
    connection.close()
    memory = open_store(path).memory("trail")
    memory.update({"digest": Prediction(-1.5, np.array([[0.1, 0.2, 0.3]]))})
    assert memory.get("digest").energy_eV == -1.5
    assert open_store(path).get(["a"])["a"].scalars == result().scalars


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(StoreError, match="cannot be a store: give the path of a file in a folder that exists"):
        open_store(tmp_path / "nowhere" / "philic.db")


def test_a_file_that_cannot_be_written_is_refused():
    with pytest.raises(StoreError, match=r"`/proc/philic.db` cannot be written: unable to open database file; give another"):
        open_store("/proc/philic.db")


def test_a_newer_definition_of_a_key_replaces_an_older_one(store):
    store.add_definitions({"a": {"potential": "mace:/old/file.model"}})
    store.add_definitions({"a": {"potential": "mace:/new/file.model"}})
    assert store.definitions(["a"])["a"] == {"potential": "mace:/new/file.model"}


def test_a_name_is_a_name_whatever_is_in_it(tmp_path):
    path = tmp_path / "why?mode=memory&x.db"
    open_store(path).add(result())
    assert [file.name for file in tmp_path.iterdir() if not file.name.endswith(("-wal", "-shm"))] == [path.name]
    assert open_store(path).finished(["a"]) == {"a"}


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
def test_reading_makes_no_file_and_no_table(tmp_path, content):
    path = tmp_path / "philic.db"
    if content is not None:
        path.write_bytes(content)
    store = open_store(path, reading=True)
    assert store.finished(["a"]) == set()
    assert store.get(["a"]) == {}
    assert list(store.results("relax")) == []
    assert store.runs() == []
    store.close()
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([] if content is None else [b""])


def test_reading_an_older_store_leaves_it_as_it_is(tmp_path):
    path = tmp_path / "philic.db"
    newer = open_store(path)
    newer.add(result())
    newer.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE predictions")
        connection.execute("UPDATE philic_schema SET version = 1")
    connection.close()
    before = path.read_bytes()
    store = open_store(path, reading=True)
    assert store.get(["a"])["a"].scalars == result().scalars
    store.close()
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_reading_a_store_does_not_write_it(store):
    store.add(result())
    store.close()
    before = Path(store.address).read_bytes()
    again = open_store(Path(store.address))
    assert again.finished(["a"]) == {"a"}
    again.close()
    assert Path(store.address).read_bytes() == before
