import json
from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms

from philic.structures.crystals.crystals import crystal
from philic.structures.crystals.solid_solutions import solid_solution


@pytest.mark.parametrize(("x", "repeats"), [(0.5, (3, 3, 1)), (0.25, (2, 2, 1)), (2 / 3, (3, 3, 1))])
def test_a_solid_solution_is_nearly_random_and_obeys_vegard(x: float, repeats: tuple[int, int, int]) -> None:
    atoms = solid_solution("Bi", "Sb", x, repeats=repeats)
    assert (atoms.symbols == "Sb").mean() == pytest.approx(x)
    choice = atoms.info["philic"]["ordering"]
    assert choice["random_alloy"] == pytest.approx((2 * x - 1) ** 2)
    assert choice["correlations"] == pytest.approx([choice["random_alloy"]] * 3, abs=0.06)
    lengths = [(crystal(name) * repeats).cell.lengths() for name in ("Bi", "Sb")]
    assert atoms.cell.lengths() == pytest.approx((1 - x) * lengths[0] + x * lengths[1])
    distances = atoms.get_all_distances(mic=True)
    assert distances[np.triu_indices(len(atoms), 1)].min() > 2.8


def test_the_smallest_cells_are_built_as_well() -> None:
    assert solid_solution("Bi", "Sb", 0.5, repeats=(1, 1, 1)).symbols.formula.count() == {"Bi": 3, "Sb": 3}


def test_a_seed_gives_the_same_alloy_and_is_noted() -> None:
    first, second = (solid_solution("Bi", "Sb", 0.5, repeats=(2, 2, 1), seed=7) for _ in range(2))
    assert first == second
    assert first.info == second.info
    assert first.info["philic"]["ordering"]["seed"] == 7
    assert json.loads(json.dumps(first.info["philic"])) == first.info["philic"]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: solid_solution("Bi", "Sb", 1.5), r"`x` is 1.5 but must be above 0 and below 1"),
        (lambda: solid_solution("Bi", "Sb", 0.3), r"`x` is 0.3, 16.2 of 54 atoms, but must be whole"),
        (
            lambda: solid_solution("Bi", "Cu", 0.5),
            r"`one` is 'Bi' and `other` is 'Cu' but both must be elements of one structure type",
        ),
    ],
)
def test_what_cannot_be_mixed_is_refused_in_a_sentence(call: Callable[[], Atoms], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()
