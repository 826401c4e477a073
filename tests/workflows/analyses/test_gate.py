import math
from dataclasses import replace

import numpy as np
import pytest

from philic.structures.carbons.carbon import graphene
from philic.structures.crystals.metals import bulk_metal
from philic.structures.sites.adatoms import place_adatoms
from philic.structures.surfaces.slabs import slab as cut
from philic.workflows.analyses.gate import gate, surface_energy_J_per_m2
from philic.workflows.engine.execute import finite
from philic.workflows.stores.result import Result, Status

REFERENCE = {
    "lattice_constant_A": 5.285,
    "bulk_modulus_GPa": 3.6,
    "surface_energy_J_per_m2": 0.11,
    "graphene_vs_bulk_eV": 0.17,
}
SETTINGS = {"cutoff_A": 6.0, "reference": REFERENCE, "source": "a paper"}


def result(atoms, **scalars):
    return Result(
        Status.CONVERGED,
        "",
        scalars,
        {"final": atoms},
        function="relax",
        provenance={"fingerprint": {"name": "a", "weights_sha256": "1"}},
    )


def parents(a_A=5.285, modulus=3.6, surface=0.11, on_graphene=0.17):
    bulk = bulk_metal("K", lattice_constant_A=a_A)
    slab = cut(bulk, (1, 1, 0), layers=5)
    area = np.linalg.norm(np.cross(slab.cell[0], slab.cell[1]))
    sheet = graphene((3, 3))
    return {
        "bulk": result(bulk, energy_eV=-2.0),
        "bulk_modulus": result(bulk, bulk_modulus_GPa=modulus),
        "slab": result(slab, energy_eV=-1.0 * len(slab) + surface * 2 * area / 16.02176634),
        "graphene": result(sheet, energy_eV=-100.0),
        "on_graphene": result(place_adatoms(sheet, "K", [[[0, 0, 0]]]), energy_eV=-101.0 + on_graphene),
    }


def test_a_potential_that_reproduces_every_reference_is_fit():
    scalars = gate(parents(), **SETTINGS).scalars
    assert scalars["verdict"] == "fit"
    for name, value in REFERENCE.items():
        assert scalars[name] == pytest.approx(value)


@pytest.mark.parametrize(
    ("wrong", "verdict", "sentence"),
    [
        ({"a_A": 5.285 * 1.03}, "doubtful", "lattice constant 5.44 Å where the reference is 5.29"),
        ({"a_A": 5.285 * 0.94}, "unfit", "lattice constant 4.97 Å where the reference is 5.29"),
        ({"modulus": 7.2}, "doubtful", "bulk modulus 7.2 GPa where the reference is 3.6"),
        ({"modulus": 9.1}, "unfit", "bulk modulus 9.1 GPa where the reference is 3.6"),
        ({"surface": 0.07}, "doubtful", "(110) surface energy 0.07 J/m² where the reference is 0.11"),
        ({"surface": 0.001}, "unfit", "(110) surface energy 0.001 J/m² where the reference is 0.11"),
        ({"on_graphene": -1.0}, "doubtful", "adsorption on graphene against the bulk metal -1 eV where"),
    ],
)
def test_each_wrong_quantity_is_named(wrong, verdict, sentence):
    scalars = gate(parents(**wrong), **SETTINGS).scalars
    assert scalars["verdict"] == verdict
    assert sentence in scalars["sentence"]


def test_a_quantity_without_a_reference_is_named_and_not_held_against_it():
    """A potential without carbon cannot be asked for graphene."""
    known = {name: value for name, value in REFERENCE.items() if name != "graphene_vs_bulk_eV"}
    metals = {role: result for role, result in parents().items() if "graphene" not in role}
    scalars = gate(metals, **SETTINGS | {"reference": known}).scalars
    assert scalars["verdict"] == "fit"
    label = "adsorption on graphene against the bulk metal"
    assert scalars["sentence"] == f"every check is within its tolerance; not judged: {label}"


def test_a_cutoff_that_does_not_reach_the_metals_neighbours_is_unfit():
    """SevenNet-0 and its kin (5 Å) do not bind potassium, whose neighbours are 4.58 Å away."""
    scalars = gate(parents(), **SETTINGS | {"cutoff_A": 5.0}).scalars
    assert scalars["verdict"] == "unfit"
    assert scalars["sentence"] == "its cutoff of 5 Å is below the 5.72 Å that the metal's neighbours need"


def test_a_metal_that_could_not_be_relaxed_is_unfit():
    broken = parents()
    broken["bulk"] = replace(broken["bulk"], status=Status.FAILED)
    scalars = gate(broken, **SETTINGS).scalars
    assert scalars["verdict"] == "unfit"
    assert "its bulk metal could not be relaxed" in scalars["sentence"]


def test_what_did_not_converge_is_not_fit():
    late = parents()
    late["slab"] = replace(late["slab"], status=Status.UNCONVERGED, about={"metal": "K", "host": "(110) slab"})
    scalars = gate(late, **SETTINGS).scalars
    assert scalars["verdict"] == "doubtful"
    assert scalars["sentence"] == "relax K on (110) slab did not converge"


def test_without_references_a_potential_is_doubtful_at_best():
    scalars = gate(parents(), **SETTINGS | {"reference": {}}).scalars
    assert scalars["verdict"] == "doubtful"
    assert scalars["sentence"] == "there are no reference values for its functional"


def test_the_surface_energy_counts_both_faces():
    """1 eV over two faces of 1 Å^2 is 0.5 eV/Å^2 = 8.0109 J/m^2 (CODATA 2018: 1 eV = 1.602176634e-19 J)."""
    assert surface_energy_J_per_m2(-9.0, -10.0, 1.0) == pytest.approx(8.01088317)


def test_the_lattice_constant_is_that_of_the_two_atom_cell():
    assert gate(parents(a_A=5.0), **SETTINGS).scalars["lattice_constant_A"] == pytest.approx(5.0)


@pytest.mark.parametrize("role", ["bulk", "bulk_modulus", "slab", "graphene", "on_graphene", "dopants"])
def test_a_number_that_is_none_is_never_fit(role):
    dopants = result(bulk_metal("K"), mean_error_eV=0.01, worst_raw_eV=0.1, worst_reference_eV=0.1, n_points=6)
    every = parents() | {"dopants": replace(dopants, scalars={**dopants.scalars, "worst_host": "N"})}
    assert gate(every, **SETTINGS).scalars["verdict"] == "fit"
    tried = 0
    for name, value in every[role].scalars.items():
        if isinstance(value, float) and not name.startswith("worst"):  # those are only told
            changed = replace(every[role], scalars={**every[role].scalars, name: math.nan})
            assert finite(gate({**every, role: changed}, **SETTINGS)).scalars["verdict"] != "fit", name
            tried += 1
    assert tried
