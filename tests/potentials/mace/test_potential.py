"""MACE: against its own calculator, dtypes, heads, and where weights come from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from philic import potentials
from philic.potentials.base import sha256_of_file
from philic.potentials.mace import potential as philic_mace
from philic.potentials.mace.files import file_dtype, foundation_urls

pytestmark = pytest.mark.skipif(find_spec("mace") is None, reason="needs the extra [mace]")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_numbers_are_those_of_its_own_calculator(dtype: str, tiny_mace: Callable[..., Path]) -> None:
    path = tiny_mace(dtype)
    potential = potentials.load(f"mace:{path}")
    atoms = bulk("KF", "rocksalt", a=5.4) * (2, 1, 1)
    atoms.rattle(0.1, seed=4)
    (ours,) = potential.evaluate([atoms], stress=True)
    own = own_calculator(path, dtype)
    own.calculate(atoms)
    assert ours.energy_eV == pytest.approx(own.results["energy"], abs=1e-6)
    np.testing.assert_allclose(ours.forces_eV_per_A, own.results["forces"], atol=1e-6)
    np.testing.assert_allclose(ours.stress_eV_per_A3, own.results["stress"], atol=1e-7)


def own_calculator(path: Path, dtype: str):
    import torch
    from mace.calculators.mace import MACECalculator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mace's own calculator is not ours to keep quiet
        model = torch.load(path, weights_only=False)
        return MACECalculator(models=[model], device="cpu", default_dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_dtype_of_the_file_is_kept(dtype: str, tiny_mace: Callable[..., Path]) -> None:
    path = tiny_mace(dtype)
    potential = potentials.load(f"mace:{path}")
    assert file_dtype(path) == dtype
    assert potential.fingerprint.dtype == dtype
    assert potential.predict.args[0].default_dtype == dtype


def test_card_comes_from_the_file(tiny_mace: Callable[..., Path]) -> None:
    card = potentials.card(f"mace:{tiny_mace()}")
    assert card.elements == {"C", "F", "K"}
    assert card.cutoff_A == 4.5
    assert card.cohesive_reference is None


def test_the_fingerprint_ignores_the_folder(tiny_mace: Callable[..., Path], tmp_path: Path) -> None:
    path = tiny_mace()
    elsewhere = tmp_path / path.name
    elsewhere.write_bytes(path.read_bytes())
    assert potentials.fingerprint(f"mace:{path}") == potentials.fingerprint(f"mace:{elsewhere}")


def test_the_switch_that_makes_loading_unsafe_is_off_again(tiny_mace: Callable[..., Path]) -> None:
    potentials.load(f"mace:{tiny_mace()}")
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ


def test_a_head_must_be_chosen(tiny_mace: Callable[..., Path]) -> None:
    path = tiny_mace(heads=("pbe", "r2scan"))
    with pytest.raises(ValueError, match=r"^None is not a head of 'mace:.*'; choose one of pbe, r2scan and write"):
        potentials.load(f"mace:{path}")
    chosen = potentials.load(f"mace:{path}@r2scan")
    assert chosen.fingerprint.name == f"mace:{path.name}@r2scan"
    assert np.isfinite(chosen.evaluate([bulk("KF", "rocksalt", a=5.4)])[0].energy_eV)


def test_another_head_has_no_cohesive_energies() -> None:
    assert philic_mace._facts("mh-1")[2] == philic_mace._facts("mh-1", "omat_pbe")[2] == "PBE_MatPES"
    assert philic_mace._facts("mh-1", "matpes_r2scan")[2] is None
    assert philic_mace._facts("mace-matpes-r2scan-0")[2] == "r2SCAN_MatPES"


def test_mace_torch_names_are_known() -> None:
    assert {"small", "medium", "medium-mpa-0", "medium-omat-0", "mh-1"} <= set(foundation_urls())


def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for proxy in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(FileNotFoundError, match=r"^the weights of mace:small are not at '.*' and could not") as error:
        potentials.fingerprint("mace:small")
    assert str(tmp_path / "mace" / "20231210mace128L0_energy_epoch249model") in str(error.value)
    assert foundation_urls()["small"] in str(error.value)


def test_cached_weights_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_mace) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached = tmp_path / "mace" / "20231210mace128L0_energy_epoch249model"
    cached.parent.mkdir()
    cached.write_bytes(tiny_mace("float32").read_bytes())
    fingerprint = potentials.fingerprint("mace:small")
    assert (fingerprint.name, fingerprint.dtype) == ("mace:small", "float32")


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        (
            "mace:nowhere/x.model",
            FileNotFoundError,
            r"^'.*/nowhere/x.model' does not exist but 'mace:nowhere/x.mo",
        ),
        (
            "mace:tiny",
            ValueError,
            r"^'tiny' is not a model mace-torch knows; choose one of small, medium, large,",
        ),
    ],
)
def test_wrong_names(name: str, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        potentials.load(name)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "broken.model"
    path.write_text("<html>")
    with pytest.raises(ValueError, match=r"^'.*broken.model' is not a PyTorch model but must be a MACE .model file;"):
        potentials.fingerprint(f"mace:{path}")


def test_the_foundation_models_are_known_by_name() -> None:
    assert "mace:medium-mpa-0" in dict(potentials.known())
    with pytest.raises(ValueError, match=r"choose one of chgnet, chgnet:r2scan, .* lj, .*or several as committee:A,B"):
        potentials.load("chgnt")
    with pytest.raises(ValueError, match=r"^'' is not a model mace-torch knows"):
        potentials.resolve("mace:")
    with pytest.raises(ValueError, match=r"^'/etc/passwd' is not a PyTorch model"):
        potentials.resolve("mace:/etc/passwd")
    with pytest.raises(FileNotFoundError, match=r"^'/no/x.model' does not exist but 'mace:/no/x.model' must name"):
        potentials.resolve("mace:/no/x.model")


def test_the_first_load_of_a_file_says_that_it_is_code(monkeypatch, tmp_path: Path, tiny_mace, caplog) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = tiny_mace()
    for _ in range(2):
        philic_mace._calculator.cache_clear()
        potentials.load(f"mace:{path}").evaluate([bulk("K", cubic=True)])
    (said,) = [record.getMessage() for record in caplog.records if "pickle" in record.getMessage()]
    assert str(path) in said
    assert "loading it runs code that it holds; use only files you trust" in said
    assert (tmp_path / "philic" / "models").read_text() == f"{sha256_of_file(path)}\n"


def test_a_home_that_cannot_be_written_stops_nothing(monkeypatch, tmp_path: Path, tiny_mace, caplog) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    philic_mace._calculator.cache_clear()
    assert potentials.load(f"mace:{tiny_mace()}").evaluate([bulk("K", cubic=True)])[0].energy_eV
    assert "pickle" in caplog.text
