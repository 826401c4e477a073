"""The path of a GPU, taken on the CPU: the same numbers within rounding, in any batches that the memory allows."""

import re

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from philic.potentials import devices, load
from philic.structures.carbons.carbon import graphene

TOLERANCE_eV, TOLERANCE_eV_per_A = 1e-5, 1e-4
"""Between one structure a call and several, in float32; per atom."""


@pytest.fixture(autouse=True)
def largest(monkeypatch):
    monkeypatch.setattr(devices, "_largest", devices.FIRST_BATCH)


def structures():
    made = []
    for seed, atoms in enumerate(
        [graphene((2, 2), vacuum_A=8.0), bulk("K", cubic=True) * (2, 1, 1), bulk("KF", "rocksalt", a=5.4)]
    ):
        atoms.rattle(0.05, seed=seed)
        made.append(atoms)
    lost = Atoms("K", cell=[20, 20, 20], pbc=True)
    return [made[0], lost, *made[1:], made[0]]


@pytest.mark.parametrize("name", ["chgnet", "chgnet:r2scan"])
@pytest.mark.parametrize("largest", [devices.FIRST_BATCH, 9.0, 1.0], ids=["one batch", "several", "singly"])
def test_batches_give_the_numbers_of_single_calls(monkeypatch, name, largest):
    potential = load(name)
    singly = potential.evaluate(structures(), stress=True)
    monkeypatch.setenv(devices.DEVICE, "cpu-batches")
    monkeypatch.setattr(devices, "_largest", largest)
    together = potential.evaluate(structures(), stress=True)
    for atoms, one, other in zip(structures(), singly, together, strict=True):
        assert one.reason == other.reason
        np.testing.assert_allclose(other.energy_eV, one.energy_eV, atol=TOLERANCE_eV * len(atoms), equal_nan=True)
        np.testing.assert_allclose(other.forces_eV_per_A, one.forces_eV_per_A, atol=TOLERANCE_eV_per_A, equal_nan=True)
        np.testing.assert_allclose(other.stress_eV_per_A3, one.stress_eV_per_A3, atol=1e-5, equal_nan=True)
    assert np.abs(singly[0].forces_eV_per_A).max() > 0.1  # not a comparison of zeros


def test_batches_of_mace_give_the_numbers_of_single_calls(monkeypatch, tiny_mace):
    potential = load(f"mace:{tiny_mace('float64')}")
    salts = [bulk("KF", "rocksalt", a=5.2 + 0.1 * i) * (1 + i, 1, 1) for i in range(4)]
    for seed, atoms in enumerate(salts):
        atoms.rattle(0.1, seed=seed)
    singly = potential.evaluate(salts, stress=True)
    monkeypatch.setenv(devices.DEVICE, "cpu-batches")
    for one, other in zip(singly, potential.evaluate(salts, stress=True), strict=True):
        np.testing.assert_allclose(other.energy_eV, one.energy_eV, rtol=1e-10)
        np.testing.assert_allclose(other.forces_eV_per_A, one.forces_eV_per_A, atol=1e-10)
        np.testing.assert_allclose(other.stress_eV_per_A3, one.stress_eV_per_A3, atol=1e-10)


def test_batches_are_halved_until_they_fit_and_stay_so():
    calls = []

    def compute(batch):
        calls.append(len(batch))
        if sum(batch) > 25:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return [10 * one for one in batch]

    assert devices.in_batches(compute, [10, 5, 10, 10, 10, 5], int) == [100, 50, 100, 100, 100, 50]
    assert calls == [6, 3, 3]
    calls.clear()
    devices.in_batches(compute, [10, 5, 10, 10], int)
    assert calls == [3, 1]


def test_what_does_not_fit_alone_is_refused_with_its_size():
    def compute(_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(MemoryError, match="7 atoms do not fit the memory of cpu: use a larger GPU, or the CPU"):
        devices.in_batches(compute, [7], int)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("gpu", "`PHILIC_DEVICE` is 'gpu' but must be auto, cpu, cuda or cuda:N"),
        ("cuda:7", "`PHILIC_DEVICE` is 'cuda:7' but torch finds 0 GPUs here: use cpu, or a torch built for the GPU"),
    ],
)
def test_a_device_that_is_none_is_refused(monkeypatch, asked, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(devices.DEVICE, asked)
    with pytest.raises(ValueError, match=re.escape(words)):
        devices.device()


def test_a_gpu_is_taken_where_there_is_one(monkeypatch):
    monkeypatch.delenv(devices.DEVICE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "some card")
    assert devices.device_name() == "cuda (some card)"
    monkeypatch.setenv(devices.DEVICE, "cuda:1")
    assert devices.device() == "cuda:1"
    monkeypatch.setenv(devices.DEVICE, "cpu")
    assert devices.device_name() == "cpu"


def test_threads_for_a_single_structure_on_request(monkeypatch):
    sheet = structures()[0]
    before = load("chgnet").evaluate([sheet])[0]
    monkeypatch.setenv(devices.THREADS, "2")
    after = load("chgnet").evaluate([sheet])[0]
    np.testing.assert_allclose(after.energy_eV, before.energy_eV, atol=1e-4)
    seen = devices.map_in_threads(lambda _: torch.get_num_threads(), [0])
    assert seen == [2]
    assert devices.map_in_threads(lambda _: torch.get_num_threads(), [0, 1]) == [1, 1]
    monkeypatch.setenv(devices.THREADS, "many")
    with pytest.raises(ValueError, match="`PHILIC_THREADS` is 'many' but must be a number of threads, or all"):
        load("chgnet").evaluate([sheet])
