"""Names of potentials, and what importing costs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from philic import potentials

HEAVY = "{'torch', 'mace', 'chgnet', 'pymatgen', 'ase'} & set(sys.modules)"


def test_importing_loads_nothing_heavy() -> None:
    code = f"import sys; import philic.potentials as p; p.known(); print({HEAVY})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_cards_need_no_torch() -> None:
    code = "import sys; import philic.potentials as p; p.card('chgnet'); p.card('lj'); p.card('emt');"
    code += "print({'torch', 'chgnet', 'pymatgen'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


@pytest.mark.parametrize(("given", "found"), [(None, "passive"), ("active", "active")])
def test_idle_threads_sleep_unless_the_user_chose(given: str | None, found: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    code = "import os; from philic.potentials.torch_threads import import_torch; import_torch();"
    code += "print(os.environ['OMP_WAIT_POLICY'])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, env=environment).strip() == found


def test_one_instance_per_process() -> None:
    assert potentials.load("emt") is potentials.load("emt")


def test_known_names_have_cards_or_files() -> None:
    names = [name for name, _ in potentials.known()]
    assert {"chgnet", "chgnet:r2scan", "emt", "lj"} <= set(names)
    assert all(description for _, description in potentials.known())


def test_chgnet_knows_94_elements() -> None:
    card = potentials.card("chgnet")
    assert len(card.elements) == 94
    assert {"H", "K", "Pu"} <= card.elements
    assert card.cutoff_A == 6.0
    assert card.cohesive_reference == "PBE_MatPES"
    assert potentials.card("chgnet:r2scan").cohesive_reference == "r2SCAN_MatPES"


def test_elements_are_checked_by_name() -> None:
    potentials.check_elements("emt", ["Cu", "Al"])
    sentence = r"^K, Li are unknown to the potential 'emt'; choose another or one of its elements: Ag, Al, Au, C, Cu"
    with pytest.raises(ValueError, match=sentence):
        potentials.check_elements("emt", ["Li", "K", "Cu"])


@pytest.mark.parametrize("name", ["chgnt", "lj:sigma=3", ""])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    sentence = (
        f"^'{name}' is not a known potential; choose one of chgnet, chgnet:r2scan,.* lj, chgnet:PATH.pth.tar, "
        "mace:PATH.model, ase:SETTINGS.yaml, or several as committee:A,B"
    )
    for ask in (potentials.load, potentials.fingerprint, potentials.card):
        with pytest.raises(ValueError, match=sentence):
            ask(name)


def test_a_chgnet_is_a_version_or_a_file(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"^'chgnet:0.1' is not a known potential; choose one of chgnet, chgnet:r2scan, or chgnet:P"
    ):
        potentials.load("chgnet:0.1")
    missing = tmp_path / "none.pth.tar"
    with pytest.raises(
        FileNotFoundError, match=rf"^'{missing}' does not exist but 'chgnet:{missing}' must name a file of weights"
    ):
        potentials.resolve(f"chgnet:{missing}")
    missing.write_text("text")
    with pytest.raises(ValueError, match="is not a PyTorch file but must hold a CHGNet's weights; fetch it again"):
        potentials.resolve(f"chgnet:{missing}")
    with zipfile.ZipFile(missing, "w") as archive:
        archive.writestr("data", "text")
    with pytest.raises(ValueError, match="does not hold the weights of a CHGNet"):
        potentials.load(f"chgnet:{missing}")
