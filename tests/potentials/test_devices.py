"""Devices: their settings, and batches against one by one. Batches run on the CPU here, and on a GPU where there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene

from philic import potentials
from philic.potentials import Potential, Prediction
from philic.potentials.devices import check_machine, device, device_name
from philic.potentials.torch_threads import import_torch, map_in_threads

torch = import_torch()

TOLERANCES = {"chgnet": 1e-5, "chgnet:r2scan": 1e-5, "mace:float64": 1e-9, "mace:float32": 1e-5}
"""Largest difference of energies (eV per atom) and stresses (eV/Å³); forces (eV/Å) may differ by ten times as much."""


@pytest.fixture(scope="module", params=TOLERANCES)
def case(request: pytest.FixtureRequest, tiny_mace: Callable[..., Path]) -> tuple[str, float]:
    name = f"mace:{tiny_mace(request.param[5:])}" if request.param.startswith("mace") else request.param
    return name, TOLERANCES[request.param]


def structures() -> list[Atoms]:
    """Crystals and sheets of 1 to 32 atoms, rattled, and among them two that CHGNet says nothing about."""
    sheet = graphene(size=(2, 2, 1), vacuum=6.0)
    sheet.pbc = True
    salt = bulk("KF", "rocksalt", a=5.4)
    alone = Atoms("K", cell=[20, 20, 20], pbc=True)
    bare = Atoms("K2", positions=[[0, 0, 0], [0, 0, 4]])
    found = [salt * (2, 2, 1), bulk("K"), bare, sheet, salt * (4, 2, 2), alone, salt, sheet * (2, 1, 1), salt * (1, 1, 3)]
    for seed, atoms in enumerate(found):
        atoms.rattle(0.05, seed=seed)
    return found


def assert_same(expected: list[Prediction], found: list[Prediction], tolerance: float) -> None:
    for here, there in zip(expected, found, strict=True):
        assert there.reason == here.reason
        assert there.energy_eV == pytest.approx(here.energy_eV, abs=tolerance * len(here.forces_eV_per_A), nan_ok=True)
        np.testing.assert_allclose(there.forces_eV_per_A, here.forces_eV_per_A, atol=10 * tolerance)
        assert (there.stress_eV_per_A3 is None) == (here.stress_eV_per_A3 is None)
        if here.stress_eV_per_A3 is not None:
            np.testing.assert_allclose(there.stress_eV_per_A3, here.stress_eV_per_A3, atol=tolerance)


@pytest.mark.parametrize("n_rows", [10_000, 1_500, 1])
def test_batches_give_the_numbers_of_one_by_one(case: tuple[str, float], n_rows: int, in_batches) -> None:
    name, tolerance = case
    potential = potentials.load(name)
    together = in_batches(potential, n_rows)
    assert_same(potential.evaluate(structures(), True), together.evaluate(structures(), True), tolerance)
    assert_same(potential.evaluate(structures()), together.evaluate(structures()), tolerance)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_numbers_of_a_cpu(case: tuple[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    name, tolerance = case
    expected = potentials.load(name).evaluate(structures(), True)
    monkeypatch.setenv("PHILIC_DEVICE", "cuda")
    try:
        on_gpu = potentials.load.__wrapped__(name)
        assert on_gpu.device == f"cuda ({torch.cuda.get_device_name()})"
        assert_same(expected, on_gpu.evaluate(structures(), True), tolerance)
    finally:
        model_of(potentials.load(name)).to("cpu")


class SmallMemory:
    """A model's forward that runs out of memory with more atoms than fit, as torch says it."""

    def __init__(self, model: Any, n_atoms: int, error: Exception) -> None:
        self.forward, self.n_atoms, self.error = model.forward, n_atoms, error
        self.calls: list[int] = []

    def __call__(self, graphs, **options):
        n = len(graphs["node_attrs"]) if isinstance(graphs, dict) else sum(len(graph.atomic_number) for graph in graphs)
        self.calls.append(n)
        if n > self.n_atoms:
            raise self.error
        return self.forward(graphs, **options)


OUT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
IN_TORCHSCRIPT = RuntimeError("The following operation failed in the TorchScript interpreter.\n… CUDA out of memory.")

IN_CUBLAS = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


def model_of(potential: Potential) -> Any:
    held = potential.predict.args[0]
    return getattr(held, "models", [held])[0]


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SmallMemory]:
    def shrink(potential: Potential, n_atoms: int, error: Exception = OUT) -> SmallMemory:
        memory = SmallMemory(model_of(potential), n_atoms, error)
        monkeypatch.setattr(model_of(potential), "forward", memory)
        return memory

    return shrink


@pytest.mark.parametrize("error", [OUT, IN_TORCHSCRIPT, IN_CUBLAS], ids=["torch", "TorchScript", "cuBLAS"])
def test_a_batch_that_does_not_fit_is_halved(case: tuple[str, float], error: Exception, in_batches, small_memory) -> None:
    name, tolerance = case
    atoms = [bulk("KF", "rocksalt", a=5.3) for _ in range(9)]  # no neighbours near a cutoff: all have as many rows
    for seed, one in enumerate(atoms):
        one.rattle(0.01, seed=seed)
    expected = potentials.load(name).evaluate(atoms)
    together = in_batches(potentials.load(name))
    memory = small_memory(together, 5, error)
    assert_same(expected, together.evaluate(atoms), tolerance)
    assert memory.calls == [18, 8, 4, 4, 4, 4, 2]
    memory.calls.clear()
    together.evaluate(atoms)
    assert memory.calls == [4, 4, 4, 4, 2]  # it has learnt


def test_a_structure_that_does_not_fit_alone_is_refused(in_batches, small_memory) -> None:
    together = in_batches(potentials.load("chgnet"))
    memory = small_memory(together, 4)
    sentence = "^F4K4 has 8 atoms, too many for the memory of cpu: take a smaller cell, a device with more memory, or PHILIC"
    with pytest.raises(MemoryError, match=sentence):
        together.evaluate([bulk("KF", "rocksalt", a=5.4), bulk("KF", "rocksalt", a=5.4, cubic=True)])
    assert memory.calls == [10, 2, 8]


def test_free_atoms_are_halved_too(tiny_mace: Callable[..., Path], in_batches, small_memory) -> None:
    potential = potentials.load(f"mace:{tiny_mace()}")
    atoms = [Atoms(symbol, cell=[20, 20, 20], pbc=True) for symbol in ("K", "F", "C")]
    expected, together = potential.evaluate(atoms), in_batches(potential)
    memory = small_memory(together, 1)
    assert_same(expected, together.evaluate(atoms), 1e-9)
    assert memory.calls == [3, 1, 1, 1]


def test_another_error_is_not_taken_for_memory(in_batches, small_memory) -> None:
    together = in_batches(potentials.load("chgnet"))
    memory = small_memory(together, 0, RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        together.evaluate([bulk("K")] * 2)
    assert memory.calls == [2]


def test_batches_grow_until_memory_runs_out(in_batches, small_memory) -> None:
    together = in_batches(potentials.load("chgnet"), n_rows=1)
    memory = small_memory(together, 5)
    for _ in range(3):
        together.evaluate([bulk("K")] * 40)
    largest = memory.calls.index(max(memory.calls))
    growing, after = memory.calls[:largest], memory.calls[largest + 1 :]
    assert growing == sorted(growing)
    assert growing[0] == 1
    assert max(after) == max(growing)
    assert together.predict.args[1].ran_out


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("PHILIC_DEVICE", "gpu", "`PHILIC_DEVICE` is 'gpu' but must be auto, cpu, cuda or cuda:N"),
        ("PHILIC_DEVICE", "cuda:", "`PHILIC_DEVICE` is 'cuda:' but must be auto, cpu, cuda or cuda:N"),
        (
            "PHILIC_DEVICE",
            "cuda:99",
            r"`PHILIC_DEVICE` is 'cuda:99' but PyTorch \S+ finds ",
        ),
        ("PHILIC_THREADS", "0", "`PHILIC_THREADS` is '0' but must be a whole number from 1, or all"),
        ("PHILIC_THREADS", "-1", "`PHILIC_THREADS` is '-1' but must"),
        ("PHILIC_THREADS", "many", "`PHILIC_THREADS` is 'many' but must"),
    ],
)
def test_wrong_settings(variable: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"^{sentence}"):
        check_machine()


@pytest.mark.parametrize(
    ("value", "n_gpus", "expected"), [("auto", 0, "cpu"), ("", 1, "cuda"), ("cpu", 1, "cpu"), ("cuda:1", 2, "cuda:1")]
)
def test_the_device_of_a_machine(value: str, n_gpus: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H100")
    monkeypatch.setenv("PHILIC_DEVICE", value)
    assert device() == expected
    assert device_name() == ("cpu" if expected == "cpu" else f"{expected} (NVIDIA H100)")
    check_machine()


@pytest.mark.parametrize(("n_gpus", "there"), [(0, "none"), (1, "cuda:0")])
def test_a_gpu_that_is_not_there(n_gpus: int, there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setenv("PHILIC_DEVICE", "cuda:1")
    sentence = f"finds {there} here: set it to auto or cpu, or install the PyTorch for this machine's GPU"
    with pytest.raises(ValueError, match=sentence):
        potentials.load.__wrapped__("chgnet")


def test_potentials_say_where_they_run(mace_pair: tuple[Path, Path], tmp_path: Path) -> None:
    names = ["chgnet", "emt", "committee:" + ",".join(f"mace:{path}" for path in mace_pair)]
    assert {potentials.load(name).device for name in names} == {"cpu"}
    settings = tmp_path / "emt.yaml"
    settings.write_text("factory: ase.calculators.emt:EMT\nelements: [Al, Cu]\nfunctional: none\ncutoff_A: 5.7\n")
    assert potentials.load(f"ase:{settings}").device == "unknown"


def test_a_structure_may_have_several_threads(case: tuple[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    name, tolerance = case
    before = torch.get_num_threads()
    expected = potentials.load(name).evaluate(structures(), True)
    for value, n in {"1": 1, "3": 3, "all": before}.items():
        monkeypatch.setenv("PHILIC_THREADS", value)
        assert map_in_threads(lambda _: torch.get_num_threads(), range(4)) == [n] * 4
        assert_same(expected, potentials.load(name).evaluate(structures(), True), tolerance)
    assert torch.get_num_threads() == before
