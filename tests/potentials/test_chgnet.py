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


def test_a_cell_without_volume_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^the cell of K2 has no volume but CHGNet needs three cell vectors; give"):
        potentials.load("chgnet").evaluate([Atoms("K2", positions=[[0, 0, 0], [0, 0, 4]])])


def test_the_threads_of_the_caller_are_left_alone() -> None:
    potential = potentials.load("chgnet")
    import torch

    before = torch.get_num_threads()
    potential.evaluate([bulk("K")] * 2)
    assert torch.get_num_threads() == before
