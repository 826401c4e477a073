import shutil
import threading

import numpy as np
import pytest
from ase.build import bulk
from ase.constraints import FixAtoms

from philic.workflows.dynamics.trajectory import (
    GRID_A,
    Frames,
    append,
    begin,
    estimated_bytes,
    read,
    restore,
    save,
    set_aside,
)
from philic.workflows.stores.files import DamagedError, write_atomically

ABOUT = {"timestep_fs": 2.0, "seed": 1}


def chunk(first, n_frames=5, n_atoms=4):
    rng = np.random.default_rng(first)
    positions = np.cumsum(rng.normal(size=(n_frames, n_atoms, 3)), axis=0)
    cells = np.repeat(np.eye(3)[None] * 3.6, n_frames, axis=0)
    return Frames(np.arange(first, first + 10 * n_frames, 10), positions, cells, *rng.normal(size=(4, n_frames)))


@pytest.fixture
def folder(tmp_path):
    begin(tmp_path / "run", bulk("Cu", cubic=True), ABOUT)
    return tmp_path / "run"


def test_what_is_read_is_what_was_written(folder):
    chunks = [chunk(0), chunk(50), chunk(100, 2)]
    for frames in chunks:
        append(folder, frames)
    trajectory = read(folder)
    assert len(trajectory.frames) == 12
    assert trajectory.about == ABOUT
    joined = np.concatenate([frames.positions_A for frames in chunks])
    np.testing.assert_allclose(trajectory.frames.positions_A, joined, atol=0.51 * GRID_A)
    for name in ("steps", "cells_A", "potential_eV", "kinetic_eV", "bath_eV", "pressure_GPa"):
        np.testing.assert_array_equal(getattr(trajectory.frames, name), np.concatenate([getattr(c, name) for c in chunks]))
    assert trajectory.frame_ps == pytest.approx(0.02)
    assert trajectory.times_ps[-1] == pytest.approx(0.22)


def test_a_frame_comes_back_as_atoms(folder):
    append(folder, chunk(0))
    trajectory = read(folder)
    atoms = trajectory.atoms(3)
    assert atoms.symbols.get_chemical_formula() == "Cu4"
    assert atoms.pbc.all()
    np.testing.assert_array_equal(atoms.positions, trajectory.frames.positions_A[3])


def test_fixed_atoms_are_remembered(tmp_path):
    start = bulk("Cu", cubic=True)
    start.set_constraint(FixAtoms([2]))
    begin(tmp_path, start, ABOUT)
    append(tmp_path, chunk(0))
    assert read(tmp_path).atoms(0).constraints[0].index.tolist() == [2]


def test_frames_until_a_step():
    assert chunk(0).until(20).steps.tolist() == [0, 10, 20]


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 0.999])
def test_a_torn_last_chunk_is_left_out(folder, part):
    append(folder, chunk(0))
    append(folder, chunk(50))
    last = folder / "0000000050.npz"
    content = last.read_bytes()
    last.write_bytes(content[: int(part * len(content))])
    assert read(folder).frames.steps.tolist() == [0, 10, 20, 30, 40]


def test_a_byte_changed_anywhere_is_noticed(folder):
    """Each byte of every file in turn: the frames before a damaged last chunk, or a sentence that names what is wrong."""
    for first in (0, 50, 100):
        append(folder, chunk(first, n_atoms=1))
    save(folder, {"step": 100 + 10 * 4, "rng": "state"})
    whole = read(folder)
    for name in ("run.json", "0000000000.npz", "0000000050.npz", "0000000100.npz", "checkpoint.npz"):
        content = (folder / name).read_bytes()
        for at in range(0, len(content), 7):
            (folder / name).write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
            with pytest.raises(DamagedError, match=str(folder)):
                restore(folder)
            if name == "0000000100.npz":
                assert read(folder).frames.steps[-1] == 90
            elif name != "checkpoint.npz":
                with pytest.raises(DamagedError, match=r"`.*(run\.json|npz)` is damaged: it is not what was written"):
                    read(folder)
        (folder / name).write_bytes(content)
    np.testing.assert_array_equal(read(folder).frames.positions_A, whole.frames.positions_A)
    assert restore(folder)["rng"] == "state"


def missing(chunks):
    chunks[1].unlink()


def doubled(chunks):
    shutil.copy(chunks[1], chunks[1].with_name("0000000055.npz"))


def swapped(chunks):
    one, other = (path.read_bytes() for path in chunks[1:3])
    chunks[1].write_bytes(other)
    chunks[2].write_bytes(one)


def first_missing(chunks):
    chunks[0].unlink()


def another(chunks):
    """A chunk with the right steps, of a run with another seed."""
    elsewhere = chunks[0].parent.parent / "other"
    begin(elsewhere, bulk("Cu", cubic=True), {**ABOUT, "seed": 2})
    append(elsewhere, chunk(50))
    shutil.copy(elsewhere / chunks[1].name, chunks[1])


@pytest.mark.parametrize("damage", [missing, doubled, swapped, first_missing, another])
def test_chunks_that_do_not_follow_each_other_are_noticed(folder, damage):
    for first in (0, 50, 100, 150):
        append(folder, chunk(first))
    damage(sorted(folder.glob("*.npz")))
    with pytest.raises(DamagedError, match=r"`.*run.*` (is damaged|lacks frames, or has some twice: step \d+ is not)"):
        read(folder)


def test_what_a_kill_left_half_written_is_not_seen(folder):
    append(folder, chunk(0))
    (folder / "0000000050.part").write_bytes(b"PK half")
    assert len(read(folder).frames) == 5


def test_it_can_be_read_while_it_grows(folder):
    append(folder, chunk(0))
    writer = threading.Thread(target=lambda: [append(folder, chunk(first)) for first in range(50, 1550, 50)])
    writer.start()
    lengths = [len(read(folder).frames)]
    while writer.is_alive():
        lengths.append(len(read(folder).frames))
    writer.join()
    assert lengths == sorted(lengths)
    assert all(length % 5 == 0 for length in lengths)
    assert len(read(folder).frames) == 155


def test_what_comes_after_a_checkpoint_is_dropped(folder):
    for first in (0, 50, 100):
        append(folder, chunk(first))
    save(folder, {"step": 90})
    assert restore(folder) == {"step": 90}
    assert read(folder).frames.steps[-1] == 90


def test_without_a_checkpoint_nothing_counts(folder):
    append(folder, chunk(0))
    assert restore(folder) is None
    with pytest.raises(ValueError, match="holds no frame yet"):
        read(folder)


def test_what_is_set_aside_is_kept(folder):
    append(folder, chunk(0))
    content = (folder / "0000000000.npz").read_bytes()
    set_aside(folder)
    assert (folder / "0000000000.npz.damaged").read_bytes() == content
    begin(folder, bulk("Cu", cubic=True), {**ABOUT, "seed": 2})


def test_no_run_and_no_frame_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="holds no frame yet: wait for the first chunk"):
        read(folder)
    with pytest.raises(ValueError, match="holds no run: give the folder of one"):
        read(tmp_path / "elsewhere")


def test_the_estimate_of_the_disk_is_near(folder):
    rng = np.random.default_rng(0)
    n_frames, n_atoms = 200, 50
    positions = rng.random((n_atoms, 3)) * 10 + 0.1 * rng.normal(size=(n_frames, n_atoms, 3))
    cells = np.repeat(np.eye(3)[None] * 10, n_frames, axis=0)
    append(folder, Frames(np.arange(n_frames), positions, cells, *rng.normal(size=(4, n_frames))))
    size = (folder / "0000000000.npz").stat().st_size
    assert 0.5 * size < estimated_bytes(n_atoms, n_frames) < 2 * size


def test_a_file_is_written_as_a_whole(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
