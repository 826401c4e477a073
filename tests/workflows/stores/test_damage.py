"""A byte changed anywhere in what is stored is noticed, or changes no digit: in each kind of file, at random places."""

import random

import numpy as np
import pytest
from ase.build import bulk

from philic.potentials import load
from philic.potentials.base import Prediction
from philic.workflows.cluster.spool import READY, Spool, SpoolError, read, write
from philic.workflows.dynamics.md import md
from philic.workflows.dynamics.trajectory import read as read_trajectory
from philic.workflows.dynamics.trajectory import restore
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Result, Status

PLACES = 60
"""In each file; the slow test tries forty times as many."""


def damaged(content, rng):
    """Change a bit, cut the end off, blank a stretch, or put one in."""
    at, n = rng.randrange(len(content)), rng.randrange(1, 64)
    ways = [
        content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :],
        content[:at],
        content[:at] + bytes(len(content[at : at + n])) + content[at + n :],
        content[:at] + rng.randbytes(n) + content[at:],
    ]
    return rng.choice([way for way in ways if way != content])


def result(number):
    atoms = bulk("K", cubic=True)
    numbers = np.random.default_rng(number).normal(size=(2, 3))
    scalars = {"energy_eV": float(numbers[0, 0]), "site": "hollow"}
    about = {"metal": "K", "host": f"h{number}"}
    arrays = {"forces_eV_per_A": numbers}
    return Result(Status.CONVERGED, "", scalars, {"final": atoms}, arrays, key=f"k{number}", function="relax", about=about)


def plain(result):
    arrays = {name: array.tolist() for name, array in result.arrays.items()}
    return result.key, result.status, result.message, result.scalars, arrays, result.about


def noticed_or_same(path, whole, again, places, seed):
    """`again` returns what is read, the same every time, or raises a `ValueError` (or `SpoolError`) that names a file."""
    before, rng, noticed = again(), random.Random(seed), 0
    for _ in range(places):
        content = damaged(whole, rng)
        path.write_bytes(content)
        try:
            assert again() == before
        except (ValueError, SpoolError, OSError):
            noticed += 1
    path.write_bytes(whole)
    assert again() == before
    return noticed


@pytest.fixture(params=[PLACES, pytest.param(40 * PLACES, marks=pytest.mark.slow)])
def places(request):
    return request.param


def test_a_database(tmp_path, places):
    path = tmp_path / "philic.db"
    store = open_store(path)
    for number in range(12):
        store.add(result(number))
        store.add_definitions({f"k{number}": {"function": "relax", "number": number}})
    for number in range(3):
        store.add_run("recipe", {"metal": "K"}, {"python": "3"}, [f"k{number}"], "adsorption")
    store.memory("trail").update({"digest": Prediction(-1.5, np.array([[0.1, 0.2, 0.3]]))})
    store.close()
    keys = [f"k{number}" for number in range(12)]

    def again():
        for beside in tmp_path.glob("philic.db-*"):
            beside.unlink()
        opened = open_store(path, reading=True)
        try:
            if problems := list(opened.problems()):
                raise ValueError(problems[0].sentence)
            kept = opened.memory("trail").get("digest")
            same = kept is None or kept.energy_eV == -1.5  # what is not found is computed again
            runs = [(run.id, run.recipe, run.parameters, run.lock, run.keys) for run in opened.runs()]
            return [plain(one) for one in opened.get(keys).values()], opened.definitions(keys), runs, same
        finally:
            opened.close()

    assert noticed_or_same(path, path.read_bytes(), again, places, 1) > places / 3


@pytest.mark.parametrize("which", ["run.json", "00*.npz", "checkpoint.npz"])
def test_a_trajectory(tmp_path, which, places):
    start = bulk("Cu", cubic=True)
    folder = tmp_path / "run"
    list(md([start], load("emt"), folders=[folder], temperature_K=300.0, steps=1200, timestep_fs=2.0, seed=0))
    paths = list(folder.glob(which))

    def again():
        state, frames = restore(folder), read_trajectory(folder).frames
        return {name: array.tolist() for name, array in state.items()}, frames.positions_A.tolist(), frames.steps.tolist()

    for path in paths:
        assert noticed_or_same(path, path.read_bytes(), again, places // len(paths), 2) == places // len(paths)


def test_a_pack_and_its_memory(tmp_path, places):
    spool = Spool(tmp_path / "packs")
    spool.make()
    spool.add("one", {"keys": ["k1"]}, [result(1)])
    for name in ("pack.json", "parents.json"):
        path = spool.folder / READY / "one" / name
        assert noticed_or_same(path, path.read_bytes(), lambda path=path: repr(read(path)), places, 3) == places
    write(tmp_path / "file", {"a": [1.5]})
    path = tmp_path / "file"
    assert noticed_or_same(path, path.read_bytes(), lambda: read(path), places, 4) == places
