import numpy as np
import pytest
from ase.build import bulk

from philic.structures.carbons.carbon import graphene
from philic.structures.sites.adatoms import place_adatoms
from philic.structures.sites.islands import half_ball, place_island
from philic.structures.sites.sites import all_anchors, lateral_position
from philic.workflows.analyses.wetting import _verdict, wetting
from philic.workflows.dynamics.trajectory import Frames, append, begin
from philic.workflows.stores.result import Result, Status

N = 40


def relaxation(atoms, energy_eV):
    provenance = {"fingerprint": {"name": "emt", "weights": "none"}}
    return Result(Status.CONVERGED, "", {"energy_eV": energy_eV}, {"final": atoms}, provenance=provenance)


def sheet(vacuum_A=15.0):
    return graphene((12, 12), vacuum_A=vacuum_A)


def island():
    return place_island(sheet(), "K", N)


def layer(vacuum_A=15.0):
    """Potassium over every third hexagon."""
    host = sheet(vacuum_A)
    hollows = [anchors for kind, anchors in all_anchors(host) if kind == "hollow"]
    spots = np.array([lateral_position(host, anchors) for anchors in hollows])
    corners = np.rint((spots - spots[0]) @ np.linalg.inv(host.cell.array[:2, :2]) * 12).astype(int)
    return place_adatoms(
        host, "K", [hollow for hollow, corner in zip(hollows, corners, strict=True) if corner.sum() % 3 == 0][:N]
    )


def judged(folder, paths, n_metal=N, equilibration_ps=0.0, worth="fit", **others):
    """Judge a run through these structures, some frames of each, 20 or more in all, in which atoms tremble."""
    rng = np.random.default_rng(0)
    start = paths[0]
    positions = np.concatenate(
        [atoms.positions + rng.normal(0, 0.05, (max(4, 24 // len(paths)), len(atoms), 3)) for atoms in paths]
    )
    n = len(positions)
    begin(folder, start, {"timestep_fs": 20.0})
    cells = np.repeat(start.cell.array[None], n, axis=0)
    append(folder, Frames(np.arange(n), positions, cells, rng.normal(size=n), *np.zeros((3, n))))
    run = Result(Status.CONVERGED, "", {"steps": n - 1, "temperature_K": 400.0}, {"final": start})
    parents = {"run": run, "relaxed": relaxation(paths[-1], -340.0), "host": relaxation(sheet(), -300.0)}
    parents["bulk"] = relaxation(bulk("K", cubic=True), -1.8)
    parents["gate"] = Result(Status.CONVERGED, "", {"verdict": worth})
    settings = {"metal": "K", "n_metal": n_metal, "equilibration_ps": equilibration_ps}
    return wetting(parents | others, folders={"run": folder}, **settings)


def test_a_flat_layer_wets_and_has_no_angle(tmp_path):
    outcome = judged(tmp_path, [layer()] * 4)
    scalars = outcome.scalars
    assert outcome.status is Status.CONVERGED
    assert scalars["verdict"] == "wets"
    assert scalars["spread"] == pytest.approx(1.0)
    assert (scalars["touching"], scalars["layers"]) == (1.0, 1)
    assert scalars["contact_angle_deg"] is None
    assert "no contact angle: the metal lies flat" in outcome.message
    assert scalars["vs_bulk_eV"] == pytest.approx((-340 + 300 + 0.9 * N) / N)


def test_half_a_ball_is_an_island_of_ninety_degrees(tmp_path):
    outcome = judged(tmp_path, [island()] * 4)
    scalars = outcome.scalars
    flat = (half_ball("K", N).positions[:, 2] < 0.1).mean()
    assert scalars["verdict"] == "islands"
    assert scalars["spread"] == pytest.approx(0.0, abs=0.02)
    assert (scalars["clusters"], scalars["largest"], scalars["layers"]) == (1.0, N, 3)
    assert scalars["contact_angle_deg"] == pytest.approx(90, abs=13)
    assert outcome.message.startswith(
        f"islands: {flat:.0%} of the metal's atoms touch the host (half a ball {flat:.0%}, flat 98%)"
    )
    counted = outcome.arrays["atoms_per_A"].sum() * np.diff(outcome.arrays["heights_A"])[0]
    assert counted == pytest.approx(N)
    assert outcome.arrays["layer_shares"].sum() == pytest.approx(1.0)


def test_what_still_changes_is_undecided_and_the_start_is_left_out_when_asked(tmp_path):
    outcome = judged(tmp_path / "a", [layer(), layer(), island(), island()])
    assert outcome.status is Status.UNCONVERGED
    assert outcome.scalars["verdict"] == "undecided"
    assert "which is still changing: run longer" in outcome.message
    assert judged(tmp_path / "b", [layer(), *[island()] * 4], equilibration_ps=0.08).scalars["verdict"] == "islands"


@pytest.mark.parametrize(("n", "flat"), [(5, "100%"), (9, "78%")])
def test_few_atoms_decide_nothing(n, flat, tmp_path):
    small = place_island(sheet(), "K", n)
    outcome = judged(tmp_path, [small] * 2, n_metal=n)
    assert (outcome.scalars["verdict"], outcome.scalars["spread"]) == ("undecided", None)
    assert f"half a ball of so few atoms has {flat} on its flat side, and a layer 100%: put on more atoms" in outcome.message


def test_a_run_too_short_to_judge_decides_nothing():
    short, long = (_verdict(np.full(n, 1.0), least=0.5, most=1.0) for n in (9, 10))
    assert short == ("undecided", None, "9 frames are left but at least 10 are needed: run longer")
    assert long[:2] == ("wets", 1.0)


@pytest.mark.parametrize(
    ("spread", "verdict"), [(0.76, "wets"), (0.74, "undecided"), (0.41, "undecided"), (0.39, "islands"), (1.3, "wets")]
)
def test_the_spread_decides(spread, verdict):
    found = _verdict(np.full(20, 0.4 + 0.5 * spread), least=0.4, most=0.9)
    assert found[:2] == (verdict, pytest.approx(min(1.0, spread)))


@pytest.mark.parametrize(("change", "steady"), [(0.19, True), (0.21, False)])
def test_a_spread_whose_halves_differ_decides_nothing(change, steady):
    spreads = np.repeat([0.8, 0.8 + change], 10) - change / 2 + 0.1
    verdict, _, said = _verdict(0.4 + 0.5 * spreads, least=0.4, most=0.9)
    assert (verdict == "wets", "which is still changing" in said) == (steady, not steady)


def test_a_layer_counts_from_a_twentieth_of_the_metal(tmp_path):
    lifted = layer()
    lifted.positions[-3:, 2] += 3.0
    lifted.positions[-3:, :2] = lifted.positions[-40:-37, :2] + (1.0, 0.5)
    assert judged(tmp_path, [lifted]).scalars["layers"] == 2


def test_shares_that_are_no_numbers_decide_nothing():
    touching = np.ones(20)
    touching[3] = np.nan
    assert _verdict(touching, least=0.5, most=1.0)[0] == "undecided"
    assert _verdict(np.ones(20), least=np.nan, most=1.0)[0] == "undecided"


def test_atoms_that_leave_are_counted(tmp_path):
    flown = layer()
    flown.positions[-2:, 2] += 7.0
    flown.positions[-1, :2] += (10.0, 10.0)
    message = judged(tmp_path, [flown] * 2).message
    assert "2 of them left the host, so there is no energy against the bulk metal" in message
    assert "other face" not in message


def test_what_left_is_no_island(tmp_path):
    flown = layer()
    flown.positions[-N // 2 :, 2] += 9.0
    scalars = judged(tmp_path, [flown]).scalars
    assert scalars["left"] == N // 2
    assert (scalars["verdict"], scalars["touching"], scalars["layers"]) == ("wets", 1.0, 1)
    assert scalars["height_A"] < 4.0
    assert scalars["vs_bulk_eV"] is None


def test_what_is_left_on_the_host_is_judged_as_so_many_atoms(tmp_path):
    """Forty atoms, fourteen of them in a second layer, and twenty that flew away: 26 of 40 touch."""
    stacked = layer(vacuum_A=40.0)
    stacked.positions[-14:, 2] += 3.6
    flown = stacked[-N : -N // 2]
    flown.positions[:, 2] += 10.5
    scalars = judged(tmp_path, [stacked + flown], n_metal=60).scalars
    least, most = (half_ball("K", N).positions[:, 2] < 0.1).mean(), 0.98
    assert (scalars["left"], scalars["touching"]) == (20, 26 / N)
    assert scalars["spread"] == pytest.approx((26 / N - least) / (most - least), rel=0.02)
    assert scalars["verdict"] == "islands"


def test_when_all_have_left_nothing_is_decided(tmp_path):
    gone = layer()
    gone.positions[-N:, 2] += 9.0
    outcome = judged(tmp_path, [gone])
    assert (outcome.scalars["verdict"], outcome.scalars["left"], outcome.scalars["height_A"]) == ("undecided", N, None)
    assert outcome.scalars["contact_angle_deg"] is None
    assert f"{N} of them left the host" in outcome.message


def test_a_potential_that_did_not_pass_its_gate_gives_numbers_and_no_verdict(tmp_path):
    outcome = judged(tmp_path, [layer()], worth="doubtful")
    assert outcome.scalars["verdict"] == "doubtful"
    assert outcome.scalars["spread"] == pytest.approx(1.0)
    assert outcome.scalars["vs_bulk_eV"] is not None
    assert outcome.message.startswith("no verdict, because the potential is doubtful for K: 100% of the metal's atoms touch")
    assert "wets" not in outcome.message


def test_what_a_run_says_against_itself_is_passed_on(tmp_path):
    hot = Result(Status.UNCONVERGED, "asked were 400 K", {"steps": 3, "temperature_K": 900.0}, function="md", about={})
    outcome = judged(tmp_path, [layer()], run=hot)
    assert outcome.status is Status.UNCONVERGED
    assert "asked were 400 K" in outcome.message


def test_a_run_that_failed_fails(tmp_path):
    failed = Result(Status.FAILED, "it exploded")
    parents = {"run": failed, "relaxed": failed, "host": failed, "bulk": failed}
    outcome = wetting(parents, folders={"run": tmp_path}, metal="K", n_metal=3, equilibration_ps=0.0)
    assert (outcome.status, outcome.message) == (Status.FAILED, "it exploded")
