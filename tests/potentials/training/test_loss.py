"""The loss: adsorption energies count, with the gradient they should have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from philic.potentials.training.frames import Frame, Pair
from philic.potentials.training.loop import Settings, fit
from philic.potentials.training.loss import Predicted, batch_loss


def frame(symbols: str, energy_eV: float, stress: bool = False) -> Frame:
    atoms = Atoms(symbols, positions=np.arange(3 * len(Atoms(symbols))).reshape(-1, 3), cell=[9, 9, 9], pbc=True)
    forces = np.random.default_rng(len(atoms)).normal(size=(len(atoms), 3))
    atoms.calc = SinglePointCalculator(atoms, energy=energy_eV, forces=forces)
    return Frame(atoms, energy_eV, forces, np.linspace(-0.01, 0.01, 6) if stress else None)


FRAMES = [frame("C4", -36.0), frame("C4K2", -38.0), frame("K2", -2.0, stress=True)]
PAIRS = [Pair(on=1, clean=0, n=2, metal="K")]


def loss_of(energies: list[float], weight: float = 1.0, requires_grad: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    tensor = torch.tensor(energies, dtype=torch.float64, requires_grad=requires_grad)
    forces = torch.tensor(np.concatenate([one.forces_eV_per_A for one in FRAMES]) + 0.03)
    stresses = torch.zeros(3, 3, 3, dtype=torch.float64)
    return batch_loss(Predicted(tensor, forces, stresses), FRAMES, PAIRS, weight), tensor


@pytest.mark.parametrize("wrong", [(0.01, -0.02, 0.005), (0.4, -0.7, 0.2)], ids=["quadratic", "linear"])
@pytest.mark.parametrize("weight", [0.0, 3.0])
def test_the_gradient_is_the_slope(wrong: tuple[float, ...], weight: float) -> None:
    energies = [one.energy_eV + error for one, error in zip(FRAMES, wrong, strict=True)]
    loss, tensor = loss_of(energies, weight, requires_grad=True)
    loss.backward()
    step = 1e-6
    for i in range(3):
        moved = [[e + sign * step * (i == j) for j, e in enumerate(energies)] for sign in (1, -1)]
        slope = float(loss_of(moved[0], weight)[0] - loss_of(moved[1], weight)[0]) / (2 * step)
        assert float(tensor.grad[i]) == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_an_error_that_host_and_metal_on_it_share_does_not_count_as_adsorption() -> None:
    def extra(wrong: tuple[float, ...]) -> float:
        energies = [one.energy_eV + error for one, error in zip(FRAMES, wrong, strict=True)]
        return float(loss_of(energies, 1.0)[0] - loss_of(energies, 0.0)[0])

    assert extra((0.05, 0.05, 0.0)) == pytest.approx(0.0, abs=1e-12)
    assert extra((0.05, -0.05, 0.0)) == pytest.approx((0.1 / 2 / 0.1) ** 2 / 2)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("epochs", 0, "`epochs` is 0 but must be at least 1"),
        ("batch_size", 1, "`batch_size` is 1 but must be at least 2"),
        ("patience", 0, "`patience` is 0 but must be at least 1"),
        ("adsorption_weight", -1.0, "`adsorption_weight` is -1.0 but must be at least 0"),
        ("learning_rate", 0.0, "`learning_rate` is 0 but must be positive"),
    ],
)
def test_settings_are_checked(name: str, value: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Settings(**{name: value})


class Line:
    """Energy = weight * number of atoms: the smallest model."""

    def __init__(self) -> None:
        self.network = torch.nn.Linear(1, 1, bias=False)

    def graph(self, one: Frame) -> float:
        return float(len(one.atoms))

    def predict(self, graphs) -> Predicted:
        sizes = torch.tensor(graphs)[:, None]
        n = int(sum(graphs))
        return Predicted(self.network(sizes)[:, 0], torch.zeros(n, 3), torch.zeros(len(graphs), 3, 3))


def test_a_loss_that_explodes_is_said(tmp_path: Path) -> None:
    model = Line()
    model.network.weight.data[:] = torch.nan
    with pytest.raises(ValueError, match="the loss is not finite in epoch 1: lower the learning rate"):
        fit(model, FRAMES[:2], FRAMES[2:], Settings(epochs=2), tmp_path / "a.checkpoint", {})


def test_training_that_only_harms_leaves_the_start(tmp_path: Path) -> None:
    model = Line()
    model.network.weight.data[:] = -1.0  # right for the held-out metal, wrong for the sheets
    state = fit(model, FRAMES[:2], FRAMES[2:], Settings(epochs=2, learning_rate=0.5), tmp_path / "a.checkpoint", {})
    assert state.best_epoch == 0
    assert float(model.network.weight.detach()) == -1.0


def test_it_stops_early_and_keeps_the_best(tmp_path: Path) -> None:
    model = Line()
    model.network.weight.data[:] = 3.0  # on its way to the sheets' -9 it passes the held-out metal's -1
    state = fit(
        model, FRAMES[:2], FRAMES[2:], Settings(epochs=60, learning_rate=0.5, patience=3), tmp_path / "a.checkpoint", {}
    )
    losses = [one["held_out"] for one in state.history]
    assert len(losses) == state.best_epoch + 3 < 60
    assert losses.index(min(losses)) + 1 == state.best_epoch
    assert torch.equal(model.network.weight.detach(), state.best["weight"])
