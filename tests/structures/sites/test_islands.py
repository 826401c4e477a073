import re

import numpy as np
import pytest
from ase.build import fcc111
from ase.constraints import FixAtoms

from philic.structures.carbons.carbon import graphene
from philic.structures.sites.adatoms import place_adatoms
from philic.structures.sites.islands import half_ball, nearest_A, place_island, scattered_anchors


@pytest.mark.parametrize("metal", ["Li", "Na", "K"])
@pytest.mark.parametrize("n", [1, 12, 100])
def test_half_a_ball_is_cut_from_the_bulk_metal_and_is_round(metal, n):
    ball = half_ball(metal, n)
    assert len(ball) == n
    assert ball.positions[:, 2].min() == pytest.approx(0.0)
    if n > 1:
        distances = ball.get_all_distances()
        assert distances[distances > 0].min() == pytest.approx(nearest_A(metal))
    if n == 100:
        across, high = np.ptp(ball.positions[:, :2], axis=0), np.ptp(ball.positions[:, 2])
        assert across.max() / across.min() < 1.3
        assert high < across.mean() / 2


def test_an_island_stands_on_its_host_and_keeps_what_is_fixed():
    host = fcc111("Cu", (8, 8, 2), vacuum=12.0, periodic=True)
    host.info["philic"] = {"host": "Cu(111)", "miller": [1, 1, 1]}
    atoms = place_island(host, "Na", 20)
    assert atoms.get_chemical_formula() == "Cu128Na20"
    assert atoms.info["philic"]["n_metal"] == 20
    gap = atoms.positions[128:, 2].min() - host.positions[:, 2].max()
    assert 1.5 < gap < 3.5


def test_on_a_slab_held_from_above_metal_is_put_below():
    host = fcc111("Cu", (6, 6, 2), vacuum=12.0, periodic=True)
    host.set_constraint(FixAtoms(mask=host.positions[:, 2] > host.positions[:, 2].mean()))
    bottom = host.positions[:, 2].min()
    atoms = place_island(host, "Na", 12)
    assert 1.5 < bottom - atoms.positions[72:, 2].max() < 3.5
    assert {index for anchors in scattered_anchors(host, "Na", 4) for index, *_ in anchors} <= set(range(36))


def test_scattered_atoms_keep_apart_and_depend_on_the_seed():
    host = graphene((8, 8))
    one, again, other = (scattered_anchors(host, "K", 8, seed) for seed in (0, 0, 1))
    assert one == again != other
    atoms = place_adatoms(host, "K", one)
    assert len(atoms) == len(host) + 8
    distances = atoms[len(host) :].get_all_distances(mic=True)
    assert distances[distances > 0].min() > 0.89 * nearest_A("K")
    assert np.ptp(atoms.positions[len(host) :, 2]) < 1.0


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: half_ball("Fe", 3), "`metal` is 'Fe' but must be one of"),
        (lambda: half_ball("K", 0), "`n` is 0 but must be at least 1"),
        (lambda: scattered_anchors(graphene((4, 4)), "K", 40), "K atoms fit side by side on the host: enlarge it"),
        (lambda: scattered_anchors(graphene((4, 4)), "K", 0), "`n` is 0 but must be at least 1"),
        (lambda: place_island(graphene((4, 4)), "K", 20), "but then the guest touches its image: enlarge it"),
    ],
)
def test_what_cannot_be_placed_is_refused(make, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make()
