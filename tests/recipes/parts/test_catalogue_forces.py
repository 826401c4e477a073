"""Every host of the catalogue, with every metal it is made for, seen by CHGNet: where structures and potentials meet."""

from collections.abc import Iterator

import numpy as np
import pytest
from ase import Atoms

from philic.potentials import load
from philic.potentials.base import Prediction
from philic.structures.catalogue import Entry, entries, families

LARGEST_FORCE_EV_PER_A = {"experiment": 2.0, "computed": 2.0, "built": 8.0}
PARTLY_OCCUPIED_EV_PER_A = 5.0
# The largest seen: 1.6 in a crystal (K2CO3), 4.6 where Mg sits on the site of Al, 7.5 in an unrelaxed sheet. In a
# crystal, an atom half an angstrom out of place feels 2 (KF) to 10 (K2SO4).
ATOMS_AT_ONCE = 200


def hosts(family: str) -> Iterator[tuple[Entry, str, Atoms]]:
    for entry in entries():
        if entry.family == family:
            yield from ((entry, metal, entry.build(metal)) for metal in entry.metals or ("K",))


def seen(family: str) -> Iterator[tuple[Entry, str, Atoms, Prediction]]:
    """Evaluate a family, smallest hosts first, as many at once as fit in little memory."""
    potential = load("chgnet")
    waiting: list[tuple[Entry, str, Atoms]] = []
    for host in [*sorted(hosts(family), key=lambda host: len(host[2])), None]:
        if host is None or sum(len(one[2]) for one in [*waiting, host]) > ATOMS_AT_ONCE:
            found = potential.evaluate([atoms for *_, atoms in waiting])
            yield from ((*one, prediction) for one, prediction in zip(waiting, found, strict=True))
            waiting = []
        if host:
            waiting.append(host)


@pytest.mark.slow
@pytest.mark.parametrize("family", families())
def test_no_atom_of_a_host_is_where_it_cannot_be(family: str) -> None:
    wrong = {}
    for entry, metal, atoms, prediction in seen(family):
        if len(atoms) == 1 and entry.family == "molecule":
            assert "knows no free atoms" in prediction.reason
            continue
        largest = np.linalg.norm(prediction.forces_eV_per_A, axis=1).max()
        partly = "ordering" in atoms.info["philic"]
        limit = PARTLY_OCCUPIED_EV_PER_A if partly else LARGEST_FORCE_EV_PER_A[entry.geometry]
        if not (np.isfinite(prediction.energy_eV) and largest < limit):  # not: NaN is no small force
            wrong[entry.name, metal] = (prediction.energy_eV, largest, prediction.reason)
    assert wrong == {}
