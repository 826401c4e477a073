import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.optimize import BFGS

from philic.structures.carbons.carbon import carbon_host, graphene
from philic.structures.jumps.network import percolation
from philic.structures.jumps.surface_hops import surface_hops, surface_network
from philic.structures.sites.adatoms import place_adatoms
from philic.structures.sites.resting import (
    ASIDE_A,
    Rest,
    Trial,
    on_site,
    on_sites,
    rest_position,
    resting_places,
    same_places,
    trial_problem,
)
from philic.structures.sites.sites import adsorption_sites, all_anchors, lateral_distances_A, lateral_operations
from philic.structures.surfaces.steps import stepped_slab

CU = bulk("Cu", a=3.61, cubic=True)
STEPPED = stepped_slab(CU, "111", "100", rows=3, layers=3, size=(2, 3))
SITES = {site.label: on_site(site) for site in adsorption_sites(STEPPED) if site.face == 1}
FOOT = Rest(SITES["bridge Cu-Cu cn 10-10"].anchors, 1, "foot", 0.0, (0.4, 0.0), 2.0)


def ended(rest: Rest, spot: np.ndarray | None = None, energy_eV: float = 0.0) -> Trial:
    """An adatom that was put aside of a place and came to rest somewhere, by itself right on the place."""
    start = place_adatoms(STEPPED, "K", **rest.placement(rest.trial_aside_A))
    end = start.copy()
    end.positions[-1, :2] = rest_position(STEPPED, rest) if spot is None else spot
    end.positions[-1, 2] = STEPPED.positions[:, 2].max() + 2.0
    return Trial(rest, start, end, energy_eV)


def beside(rest: Rest, x_A: float, y_A: float = 0.0) -> np.ndarray:
    return rest_position(STEPPED, rest) + np.array([x_A, y_A])


def images(spot: np.ndarray) -> np.ndarray:
    turns, shifts, flips = lateral_operations(STEPPED)
    return (turns @ spot + shifts)[flips == 1]


def apart_A(one: Rest, other: np.ndarray) -> float:
    return float(lateral_distances_A(STEPPED, images(rest_position(STEPPED, one)) - other).min())


def test_a_trial_that_comes_back_keeps_its_site():
    rest = SITES["hollow Cu4"]
    assert resting_places(STEPPED, [ended(rest)]) == ([rest], [])
    assert rest.placement() == {"anchors": [[list(anchor) for anchor in rest.anchors]], "face": 1}


def test_ends_that_symmetry_makes_equal_are_one_minimum():
    """Trials from every site that end at one place, each at another image of it."""
    spot = beside(SITES["top Cu cn 9"], 0.1, 0.9)
    spots = images(spot)
    trials = [ended(rest, spots[5 * at % len(spots)], 1e-4 * at) for at, rest in enumerate(SITES.values())]
    (minimum,), untried = resting_places(STEPPED, trials)
    assert not untried
    assert minimum.is_aside
    assert apart_A(minimum, spot) < 0.02
    built = place_adatoms(STEPPED, "K", **minimum.placement())
    assert built.positions[-1, :2] == pytest.approx(rest_position(STEPPED, minimum))
    assert built.positions[-1, 2] == pytest.approx(trials[0].end.positions[-1, 2], abs=0.01)


def test_an_end_near_a_mirror_plane_is_put_on_it():
    (minimum,), _ = resting_places(STEPPED, [ended(SITES["top Cu cn 7"], beside(SITES["top Cu cn 10"], 0.6, 0.11))])
    assert minimum.label == "near top Cu cn 10"
    assert minimum.aside_A == (0.6, 0.0)


def test_two_minima_beside_one_site_have_two_names_and_the_lowest_comes_first():
    top = SITES["top Cu cn 9"]
    trials = [
        ended(SITES["hollow Cu4"], beside(top, 0.6), 0.004),
        ended(SITES["top Cu cn 7"], beside(top, -0.6), 0.0),
    ]
    assert [rest.label for rest in resting_places(STEPPED, trials)[0]] == ["near top Cu cn 9", "near top Cu cn 9 #2"]


def test_a_high_end_is_tried_itself_and_counts_if_it_holds():
    """As a flat top may be where a relaxation stopped."""
    low, high = ended(SITES["hollow Cu4"]), SITES["top Cu cn 9"]
    spot = beside(high, 0.0, 0.8)
    first = [low, ended(high, spot, 0.1)]
    (minimum,), (untried,) = resting_places(STEPPED, first)
    assert minimum == low.rest
    assert apart_A(untried, spot) < 0.02
    assert resting_places(STEPPED, [*first, ended(untried, None, 0.1)]) == ([low.rest, untried], [])
    over = ended(untried, beside(high, 0.0, -0.8), 0.1)  # to its like across the mirror plane: one as good as the other
    assert resting_places(STEPPED, [*first, over]) == ([low.rest, untried], [])
    left = ended(untried, rest_position(STEPPED, low.rest), 0.0)
    assert resting_places(STEPPED, [*first, left]) == ([low.rest], [])


def test_a_site_on_whose_flat_top_an_adatom_stays_where_it_was_put_holds_none():
    top = SITES["top Cu cn 7"]
    stayed = ended(top, beside(top, *ASIDE_A), 0.1)
    assert resting_places(STEPPED, [stayed, ended(SITES["hollow Cu4"])]) == ([SITES["hollow Cu4"]], [])


def test_on_a_flat_surface_sites_hold_unless_an_adatom_goes_over_to_one_that_it_comes_back_to():
    hollow, top = SITES["hollow Cu4"], SITES["top Cu cn 7"]
    put = ended(top, beside(top, *ASIDE_A))
    assert resting_places(STEPPED, [ended(hollow), put]) == ([hollow, top], [])
    bridge = SITES["bridge Cu-Cu cn 7-9"]
    near = Rest(bridge.anchors, 1, "between", 0.0, (-0.7, 0.0))
    over = ended(near, beside(bridge, -0.3))
    assert resting_places(STEPPED, [ended(bridge), over]) == ([bridge], [])


def test_a_site_that_an_adatom_leaves_for_beside_it_is_not_where_it_rests():
    """Right on the site it would stay for its symmetry, and every barrier be counted from there."""
    top = SITES["top Cu cn 10"]
    minima, untried = resting_places(STEPPED, [ended(top, beside(top, 0.45)), ended(SITES["hollow Cu4"], None, 0.1)])
    assert [rest.label for rest in minima] == ["near top Cu cn 10", "hollow Cu4"]
    assert minima[0].aside_A == (0.45, 0.0)
    assert not untried


def test_an_end_beside_a_six_fold_axis_is_put_on_it():
    sheet = graphene((3, 3))
    hollow, top = on_sites(sheet, ["hollow", "top"])
    start = place_adatoms(sheet, "K", **top.placement(top.trial_aside_A))
    for off_A in (0.2, 0.4):
        end = start.copy()
        end.positions[-1, :2] = rest_position(sheet, hollow) + off_A * np.array([np.cos(0.3), np.sin(0.3)])
        ((minimum,), _) = resting_places(sheet, [Trial(top, start, end, 0.0)])
        assert lateral_distances_A(sheet, rest_position(sheet, minimum) - rest_position(sheet, hollow)) < 0.02


def test_sites_one_over_the_other_are_one_place():
    """The oxygen of an epoxide is over the middle of a bond, and an adatom put over either stands on it."""
    sheet = carbon_host("epoxy", (3, 3))
    oxygen = next(rest for rest in on_sites(sheet, ["top"]) if rest.label.startswith("top O"))
    spot = rest_position(sheet, oxygen)
    upper = [rest for rest in on_sites(sheet) if rest.face == 1]
    here = [rest for rest in upper if lateral_distances_A(sheet, rest_position(sheet, rest) - spot) < 0.3]
    assert {rest.label.split()[0] for rest in here} == {"bridge", "top"}
    trials = []
    for rest in here:
        start = place_adatoms(sheet, "K", **rest.placement(rest.trial_aside_A))
        trials.append(Trial(rest, start, place_adatoms(sheet, "K", **rest.placement()), 0.0))
    minima, _ = resting_places(sheet, trials)
    assert len(minima) == 1


def test_what_is_no_adatom_any_more_is_told():
    trial = ended(SITES["hollow Cu4"])
    assert trial_problem(trial) == ""
    trial.end.positions[-1, 2] += 5.0
    assert trial_problem(trial).startswith("the metal desorbed: it is 7.")
    trial.end.positions[-1] = STEPPED.positions.mean(axis=0)
    assert trial_problem(trial) == "the metal went under the surface"
    trial = ended(SITES["hollow Cu4"])
    trial.end.positions[SITES["top Cu cn 7"].anchors[0][0]] += [0.0, 0.0, 2.0]
    assert trial_problem(trial) == "the surface rearranged: one of its atoms moved by 2.0 Å"


def test_from_the_foot_of_a_step_jumps_lead_along_it_and_over_it():
    along, over = surface_hops(STEPPED, [FOOT], 6.5)
    assert [along.length_A, over.length_A] == pytest.approx([3.61 / 2**0.5, 3.61 * 3**0.5])
    assert (along.climb, abs(over.climb)) == (0, 1)
    assert (along.multiplicity, over.multiplicity) == (2, 2)
    network = surface_network(STEPPED, [along, over])
    assert [percolation(network, hops)[0].dimension for hops in ([0], [1], [0, 1])] == [1, 1, 2]


@pytest.mark.parametrize("place", [FOOT, Rest(SITES["top Cu cn 9"].anchors, 1, "aside", 0.0, (0.2, 0.6), 2.0)])
def test_jumps_between_places_aside_of_sites_are_those_of_the_lattice(place):
    """A place on the mirror plane has one image in each primitive cell, another two; jumps end on images."""
    hops = surface_hops(STEPPED, [place, *on_sites(STEPPED, ["hollow Cu4"])], 6.5)
    network = surface_network(STEPPED, hops)
    assert len(network.places_A) == (12 if place is FOOT else 18)
    lengths = np.linalg.norm(network.displacements_A, axis=1)
    assert lengths == pytest.approx([hops[jump.hop].length_A for jump in network.jumps], abs=0.01)
    for hop in hops:
        for end in (hop.start, hop.end):
            of = place if end.label == place.label else SITES[end.label]
            assert apart_A(of, rest_position(STEPPED, end)) < 0.01


def test_silver_on_copper_rests_at_the_foot_of_a_step():
    """With EMT; the trials start from tops and hollows alone, none of which is the foot."""
    host = stepped_slab(CU, "111", "100", rows=3, layers=3, size=(1, 2), fixed_layers=1)
    trials = []
    for rest in on_sites(host, ["hollow Cu4", "top Cu cn 10", "top Cu cn 9"]):
        start = place_adatoms(host, "K", **rest.placement(rest.trial_aside_A))
        start.symbols[-1] = "Ag"
        end = start.copy()
        end.calc = EMT()
        BFGS(end, logfile=None).run(fmax=0.02, steps=100)
        trials.append(Trial(rest, start, end, end.get_potential_energy()))
    (foot, *_), _ = resting_places(host, trials)
    assert foot.label == "near bridge Cu-Cu cn 10-10"
    assert np.linalg.norm(foot.aside_A) < 0.15


def test_places_are_the_same_whichever_operation_of_the_host_makes_them_so():
    """Several adatoms at once, on either face of a flat sheet, but not of a puckered one."""
    flat, puckered = graphene((3, 3)), carbon_host("S", (3, 3))
    hollows = [site for site in all_anchors(flat) if site[0] == "hollow"]

    def held(host, at, face=1):
        return place_adatoms(host, "Li", [hollows[i][1] for i in at], face=face)

    assert same_places(flat, held(flat, [0, 1]), held(flat, [4, 5]))
    assert same_places(flat, held(flat, [0]), held(flat, [5], face=-1))
    far = max(range(9), key=lambda i: held(flat, [0, i]).get_distance(-1, -2, mic=True) if i else 0)
    assert not same_places(flat, held(flat, [0, 1]), held(flat, [0, far]))
    places = [site for site in all_anchors(puckered) if site[0] == "top"]
    above, below = (place_adatoms(puckered, "Li", [places[0][1]], face=face) for face in (1, -1))
    assert not same_places(puckered, above, below)
    with pytest.raises(
        ValueError, match="`one` and `other` have 19 and 20 atoms but must have equally many, more than the 18"
    ):
        same_places(flat, held(flat, [0]), held(flat, [0, 1]))
