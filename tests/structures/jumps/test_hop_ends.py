import re
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.geometry import find_mic
from ase.spacegroup import crystal as spaced

from philic.structures.crystals.supercells import supercell_for
from philic.structures.jumps.hop_ends import hop_end
from philic.structures.jumps.hops import MECHANISMS, Hop, end_points, hops

LIF = bulk("LiF", "rocksalt", a=4.03)
LI3N = spaced(
    ["Li", "N", "Li"],
    [(0, 0, 0.5), (0, 0, 0), (1 / 3, 2 / 3, 0)],
    spacegroup=191,
    cellpar=[3.65, 3.65, 3.88, 90, 90, 120],
)
CASES = [(crystal, mechanism, longest) for crystal, longest in ((LIF, 3.0), (LI3N, 2.6)) for mechanism in MECHANISMS]


def parameters(crystal: Atoms, hop: Hop, start: Atoms) -> dict[str, Any]:
    return {
        "metal": hop.metal,
        "mechanism": hop.mechanism,
        "path_scaled": crystal.cell.scaled_positions(np.array(hop.path_A)).tolist(),
        "supercell": start.info["philic"]["supercell"],
    }


@pytest.mark.parametrize(("crystal", "mechanism", "longest"), CASES)
def test_in_the_crystal_it_was_found_in_an_end_is_that_of_end_points(crystal: Atoms, mechanism: str, longest: float) -> None:
    for hop in hops(crystal, "Li", longest, mechanism=mechanism)[:6]:
        ends = end_points(supercell_for(crystal, 7.0), hop)
        for name, expected in zip(("start", "end"), ends, strict=True):
            built = hop_end(crystal, **parameters(crystal, hop, ends[0]), end=name)
            assert (built.numbers == expected.numbers).all()
            assert built.positions == pytest.approx(expected.positions, abs=1e-9)
            about, untold = expected.info["philic"], ("hop", "multiplicity", "symmetric")
            assert list(built.info["philic"]) == [key for key in about if key not in untold]
            assert all(
                value == pytest.approx(about[key]) for key, value in built.info["philic"].items() if key != "supercell"
            )


@pytest.mark.parametrize(("crystal", "mechanism", "longest"), CASES)
def test_in_a_strained_crystal_it_is_the_same_up_to_the_strain(crystal: Atoms, mechanism: str, longest: float) -> None:
    strained = crystal.copy()
    strained.set_cell(crystal.cell.array @ np.diag([1.03, 0.98, 1.02]), scale_atoms=True)
    for hop in hops(crystal, "Li", longest, mechanism=mechanism)[:6]:
        ends = end_points(supercell_for(crystal, 7.0), hop)
        for name, expected in zip(("start", "end"), ends, strict=True):
            built = hop_end(strained, **parameters(crystal, hop, ends[0]), end=name)
            scaled = expected.cell.scaled_positions(expected.positions)
            assert built.cell.scaled_positions(built.positions) == pytest.approx(scaled, abs=1e-9)


@pytest.mark.parametrize("mechanism", ["vacancy", "knock-off", "exchange"])
def test_sites_follow_atoms_that_moved_inside_the_cell(mechanism: str) -> None:
    moved = LI3N.copy()
    moved.rattle(0.15, seed=1)  # some atoms leave the cell
    for hop in hops(LI3N, "Li", 2.6, mechanism=mechanism)[:6]:
        before = end_points(supercell_for(LI3N, 7.0), hop)
        start, end = (hop_end(moved, **parameters(LI3N, hop, before[0]), end=name) for name in ("start", "end"))
        moving = start.info["philic"]["moving"]
        assert moving == before[0].info["philic"]["moving"]
        shifts = find_mic(start.positions - before[0].positions, start.cell)[1]
        assert shifts.max() < 0.6  # each atom is where it was, up to the rattle
        stays = np.delete(np.arange(len(start)), moving)
        assert end.positions[stays] == pytest.approx(start.positions[stays])
        lengths = find_mic(end.positions - start.positions, start.cell)[1]
        assert np.linalg.norm(end.positions - start.positions, axis=1) == pytest.approx(lengths)
        if mechanism == "exchange":
            one, other = moving
            assert find_mic(end.positions[one] - start.positions[other], start.cell)[1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"end": "middle"}, "`end` is 'middle' but must be one of: start, end"),
        ({"mechanism": "jump"}, "`mechanism` is 'jump' but must be one of: vacancy, interstitial, knock-off, exchange"),
        ({"metal": "Mg"}, "`metal` is 'Mg' but must be one of: Li, Na, K, Rb, Cs"),
        ({"path_scaled": [[0.5, 0.5, 0.5], [0, 0, 0]]}, "with no Li at (2.02, 2.02, 2.02)"),
    ],
)
def test_what_is_no_end_is_refused(change: dict[str, Any], message: str) -> None:
    hop = hops(LIF, "Li", 3.0)[0]
    given = {**parameters(LIF, hop, end_points(supercell_for(LIF, 7.0), hop)[0]), "end": "start"}
    with pytest.raises(ValueError, match=re.escape(message)):
        hop_end(LIF, **{**given, **change})
