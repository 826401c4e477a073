import numpy as np
import pytest
from ase.build import bulk

from philic.structures.crystals.packing import random_packing
from philic.workflows.analyses.glass import _slowest, _spread, _state, glass
from philic.workflows.dynamics.trajectory import Frames, append, begin, read
from philic.workflows.stores.result import Result, Status

FINGERPRINT = {"name": "emt", "weights": "none"}


def relaxation(atoms, energy_eV, fingerprint=FINGERPRINT):
    return Result(
        Status.CONVERGED,
        "",
        {"energy_eV": energy_eV},
        {"final": atoms},
        function="relax",
        provenance={"fingerprint": fingerprint},
    )


def run(folder, atoms, step_A, asked_K, n_frames=40, mobile=None):
    """Store a run in which every atom (or those of one element) walks, and its result."""
    rng = np.random.default_rng(0)
    moved = np.cumsum(rng.normal(0, step_A, (n_frames, len(atoms), 3)), axis=0)
    if mobile:
        moved[:, np.array(atoms.symbols) != mobile] = 0
    cells = np.repeat(atoms.cell.array[None], n_frames, axis=0)
    begin(folder, atoms, {"timestep_fs": 20.0})
    noise = rng.normal(size=n_frames)
    append(folder, Frames(np.arange(n_frames), atoms.positions + moved, cells, noise, *np.zeros((3, n_frames))))
    scalars = {
        "asked_K": asked_K,
        "temperature_K": asked_K,
        "temperature_error_K": 3.0,
        "steps": n_frames - 1,
        "time_ps": 0.8,
    }
    return Result(Status.CONVERGED, "", scalars | {"potential_eV": -1.0 * len(atoms), "n_atoms": len(atoms)})


def judged(tmp_path, final, melt_A=0.6, **parents):
    crystal = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    runs = {
        "hold": run(tmp_path / "hold", final, 0.01, 300.0),
        "quench.0": run(tmp_path / "quench", final, 0.1, 900.0),
        "melt": run(tmp_path / "melt", final, melt_A, 1500.0),
    }
    roles = {"crystal": relaxation(crystal, -8.0 * 4), "relaxed": relaxation(final, -3.9 * len(final))}
    folders = {"melt": tmp_path / "melt", "hold": tmp_path / "hold", "quench.0": tmp_path / "quench"}
    return glass({**roles, **runs, **parents}, folders=folders)


@pytest.fixture
def packing():
    return random_packing({"Na": 32, "Cl": 32}, density_g_cm3=1.9)


def test_a_random_packing_is_amorphous_and_stands_above_the_crystal(packing, tmp_path):
    outcome = judged(tmp_path, packing)
    scalars = outcome.scalars
    assert outcome.status is Status.CONVERGED
    assert scalars["state"] == "amorphous"
    assert scalars["melted"]
    assert scalars["energy_vs_crystal_eV"] == pytest.approx(0.1)
    assert scalars["density_g_cm3"] == pytest.approx(1.9)
    assert scalars["crystal_density_g_cm3"] == pytest.approx(2.163, abs=0.01)  # halite: CRC Handbook, 2.17
    assert scalars["crystal_neighbours_Na_Cl"] == pytest.approx(6)
    assert scalars["crystal_peak_Na_Cl_A"] == pytest.approx(2.82, abs=0.1)
    assert outcome.arrays["g_Cl_Na"].shape == outcome.arrays["distances_A"].shape
    assert outcome.arrays["stage_temperatures_K"].tolist() == [1500.0, 900.0, 300.0]
    assert outcome.arrays["crystal_energy_eV_per_atom"].tolist() == [-4.0]


def test_what_crystallised_is_reported(tmp_path):
    crystal = bulk("NaCl", "rocksalt", a=5.7, cubic=True) * (2, 2, 2)
    outcome = judged(tmp_path, crystal)
    assert outcome.status is Status.UNCONVERGED
    assert outcome.scalars["state"] == "crystalline"
    assert outcome.scalars["order"] == pytest.approx(1.0)
    assert outcome.scalars["neighbours_Na_Cl"] == pytest.approx(6, abs=0.05)
    assert "it is crystalline: its sharpest Bragg peak has 1.00 of the crystal's height" in outcome.message


def test_neighbours_of_a_crystal_are_counted_as_far_as_those_of_the_glass(tmp_path):
    sodium = bulk("Na", cubic=True) * (3, 3, 3)  # 8 neighbours at 3.66 Å and 6 at 4.23: one shell when shaken
    shaken = sodium.copy()
    shaken.rattle(0.3, seed=0)
    outcome = judged(tmp_path, shaken, crystal=relaxation(sodium, -1.0))
    assert outcome.scalars["crystal_neighbours_Na_Na"] == pytest.approx(14)
    assert outcome.scalars["neighbours_Na_Na"] == pytest.approx(14, abs=1)


def test_what_did_not_melt_is_reported(packing, tmp_path):
    outcome = judged(tmp_path, packing, melt_A=0.05)
    assert outcome.status is Status.UNCONVERGED
    assert not outcome.scalars["melted"]
    assert "it did not melt, or too briefly to forget its start: in 0.8 ps" in outcome.message
    assert outcome.message.count("melt hotter or longer") == 1


def test_the_slowest_element_has_to_melt(packing, tmp_path):
    """Na goes far, Cl stays."""
    run(tmp_path, packing, 0.6, 1500.0, mobile="Na")
    slowest, went_A, spacing_A = _slowest(read(tmp_path))
    assert slowest == "Cl"
    assert went_A < spacing_A == pytest.approx((packing.get_volume() / 64) ** (1 / 3))


@pytest.mark.parametrize(
    ("order", "state"),
    [
        (0.39, "amorphous"),
        (0.41, "partly ordered"),
        (0.69, "partly ordered"),
        (0.71, "crystalline"),
        (np.nan, "partly ordered"),
    ],
)
def test_the_sharpest_bragg_peak_decides(order, state):
    assert _state(order) == state


def test_distances_are_of_the_time_after_equilibration(packing, tmp_path):
    run(tmp_path, packing, 0.01, 300.0)
    stored = read(tmp_path)
    stored.frames.potential_eV[:12] += 1000.0
    first = stored.frames.positions_A[12]
    np.testing.assert_array_equal(_spread(stored)[0].positions, first)


def test_what_was_held_too_briefly_to_cool_is_reported(packing, tmp_path):
    hot = run(tmp_path / "hot", packing, 0.01, 300.0)
    hot = Result(hot.status, "", {**hot.scalars, "temperature_K": 500.0})
    outcome = judged(tmp_path / "run", packing, hold=hot)
    assert outcome.status is Status.UNCONVERGED
    assert "it was still at 500 K, not at the 300 K asked for: hold longer" in outcome.message


@pytest.mark.parametrize(
    ("scalars", "sentence"),
    [
        ({"temperature_error_K": None}, "it was held for too few frames to judge its temperature: hold longer"),
        ({"temperature_K": np.nan}, "it was still at nan K, not at the 300 K asked for: hold longer"),
    ],
)
def test_a_temperature_that_is_not_known_is_not_cold(scalars, sentence, packing, tmp_path):
    hold = run(tmp_path / "hold", packing, 0.01, 300.0)
    outcome = judged(tmp_path / "run", packing, hold=Result(hold.status, "", hold.scalars | scalars))
    assert outcome.status is Status.UNCONVERGED
    assert sentence in outcome.message


def test_a_run_that_failed_is_named_and_one_whose_trajectory_is_cut_is_tried_again(packing, tmp_path):
    exploded = Result(Status.FAILED, "it exploded", function="md", about={"metal": "Na", "host": "MCl"})
    assert judged(tmp_path / "a", packing, melt=exploded).message == "md Na on MCl: it exploded"
    longer = run(tmp_path / "other", packing, 0.1, 1500.0)
    longer = Result(longer.status, "", {**longer.scalars, "steps": 99})
    with pytest.raises(ValueError, match="is shorter than its run; put it back"):
        judged(tmp_path / "b", packing, melt=longer)


def test_energies_of_two_potentials_are_not_subtracted(packing, tmp_path):
    other = relaxation(packing, -1.0, {"name": "lj", "weights": "other"})
    with pytest.raises(ValueError, match="energies of different potentials are never subtracted"):
        judged(tmp_path, packing, relaxed=other)
