from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms, units
from ase.data import covalent_radii
from hypothesis import given, settings
from hypothesis import strategies as st

from philic.structures.crystals.packing import oxynitride_glass, random_packing


def density(atoms: Atoms) -> float:
    return float(atoms.get_masses().sum() / atoms.get_volume() / (units.mol / 1e24))


def nearest_of_radii(atoms: Atoms) -> float:
    radii = covalent_radii[atoms.numbers]
    ratio = atoms.get_all_distances(mic=True) / (radii[:, None] + radii)
    return float(ratio[np.triu_indices(len(atoms), 1)].min())


@settings(max_examples=10, deadline=None)
@given(n=st.integers(8, 40), rho=st.floats(1.0, 2.3), seed=st.integers(0, 99))
def test_a_packing_has_its_atoms_its_density_and_no_overlap(n: int, rho: float, seed: int) -> None:
    atoms = random_packing({"Li": n, "F": n}, density_g_cm3=rho, seed=seed)
    assert atoms.symbols.formula.count() == {"Li": n, "F": n}
    assert density(atoms) == pytest.approx(rho, rel=1e-6)
    assert nearest_of_radii(atoms) > 0.8 - 1e-9
    assert atoms.pbc.all()


@pytest.mark.parametrize("metal", ["Li", "Na", "K"])
def test_an_oxynitride_is_neutral(metal: str) -> None:
    atoms = oxynitride_glass(metal, density_g_cm3=2.3, phosphorus=8, nitrogen=4)
    states = atoms.info["philic"]["oxidation"]
    assert sum(states[symbol] for symbol in atoms.symbols) == 0
    assert atoms.symbols.formula.count() == {metal: 24, "P": 8, "O": 26, "N": 4}
    assert nearest_of_radii(atoms) > 0.8 - 1e-9
    assert atoms.info["philic"]["metal"] == metal


def test_without_nitrogen_it_is_the_phosphate() -> None:
    atoms = oxynitride_glass("K", density_g_cm3=2.3, phosphorus=6, nitrogen=0)
    assert atoms.symbols.formula.count() == {"K": 18, "P": 6, "O": 24}


def test_a_seed_gives_the_same_packing_and_another_another() -> None:
    def pack(seed: int) -> Atoms:
        return random_packing({"K": 10, "F": 10}, density_g_cm3=2.0, seed=seed)

    assert pack(1) == pack(1)
    assert not np.allclose(pack(1).positions, pack(2).positions)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: random_packing({}, density_g_cm3=1),
            "`composition` is empty but must name at least one element",
        ),
        (
            lambda: random_packing({"Qq": 1}, density_g_cm3=1),
            "`composition` names 'Qq' but that is no element",
        ),
        (
            lambda: random_packing({"K": 0}, density_g_cm3=1),
            "`composition` has 0 K but must be a whole number, 1 or more",
        ),
        (lambda: random_packing({"K": 4}, density_g_cm3=0), "`density_g_cm3` is 0 but must be above 0"),
        (lambda: random_packing({"K": 4}, density_g_cm3=1, closest=0), "`closest` is 0 but must be above 0"),
        (
            lambda: random_packing({"K": 32}, density_g_cm3=9),
            "leaves no room for K32, which would fill 250% of space at 0.8 times their radii",
        ),
        (
            lambda: oxynitride_glass("K", density_g_cm3=2, nitrogen=3),
            "`nitrogen` is 3 but must be even and from 0 to 42: two N3- replace three O2-",
        ),
        (lambda: oxynitride_glass("Fe", density_g_cm3=2), "`metal` is 'Fe' but must be one of"),
    ],
)
def test_what_cannot_be_packed_is_refused_in_a_sentence(call: Callable[[], Atoms], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()
