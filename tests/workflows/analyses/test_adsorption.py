from dataclasses import replace

import pytest

from philic.structures.carbons.carbon import graphene
from philic.structures.crystals.metals import bulk_metal
from philic.structures.sites.adatoms import place_adatoms
from philic.workflows.analyses.adsorption import adsorption, adsorption_from
from philic.workflows.stores.result import Result, Status

FINGERPRINT = {"name": "a", "weights_sha256": "1", "dtype": "float32", "dispersion": "none"}
SETTINGS = {
    "n_metal": 1,
    "cohesive_energy_eV": 0.9,
    "cohesive_source": "a table",
    "stayed_A": 0.6,
    "desorbed_A": 4.5,
}


def relaxed(atoms, energy_eV, host="pristine", **changes):
    plain = Result(
        Status.CONVERGED,
        "converged",
        {"energy_eV": energy_eV},
        {"initial": atoms, "final": atoms},
        key=str(energy_eV),
        function="relax",
        about={"host": host},
        provenance={"fingerprint": FINGERPRINT},
    )
    return replace(plain, **changes)


SHEET = graphene((3, 3))
ON_SHEET = place_adatoms(SHEET, "K", [[[0, 0, 0]]])
GATE = Result(Status.CONVERGED, "doubtful: why", {"verdict": "doubtful"}, function="gate")


def parents(**changes):
    plain = {
        "adsorbed": relaxed(ON_SHEET, -104.0, host="N"),
        "host": relaxed(SHEET, -100.0, host="N"),
        "bulk": relaxed(bulk_metal("K"), -2.0, host="bulk metal"),
        "pristine_host": relaxed(SHEET, -90.0),
        "pristine.0": relaxed(ON_SHEET, -91.5),
        "pristine.1": relaxed(ON_SHEET, -92.0),
        "gate": GATE,
    }
    return plain | changes


def test_three_references_by_hand():
    scalars = adsorption(parents(), **SETTINGS).scalars
    assert scalars["vs_bulk_eV"] == pytest.approx(-104 + 100 + 1)
    assert scalars["vs_atom_eV"] == pytest.approx(-3.0 - 0.9)
    assert scalars["vs_pristine_eV"] == pytest.approx(-3.0 - (-92 + 90 + 1))
    assert scalars["gate"] == "doubtful"
    assert scalars["potential"] == "a"
    assert "a table" in scalars["atom_reference"]


def test_without_a_tabulated_cohesive_energy_there_is_no_number_against_the_atom():
    assert adsorption(parents(), **SETTINGS | {"cohesive_energy_eV": None}).scalars["vs_atom_eV"] is None


def test_energies_per_adatom_do_not_change_when_the_cell_is_doubled():
    def doubled(result):
        atoms = result.structures["final"].repeat((2, 1, 1))
        order = sorted(range(len(atoms)), key=lambda i: atoms.symbols[i] == "K")
        scalars = {"energy_eV": 2 * result.scalars["energy_eV"]}
        return replace(result, scalars=scalars, structures={"initial": atoms[order], "final": atoms[order]})

    twice = {role: r if role in ("gate", "bulk") else doubled(r) for role, r in parents().items()}
    once, both = (adsorption(p, **SETTINGS | {"n_metal": n}).scalars for p, n in ((parents(), 1), (twice, 2)))
    for name in ("vs_bulk_eV", "vs_atom_eV", "vs_pristine_eV", "height_A", "nearest_A"):
        assert both[name] == pytest.approx(once[name])


@pytest.mark.parametrize("role", ["adsorbed", "host", "bulk", "pristine_host", "pristine.0"])
@pytest.mark.parametrize("difference", [{"weights_sha256": "2"}, {"dtype": "float64"}, {"dispersion": "d3"}])
def test_energies_of_different_potentials_are_never_subtracted(role, difference):
    other = replace(parents()[role], provenance={"fingerprint": FINGERPRINT | difference})
    with pytest.raises(ValueError, match="energies of different potentials are never subtracted; compute both"):
        adsorption(parents(**{role: other}), **SETTINGS)


def test_a_host_in_another_cell_is_refused():
    host = relaxed(graphene((3, 3), lattice_constant_A=2.47), -100.0, host="N")
    with pytest.raises(ValueError, match="relax N and relax N have different cells: their energies are never subtracted"):
        adsorption_from(parents()["adsorbed"], host, parents()["bulk"], 1)


def test_an_unconverged_parent_makes_an_unconverged_number():
    late = replace(parents()["host"], status=Status.UNCONVERGED, message="not converged: 0.3 eV/Å")
    outcome = adsorption(parents(host=late), **SETTINGS)
    assert outcome.status is Status.UNCONVERGED
    assert outcome.message == "relax N: not converged: 0.3 eV/Å"
    assert outcome.scalars["vs_bulk_eV"] == pytest.approx(-3.0)


def test_a_failed_parent_leaves_no_number():
    nan = replace(parents()["host"], status=Status.FAILED, message="the potential gave a NaN", scalars={})
    outcome = adsorption(parents(host=nan), **SETTINGS)
    assert outcome.status is Status.FAILED
    assert outcome.message == "no energy for relax N: the potential gave a NaN"
    assert not outcome.scalars


def test_one_failed_pristine_site_does_not_spoil_the_reference():
    nan = replace(parents()["pristine.1"], status=Status.FAILED, message="exploded")
    outcome = adsorption(parents(**{"pristine.1": nan}), **SETTINGS)
    assert outcome.status is Status.CONVERGED
    assert outcome.scalars["vs_pristine_eV"] == pytest.approx(-3.0 - (-91.5 + 90 + 1))


def test_a_metal_that_moved_along_or_left_is_told():
    moved, gone = ON_SHEET.copy(), ON_SHEET.copy()
    moved.positions[-1, 0] += 0.9
    gone.positions[-1, 2] += 3.0

    def outcome(final):
        return adsorption(
            parents(adsorbed=relaxed(ON_SHEET, -104.0, structures={"initial": ON_SHEET, "final": final})),
            **SETTINGS,
        )

    assert outcome(ON_SHEET).scalars["stayed"]
    assert not outcome(moved).scalars["stayed"]
    assert outcome(moved).scalars["shift_A"] == pytest.approx(0.9, abs=0.05)
    assert outcome(gone).status is Status.FAILED
    assert outcome(gone).message.startswith("desorbed: a metal atom is 5.")


def test_one_adatom_of_two_that_left_is_a_desorption():
    both = ON_SHEET + ON_SHEET[-1:]
    both.positions[-1] += (3.0, 0.0, 3.0)
    outcome = adsorption(parents(adsorbed=relaxed(both, -106.0)), **SETTINGS | {"n_metal": 2})
    assert outcome.status is Status.FAILED
    assert outcome.message.startswith("desorbed: a metal atom is 5.")


def test_an_unconverged_site_that_does_not_enter_the_number_does_not_spoil_it():
    def status(role):
        late = replace(parents()[role], status=Status.UNCONVERGED, message="late")
        return adsorption(parents(**{role: late}), **SETTINGS).status

    assert status("pristine.0") is Status.CONVERGED  # the other pristine site is lower
    assert status("pristine.1") is Status.UNCONVERGED


def test_where_the_metal_ended_is_named_by_the_host_around_it():
    hollow = ON_SHEET.copy()
    hollow.positions[-1, :2] += (0.0, -1.42)
    started_on_top = relaxed(ON_SHEET, -104.0, structures={"initial": ON_SHEET, "final": hollow})
    assert adsorption(parents(), **SETTINGS).scalars["ended_at"] == "top C"
    assert adsorption(parents(adsorbed=started_on_top), **SETTINGS).scalars["ended_at"] == "hollow C6"


def test_a_host_whose_bonds_the_metal_broke_is_told_and_a_stretched_one_is_not():
    def kept(by_A):
        moved = ON_SHEET.copy()
        moved.positions[4, 2] += by_A
        return adsorption(parents(adsorbed=relaxed(moved, -104.0)), **SETTINGS).scalars["host_kept_bonds"]

    assert kept(0.0)
    assert kept(1.1)  # 1.80 Å: no longer a bond by its length alone, but only 27 % longer than it was
    assert not kept(1.5)
