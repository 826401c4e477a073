import pytest
from ase.build import bulk

from philic.structures.carbons.carbon import graphene
from philic.structures.crystals.crystals import crystal
from philic.structures.surfaces.caveats import slab_caveats, slab_flaws
from philic.structures.surfaces.slabs import slab


def test_a_flawless_slab_and_a_sheet_have_no_caveats() -> None:
    assert slab_caveats(slab(crystal("MF", "K"), (1, 0, 0), layers=4)) == []
    assert slab_caveats(graphene((1, 1))) == []


def test_a_cure_is_a_caveat_but_no_flaw() -> None:
    cut = slab(crystal("M2O", "K"), (1, 0, 0), layers=4)
    assert slab_flaws(cut) == []
    assert slab_caveats(cut) == [
        "K2O(100) has half of its outermost K plane moved to the lower face, so that it has no dipole"
    ]


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ({"charge_e": 2.0, "stoichiometric": False}, "X(111) is not neutral: its formal charges add up to +2 e, so"),
        ({"charge_e": -1.0}, "X(111) is not neutral: its formal charges add up to -1 e, so"),
        ({"charge_e": 0.0, "stoichiometric": False}, "X(111) is not stoichiometric: choose another termination"),
        ({"polar": True, "dipole_e_A": -3.0}, "X(111) is polar: its formal charges have a dipole of -3.00 e Å along"),
    ],
)
def test_each_flaw_has_its_sentence(says: dict[str, object], sentence: str) -> None:
    host = bulk("Cu")
    host.info["philic"] = {"host": "X(111)", **says}
    (found,) = slab_flaws(host)
    assert found.startswith(sentence)
    assert "choose another" in found
