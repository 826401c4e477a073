"""CHGNet: its rearranged layers against its own calculator, free atoms, cells."""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene
from ase.stress import full_3x3_to_voigt_6_stress

from philic import potentials
from philic.potentials import Potential


@pytest.fixture(scope="module", params=["chgnet", "chgnet:r2scan"])
def potential(request: pytest.FixtureRequest) -> Potential:
    return potentials.load(request.param)


def potassium_on_graphene() -> Atoms:
    sheet = graphene(size=(2, 2, 1), vacuum=6.0)
    sheet.pbc = True
    atoms = sheet + Atoms("K", positions=[sheet.positions[0] + [0, 1.42, 2.8]])
    atoms.rattle(0.05, seed=1)
    return atoms


def own_results(name: str, atoms: Atoms) -> dict[str, np.ndarray]:
    """What chgnet's own calculator says."""
    from chgnet.model.dynamics import CHGNetCalculator
    from chgnet.model.model import CHGNet

    version = {"chgnet": "0.3.0", "chgnet:r2scan": "r2scan"}[name]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # chgnet's own calculator is not ours to keep quiet
        model = CHGNet.load(model_name=version, use_device="cpu", verbose=False)
        calculator = CHGNetCalculator(model=model, use_device="cpu")
        calculator.calculate(atoms, ["energy"])
    return calculator.results


@pytest.mark.parametrize("make", [potassium_on_graphene, lambda: bulk("K", cubic=True), lambda: bulk("Cu")])
def test_numbers_are_those_of_its_own_calculator(potential: Potential, make) -> None:
    atoms = make()
    (ours,) = potential.evaluate([atoms], stress=True)
    own = own_results(potential.name, atoms)
    # chgnet rounds the energy per atom to float32: up to 6e-7 eV per atom for carbon, -9 eV.
    assert ours.energy_eV == pytest.approx(float(own["energy"]), abs=2e-6 * len(atoms))
    np.testing.assert_allclose(ours.forces_eV_per_A, own["forces"], atol=1e-4)
    np.testing.assert_allclose(ours.stress_eV_per_A3, full_3x3_to_voigt_6_stress(own["stress"]), atol=1e-6)


def test_a_free_atom_is_not_given_a_number() -> None:
    far = bulk("K", cubic=True) * (2, 2, 1)  # wide enough that its own images are out of reach
    far.center(vacuum=8.0, axis=2)
    far += Atoms("K", positions=[far.positions[0] + [0, 0, 9.0]])
    alone = Atoms("K", cell=[20, 20, 20], pbc=True)
    first, second, third = potentials.load("chgnet").evaluate([far, alone, bulk("K")], stress=True)
    assert np.isnan(first.energy_eV)
    assert first.reason == "1 atom(s) have no neighbour within 6 angstrom; it knows no free atoms"
    assert np.isnan(second.forces_eV_per_A).all()
    assert np.isfinite(third.energy_eV)


def test_a_cell_without_volume_fails_alone() -> None:
    bare = Atoms("K2", positions=[[0, 0, 0], [0, 0, 4]])
    first, nothing, last = potentials.load("chgnet").evaluate([bulk("K"), bare, bulk("K", a=5.0)])
    assert np.isnan(nothing.energy_eV)
    assert nothing.reason.startswith("the cell of K2 has no volume but CHGNet needs three cell vectors; give it a box")
    assert [first.energy_eV, last.energy_eV] == [
        prediction.energy_eV for prediction in potentials.load("chgnet").evaluate([bulk("K"), bulk("K", a=5.0)])
    ]


def test_the_threads_of_the_caller_are_left_alone() -> None:
    potential = potentials.load("chgnet")
    import torch

    before = torch.get_num_threads()
    potential.evaluate([bulk("K")] * 2)
    assert torch.get_num_threads() == before


def disordered(n_atoms: int, edge_A: float, seed: int) -> Atoms:
    positions = np.random.default_rng(seed).random((n_atoms, 3)) * edge_A
    cell = [[edge_A, 0, 0], [1.3, 0.9 * edge_A, 0], [-1, 0.4, 1.1 * edge_A]]
    return Atoms(["Li", "O", "K", "C"] * (n_atoms // 4), positions=positions, cell=cell, pbc=True)


def crystal_far_from_the_origin() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    atoms.rattle(0.3, seed=1)
    atoms.positions += 100.0
    return atoms


@pytest.mark.parametrize(
    "atoms",
    [
        potassium_on_graphene(),
        graphene(size=(2, 2, 1), vacuum=6.0),  # two periodic directions
        bulk("NaCl", "rocksalt", a=5.64),  # a perfect crystal: many bonds of one length, and atoms bound to their own images
        bulk("Cu"),
        bulk("K", cubic=True),  # bonds, but none short enough for an angle
        Atoms("K2", positions=[[0, 0, 0], [4, 0, 0]], cell=[20, 20, 20], pbc=True),
        crystal_far_from_the_origin(),
        disordered(40, 8.0, 0),
        disordered(8, 3.0, 3),
    ],
)
def test_the_graph_is_that_of_its_own_converter_to_the_last_number(atoms: Atoms) -> None:
    import torch
    from chgnet.graph.converter import CrystalGraphConverter
    from pymatgen.core import Lattice, Structure

    from philic.potentials.chgnet.graphs import crystal_graph

    a, b, c = (bool(periodic) for periodic in atoms.pbc)
    structure = Structure(Lattice(atoms.cell.array, pbc=(a, b, c)), atoms.symbols, atoms.get_scaled_positions(wrap=True))
    own = CrystalGraphConverter(atom_graph_cutoff=6, bond_graph_cutoff=3)(structure)
    ours = crystal_graph(atoms, 6.0, 3.0)
    assert len(ours.atom_graph)
    assert len(ours.bond_graph) == len(own.bond_graph)
    for name in (
        "atomic_number",
        "atom_frac_coord",
        "lattice",
        "neighbor_image",
        "directed2undirected",
        "undirected2directed",
    ):
        torch.testing.assert_close(getattr(ours, name), getattr(own, name), rtol=0, atol=0)
    torch.testing.assert_close(ours.atom_graph, own.atom_graph, rtol=0, atol=0)
    torch.testing.assert_close(ours.bond_graph.reshape(-1), own.bond_graph.reshape(-1), rtol=0, atol=0)


@pytest.mark.parametrize(("name", "energy_eV"), [("chgnet", -8.798958), ("chgnet:r2scan", -14.893083)])
def test_the_code_version_stands_for_these_numbers(name, energy_eV):
    """Where philic's own code changes them, raise CODE and put the new ones here."""
    from philic.potentials.chgnet.potential import CODE

    atoms = bulk("KF", "rocksalt", a=5.4)
    atoms.positions[1] += (0.1, -0.05, 0.2)
    assert CODE == "1"
    assert potentials.load(name).evaluate([atoms])[0].energy_eV == pytest.approx(energy_eV, abs=2e-5)
