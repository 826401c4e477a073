"""What each version in the registry stands for, as numbers.

Where one changes with a release of ASE or with philic's own code, raise the version of that function in the registry and put
the new numbers here: results that are stored under the old version are then not taken for new ones.
"""

import numpy as np
import pytest
from ase.build import bulk

from philic.potentials import load
from philic.workflows.engine.registry import STEPS
from philic.workflows.steps.bulk import bulk_modulus
from philic.workflows.steps.elastic import elastic_constants
from philic.workflows.steps.relax import LARGE, relax
from philic.workflows.steps.vibrations import vibrations


def rattled(repeats=1):
    atoms = bulk("Cu", cubic=True) * (2, 1, repeats)
    atoms.positions += 0.1 * np.sin(np.arange(3 * len(atoms))).reshape(-1, 3)
    return atoms


def stretched():
    atoms = rattled()
    atoms.set_cell(atoms.cell.array @ np.diag([1.02, 0.99, 1.01]), scale_atoms=True)
    return atoms


RELAXED = {
    "BFGS": (rattled(), {}, 4, -0.0454460642),
    "BFGS with the cell": (stretched(), {"relax_cell": True}, 7, -0.0562569204),
    "LBFGS": (rattled(63), {"fmax_eV_per_A": 0.3}, 6, -2.3072501404),
}


@pytest.mark.parametrize(("start", "parameters", "force_calls", "energy_eV"), RELAXED.values(), ids=RELAXED)
def test_relax_version_2(start, parameters, force_calls, energy_eV):
    ((_, outcome),) = relax([start], load("emt"), **parameters)
    assert (len(start) > LARGE) == (start is RELAXED["LBFGS"][0])
    assert STEPS["relax"].version == 2
    assert outcome.force_calls == force_calls
    assert outcome.scalars["energy_eV"] == pytest.approx(energy_eV, abs=1e-7)


def test_bulk_modulus_version_1():
    ((_, outcome),) = bulk_modulus([bulk("Cu", a=3.59)], load("emt"))
    assert STEPS["bulk_modulus"].version == 1
    assert outcome.scalars["bulk_modulus_GPa"] == pytest.approx(134.2077649, rel=1e-6)


def test_elastic_constants_version_2():
    ((_, outcome),) = elastic_constants([bulk("Cu", a=3.59)], load("emt"))
    assert STEPS["elastic_constants"].version == 2
    assert outcome.scalars["shear_modulus_GPa"] == pytest.approx(56.8254624, rel=1e-6)


def test_vibrations_version_2():
    ((_, outcome),) = vibrations([rattled()], load("emt"))
    assert STEPS["vibrations"].version == 2
    assert outcome.arrays["frequencies_THz"][-1] == pytest.approx(8.818971001, rel=1e-6)
