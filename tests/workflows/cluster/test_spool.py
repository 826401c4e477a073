"""Packs as folders: what is written comes back, one worker takes a pack, and a changed byte is noticed."""

import subprocess
import sys
import time

import numpy as np
import pytest
from ase.build import bulk

from philic.potentials.base import Prediction
from philic.workflows.cluster.spool import DONE, READY, RUNNING, Spool, SpoolError, read, write
from philic.workflows.stores.result import Result, Status


def result(key="a", status=Status.CONVERGED):
    atoms = bulk("K", cubic=True)
    arrays = {"forces_eV_per_A": np.array([[0.1, -1e-17, 2 / 3]] * 2)}
    return Result(
        status, "done", {"energy_eV": -2.1}, {"final": atoms}, arrays, key=key, function="relax", about={"metal": "K"}
    )


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "packs")
    spool.make()
    return spool


def add(spool, name="one", keys=("b",), parents=()):
    definitions = {key: {"function": "relax", "trail": f"t{key}"} for key in keys}
    spool.add(name, {"run": 1, "title": "t", "keys": list(keys), "definitions": definitions, "work": "/w"}, parents)


def test_a_result_goes_through_a_pack_to_the_last_bit(spool):
    add(spool, parents=[result("a")])
    pack = spool.claim("job 7")
    assert pack.finished(["a", "b"]) == {"a"}
    pack.add(result("b"))
    for key in ("a", "b"):
        back = pack.get([key])[key]
        assert back.structures["final"] == result().structures["final"]
        np.testing.assert_array_equal(back.arrays["forces_eV_per_A"], result().arrays["forces_eV_per_A"])
        assert (back.status, back.scalars, back.about) == (Status.CONVERGED, {"energy_eV": -2.1}, {"metal": "K"})
    assert pack.definitions(["b"]) == {"b": {"function": "relax", "trail": "tb"}}
    assert str(pack.folder("tb")) == "/w/tb"
    with pytest.raises(KeyError, match="no step c is written down"):
        pack.definitions(["c"])
    pack.end({})
    assert spool.packs(RUNNING) == []
    assert [one.key for one in spool.pack(DONE, "one").results()] == ["b"]


def test_packs_are_taken_in_the_order_in_which_they_were_made(spool):
    for name in ("2", "1", "3"):
        add(spool, name)
    assert [spool.claim("").path.name for _ in range(3)] == ["1", "2", "3"]
    assert spool.claim("") is None


CLAIMER = """
import sys
from pathlib import Path
from philic.workflows.cluster.spool import Spool
spool = Spool(Path(sys.argv[1]))
while pack := spool.claim(""):
    print(pack.path.name)
"""


def test_of_many_workers_one_takes_a_pack(spool):
    for number in range(60):
        add(spool, f"{number:02d}")
    workers = [subprocess.Popen([sys.executable, "-c", CLAIMER, spool.folder], stdout=subprocess.PIPE) for _ in range(4)]
    taken = [name for worker in workers for name in worker.communicate()[0].decode().split()]
    assert [worker.returncode for worker in workers] == [0] * 4
    assert sorted(taken) == [f"{number:02d}" for number in range(60)]


def test_who_works_on_a_pack_and_since_when_it_is_silent(spool):
    add(spool)
    pack = spool.claim("job 7")
    claim = pack.claim()
    assert (claim.job, claim.silent_s < 5) == ("job 7", True)
    time.sleep(1.1)
    assert pack.claim().silent_s > 1
    pack.beat()
    assert pack.claim().silent_s < 1


def test_a_worker_whose_pack_was_taken_away_is_told(spool):
    add(spool)
    pack = spool.claim("")
    assert spool.move("one", RUNNING, DONE)
    assert not spool.move("one", RUNNING, DONE)
    with pytest.raises(SpoolError, match="was taken away: the submitter took this worker for lost"):
        pack.add(result("b"))
    assert spool.pack(DONE, "one").ended()["handed_back"] == "its worker was lost"


def test_a_changed_byte_is_noticed_wherever_it_is(spool):
    add(spool, parents=[result("a")])
    pack = spool.claim("")
    pack.add(result("b"))
    pack.end({"b": "why"}, "the walltime ends")
    pack = spool.pack(DONE, "one")
    for path in [*pack.path.glob("*.json"), *pack.path.glob("results/*.json")]:
        whole = path.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 40)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(SpoolError, match="is damaged: it is not what was written"):
                read(path)
        path.write_bytes(whole[:-1])
        with pytest.raises(SpoolError, match="is damaged"):
            read(path)
        path.write_bytes(whole)
        read(path)


def test_a_damaged_result_is_a_sentence_and_the_others_are_read(spool):
    add(spool, keys=("b", "c"))
    pack = spool.claim("")
    pack.add(result("b"))
    pack.add(result("c"))
    broken = pack.path / "results" / "b.json"
    broken.write_bytes(broken.read_bytes()[:-4])
    sentence, whole = pack.results()
    assert sentence.endswith("b.json` is damaged: it is not what was written")
    assert whole.key == "c"


def test_forces_are_remembered_until_a_torn_end(spool):
    memory = spool.memory("trail")
    assert memory.get("0" * 32) is None
    predictions = {
        f"{i:032d}": Prediction(-i / 3, np.full((2, 3), i / 7), None if i % 2 else np.arange(6) / 9) for i in range(4)
    }
    for digest, prediction in predictions.items():
        memory.update({digest: prediction})
    again = spool.memory("trail")
    for digest, prediction in predictions.items():
        np.testing.assert_array_equal(again.get(digest).forces_eV_per_A, prediction.forces_eV_per_A)
        assert again.get(digest).energy_eV == prediction.energy_eV
    (path,) = (spool.folder / "memory" / "trail").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert set(spool.memory("trail").all()) == set(list(predictions)[:3])
    path.write_bytes(whole[:45] + bytes([whole[45] ^ 1]) + whole[46:])
    assert spool.memory("trail").all() == {}


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    write(tmp_path / "x.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    assert read(tmp_path / "x.json") == {"a": 1}


def test_others_cannot_look_into_the_folder(spool):
    assert spool.folder.stat().st_mode & 0o077 == 0


def test_ready_packs_are_whole(spool):
    """A pack that is being written is not seen by a worker."""
    half = spool.folder / READY / ".half"
    half.mkdir()
    assert spool.packs(READY) == []
    assert spool.claim("") is None
