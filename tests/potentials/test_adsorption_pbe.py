"""PBE energies that come with philic, against printed ones and against each other."""

import numpy as np
import pytest

from philic.potentials import adsorption_pbe
from philic.potentials.references.adsorption import _frames

FRAMES = adsorption_pbe()
ADSORBED = {name: atoms for name, atoms in FRAMES.items() if " on " in name}


def vs_pristine_eV(metal, host):
    def adsorbed_eV(of):
        return FRAMES[f"{metal} on {of}"].info["energy_eV"] - FRAMES[f"host {of}"].info["energy_eV"]

    return adsorbed_eV(host) - adsorbed_eV("pristine")


def test_each_adsorbed_metal_comes_with_its_host_and_its_bulk():
    for atoms in ADSORBED.values():
        metal, host = atoms.info["metal"], FRAMES[f"host {atoms.info['host']}"]
        assert len(FRAMES[f"bulk {metal}"]) == 2
        assert sorted([*host.symbols, metal]) == sorted(atoms.symbols)
        np.testing.assert_allclose(host.cell.array, atoms.cell.array)
        assert atoms.arrays["forces_eV_per_A"].shape == (len(atoms), 3)


def test_every_metal_has_enough_hosts_to_calibrate_by():
    for metal in ("Li", "Na", "K"):
        hosts = {atoms.info["host"] for atoms in ADSORBED.values() if atoms.info["metal"] == metal}
        assert {"pristine", "N", "B", "P", "S", "pyridinic-3N"} <= hosts


@pytest.mark.parametrize(("host", "expected"), [("pyridinic-3N", -2.064), ("B", -1.240), ("P", -0.996), ("N", 0.345)])
def test_potassium_agrees_with_an_earlier_calculation(host, expected):
    """The same settings on graphene of 2.46 Å with six empty bands, which costs K on flat sheets up to 30 meV."""
    assert vs_pristine_eV("K", host) == pytest.approx(expected, abs=0.06)


def test_lithium_agrees_with_the_literature():
    """On 5x5 sheets, vdW-DF: pristine -1.11, B-doped -2.41, N-doped -0.72 eV (PMC9773818, table 1)."""
    assert vs_pristine_eV("Li", "B") == pytest.approx(-2.41 + 1.11, abs=0.15)
    assert vs_pristine_eV("Li", "N") == pytest.approx(-0.72 + 1.11, abs=0.15)


def test_forces_on_the_metal_are_small_where_chgnet_found_it_at_rest():
    for name, atoms in ADSORBED.items():
        force = np.linalg.norm(atoms.arrays["forces_eV_per_A"][-1])
        assert force < 1.5, name


def test_a_user_may_change_what_was_returned():
    adsorption_pbe()["bulk K"].positions += 1
    np.testing.assert_array_equal(adsorption_pbe()["bulk K"].positions, FRAMES["bulk K"].positions)
    assert _frames() is _frames()
