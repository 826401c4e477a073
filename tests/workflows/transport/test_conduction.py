import numpy as np
import pytest
from ase import Atoms
from ase.units import kB

from philic.workflows.dynamics.trajectory import Frames, append, begin
from philic.workflows.stores.result import Result, Status
from philic.workflows.transport.conduction import ROOM_K, arrhenius_of_runs, sites_of_run, transport_of_run
from philic.workflows.transport.transport import nernst_einstein_mS_per_cm

BOX_A = 12.0
VOLUME_A3 = BOX_A**3
GRID = np.stack(np.meshgrid(*[[0.0, 6.0]] * 3), axis=-1).reshape(-1, 3)


def walked(
    folder,
    D_cm2_per_s,
    asked_K=600.0,
    n_frames=1000,
    seed=0,
    steps=None,
    about=None,
    rattle_A=0.05,
    measured_K=None,
    potential_eV=None,
):
    """Store eight K that walk (a frame a picosecond) among eight S that rattle, and the result of such a run."""
    rng = np.random.default_rng(seed)
    ions = np.cumsum(rng.normal(size=(n_frames, 8, 3)) * np.sqrt(2 * D_cm2_per_s * 1e4), axis=0)
    rest = GRID + rng.normal(size=(n_frames, 8, 3)) * rattle_A
    start = Atoms("K8S8", positions=np.concatenate([GRID + 3.0, GRID]), cell=[BOX_A] * 3, pbc=True)
    begin(folder, start, {"timestep_fs": 1000.0, **(about or {})})
    nothing = np.zeros(n_frames)
    energies = nothing if potential_eV is None else potential_eV
    kinetic_eV = np.full(n_frames, (3 * 16 - 3) * kB * (measured_K or asked_K) / 2)
    cells = np.repeat(start.cell.array[None], n_frames, axis=0)
    positions = np.concatenate([ions + GRID + 3.0, rest], axis=1)
    append(folder, Frames(np.arange(n_frames), positions, cells, energies, kinetic_eV, nothing, nothing))
    scalars = {
        "asked_K": asked_K,
        "steps": steps or n_frames - 1,
        "temperature_K": measured_K or asked_K,
        "volume_A3": VOLUME_A3,
        "folder": folder.name,
    }
    return Result(Status.CONVERGED, "", scalars, {"final": start})


def analysed(folder, run, equilibration_ps=0.0):
    return transport_of_run({"run": run}, folders={"run": folder}, mobile="K", equilibration_ps=equilibration_ps)


def test_a_known_walk_is_found_in_the_folder_of_the_run(tmp_path):
    D = 2e-5
    outcome = analysed(tmp_path, walked(tmp_path, D, seed=1))
    scalars = outcome.scalars
    assert scalars["diffusivity_low95_cm2_per_s"] < D < scalars["diffusivity_high95_cm2_per_s"]
    assert scalars["diffusivity_low95_cm2_per_s"] < scalars["diffusivity_low_cm2_per_s"] < scalars["diffusivity_cm2_per_s"]
    einstein = nernst_einstein_mS_per_cm(scalars["diffusivity_cm2_per_s"], 8, VOLUME_A3, 600.0)
    assert scalars["nernst_einstein_mS_per_cm"] == pytest.approx(einstein, rel=1e-6)
    assert scalars["haven_ratio_low"] < 1.2
    assert scalars["haven_ratio_high"] > 0.8
    assert scalars["settled"] is True
    assert outcome.status is Status.CONVERGED
    assert scalars["lindemann"] == pytest.approx(
        0.05 * np.sqrt(3 * 7 / 8) / 6.0, rel=0.05
    )  # the drift of eight is taken out
    assert scalars["framework_rmsd_A"] == pytest.approx(np.sqrt(6) * 0.05, rel=0.5)
    assert "long enough" in outcome.message
    assert "the framework is solid" in outcome.message
    assert outcome.arrays["diffusivity_by_length_cm2_per_s"].shape == (8, 3)


def test_a_line_through_a_melt_says_so(tmp_path):
    kelvins = {"600 K": (600.0, 1e-5, 0.05), "800 K": (800.0, 3e-5, 0.8)}
    runs = {
        name: analysed(tmp_path / name, walked(tmp_path / name, D, kelvin, rattle_A=rattle_A))
        for name, (kelvin, D, rattle_A) in kelvins.items()
    }
    outcome = arrhenius_of_runs({name: Result(**vars(run)) for name, run in runs.items()})
    assert outcome.status is Status.UNCONVERGED
    assert outcome.message.endswith("; not solid: 800 K")


def test_ions_at_rest_are_refused_with_a_sentence(tmp_path):
    outcome = analysed(tmp_path, walked(tmp_path, 1e-12))
    assert outcome.status is Status.UNCONVERGED
    assert outcome.message.startswith("no diffusivity: K made 0 hops in 999 ps but at least 10 are needed")
    assert "diffusivity_cm2_per_s" not in outcome.scalars
    assert outcome.scalars["hops"] == 0


def test_the_start_and_what_is_longer_than_the_run_are_left_out(tmp_path):
    whole = analysed(tmp_path, walked(tmp_path, 2e-5, steps=600), equilibration_ps=100.0)
    assert whole.scalars["left_out_ps"] == pytest.approx(100.0)
    assert whole.scalars["analysed_ps"] == pytest.approx(500.0)


def test_the_start_is_left_out_until_the_potential_energy_is_steady(tmp_path):
    run = walked(tmp_path, 2e-5, potential_eV=np.where(np.arange(1000) < 200, 50.0, 0.0) + np.arange(1000) % 2)
    assert analysed(tmp_path, run).scalars["left_out_ps"] == pytest.approx(200.0, abs=2.0)


def test_a_trajectory_that_is_gone_is_a_crash_and_a_failed_run_is_no_run(tmp_path):
    run = walked(tmp_path / "there", 2e-5, n_frames=20)
    with pytest.raises(ValueError, match=r"gone` holds no run: give the folder of one; put it back, or let `philic"):
        analysed(tmp_path / "gone", run)
    with pytest.raises(ValueError, match=r"there` is shorter than its run; put it back, or let `philic check"):
        analysed(tmp_path / "there", Result(Status.CONVERGED, "", {**run.scalars, "steps": 40}))
    failed = analysed(tmp_path, Result(Status.FAILED, "it exploded at step 3"))
    assert failed.status is Status.FAILED
    assert failed.message == "it exploded at step 3"


def line(tmp_path, activation_eV, temperatures_K, seeds=(0,), D0_cm2_per_s=1e-3):
    """Transport of runs on a known Arrhenius line."""
    parents = {}
    for kelvin in temperatures_K:
        for seed in seeds:
            folder = tmp_path / f"{kelvin:g}-{seed}"
            D = D0_cm2_per_s * np.exp(-activation_eV / kB / kelvin)
            outcome = analysed(folder, walked(folder, D, kelvin, seed=100 * seed + int(kelvin)))
            parents[f"{kelvin:g} K, seed {seed}"] = Result(**vars(outcome))
    return parents


def test_the_line_of_known_walks_is_found_over_temperatures_and_seeds(tmp_path):
    parents = line(tmp_path, 0.25, (600.0, 800.0, 1000.0), seeds=(0, 1))
    outcome = arrhenius_of_runs(parents)
    scalars = outcome.scalars
    half = (scalars["activation_energy_high_eV"] - scalars["activation_energy_low_eV"]) / 2
    assert abs(scalars["activation_energy_eV"] - 0.25) < 2.5 * half < 0.05
    D = 1e-3 * np.exp(-0.25 / kB / ROOM_K)
    assert 0.5 < scalars["diffusivity_300K_cm2_per_s"] / D < 2.0
    conductivity = nernst_einstein_mS_per_cm(scalars["diffusivity_300K_cm2_per_s"], 8, VOLUME_A3, ROOM_K)
    assert scalars["conductivity_300K_mS_per_cm"] == pytest.approx(conductivity, rel=1e-6)
    assert "from 6 runs between 600 and 1000 K" in outcome.message
    for result in [*parents.values()][3:]:
        result.scalars["volume_A3"] = 2 * VOLUME_A3
    larger = arrhenius_of_runs(parents).scalars["conductivity_300K_mS_per_cm"]
    assert larger == pytest.approx(conductivity / 1.5, rel=1e-6)  # of the mean volume
    assert outcome.arrays["diffusivities_cm2_per_s"].shape == (6, 3)
    assert outcome.arrays["line_temperatures_K"][[0, -1]] == pytest.approx([300.0, 1000.0])


def test_a_line_through_one_temperature_is_refused_and_says_which_are_missing(tmp_path):
    parents = line(tmp_path, 0.25, (800.0,), seeds=(0, 1))
    parents |= {"100 K, seed 0": Result(**vars(analysed(tmp_path / "c", walked(tmp_path / "c", 1e-12, 100.0, 50))))}
    outcome = arrhenius_of_runs(parents)
    assert outcome.status is Status.UNCONVERGED
    assert outcome.message == (
        "no activation energy: 1 temperature(s) have a diffusivity but a line needs at least 2: run longer or hotter; "
        "left out because they have no diffusivity: 100 K, seed 0; "
        "the 2 seeds at 800 K agree: their D spread by 3% and the intervals allow 6%"
    )
    assert outcome.scalars == {"seeds_agree": True}


def test_a_line_through_runs_that_ran_cold_has_the_right_activation_energy(tmp_path):
    """Runs asked for 800 and 1000 K that had 760 and 950: by the temperatures asked for the line would be 0.316 eV."""
    parents = {}
    for asked_K in (800.0, 1000.0):
        measured_K, folder = 0.95 * asked_K, tmp_path / f"{asked_K:g}"
        D = 3e-3 * np.exp(-0.300 / kB / measured_K)
        run = walked(folder, D, asked_K, n_frames=4000, measured_K=measured_K)
        parents[f"{asked_K:g} K"] = Result(**vars(analysed(folder, run)))
    outcome = arrhenius_of_runs(parents)
    assert outcome.scalars["activation_energy_eV"] == pytest.approx(0.300, abs=0.005)
    assert outcome.arrays["temperatures_K"] == pytest.approx([760.0, 950.0])
    D = 3e-3 * np.exp(-0.300 / kB / ROOM_K)
    assert outcome.scalars["diffusivity_300K_cm2_per_s"] == pytest.approx(D, rel=0.25)


def test_a_run_off_its_temperature_is_flagged_and_its_conductivity_belongs_to_what_was_measured(tmp_path):
    cold = analysed(tmp_path / "cold", walked(tmp_path / "cold", 2e-5, 600.0, measured_K=570.0))
    assert cold.status is Status.UNCONVERGED
    assert "it ran at 570 ± 0 K, 5 % colder than the 600 K asked for: run longer" in cold.message
    assert "the conductivity at 570 K is" in cold.message
    assert (cold.scalars["temperature_K"], cold.scalars["temperature_error_K"]) == pytest.approx((570.0, 0.0))
    einstein = nernst_einstein_mS_per_cm(cold.scalars["diffusivity_cm2_per_s"], 8, VOLUME_A3, 570.0)
    assert cold.scalars["nernst_einstein_mS_per_cm"] == pytest.approx(einstein, rel=1e-6)
    near = analysed(tmp_path / "near", walked(tmp_path / "near", 2e-5, 600.0, measured_K=590.0))
    assert near.status is Status.CONVERGED


def test_seeds_that_differ_only_in_how_hot_they_ran_agree(tmp_path):
    """One seed ran 20 % colder than asked for, and its D is lower by as much as its temperature says."""
    parents = line(tmp_path, 0.5, (600.0, 800.0), seeds=(0, 1), D0_cm2_per_s=1e-2)
    folder, D = tmp_path / "cold", 1e-2 * np.exp(-0.5 / kB / 640.0)
    parents["800 K, seed 1"] = Result(**vars(analysed(folder, walked(folder, D, 800.0, seed=5, measured_K=640.0))))
    outcome = arrhenius_of_runs(parents)
    assert "the 2 seeds at 800 K agree" in outcome.message


def test_seeds_that_differ_by_more_than_their_intervals_do_not_agree(tmp_path):
    parents = line(tmp_path, 0.25, (600.0, 800.0), seeds=(0, 1))
    parents["600 K, seed 1"] = line(tmp_path / "faster", 0.20, (600.0,))["600 K, seed 0"]
    outcome = arrhenius_of_runs(parents)
    assert outcome.scalars["seeds_agree"] is False
    assert "the 2 seeds at 600 K do not agree: their D spread by" in outcome.message
    assert "the runs are too short for their intervals to be believed, run longer" in outcome.message
    assert "the 2 seeds at 800 K agree" in outcome.message


def test_without_a_thermostat_the_temperature_is_what_was_measured(tmp_path):
    outcome = analysed(tmp_path, walked(tmp_path, 2e-5, 600.0, about={"thermostat": "none"}, measured_K=310.0))
    assert outcome.scalars["temperature_K"] == pytest.approx(310.0)
    assert "48 % colder than the 600 K asked for: run longer, or take a thermostat" in outcome.message


def test_a_run_of_two_frames_is_too_short(tmp_path):
    outcome = analysed(tmp_path, walked(tmp_path, 1e-7, n_frames=2), equilibration_ps=1.0)
    assert outcome.message.startswith("no diffusivity: K made 0 hops in 1 ps")
    assert outcome.message.endswith("; fewer than 10 frames are left, too few to judge its temperature: run longer")


def test_the_sites_of_a_run_are_those_of_the_crystal_and_hold_its_ions(tmp_path):
    run = walked(tmp_path, 1e-9)
    outcome = sites_of_run({"run": run}, folders={"run": tmp_path}, mobile="K", equilibration_ps=0.0)
    assert outcome.scalars["sites"] == 8
    assert outcome.scalars["jumps"] == outcome.scalars["sites_found"] == 0
    assert outcome.message == "ions sit on 8 sites, and made no jump between them"
    np.testing.assert_allclose(np.sort(outcome.arrays["sites_A"] % BOX_A, axis=0), np.sort(GRID + 3.0, axis=0), atol=0.2)
    assert outcome.arrays["occupancy"].tolist() == [1.0] * 8
    assert outcome.arrays["density_counts"].shape == (24, 24, 24)
    assert outcome.arrays["density_counts"].sum() == 8 * 1000
