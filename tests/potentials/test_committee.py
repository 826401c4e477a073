"""Several potentials as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from philic import potentials
from philic.workflows.steps.relax import relax
from philic.workflows.steps.single_point import single_point


def salt():
    atoms = bulk("KF", "rocksalt", a=5.4)
    atoms.rattle(0.08, seed=1)
    return atoms


def test_the_mean_and_the_spread_are_those_of_the_members(mace_pair: tuple[Path, Path]) -> None:
    names = [f"mace:{path}" for path in mace_pair]
    (joined,) = potentials.load("committee:" + ",".join(names)).evaluate([salt()], stress=True)
    members = [potentials.load(name).evaluate([salt()], stress=True)[0] for name in names]
    energies = [one.energy_eV for one in members]
    assert joined.energy_eV == pytest.approx(np.mean(energies), abs=1e-12)
    assert joined.energy_spread_eV == pytest.approx(abs(energies[0] - energies[1]) / 2, abs=1e-12)
    assert joined.energy_spread_eV > 1e-3
    one, other = (member.forces_eV_per_A for member in members)
    np.testing.assert_allclose(joined.forces_eV_per_A, (one + other) / 2, atol=1e-12)
    np.testing.assert_allclose(joined.forces_spread_eV_per_A, np.linalg.norm(one - other, axis=1) / 2, atol=1e-12)
    np.testing.assert_allclose(joined.stress_eV_per_A3, (members[0].stress_eV_per_A3 + members[1].stress_eV_per_A3) / 2)


def test_steps_keep_the_spread(mace_pair: tuple[Path, Path]) -> None:
    potential = potentials.load("committee:" + ",".join(f"mace:{path}" for path in mace_pair))
    (prediction,) = potential.evaluate([salt()])
    ((_, outcome),) = single_point([salt()], potential)
    assert outcome.scalars["energy_spread_eV"] == prediction.energy_spread_eV
    assert outcome.scalars["forces_spread_max_eV_per_A"] == prediction.forces_spread_eV_per_A.max()
    ((_, relaxed),) = relax([salt()], potential, max_steps=2)
    (at_the_end,) = potential.evaluate([relaxed.structures["final"]])
    assert relaxed.scalars["energy_spread_eV"] == pytest.approx(at_the_end.energy_spread_eV, abs=1e-9)
    ((_, alone),) = single_point([salt()], potentials.load(f"mace:{mace_pair[0]}"))
    assert "energy_spread_eV" not in alone.scalars


def test_names_become_absolute(mace_pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = mace_pair
    monkeypatch.chdir(one.parent)
    assert potentials.resolve(f"committee:mace:{one.name}, mace:{other}") == f"committee:mace:{one},mace:{other}"


def test_levels_of_theory_are_not_mixed() -> None:
    sentence = (
        r"^the members of a committee must share their functional but do not \(chgnet: PBE and PBE\+U, MP2020 corrections; "
        r"chgnet:r2scan: r2SCAN\); take potentials trained on the same level of theory"
    )
    for ask in (potentials.resolve, potentials.card, potentials.load):
        with pytest.raises(ValueError, match=sentence):
            ask("committee:chgnet,chgnet:r2scan")


@pytest.mark.parametrize("members", ["", "emt", "emt,emt", "emt,", "committee:emt,lj"])
def test_a_committee_has_two_members(members: str) -> None:
    sentence = (
        f"^'committee:{members}' must name at least two different potentials, such as committee:mace:a.model,mace:b.model"
    )
    with pytest.raises(ValueError, match=sentence):
        potentials.resolve(f"committee:{members}")


def test_an_unknown_member_is_named() -> None:
    with pytest.raises(ValueError, match=r"^'nonsense' is not a known potential"):
        potentials.resolve("committee:emt,nonsense")


def test_one_file_twice_is_no_committee(mace_pair: tuple[Path, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.model"
    copy.write_bytes(mace_pair[0].read_bytes())
    with pytest.raises(ValueError, match=r"names the same weights twice: members must differ$"):
        potentials.resolve(f"committee:mace:{mace_pair[0]},mace:{copy}")


def test_dispersion_belongs_to_each_member() -> None:
    with pytest.raises(ValueError, match=r"the members of a committee must share their functional"):
        potentials.resolve("committee:chgnet+d3,chgnet:r2scan+d3")
