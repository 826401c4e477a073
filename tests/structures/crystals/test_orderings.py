import json
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.io.ase import AseAtomsAdaptor

from philic.structures.crystals.crystals import crystal
from philic.structures.crystals.orderings import _descended, doped, halogenated, ordered


def charge(atoms: Atoms) -> float:
    states = atoms.info["philic"]["oxidation"]
    return float(sum(states[symbol] for symbol in atoms.symbols))


def closest(atoms: Atoms) -> float:
    distances = atoms.get_all_distances(mic=True)
    return float(distances[np.triu_indices(len(atoms), 1)].min())


def ewald_eV(atoms: Atoms) -> float:
    structure = AseAtomsAdaptor.get_structure(atoms)
    structure.add_oxidation_state_by_element(atoms.info["philic"]["oxidation"])
    return float(EwaldSummation(structure).total_energy)


@pytest.mark.parametrize(
    ("name", "metal", "units", "counts"),
    [
        ("Na3Zr2Si2PO12", None, 2, {"Na": 3, "Zr": 2, "Si": 2, "P": 1, "O": 12}),
        ("Na3.4Zr2Si2.4P0.6O12", None, 10, {"Na": 3.4, "Zr": 2, "Si": 2.4, "P": 0.6, "O": 12}),
        ("Li10GeP2S12-disordered", None, 2, {"Li": 10, "Ge": 1, "P": 2, "S": 12}),
        ("Li7La3Zr2O12-cubic", None, 4, {"Li": 7, "La": 3, "Zr": 2, "O": 12}),
        ("M5Mg2Al31O51", "K", 1, {"K": 5, "Mg": 2, "Al": 31, "O": 51}),
    ],
)
def test_an_ordered_crystal_has_its_formula_and_no_charge(
    name: str, metal: str | None, units: int, counts: dict[str, float]
) -> None:
    atoms = ordered(name, metal)
    assert atoms.symbols.formula.count() == {e: round(n * units) for e, n in counts.items()}
    assert charge(atoms) == 0
    assert closest(atoms) > 1.4


def test_the_noted_energy_is_that_of_the_cell_and_lower_than_a_random_one() -> None:
    atoms = ordered("Na3Zr2Si2PO12", seed=2)
    noted = atoms.info["philic"]["ordering"]["energy_eV"]
    assert ewald_eV(atoms) == pytest.approx(noted, abs=1e-3)
    shuffled = atoms.copy()
    sites = np.flatnonzero(np.isin(shuffled.symbols, ["Si", "P"]))
    shuffled.numbers[sites] = np.random.default_rng(0).permutation(shuffled.numbers[sites])
    assert noted <= ewald_eV(shuffled) + 1e-6


def test_no_single_swap_lowers_the_energy() -> None:
    atoms = ordered("Na3Zr2Si2PO12")
    energy = ewald_eV(atoms)
    for i, j in combinations(np.flatnonzero(np.isin(atoms.symbols, ["Si", "P"])), 2):
        other = atoms.copy()
        other.numbers[[i, j]] = other.numbers[[j, i]]
        assert ewald_eV(other) >= energy - 1e-4


@pytest.mark.parametrize(
    "build",
    [
        lambda seed: ordered("Na3Zr2Si2PO12", seed=seed),
        lambda seed: halogenated("M3SbS4-cubic", "K", 0.25, repeats=(2, 1, 1), seed=seed),
    ],
)
def test_a_seed_gives_the_same_crystal_and_is_noted(build: Callable[[int], Atoms]) -> None:
    first, second = build(7), build(7)
    assert first == second
    assert first.info == second.info
    assert first.info["philic"]["ordering"]["seed"] == 7
    assert json.loads(json.dumps(first.info["philic"])) == first.info["philic"]


@pytest.mark.parametrize(("name", "metal"), [("M3SbS4", "Li"), ("M3SbS4-cubic", "Na"), ("M3SbS4", "K"), ("M3PS4", "Na")])
def test_each_halogen_leaves_one_vacancy(name: str, metal: str) -> None:
    perfect = crystal(name, metal) * (2, 2, 2)
    units = perfect.symbols.formula.count()["S"] // 4
    atoms = halogenated(name, metal, 2 / units, repeats=(2, 2, 2))
    counts = atoms.symbols.formula.count()
    assert (counts["Cl"], counts[metal], counts["S"]) == (2, 3 * units - 2, 4 * units - 2)
    assert charge(atoms) == 0
    assert atoms.cell.array == pytest.approx(perfect.cell.array)


def test_a_vacancy_sits_by_the_halogen_that_repels_the_metal_less() -> None:
    atoms = halogenated("M3SbS4-cubic", "Na", 0.125, repeats=(2, 2, 1))
    perfect = crystal("M3SbS4-cubic", "Na") * (2, 2, 1)
    empty = next(p for p in perfect.positions if np.abs(atoms.positions - p).max(axis=1).min() > 1e-6)
    probe = atoms + Atoms("X", positions=[empty])
    near = probe.get_distances(len(atoms), np.flatnonzero(probe.symbols == "S"), mic=True).min()
    halogen = probe.get_distance(len(atoms), int(np.flatnonzero(probe.symbols == "Cl")[0]), mic=True)
    assert halogen == pytest.approx(near, rel=1e-3)


@settings(max_examples=10, deadline=None)
@given(n=st.integers(0, 4), seed=st.integers(0, 99))
def test_balanced_doping_is_neutral_and_touches_nothing_else(n: int, seed: int) -> None:
    host = crystal("Na4Zr2Si3O12")
    before = host.copy()
    atoms = doped(host, replace={"Si": {"P": n}}, vacancies={"Na": n}, seed=seed)
    assert host == before
    assert charge(atoms) == 0
    assert len(atoms) == len(host) - n
    assert atoms.symbols.formula.count().get("P", 0) == n
    assert all(np.abs(host.positions - p).max(axis=1).min() < 1e-9 for p in atoms.positions)


def test_an_oxidation_state_can_be_given() -> None:
    atoms = doped(crystal("MF", "K"), replace={"K": {"Fe": 1}}, vacancies={"K": 2}, oxidation={"Fe": 3})
    assert atoms.symbols.formula.count() == {"K": 1, "Fe": 1, "F": 4}
    assert atoms.info["philic"]["oxidation"]["Fe"] == 3


def test_arguments_are_left_as_they_are() -> None:
    replace, vacancies = {"S": {"Cl": 1}}, {"K": 1}
    doped(crystal("M3SbS4", "K"), replace=replace, vacancies=vacancies)
    assert (replace, vacancies) == ({"S": {"Cl": 1}}, {"K": 1})


def bare() -> Atoms:
    atoms = crystal("MF", "K")
    atoms.info.clear()
    return atoms


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: ordered("MF", "K"), r"`name` is 'MF' but all its sites are full: take crystal\(\) as it is"),
        (
            lambda: ordered("Na3.4Zr2Si2.4P0.6O12", repeats=(1, 1, 1)),
            r"`repeats` is \(1, 1, 1\), which holds .* but must hold whole atoms: take a multiple of 5 cells",
        ),
        (
            lambda: ordered("Na3Zr2Si2PO12", repeats=(0, 1, 1)),
            r"`repeats` is \(0, 1, 1\) but each must be at least 1",
        ),
        (
            lambda: doped(crystal("M3SbS4", "K"), replace={"S": {"Cl": 2}}),
            r"`vacancies` is \{\}, a charge of \+2 but it must be 0: balance the dopants with vacancies",
        ),
        (
            lambda: doped(crystal("M3SbS4", "K"), replace={"S": {"Xe": 1}}),
            r"`replace` names 'Xe', whose oxidation state is unknown: give it in `oxidation`, or take",
        ),
        (
            lambda: doped(crystal("MF", "K"), replace={"F": {"Cl": 9}}),
            r"`replace` and `vacancies` take 9 F but the host has only 4",
        ),
        (
            lambda: doped(crystal("MF", "K"), replace={"F": {"Cl": -1}}),
            r"the count of Cl on F is -1 but must be a whole number, 0 or more",
        ),
        (
            lambda: doped(bare(), replace={"F": {"Cl": 1}}),
            r"without oxidation states in its info but must have them",
        ),
        (
            lambda: halogenated("M3SbS4", "K", 0.1),
            r"`x` is 0.1, 0.4 Cl in 4 formula units, but must be whole and 1 or more",
        ),
        (lambda: halogenated("M3SbS4", "K", 0.0), r"must be whole and 1 or more"),
        (lambda: halogenated("MF", "K", 0.25), r"`name` is 'MF', which holds no sulfur for Cl to replace"),
        (
            lambda: halogenated("M3SbS4", "K", 0.25, halogen="O"),
            r"`halogen` is 'O' but must be one of F, Cl, Br, I",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(call: Callable[[], Atoms], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.parametrize("coulomb", [np.full((8, 8), np.nan), np.random.default_rng(0).normal(size=(8, 8))])
def test_a_search_ends_whatever_the_energies(coulomb: np.ndarray) -> None:
    """No numbers, and a matrix that is not symmetric, for which a swap may look like a gain there and back."""
    atoms = crystal("MF", "K")
    pools = [(np.arange(len(atoms)), {"K": 4, "F": 4})]
    _, names = _descended(atoms, pools, {"K": 1.0, "F": -1.0}, coulomb, np.random.default_rng(0))
    assert sorted(names) == ["F"] * 4 + ["K"] * 4
