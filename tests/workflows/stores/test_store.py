import contextlib
import itertools
import os
import random
import re
import sqlite3
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import ase.db
import numpy as np
import pytest
from ase.build import bulk

from philic.potentials.base import Prediction
from philic.workflows.stores import opening
from philic.workflows.stores.files import DamagedError
from philic.workflows.stores.opening import network_file_system, open_store, work_folder
from philic.workflows.stores.result import Result, Status
from philic.workflows.stores.rows import Condition, flat, in_order
from philic.workflows.stores.store import Cost, State, StoreError
from philic.workflows.stores.tables import CHECKED, SCHEMA


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


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def address(request, tmp_path):
    """The address of a new store of each kind."""
    return request.getfixturevalue("postgres")() if request.param == "postgresql" else str(tmp_path / "philic.db")


@pytest.fixture
def store(address):
    store = open_store(address)
    yield store
    store.close()


SCHEMA_2 = """
CREATE TABLE definitions (key VARCHAR NOT NULL PRIMARY KEY, definition TEXT NOT NULL);
CREATE TABLE philic_schema (version INTEGER NOT NULL PRIMARY KEY);
CREATE TABLE predictions (trail VARCHAR NOT NULL, digest VARCHAR NOT NULL, energy_and_forces BLOB NOT NULL,
    PRIMARY KEY (trail, digest));
CREATE TABLE results (key VARCHAR NOT NULL PRIMARY KEY, function VARCHAR NOT NULL, status VARCHAR NOT NULL,
    message TEXT NOT NULL, force_calls INTEGER NOT NULL, wall_s FLOAT NOT NULL, cpu_s FLOAT NOT NULL, about TEXT NOT NULL,
    scalars TEXT NOT NULL, structures TEXT NOT NULL, arrays TEXT NOT NULL, provenance TEXT NOT NULL);
CREATE TABLE runs (id INTEGER NOT NULL PRIMARY KEY, recipe VARCHAR NOT NULL, created VARCHAR NOT NULL,
    parameters TEXT NOT NULL, lock TEXT NOT NULL, keys TEXT NOT NULL);
CREATE INDEX ix_results_function ON results (function);
INSERT INTO philic_schema VALUES (2);
INSERT INTO results VALUES ('a', 'relax', 'converged', 'done', 3, 1.5, 1.25, '{}', '{"energy_eV": -2.1}', '{}', '{}', '{}');
INSERT INTO runs VALUES (1, 'k-philic-dopants', '2026-11-01T00:00:00+00:00', '{"metal": "K"}', '{}', '["a"]');
"""
"""A store as philic 0.1 made them."""


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "philic.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(SCHEMA_2)
    connection.close()
    return path


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


def test_a_run_grows_and_ends(store):
    number = store.add_run("surface-diffusion", {"metal": "K"}, {}, ["a"], "surface-diffusion", "/somewhere")
    (run,) = store.runs()
    assert (run.kind, run.folder, run.state) == ("surface-diffusion", "/somewhere", State.RUNNING)
    assert run.state.open
    store.change_run(number, keys=["a", "b"])
    store.change_run(number, state=State.FINISHED)
    (run,) = store.runs()
    assert (run.keys, run.state) == (["a", "b"], State.FINISHED)


def test_crashes_are_counted_until_a_person_asks_again(store):
    for message in ("first", "second"):
        store.add(result(status=Status.CRASHED, message=message))
    store.add(result("fine"))
    assert store.tries(["a", "fine"])["a"].n == 2
    assert 0 <= store.tries(["a"])["a"].ago_s < 60
    assert store.tries(["fine"]) == {}
    store.forget_tries(["a"])
    assert store.tries(["a"]) == {}


def test_a_late_crash_of_a_finished_step_is_no_try(store):
    store.add(result())
    store.add(result(status=Status.CRASHED))
    assert store.tries(["a"]) == {}


def test_predictions_come_back_to_the_last_bit(store):
    plain = Prediction(-1.5, np.array([[0.1, 1 / 3, 0.3]]))
    with_stress = Prediction(2 / 3, np.zeros((2, 3)), np.arange(6) / 7)
    memory = store.memory("trail")
    memory.update({"one": plain, "two": with_stress})
    memory.update({"one": with_stress})  # the first stays
    assert store.memory("another").get("one") is None
    np.testing.assert_array_equal(memory.get("one").forces_eV_per_A, plain.forces_eV_per_A)
    np.testing.assert_array_equal(memory.get("two").stress_eV_per_A3, with_stress.stress_eV_per_A3)


WRITER = """
import sys
from philic.workflows.stores import opening
from philic.workflows.stores.files import DamagedError
from philic.workflows.stores.opening import network_file_system, open_store, work_folder
from philic.workflows.stores.result import Result, Status
store = open_store(sys.argv[1])
for i in range(40):
    for key in (f"{sys.argv[2]}-{i}", f"shared-{i}"):
        store.add(Result(Status.CONVERGED, sys.argv[2], key=key, function="relax"))
"""


def test_several_processes_make_and_write_one_store_at_once(address):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, address, name]) for name in "xyz"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    store = open_store(address)
    stored = list(store.results("relax"))
    store.close()
    assert len(stored) == 4 * 40
    assert len({result.key for result in stored}) == len(stored)


@pytest.mark.server
def test_a_server_that_goes_away_for_a_while_is_waited_for(postgres):
    address = postgres()
    writer = subprocess.Popen([sys.executable, "-c", WRITER.replace("range(40)", "range(400)"), address, "x"])
    control = control_of(address)
    while len(stored_in(address)) < 40:
        time.sleep(0.05)
    control("stop", "-m", "immediate")
    time.sleep(2)
    control("start")
    assert writer.wait(timeout=120) == 0
    assert len(stored_in(address)) == 800


def control_of(address):
    """Give a function that calls ``pg_ctl`` for the server of an address."""
    folder = address.rpartition("host=")[2]
    (programs,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    options = ["-w", "-D", f"{folder}/data", "-l", f"{folder}/log", "-o", f"-k {folder} -c listen_addresses=''"]

    def control(*command):
        subprocess.run([*as_user, str(programs / "pg_ctl"), *options, *command], check=True, cwd="/")

    return control


def stored_in(address):
    store = open_store(address)
    found = list(store.results("relax"))
    store.close()
    return found


@pytest.mark.server
def test_a_server_out_of_reach_is_refused_at_once(postgres):
    with pytest.raises(StoreError, match=r"cannot be used: .*(does not exist|No such file)"):
        open_store(postgres().replace("test", "no-test", 1).replace("no-test", "nope"))


@pytest.mark.server
def test_another_programs_database_on_a_server_is_refused(postgres):
    import psycopg

    address = postgres()
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE theirs (x integer)")
    with pytest.raises(StoreError, match=r"is a database of another program \(it has the tables theirs\)"):
        open_store(address)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://me:secret@host/db", "the address of the store at `host/db` holds a password"),
        ("postgresql://host/db?password=secret", "holds a password, which others see in the list of processes"),
        ("mysql://host/db", "`mysql://host/db` is no address of a store: give a path, or postgresql://USER@HOST/DATABASE"),
        ("://", "`://` is no address of a store"),
    ],
)
def test_an_address_that_is_none_or_tells_a_password_is_refused(address, words):
    with pytest.raises(StoreError, match=re.escape(words)) as refusal:
        open_store(address)
    assert "secret" not in str(refusal.value)


def test_the_folder_for_trajectories_is_beside_a_file_or_a_setting(tmp_path, monkeypatch):
    assert open_store(tmp_path / "philic.db").folder("trail") == tmp_path / "philic.db.work" / "trail"
    assert work_folder("postgresql://me@host/db") is None
    monkeypatch.setenv("PHILIC_WORK", str(tmp_path / "scratch"))
    assert open_store(tmp_path / "philic.db").folder("trail") == tmp_path / "scratch" / "trail"
    assert work_folder("postgresql://me@host/db") == tmp_path / "scratch"


def test_a_network_file_system_is_recognised(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\n/dev/sdb /home/local\\040disk ext4 rw 0 0\n")
    assert network_file_system(Path("/home/me/philic.db"), mounts) == "nfs4"
    assert network_file_system(Path("/home/local disk/philic.db"), mounts) == ""
    assert network_file_system(Path("/var/tmp/philic.db"), mounts) == ""
    assert network_file_system(Path("/homes/philic.db"), tmp_path / "missing") == ""


def test_a_file_on_a_network_file_system_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "network_file_system", lambda _: "lustre")
    with pytest.raises(StoreError, match=r"is on a network file system \(lustre\), where SQLite can lose what"):
        open_store(tmp_path / "philic.db")
    assert not list(tmp_path.iterdir())


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


def test_a_store_of_an_older_schema_is_brought_up_to_date(old):
    store = open_store(old)
    assert store.get(["a"])["a"].scalars == {"energy_eV": -2.1}
    store.memory("trail").update({"digest": Prediction(-1.5, np.array([[0.1, 0.2, 0.3]]))})
    assert store.memory("trail").get("digest").energy_eV == -1.5
    number = store.add_run("new", {}, {}, ["b"], "adsorption")
    store.add(result("crashed", status=Status.CRASHED))
    first, second = store.runs()
    assert (first.kind, first.state, first.keys) == ("", State.FINISHED, ["a"])
    assert (second.id, second.kind, second.state) == (number, "adsorption", State.RUNNING)
    store.close()
    assert open_store(old, reading=True).tries(["crashed"])["crashed"].n == 1


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


def test_reading_an_older_store_leaves_it_as_it_is(old, tmp_path):
    before = old.read_bytes()
    store = open_store(old, reading=True)
    assert store.get(["a"])["a"].scalars == {"energy_eV": -2.1}
    assert [run.keys for run in store.runs()] == [["a"]]
    assert store.states() == {1: State.FINISHED}
    assert not [problem for problem in store.problems() if problem.table]
    assert store.tries(["a"]) == {}
    store.close()
    assert old.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [old.name]


def test_reading_a_store_does_not_write_it(tmp_path):
    path = tmp_path / "philic.db"
    store = open_store(path)
    store.add(result())
    store.close()
    before = path.read_bytes()
    again = open_store(path)
    assert again.finished(["a"]) == {"a"}
    again.close()
    assert path.read_bytes() == before


def test_what_force_calls_took_is_summed_by_size(store):
    origin = {"fingerprint": {"name": "emt"}}
    for key, calls, wall_s in (("a", 3, 1.0), ("b", 5, 2.5)):
        store.add(result(key, force_calls=calls, wall_s=wall_s, provenance=origin))
    store.add(result("a", force_calls=99, wall_s=99.0, provenance=origin))  # is there already
    store.add(result("c", force_calls=0, provenance=origin))
    assert store.costs() == [Cost("emt", "cpu", 2, 8, 3.5)]


def test_a_sound_store_has_no_problems_and_a_damaged_row_is_named(tmp_path):
    path = tmp_path / "philic.db"
    store = open_store(path)
    store.add(result("a"))
    store.add_definitions({"a": {"function": "relax"}, "b": {"function": "relax"}})
    store.add_run("new", {}, {}, ["a", "b"])
    assert list(store.problems()) == []
    store.add_run("other", {}, {}, ["a", "c"])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE results SET scalars = substr(scalars, 3) WHERE key = 'a'")
        connection.execute("UPDATE definitions SET definition = '{' WHERE key = 'b'")
    connection.close()
    said = "\n".join(problem.sentence for problem in store.problems())
    assert "the result a is damaged (" in said
    assert "the step b is damaged (" in said
    assert "run 2 (other): 1 of its steps are not written down, c for one" in said


def test_a_damaged_file_is_noticed(tmp_path):
    path = tmp_path / "philic.db"
    store = open_store(path)
    for number in range(40):
        store.add(result(f"k{number}"))
    store.close()
    whole = bytearray(path.read_bytes())
    whole[5 * 4096 : 6 * 4096] = bytes(4096)
    path.write_bytes(whole)
    assert any(re.search("malformed|damaged", problem.sentence) for problem in open_store(path).problems())


COLUMNS = [(table, column) for table, columns in CHECKED.items() for column in columns]


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_that_changed_is_named_left_out_of_tables_and_forgotten_on_request(tmp_path, table, column, caplog):
    """Every column in turn is given a value that it could have; what is not damaged stays as it is."""
    path = tmp_path / "philic.db"
    store = open_store(path)
    for key in "ab":
        store.add(result(key))
        store.add_definitions({key: {"function": "relax"}})
        store.add_run("recipe", {"metal": "K"}, {}, [key], "adsorption")
    id_ = "id = 1" if table == "runs" else "key = 'a'"
    new = {"key": "'c'", "status": "'failed'", "parameters": """'{"metal": "Na"}'"""}
    new |= dict.fromkeys(("about", "scalars", "structures", "arrays", "provenance", "definition", "lock"), """'{"n": 1}'""")
    new |= dict.fromkeys(("force_calls", "wall_s", "cpu_s"), f"{column} + 1")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        value = new.get(column, "'other'")
        connection.execute(f"UPDATE {table} SET {column} = {value} WHERE {id_}")
    name = {"results": "result", "definitions": "step", "runs": "run"}[table]
    key = "1" if table == "runs" else "c" if column == "key" else "a"
    words = rf"the {name} {key} is damaged \(a number or word of it changed\): `philic check --mend` forgets it"
    asked = {"results": lambda: store.get([key]), "definitions": lambda: store.definitions([key]), "runs": store.runs}
    with pytest.raises(DamagedError, match=words):
        asked[table]()
    if table == "results" and column != "function":
        assert [one.key for one in store.results("relax")] == ["b"]
        assert re.search(words, caplog.text)
    (problem,) = (one for one in store.problems() if one.table)
    assert re.search(words, problem.sentence)
    store.forget(problem)
    assert not [one for one in store.problems() if one.table]
    assert store.get(["b"])["b"].scalars == result("b").scalars
    assert store.runs()[-1].parameters == {"metal": "K"}


def test_a_prediction_that_changed_is_not_taken(tmp_path):
    store = open_store(tmp_path / "philic.db")
    kept = Prediction(-1.5, np.array([[0.1, 0.2, 0.3]]))
    store.memory("trail").update({"one": kept, "other": kept})
    with contextlib.closing(sqlite3.connect(tmp_path / "philic.db")) as connection, connection:
        (content,) = connection.execute("SELECT energy_and_forces FROM predictions WHERE digest = 'one'").fetchone()
        changed = content[:-1] + bytes([content[-1] ^ 1])
        connection.execute("UPDATE predictions SET energy_and_forces = ? WHERE digest = 'one'", (changed,))
    assert store.memory("trail").get("one") is None
    assert store.memory("trail").get("other").energy_eV == -1.5


def test_a_step_is_reserved_for_one_process_until_it_lets_go_or_is_silent(store):
    assert store.reserve(["a", "b"], "one", 100.0) == {"a", "b"}
    assert store.reserve(["a", "b", "c"], "two", -5.0) == {"c"}
    assert store.owners() == {"one"}  # the lease of the other has run out
    assert store.reserve(["c"], "one", 100.0) == {"c"}
    assert store.owners("c") == {"one"}
    assert store.owners("d") == set()
    assert store.reserve(["a"], "one", 100.0) == {"a"}
    store.release("one")
    assert store.reserve(["a", "b", "c"], "two", 100.0) == {"a", "b", "c"}
    store.release("two")
    assert store.owners() == set()


@pytest.fixture
def on_a_read_only_disk(tmp_path):
    """A store on a file system that cannot be written."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system")
    store = open_store(disk / "philic.db")
    store.add(result("a"))
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    yield disk / "philic.db"
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_store_on_a_read_only_disk_is_read_and_not_written(on_a_read_only_disk):
    store = open_store(on_a_read_only_disk, reading=True)
    assert store.get(["a"])["a"].key == "a"
    store.close()
    store = open_store(on_a_read_only_disk)
    with pytest.raises(StoreError, match="cannot be used"):
        store.add(result("b"))
    store.close()


VALUES = [None, True, False, 0, 3, -2.5, 1e-9, 2.0**60, "", "K", "Na", "top N", "Å", "z" * 600, "2", ["K"], float("nan")]
CONDITIONS = [
    "a<1", "a>=-2.5", "a=3", "a=true", "a!=0", "a=K", "a!=K", "a<Na", "a>=top N", "a=Å", "a>=", "b>z",
    "b!=z", "a=top*", "a!=*a", "a=z*", "b=*", "key=k1*", "message!=*calls", "b=3", "b!=Na", "key=k7",
    "key!=k7", "status=converged", "force_calls>=3", "message=converged in 3 force calls", "function=relax", "metal=K",
]  # fmt: skip


@pytest.fixture
def varied(store):
    """A store of 200 results whose columns hold values of all kinds, and what a search that reads all of it finds."""
    chosen = random.Random(5)
    for number in range(200):
        scalars = {name: chosen.choice(VALUES) for name in ("a", "b") if chosen.random() < 0.9}
        store.add(result(f"k{number}", scalars=scalars))
    store.add(result("other", function="gate", scalars={"a": 0.5, "z": 1}))
    return store, list(store.get(f"k{number}" for number in range(200)).values())


def test_what_is_searched_by_the_index_is_what_is_found_without(varied):
    store, every = varied
    pairs = [(one,) for one in CONDITIONS] + list(itertools.combinations(CONDITIONS, 2))
    some = 0
    for texts in [(), *pairs]:
        conditions = [Condition.read(text) for text in texts]
        expected = {one.key for one in every if all(condition.met_by(flat(one)) for condition in conditions)}
        found = [one.key for one in store.results("relax", conditions, whole=False)]
        assert len(found) == len(set(found))
        assert set(found) == expected, texts
        some += bool(expected)
    assert some > 100
    assert set(store.columns("relax")) >= {"key", "function", "message", "status", "a", "b", "metal", "force_calls"}
    assert "z" not in store.columns("relax")


@pytest.mark.parametrize("largest_first", [False, True])
@pytest.mark.parametrize("column", ["a", "b", "key", "metal", "wall_s", "message"])
def test_what_is_sorted_by_the_index_is_in_the_order_of_a_sort(varied, column, largest_first):
    store, every = varied
    for texts in ((), ("b!=Na",)):
        conditions = [Condition.read(text) for text in texts]
        ours = [one for one in every if all(condition.met_by(flat(one)) for condition in conditions)]
        found = list(store.results("relax", conditions, column, largest_first=largest_first, whole=False))
        expected = in_order(ours, column, largest_first)
        if column != "message":  # all are equal
            assert [one.key for one in found] == [one.key for one in expected]
        assert sorted(one.key for one in found) == sorted(one.key for one in ours)


def test_a_crash_that_gives_way_is_not_found_again(store):
    store.add(result(status=Status.CRASHED, scalars={"a": 1.0}, about={"metal": "Na"}))
    assert [one.status for one in store.results("relax", [Condition.read("metal=Na")])] == [Status.CRASHED]
    store.add(result())
    assert list(store.problems()) == []
    assert not list(store.results("relax", [Condition.read("metal=Na")]))
    assert "a" not in store.columns("relax")
    assert [one.status for one in store.results("relax", [Condition.read("metal=K")])] == [Status.CONVERGED]


def test_a_crash_that_is_damaged_gives_way_too(store):
    store.add(result(status=Status.CRASHED, scalars={"a": 1.0}))
    store._do(lambda connection: connection.exec_driver_sql("UPDATE results SET scalars = '{}'"))
    store.add(result())
    assert list(store.problems()) == []
    assert "a" not in store.columns("relax")
    assert store.get(["a"])["a"].status is Status.CONVERGED


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM numbers WHERE name = 'energy_eV'",
        "UPDATE numbers SET value = 5 WHERE name = 'energy_eV'",
        "UPDATE texts SET key = 'b' WHERE name = 'metal'",
        "INSERT INTO texts VALUES ('relax', 'metal', 'Na', 'a')",
        "INSERT INTO numbers VALUES ('relax', 'energy_eV', -9, 'gone')",
    ],
)
def test_a_damaged_index_gives_no_wrong_result_and_is_noticed_and_made_anew(tmp_path, damage):
    path = tmp_path / "philic.db"
    store = open_store(path)
    store.add(result("a"))
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(damage)
    for text in ("energy_eV>4", "metal=Na", "energy_eV<-8"):
        assert not list(store.results("relax", [Condition.read(text)]))
    (problem,) = store.problems()
    assert "the index of the results, which they are searched by, is damaged: `philic check --mend` makes it anew" in str(
        problem
    )
    store.forget(problem)
    assert list(store.problems()) == []
    assert [one.key for one in store.results("relax", [Condition.read("metal=K")], "energy_eV")] == ["a"]


def test_an_older_store_is_searched_without_an_index_and_gets_one(old):
    reading = open_store(old, reading=True)
    conditions = [Condition.read("energy_eV<-2"), Condition.read("function=relax")]
    assert [one.key for one in reading.results("relax", conditions, "energy_eV")] == ["a"]
    assert not list(reading.results("relax", [Condition.read("energy_eV>0")]))
    assert "energy_eV" in reading.columns("relax")
    reading.close()
    store = open_store(old)
    assert next(iter(store.problems())).table == ""  # a run whose steps philic 0.1 did not write down
    assert [one.key for one in store.results("relax", conditions, "energy_eV")] == ["a"]
    assert "energy_eV" in store.columns("relax")


@pytest.mark.parametrize(
    ("folder", "umask", "expected"), [(0o1777, 0o002, 0o600), (0o755, 0o022, 0o644), (0o2775, 0o002, 0o664)]
)
def test_a_store_is_ones_own_where_everybody_may_write_else_as_the_umask_says(tmp_path, caplog, folder, umask, expected):
    tmp_path.chmod(folder)
    before = os.umask(umask)
    try:
        store = open_store(tmp_path / "philic.db")
        store.add(result())
        modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert len(list(tmp_path.iterdir())) == 3  # the file, and two of SQLite's beside it
    assert modes == {expected}
    assert ("everybody may write: only you can read it (mode 0600)" in caplog.text) == (expected == 0o600)
    caplog.clear()
    open_store(tmp_path / "philic.db")
    assert not caplog.text
