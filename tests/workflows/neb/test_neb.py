"""Barriers with EMT and Lennard-Jones; the reference numbers stand beside their source."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100, fcc111
from ase.constraints import FixAtoms
from ase.mep import NEB

from philic.potentials import load
from philic.potentials.base import Prediction
from philic.structures.defects.freezing import atoms_near
from philic.workflows.engine.flow import Derived, Flow, Step
from philic.workflows.fireworks.here import run_here
from philic.workflows.neb.neb import band, neb
from philic.workflows.neb.path import Course, End
from philic.workflows.steps.relax import relax
from philic.workflows.steps.together import together
from philic.workflows.steps.vibrations import vineyard_THz
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Result, Status

EMT = load("emt")


def au_on_al():
    """ASE's tutorial: gold between two hollows of Al(100)."""
    slab = fcc100("Al", (3, 3, 3))
    add_adsorbate(slab, "Au", 1.7, "hollow")
    slab.center(axis=2, vacuum=4.0)
    slab.set_constraint(FixAtoms([atom.index for atom in slab if atom.tag > 1]))
    end = slab.copy()
    end.positions[-1, 0] += slab.cell[0, 0] / 3
    return slab, end


def cu_vacancy():
    """Over the cell's edge, 107 atoms."""
    whole = bulk("Cu", cubic=True) * (3, 3, 3)
    apart = whole.get_distances(0, range(len(whole)), mic=True)
    mover = next(i for i in range(1, 108) if apart[i] < 2.6 and np.linalg.norm(whole.positions[i]) > 5)
    start, end = whole.copy(), whole.copy()
    end.positions[mover] = whole.positions[0]
    del start[0], end[0]
    return start, end


def cu_on_cu(target):
    """An adatom on Cu(111), from an fcc hollow to a neighbouring hcp one or to the fcc one beyond."""
    slab = fcc111("Cu", (3, 3, 3))
    add_adsorbate(slab, "Cu", 2.0, "fcc")
    slab.center(axis=2, vacuum=5.0)
    slab.set_constraint(FixAtoms([atom.index for atom in slab if atom.tag > 1]))
    end = slab.copy()
    hcp = np.array([1, 1 / 3**0.5, 0]) * slab.cell[0, 0] / 3 / 2
    end.positions[-1] += hcp if target == "hcp" else [slab.cell[0, 0] / 3, 0, 0]
    return slab, end


CASES = {"Au": au_on_al, "vacancy": cu_vacancy, "hcp": lambda: cu_on_cu("hcp"), "fcc": lambda: cu_on_cu("fcc")}


@cache
def ends(name):
    outcomes = dict(relax(CASES[name](), EMT, fmax_eV_per_A=0.01))
    assert all(outcome.status is Status.CONVERGED for outcome in outcomes.values())
    return tuple(outcomes[role] for role in (0, 1))


def end_of(outcome):
    return End(outcome.structures["final"], outcome.scalars["energy_eV"], outcome.arrays["forces_eV_per_A"])


def jump(name, fmax=0.05, memory=None, **course):
    start, end = (end_of(outcome) for outcome in ends(name))
    keeps_to = Course(EMT.card.cutoff_A, fmax, **course)
    ((_, outcome),) = together([band(start, end, keeps_to)], EMT, memories=None if memory is None else [memory])
    return outcome


@pytest.mark.parametrize("mirrored", [True, False])
def test_gold_on_aluminium_takes_few_calls(mirrored):
    """0.3740 eV; ASE's defaults take 92 calls to within 1 meV, DyNEB 55."""
    found = jump("Au", mirrored=mirrored)
    assert found.status is Status.CONVERGED
    assert found.scalars["barrier_forward_eV"] == pytest.approx(0.3740, abs=1e-3)
    assert found.scalars["band_force_eV_per_A"] < 0.05
    assert found.scalars["mirror"] is mirrored
    assert found.scalars["climbing"] is True
    assert found.force_calls == found.scalars["image_calls"] <= (22 if mirrored else 28)


def test_a_hop_over_the_cell_s_edge_is_as_any_other():
    """0.759 eV, however the vacancy lies in its cell; ASE's NEBOptimizer stops at 0.780 eV when 0.05 eV/Å are reached.

    ASE's default interpolation leads through the crystal.
    """
    found = jump("vacancy")
    assert found.scalars["barrier_forward_eV"] == pytest.approx(0.7594, abs=2e-3)
    start, end = (outcome.structures["final"] for outcome in ends("vacancy"))
    images = [start, *(start.copy() for _ in range(3)), end]
    NEB(images, method="improvedtangent").interpolate()
    assert max(prediction.energy_eV for prediction in EMT.evaluate(images)) - ends("vacancy")[0].scalars["energy_eV"] > 16
    shifted = [end_of(outcome) for outcome in ends("vacancy")]
    for point in shifted:
        point.atoms.positions += 3.0
    ((_, other),) = together([band(*shifted, Course(EMT.card.cutoff_A))], EMT)
    assert other.scalars["barrier_forward_eV"] == pytest.approx(found.scalars["barrier_forward_eV"], abs=1e-4)


@pytest.mark.parametrize("name", ["Au", "vacancy"])
def test_half_a_band_is_the_whole(name):
    half, whole = jump(name, 0.01), jump(name, 0.01, mirrored=False)
    assert half.scalars["barrier_forward_eV"] == pytest.approx(whole.scalars["barrier_forward_eV"], abs=5e-4)
    assert half.force_calls < whole.force_calls
    np.testing.assert_allclose(half.arrays["energies_eV"], whole.arrays["energies_eV"], atol=0.02)


def test_back_and_forth_are_one_path():
    """fcc to hcp has no mirror: the reverse band has the barriers of the other, exchanged."""
    start, end = (end_of(outcome) for outcome in ends("hcp"))
    ((_, back),) = together([band(end, start, Course(EMT.card.cutoff_A, 0.01))], EMT)
    forth = jump("hcp", 0.01)
    assert forth.scalars["mirror"] is back.scalars["mirror"] is False
    for one, other in (("forward", "reverse"), ("reverse", "forward")):
        assert forth.scalars[f"barrier_{one}_eV"] == pytest.approx(back.scalars[f"barrier_{other}_eV"], abs=5e-4)
    assert forth.scalars["reaction_energy_eV"] == pytest.approx(end.energy_eV - start.energy_eV)
    assert forth.scalars["closure_eV"] == pytest.approx(0, abs=1e-9)


def test_an_end_point_whose_atoms_come_in_another_order_is_the_same():
    """Its forces belong to the atoms that they are matched with."""
    start, end = (end_of(outcome) for outcome in ends("hcp"))
    order = np.arange(len(end.atoms))
    order[-4:] = order[[-1, -4, -3, -2]]  # the adatom and the three atoms of the upper layer before it
    forces = np.random.default_rng(0).normal(scale=0.05, size=end.forces_eV_per_A.shape)
    shuffled = end.atoms[order]
    pair = End(end.atoms, end.energy_eV, forces), End(shuffled, end.energy_eV, forces[order])
    outcomes = dict(together([band(start, one, Course(EMT.card.cutoff_A, 0.05)) for one in pair], EMT))
    slopes = [outcomes[index].arrays["tangent_forces_eV_per_A"] for index in (0, 1)]
    assert abs(slopes[0][-1]) > 1e-3
    np.testing.assert_allclose(slopes[1], slopes[0], atol=1e-6)


def test_the_saddle_is_one():
    """The force vanishes there, and on the way the forces are the slopes of the energies."""
    found = jump("hcp", 0.01)
    (prediction,) = EMT.evaluate([found.structures["final"]])
    free = np.ones(len(found.structures["final"]), dtype=bool)
    free[found.structures["final"].constraints[0].get_indices()] = False
    assert np.linalg.norm(prediction.forces_eV_per_A[free], axis=1).max() < 0.01
    top = found.arrays["energies_eV"].argmax()
    assert abs(found.arrays["tangent_forces_eV_per_A"][top]) < 0.02
    assert len(found.arrays["path_A"]) == found.scalars["n_images"] == 5
    assert found.structures["image.0"] == found.structures["initial"]


def test_a_minimum_on_the_way_splits_the_band():
    """From fcc to fcc an adatom passes an hcp hollow: each half is the jump between neighbours."""
    found, short = jump("fcc", 0.01), jump("hcp", 0.01)
    assert found.status is Status.CONVERGED
    assert found.scalars["n_parts"] == 2
    assert "has an intermediate minimum and was split: barriers of its parts 0.0" in found.message
    forward, reverse = (short.scalars[f"barrier_{way}_eV"] for way in ("forward", "reverse"))
    np.testing.assert_allclose(found.arrays["part_barriers_eV"], [[forward, reverse], [reverse, forward]], atol=2e-3)
    assert found.scalars["barrier_forward_eV"] == pytest.approx(forward, abs=2e-3)
    repeated = found.scalars["image_calls"] - found.force_calls  # the relaxation's first
    assert 0 <= repeated <= 2
    assert found.message.startswith(f"converged in {found.scalars['image_calls']} image calls; ")


def test_a_way_down_has_no_barrier():
    slab, end = cu_on_cu("hcp")
    slab.positions[-1] = (slab.positions[-1] + 3 * end.positions[-1]) / 4
    (prediction,) = EMT.evaluate([slab])
    ((_, found),) = together(
        [band(End(slab, prediction.energy_eV, prediction.forces_eV_per_A), end_of(ends("hcp")[1]), Course(6.0, 0.1))], EMT
    )
    assert found.scalars["barrier_forward_eV"] == 0
    assert found.scalars["barrier_reverse_eV"] == pytest.approx(-found.scalars["reaction_energy_eV"])
    assert "no saddle between the end points: one of them is the highest point" in found.message


def test_a_tighter_band_goes_on_from_a_looser_one():
    """Bit for bit: what was computed is not computed again, and the end is that of an unbroken band."""
    for name in ("hcp", "fcc"):
        memory = {}
        loose = jump(name, 0.05, memory)
        again = jump(name, 0.05, memory)
        assert again.force_calls == 0
        tight = jump(name, 0.005, memory)
        unbroken = jump(name, 0.005)
        assert loose.force_calls + tight.force_calls == unbroken.force_calls
        assert tight.scalars == unbroken.scalars
        for image, structure in unbroken.structures.items():
            np.testing.assert_array_equal(tight.structures[image].positions, structure.positions)
        stopped = jump(name, 0.005, memory, max_iterations=2)
        assert stopped.force_calls == 0
        assert stopped.status is Status.UNCONVERGED
        assert stopped.message.startswith("not converged: after 2 moves the largest projected force is 0.")


def result(outcome):
    return Result(**vars(outcome))


def test_company_does_not_change_a_band():
    parents = [{"start": result(ends(name)[0]), "end": result(ends(name)[1])} for name in ("Au", "hcp")]
    starts = [pair["start"].structures["final"] for pair in parents]
    for index, found in neb(starts, EMT, parents=parents, fmax_eV_per_A=0.05):
        alone = jump(("Au", "hcp")[index])
        assert found.scalars == alone.scalars
        assert found.force_calls == alone.force_calls
        assert found.structures["final"] == alone.structures["final"]


def test_end_points_that_do_not_fit_are_a_failed_result():
    start, end = (result(outcome) for outcome in ends("Au"))
    loose = replace(end, status=Status.UNCONVERGED, message="not converged: too few steps")
    for wrong, sentence in (
        (loose, "the end is unconverged but both end points must be converged: not converged: too few steps"),
        (start, "the end points are the same: no atom is more than 0.00 A elsewhere"),
        (result(ends("hcp")[0]), "the end points are Al27Au and Cu28 but must be the same atoms"),
    ):
        ((_, found),) = neb([start.structures["final"]], EMT, parents=[{"start": start, "end": wrong}])
        assert found.status is Status.FAILED
        assert found.message == sentence
        assert found.force_calls == 0


def test_an_explosion_names_its_image():
    """Lennard-Jones argon so dense that the atom cannot pass."""
    start, end = cu_vacancy()
    for atoms in (start, end):
        atoms.symbols[:] = "Ar"
        atoms.set_cell(0.6 * atoms.cell, scale_atoms=True)
    zero = np.zeros((107, 3))
    ((_, found),) = together([band(End(start, 0.0, zero), End(end, 0.0, zero), Course(10.2))], load("lj"))
    assert found.status is Status.FAILED
    assert found.message.startswith("it exploded: a force of ")
    assert found.message.endswith("eV/Å on image 1 of 5")


def test_mirrored_end_points_that_differ_are_told():
    start, end = (end_of(outcome) for outcome in ends("Au"))
    ((_, found),) = together([band(start, replace(end, energy_eV=end.energy_eV + 0.002), Course(EMT.card.cutoff_A))], EMT)
    assert found.scalars["closure_eV"] == pytest.approx(-0.002)
    assert "forward minus reverse misses the end points' difference by -2.0 meV: relax them tighter" in found.message


SCRIPT = """
import sys
from philic.workflows.fireworks.here import run_here
from philic.workflows.engine.flow import Flow
from philic.workflows.stores.opening import open_store
sys.path.insert(0, sys.argv[2])
from test_neb import flow
run_here(flow(), open_store(sys.argv[1]), "to be killed")
"""


def flow():
    """A vacancy hop in copper, as a recipe would have it."""
    start, end = (Step("relax", {}, atoms, potential="emt") for atoms in cu_vacancy())
    parameters = {"fmax_eV_per_A": 0.002}
    return Flow([Step("neb", parameters, Derived(start, 107), parents={"start": start, "end": end}, potential="emt")])


def test_a_flow_gives_the_saddle_s_one_imaginary_mode_and_the_attempt_frequency(tmp_path):
    start, end = (Step("relax", {"fmax_eV_per_A": 0.01}, atoms, potential="emt") for atoms in au_on_al())
    jumps = Step("neb", {"fmax_eV_per_A": 0.01}, Derived(start, 28), parents={"start": start, "end": end}, potential="emt")
    near = {"free": sorted({index for atoms in au_on_al() for index in atoms_near(atoms, [27], 3.5)})}
    shaken = [
        Step("vibrations", {}, Derived(parent, 28, "freeze_except", near), potential="emt") for parent in (start, jumps)
    ]
    store = open_store(tmp_path / "philic.db")
    run_here(Flow(shaken), store, "rate")
    results = store.get(step.key for step in shaken)
    minimum, saddle = (results[step.key] for step in shaken)
    assert minimum.scalars["n_imaginary"] == 0
    assert saddle.scalars["n_imaginary"] == 1
    assert np.abs(saddle.arrays["modes"][0, -1]).argmax() == 0  # gold goes along x
    assert 0.5 < vineyard_THz(minimum.arrays["frequencies_THz"], saddle.arrays["frequencies_THz"]) < 10


def remembered(path):
    try:
        with sqlite3.connect(path) as connection:
            return connection.execute("SELECT count(*) FROM predictions").fetchone()[0]
    except sqlite3.Error:  # the other process is making the file
        return 0


def test_killed_in_the_middle_of_a_band_it_goes_on_and_ends_the_same(tmp_path):
    unbroken, broken = tmp_path / "unbroken.db", tmp_path / "broken.db"
    run_here(flow(), open_store(unbroken), "unbroken")
    command = [sys.executable, "-c", SCRIPT, str(broken), os.path.dirname(__file__)]
    worker = subprocess.Popen(command)
    while worker.poll() is None and remembered(broken) < 6:
        time.sleep(0.01)
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    kept = remembered(broken)
    run_here(flow(), open_store(broken), "again")
    ((whole,), (mended,)) = (list(open_store(path).results("neb")) for path in (unbroken, broken))
    assert mended.force_calls == whole.force_calls - kept
    assert mended.scalars == whole.scalars
    for name, structure in whole.structures.items():
        np.testing.assert_array_equal(mended.structures[name].positions, structure.positions)


def ridged(atoms):
    """A valley between x = -1 and 1 whose straight way runs along a ridge: 1 eV high, and 0.84 eV beside it."""
    x, y, z = atoms.positions[0] - 6.0
    energy_eV = (x**2 - 1) ** 2 + y**4 / 4 - 0.4 * (1 - x**2) * y**2 + z**2
    slope = (4 * x * (x**2 - 1) + 0.8 * x * y**2, y**3 - 0.8 * (1 - x**2) * y, 2 * z)
    return Prediction(energy_eV, -np.array([slope, np.zeros(3), np.zeros(3)]))


def ridged_by_a_neighbour(atoms):
    """The same with a ridge that only a neighbour's yielding makes one: aside 0.8686 eV, but uphill while it stays."""
    (x, y, z), (far_x, far_y, far_z) = atoms.positions[:2] - [(6, 6, 6), (6, 6, 1)]
    pull = 1.5 * (1 - x**2)
    energy_eV = (x**2 - 1) ** 2 + 0.2 * y**2 + y**4 / 4 - pull * y * far_y + far_y**2 + z**2 + far_x**2 + far_z**2
    slope = (4 * x * (x**2 - 1) + 3 * x * y * far_y, 0.4 * y + y**3 - pull * far_y, 2 * z)
    return Prediction(energy_eV, -np.array([slope, (2 * far_x, 2 * far_y - pull * y, 2 * far_z), np.zeros(3)]))


def ridged_on_a_detour(atoms):
    """The first with its straight way bent by 0.8 Å: a band is within 0.5 eV/Å of the ridge before it climbs."""
    moved = atoms.copy()
    x = moved.positions[0, 0] - 6.0
    moved.positions[0, 2] -= 0.8 * (1 - x**2)
    straight = ridged(moved)
    forces = straight.forces_eV_per_A.copy()
    forces[0, 0] += 1.6 * x * forces[0, 2]
    return Prediction(straight.energy_eV, forces)


@pytest.mark.parametrize(
    ("surface", "fmax", "barrier_eV"),
    [(ridged, 0.01, 0.84), (ridged_by_a_neighbour, 0.01, 0.8686), (ridged_on_a_detour, 0.5, 0.84)],
)
def test_a_path_does_not_stay_on_a_ridge_for_its_symmetry(surface, fmax, barrier_eV):
    ends = []
    for x in (-1, 1):
        atoms = Atoms("KFCl", [(6.0 + x, 6.0, 6.0), (6.0, 6.0, 1.0), (6.0, 6.0, 3.0)], cell=[12.0] * 3, pbc=True)
        atoms.set_constraint(FixAtoms([2]))
        ends.append(End(atoms, 0.0, np.zeros((3, 3))))
    outcome = followed(band(*ends, Course(6.0, fmax_eV_per_A=fmax)), surface)
    assert outcome.status is Status.CONVERGED
    assert outcome.scalars["barrier_forward_eV"] == pytest.approx(barrier_eV, abs=1e-3)


def two_hills(saddle, other_saddle):
    """Minima at -1, 0 and 1 along x, 1.5 Å from one to the next, and saddles between: the energy, and as a potential."""
    hills = 20 * np.polynomial.Polynomial.fromroots([-1, saddle, 0, other_saddle, 1]).integ()

    def predicted(atoms):
        x, y, z = (atoms.positions[0] - 6.0) / [1.5, 1, 1]
        slope = (hills.deriv()(x) / 1.5, 2 * y, 2 * z)
        return Prediction(float(hills(x) + y**2 + z**2), -np.array([slope, np.zeros(3), np.zeros(3)]))

    return hills, predicted


@pytest.mark.parametrize("saddles", [(-0.6, 0.4), (-0.6, 0.6)])  # unlike hills, and one the mirror image of the other
def test_each_part_of_a_split_band_has_its_own_barriers_there_and_back(saddles):
    hills, predicted = two_hills(*saddles)
    ends = []
    for x in (-1, 1):
        atoms = Atoms("KFCl", [(6.0 + 1.5 * x, 6.0, 6.0), (6.0, 6.0, 1.0), (6.0, 6.0, 3.0)], cell=[12.0] * 3, pbc=True)
        atoms.set_constraint(FixAtoms([1, 2]))
        ends.append(End(atoms, float(hills(x)), np.zeros((3, 3))))
    outcome = followed(band(*ends, Course(6.0, fmax_eV_per_A=0.01)), predicted)
    first, saddle, middle, other_saddle, last = hills(np.array([-1, saddles[0], 0, saddles[1], 1]))
    parts = [[saddle - first, saddle - middle], [other_saddle - middle, other_saddle - last]]
    assert abs(saddle - first - (saddle - middle)) > 0.05
    np.testing.assert_allclose(outcome.arrays["part_barriers_eV"], parts, atol=1e-3)
    highest = max(saddle, other_saddle)
    assert outcome.scalars["barrier_forward_eV"] == pytest.approx(highest - first, abs=1e-3)
    assert outcome.scalars["barrier_reverse_eV"] == pytest.approx(highest - last, abs=1e-3)


def followed(calculation, surface):
    """Lead a band over a surface to its end."""
    asked = next(calculation)
    try:
        while True:
            asked = calculation.send([surface(atoms) for atoms in asked])
    except StopIteration as end:
        return end.value
