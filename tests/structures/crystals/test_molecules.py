import re
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from philic.structures.carbons.carbon import carbon_host, graphene
from philic.structures.carbons.mxenes import mxene
from philic.structures.crystals.crystals import crystal
from philic.structures.crystals.metals import bulk_metal
from philic.structures.crystals.molecules import MOLECULES, metal_cluster, molecule
from philic.structures.sites.adatoms import sites_reached
from philic.structures.sites.placing import contact_A, monolayer, place
from philic.structures.surfaces.slabs import slab

HOSTS = {
    "graphene": graphene((6, 6), vacuum_A=22.0),
    "vacancy": carbon_host("vacancy", (6, 6), vacuum_A=22.0),
    "K(110)": slab(bulk_metal("K"), (1, 1, 0), layers=3, vacuum_A=22.0, size=(4, 4)),
    "Ti3C2O2": mxene("Ti3C2", "O", size=(5, 5), vacuum_A=22.0),
}


@pytest.mark.parametrize("metal", ["Li", "Na", "K"])
@pytest.mark.parametrize("name", MOLECULES)
def test_a_molecule_has_the_atoms_of_its_formula_well_apart(name: str, metal: str) -> None:
    found = molecule(name, metal)
    wanted = Atoms(MOLECULES[name].formula.replace("M", metal))
    assert found.symbols.formula.count() == wanted.symbols.formula.count()
    assert not len(neighbor_list("i", found, natural_cutoffs(found, mult=0.75)))
    assert found.positions.mean(axis=0) == pytest.approx(0, abs=1e-9)
    spread = found.positions.std(axis=0)
    assert spread[0] + 1e-9 >= spread[1] >= spread[2] - 1e-9


@pytest.mark.parametrize(
    ("name", "bonds"),
    [
        ("EC", {"CC": 1, "CO": 5, "CH": 4}),
        ("PC", {"CC": 2, "CO": 5, "CH": 6}),
        ("DME", {"CC": 1, "CO": 4, "CH": 10}),
    ],
)
def test_a_solvent_has_the_bonds_of_its_constitution(name: str, bonds: dict[str, int]) -> None:
    found = molecule(name)
    first, second = neighbor_list("ij", found, natural_cutoffs(found, mult=1.15))
    counted: dict[str, int] = {}
    for i, j in zip(first, second, strict=True):
        if i < j:
            pair = "".join(sorted((found.symbols[i], found.symbols[j]), key="CHO".index)).replace("HC", "CH")
            counted[pair] = counted.get(pair, 0) + 1
    assert counted == bonds


@pytest.mark.parametrize("metal", ["Li", "Na", "K"])
@pytest.mark.parametrize("n", range(2, 9))
def test_a_polysulfide_is_one_chain_whose_ends_both_metals_bridge(n: int, metal: str) -> None:
    found = molecule(f"M2S{n}", metal)
    sulfur, metals = np.where(found.symbols == "S")[0], np.where(found.symbols == metal)[0]
    chain = found.get_all_distances()[np.ix_(sulfur, sulfur)]
    assert np.diag(chain, 1) == pytest.approx(2.06)
    assert (chain[np.triu_indices(n, 2)] > 2.9).all()
    for end in (sulfur[0], sulfur[-1]):
        assert found.get_distances(end, metals) == pytest.approx(contact_A(metal, "S"))
    assert found.get_distance(*metals) > 2.4


@pytest.mark.parametrize("n", range(2, 14))
def test_a_cluster_is_one_piece_with_the_metals_own_distance(n: int) -> None:
    cluster = metal_cluster("K", n)
    apart = cluster.get_all_distances()[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    nearest = 5.23 * np.sqrt(3) / 2
    assert apart.min() == pytest.approx(nearest, rel=1e-3)
    assert ((apart < 1.1 * nearest).sum(axis=1) >= min(n - 1, 3)).all()


def test_thirteen_atoms_make_an_icosahedron() -> None:
    cluster = metal_cluster("Na", 13)
    distances = np.sort(cluster.get_distances(int(np.linalg.norm(cluster.positions, axis=1).argmin()), range(13)))[1:]
    assert distances == pytest.approx(distances[0])


@settings(max_examples=25, deadline=None)
@given(
    on=st.sampled_from(sorted(HOSTS)),
    name=st.sampled_from(sorted(MOLECULES)),
    metal=st.sampled_from(["Li", "Na", "K"]),
    at=st.integers(0, 60),
    turn=st.floats(0, 360),
    face=st.sampled_from([1, -1]),
)
def test_a_guest_touches_its_host_once_and_overlaps_nothing(
    on: str, name: str, metal: str, at: int, turn: float, face: int
) -> None:
    host, guest = HOSTS[on], molecule(name, metal)
    before = host.copy()
    both = place(host, guest, [[at % len(host), 0, 0]], turn_deg=turn, face=face)
    assert host == before
    assert (both[: len(host)].positions == host.positions).all()
    contacts = {(one, other): contact_A(one, other) + 1e-6 for one in {*host.symbols} for other in {*guest.symbols}}
    first, second, distances = neighbor_list("ijd", both, contacts)
    across = (first < len(host)) & (second >= len(host))
    limits = np.array([contact_A(str(both.symbols[i]), str(both.symbols[j])) for i, j in zip(first, second, strict=True)])
    assert across.any()
    assert (distances[across] > limits[across] - 1e-3).all()
    beside = face * (both.positions[len(host) :, 2].mean() - host.positions[:, 2].mean())
    assert beside > 0


def test_the_atom_that_is_to_point_down_is_the_lowest() -> None:
    guest = molecule("EC")
    carbonyl = 3
    both = place(HOSTS["K(110)"], guest, [[0, 0, 0]], down=carbonyl)
    heights = both.positions[-len(guest) :, 2]
    assert heights.argmin() == carbonyl
    upside = place(HOSTS["K(110)"], guest, [[0, 0, 0]], down=carbonyl, face=-1)
    assert upside.positions[-len(guest) :, 2].argmax() == carbonyl


def test_a_placed_guest_is_written_down_and_constraints_are_kept() -> None:
    host = HOSTS["graphene"].copy()
    host.set_constraint(FixAtoms([0]))
    both = place(host, molecule("M2S4", "Na"), [[3, 0, 0], [4, 0, 0]])
    assert both.constraints[0].index.tolist() == [0]
    assert both.info["philic"]["guest"] == "Na2S4"
    assert both.info["philic"]["metal"] == "Na"
    assert both.info["philic"]["host"] == "pristine"


@pytest.mark.parametrize(("size", "atoms"), [((4, 4), 4), ((6, 6), 12)])
def test_a_monolayer_of_potassium_fills_every_fourth_or_third_hexagon(size: tuple[int, int], atoms: int) -> None:
    layer = monolayer(graphene(size), "K")
    metals = layer[layer.symbols == "K"]
    apart = metals.get_all_distances(mic=True)[~np.eye(len(metals), dtype=bool)]
    assert len(metals) == atoms
    assert apart.min() >= 0.9 * 5.23 * np.sqrt(3) / 2 - 1e-6


@pytest.mark.parametrize(
    "cover", [lambda host: place(host, molecule("O2"), [[0, 0, 0]]), lambda host: monolayer(host, "Na")]
)
def test_a_slab_that_reaches_across_the_cells_top_is_covered_like_a_whole_one(cover: Callable[[Atoms], Atoms]) -> None:
    whole = slab(bulk("KF", "rocksalt", a=5.34, cubic=True), (1, 0, 0), layers=4, size=(2, 2))
    split = whole.copy()
    split.translate((0, 0, -whole.cell[2, 2] / 2))
    split.wrap()
    one, other = cover(whole), cover(split)
    assert len(one) == len(other)
    for guest in range(len(whole), len(one)):
        apart = [atoms.get_distances(guest, range(len(whole)), mic=True) for atoms in (one, other)]
        assert apart[1] == pytest.approx(apart[0])


@pytest.mark.parametrize(("kind", "reached"), [("top", {"top Li", "top O"}), ("hollow", {"hollow Li3O3"})])
def test_a_monolayer_sits_on_the_sites_of_the_whole_slab(kind: Literal["top", "hollow"], reached: set[str]) -> None:
    oxide = crystal("M2O", "Li")
    host = slab(oxide, (1, 1, 1), layers=6, size=(2, 2))
    assert set(sites_reached(monolayer(host, "Li", kind), host).split(", ")) <= reached


def test_impossible_placements_are_refused() -> None:
    host, guest = HOSTS["graphene"], molecule("EC")
    for call, words in (
        (lambda: molecule("K2S99"), "`name` is 'K2S99' but must be one of: O2, CO2"),
        (lambda: molecule("M2S4", "Cu"), "`metal` is 'Cu' but must be one of: Li, Na, K"),
        (lambda: metal_cluster("K", 14), "`n` is 14 but must be from 1 to 13"),
        (lambda: place(host, guest, []), "`anchors` is [] but needs at least one atom"),
        (lambda: place(host, guest, [[99, 0, 0]]), "`anchors` names atom 99 but the host has atoms 0 to 71"),
        (lambda: place(host, guest, [[0, 0, 0]], face=0), "`face` is 0 but must be 1 (above) or -1 (below)"),
        (lambda: place(host, guest, [[0, 0, 0]], down=10), "`down` is 10 but the guest has atoms 0 to 9"),
        (lambda: place(host, Atoms(), [[0, 0, 0]]), "`guest` is empty but needs at least one atom"),
        (
            lambda: place(graphene((2, 2)), guest, [[0, 0, 0]]),
            "`host` repeats every 4.92 A but then the guest touches",
        ),
        (
            lambda: place(graphene((6, 6), vacuum_A=6.0), guest, [[0, 0, 0]]),
            "`host` is 6.0 A high but then the guest touches the next slab: give it more vacuum",
        ),
        (
            lambda: monolayer(graphene((1, 1)), "K"),
            "`host` repeats every 2.46 A but K needs 4.08: enlarge it",
        ),
        (lambda: monolayer(graphene(), "K", "edge"), "`kind` is 'edge' but the host has no such site"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            call()  # type: ignore[no-untyped-call]
