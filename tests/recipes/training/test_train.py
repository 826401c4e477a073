"""Training end to end, on labels that a real potential computed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from typer.testing import CliRunner

from philic import potentials
from philic.potentials.training.loop import Settings
from philic.recipes.command_line.cli import app
from philic.recipes.training.train import Task, train

needs_mace = pytest.mark.skipif(find_spec("mace") is None, reason="needs the extra [mace]")
KINDS = ["chgnet", pytest.param("mace:new", marks=needs_mace)]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label K and sheets with and without B and N, of 8 atoms, rattled, with r2SCAN's CHGNet."""
    structures = [bulk("K", "bcc", a=5.3, cubic=True)]
    structures[0].info = {"name": "K-bcc", "metal": "K", "host": "none"}
    for host, dopants in {"pristine": "", "B": "B", "N": "N", "N-B": "NB"}.items():
        for number in range(2):
            sheet = graphene(size=(2, 2, 1), vacuum=4.0)
            sheet.pbc = True
            sheet.symbols[: len(dopants)] = list(dopants)
            sheet.rattle(0.04, seed=number)
            on = sheet + Atoms("K", positions=[sheet.positions[:3].mean(axis=0) + np.array([0, 0, 2.7])])
            for atoms, metal in ((sheet, "none"), (on, "K")):
                atoms.info = {"name": f"{host}{number}-{metal}", "metal": metal, "host": host}
                structures.append(atoms)
    for atoms, one in zip(structures, potentials.load("chgnet:r2scan").evaluate(structures, stress=True), strict=True):
        found = {"energy": one.energy_eV, "forces": one.forces_eV_per_A, "stress": one.stress_eV_per_A3}
        atoms.calc = SinglePointCalculator(atoms, **found)
        atoms.info["level"] = "r2SCAN"
    path = tmp_path_factory.mktemp("labels") / "labels.xyz"
    write(path, structures, format="extxyz")
    return path


def settings(**others: float) -> Settings:
    return Settings(**{"epochs": 2, "learning_rate": 1e-3, "batch_size": 4, **others})


@pytest.mark.parametrize("start", KINDS)
def test_a_trained_potential_can_be_used(start: str, labels: Path, tmp_path: Path) -> None:
    (trained,) = train(Task([labels], start, tmp_path, ["B"], channels=4), settings(learning_rate=2e-3))
    name = potentials.resolve(trained.potential)
    record = json.loads((tmp_path / f"{start.partition(':')[0]}-0.json").read_text())
    assert record["held_out"] == ["B"]
    assert (record["n_training"], record["n_held_out"]) == (13, 4)
    assert record["errors"] == {"before": trained.before, "after": trained.after}
    assert trained.after["n_adsorption"] == 2
    assert record["level"] == potentials.card(name).functional == "r2SCAN"
    assert potentials.card(name).elements == {"K", "C", "N", "B"}


def test_the_loss_falls_and_the_held_out_systems_are_predicted_as_said(labels: Path, tmp_path: Path) -> None:
    (trained,) = train(Task([labels], "chgnet", tmp_path, ["N"]), settings(epochs=4))
    from philic.potentials.training.frames import errors, read

    frames = read([labels])[0]
    held_out = [frame for frame in frames if frame.system == "N"]
    judged = [*held_out, frames[0]]
    potential = potentials.load(potentials.resolve(trained.potential))
    predicted = [(one.energy_eV, one.forces_eV_per_A) for one in potential.predict([frame.atoms for frame in judged], False)]
    found = errors(judged, predicted, len(held_out))
    assert found == pytest.approx(trained.after, rel=1e-3, abs=2e-3)
    history = json.loads((tmp_path / "chgnet-0.json").read_text())["history"]
    assert history[-1]["training"] < history[0]["training"]


@pytest.mark.parametrize("start", KINDS)
def test_killed_and_resumed_it_comes_to_the_same_digits(start: str, labels: Path, tmp_path: Path) -> None:
    to = tmp_path / "broken"
    options = {
        "--from": start,
        "--to": str(to),
        "--hold-out": "B",
        "--epochs": "2",
        "--channels": "4",
        "--learning-rate": "0.001",
    }
    code = "from philic.recipes.command_line.cli import main; main()"
    command = [sys.executable, "-c", code, "train", str(labels), *(word for pair in options.items() for word in pair)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("epoch 1:"):
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert not list(to.glob("*.json"))
    said: list[str] = []
    train(Task([labels], start, to, ["B"], channels=4), settings(epochs=2, batch_size=8), say=said.append)
    assert not any(line.startswith("epoch 1:") for line in said)
    assert said[-1].startswith("epoch 2:")
    train(Task([labels], start, tmp_path / "whole", ["B"], channels=4), settings(epochs=2, batch_size=8))
    assert weights(tmp_path / "whole") == weights(to)


def weights(folder: Path) -> list[bytes]:
    import torch

    (path,) = folder.glob("*.checkpoint")
    state = torch.load(path, weights_only=True)
    return [tensor.numpy().tobytes() for name in ("model",) for tensor in state[name].values()]


def test_seeds_make_a_committee(labels: Path, tmp_path: Path) -> None:
    arguments = ["train", str(labels), "--from", "chgnet", "--to", str(tmp_path), "--hold-out", "N", "--epochs", "1"]
    done = CliRunner().invoke(app, [*arguments, "--seeds", "2", "--no-verify"])
    assert done.exit_code == 0, done.output
    name = f"committee:chgnet:{tmp_path}/chgnet-0.pth.tar,chgnet:{tmp_path}/chgnet-1.pth.tar"
    assert name in done.output.replace("\n", "")
    atoms = bulk("K", "bcc", a=5.2)
    (prediction,) = potentials.load(potentials.resolve(name)).evaluate([atoms])
    assert prediction.energy_spread_eV > 0


def test_the_folder_of_another_run_is_refused(labels: Path, tmp_path: Path) -> None:
    train(Task([labels], "chgnet", tmp_path, ["N"]), settings(epochs=1))
    sentence = r"holds another training run \(`learning_rate` 0.001, not 0.002\): choose another folder or finish that one"
    with pytest.raises(ValueError, match=sentence):
        train(Task([labels], "chgnet", tmp_path, ["N"]), settings(epochs=1, learning_rate=2e-3))


@pytest.mark.parametrize("damage", [lambda _: b"", lambda b: b[: len(b) // 2], lambda _: b"no checkpoint"])
def test_a_damaged_checkpoint_is_told(labels: Path, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "chgnet-0.checkpoint"
    train(Task([labels], "chgnet", tmp_path, ["N"]), settings(epochs=1))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"chgnet-0.checkpoint` is damaged \(.*\): delete it, and training begins anew"):
        train(Task([labels], "chgnet", tmp_path, ["N"]), settings(epochs=1))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"--from": "emt"}, "'emt' cannot be trained; start from chgnet, chgnet:PATH, mace:MODEL, mace:PATH or mace:new"),
        (
            {"--from": "chgnet:nowhere.pth.tar"},
            "does not exist but 'chgnet:nowhere.pth.tar' must name a file of weights; check the path",
        ),
        ({"--device": "tpu"}, "`device` is 'tpu' but this machine has: cpu"),
        ({"--to": __file__}, "test_train.py` is a file but weights and records go into a folder: name another"),
        ({"--seeds": "0"}, "`seeds` is 0 but must be at least 1"),
        ({"--hold-out": "X"}, "'X' is not a system of the file; its systems are: B, K metal, N, N-B, pristine"),
    ],
)
def test_what_cannot_be_is_refused(labels: Path, tmp_path: Path, change: dict[str, str], sentence: str) -> None:
    options = {"--from": "chgnet", "--to": str(tmp_path / "to"), **change}
    done = CliRunner().invoke(app, ["train", str(labels), *(word for pair in options.items() for word in pair)])
    assert done.exit_code == 2
    assert sentence in done.stderr.replace("\n", "")
    assert not (tmp_path / "to").exists()


@needs_mace
def test_mace_goes_on_from_a_file_and_refuses_several_heads(labels: Path, tmp_path: Path, tiny_mace) -> None:
    (first,) = train(Task([labels], "mace:new", tmp_path / "a", ["B"], channels=4), settings(epochs=1))
    (second,) = train(Task([labels], first.potential, tmp_path / "b", ["pristine"]), settings(epochs=1))
    assert np.isfinite(second.after["energy_meV_per_atom"])
    two_heads = tiny_mace("float64", ("a", "b"))
    with pytest.raises(ValueError, match=r"has 2 heads \(a, b\) but a model with one is trained: choose another"):
        train(Task([labels], f"mace:{two_heads}", tmp_path / "c", ["B"]), settings(epochs=1))
