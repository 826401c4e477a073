"""Pictures of structures: from above and from the side, every element named."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from ase.neighborlist import natural_cutoffs, neighbor_list
from numpy.typing import NDArray

from ...structures.symmetry.periodic import VACUUM_A, gaps_A
from ..parts.styles import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]


_FEW_ATOMS = 16
_DISC_A, _DISC_SHARE, _METAL_SHARE = (
    0.12,
    0.35,
    0.65,
)  # radius of a disc: a length, and a share of the covalent radius
_BOND_SCALE = 1.15
_FADE, _FADE_A = 0.55, 6.0  # how far the deepest atom fades to white, and the depth that takes at least
_MARGIN_A = 1.7
_TILT_DEG = 9.0
_NONMETALS = (1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35, 52, 53)
_EDGES = [(0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7), (6, 7)]


class _Scene(NamedTuple):
    """Atoms, and the eight corners of the cell (none for a molecule)."""

    atoms: Atoms
    corners: Floats


def draw(atoms: Atoms, path: Path, title: str) -> None:
    """Write a PNG with the view from above and from the side, axes in Å, and a legend of the elements.

    A crystal is shown as one cell with the atoms on all its faces, tilted by 9 degrees to separate rows of atoms;
    a small sheet is repeated in its plane; a molecule is shown without its box. The dashed outline is the cell.
    Atoms farther away are paler.

    Parameters
    ----------
    atoms
        Any structure.
    path
        A file that ends in ``.png``.
    title
        Written above the picture.

    Raises
    ------
    ValueError
        If the file does not end in ``.png``.
    """
    if path.suffix.lower() != ".png":
        raise ValueError(f"`{path}` must end in .png: it is a picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    scene = _scene(atoms)
    views = {"from above": _seen(scene, "x"), "from the side": _seen(scene, "-x")}
    figure, panels = _frames([np.ptp(_extent(view), axis=0)[:2] for view in views.values()])
    FigureCanvasAgg(figure)
    for panel, (name, view) in zip(panels, views.items(), strict=True):
        _paint(panel, view)
        panel.set_title(name, fontsize=10)
        panel.set_xlabel("Å", fontsize=9)
        panel.tick_params(labelsize=8)
    figure.suptitle(title, fontsize=12, y=1 - 0.12 / figure.get_figheight(), va="top")
    _legend(figure, scene.atoms)
    save(figure, path)


def _frames(spans: list[Floats]) -> tuple[Figure, list[Axes]]:
    """Lay out panels of the given widths and heights in Å on one scale, aligned at the bottom."""
    from matplotlib.figure import Figure

    scale = min(5.0 / max(span[0] for span in spans), 4.6 / max(span[1] for span in spans))
    left, gap, right, below, above = 0.55, 0.6, 1.1, 0.6, 0.8  # inches
    widths, heights = np.array(spans).T * scale
    total = np.array([left + widths.sum() + gap * (len(spans) - 1) + right, below + heights.max() + above])
    total[0] = max(total[0], 5.0)
    figure = Figure(tuple(total), dpi=150)
    panels = []
    for i, (width, height) in enumerate(zip(widths, heights, strict=True)):
        x = left + widths[:i].sum() + gap * i
        panels.append(figure.add_axes((x / total[0], below / total[1], width / total[0], height / total[1])))
    return figure, panels


def _scene(atoms: Atoms) -> _Scene:
    """Repeat a small sheet, complete the faces of a crystal and drop the box of a molecule."""
    if atoms.cell.rank < 3:
        return _Scene(atoms, np.empty((0, 3)))
    empty = [gap > VACUUM_A for gap in gaps_A(atoms)]
    if all(empty):
        return _Scene(atoms, np.empty((0, 3)))
    corners = np.array(list(product((0, 1), repeat=3))) @ atoms.cell.array
    if not any(empty):
        return _Scene(_with_faces(atoms), corners)
    repeats = [1 if gap else 3 for gap in empty] if len(atoms) <= _FEW_ATOMS else [1, 1, 1]
    return _Scene(atoms.repeat(repeats), corners)


def _with_faces(atoms: Atoms) -> Atoms:
    """Wrap a crystal into its cell and repeat what lies on a face, an edge or a corner."""
    inside = atoms.copy()
    inside.wrap(eps=1e-3)
    scaled = inside.get_scaled_positions(wrap=False)
    shown: Atoms = inside.copy()
    for shift in product((0, 1), repeat=3):
        on_face = (scaled[:, np.array(shift, dtype=bool)] < 0.02).all(axis=1)
        if any(shift) and on_face.any():
            image = inside[on_face]
            image.positions += np.array(shift) @ atoms.cell.array
            shown += image
    return shown


def _seen(scene: _Scene, side: str) -> _Scene:
    """Turn a scene so that x points right, y up and z towards the viewer."""
    turned = scene.atoms.copy()
    corners = Atoms(numbers=[0] * len(scene.corners), positions=scene.corners)
    bulk = len(scene.corners) and max(gaps_A(scene.atoms)) < VACUUM_A
    for part in (turned, corners):
        part.cell[:] = 0
        if side == "-x":
            part.rotate(-90, "x")
        if bulk:
            part.rotate(-_TILT_DEG, "y")
            part.rotate(_TILT_DEG, "x")
    return _Scene(turned, corners.positions)


def _extent(view: _Scene) -> Floats:
    """Give two opposite corners of the picture, margin included, shape ``(2, 3)``."""
    points = np.vstack([view.atoms.positions, view.corners])
    return np.array([points.min(axis=0) - _MARGIN_A, points.max(axis=0) + _MARGIN_A])


def _paint(panel: Axes, view: _Scene) -> None:
    """Draw the cell, the bonds and the atoms, the farthest first."""
    from matplotlib.patches import Circle

    atoms = view.atoms
    depth = atoms.positions[:, 2]
    near = 1 - (depth.max() - depth) / max(float(np.ptp(depth)), _FADE_A)
    share = _DISC_SHARE if np.isin(atoms.numbers, _NONMETALS).any() else _METAL_SHARE
    for one, other in _EDGES if len(view.corners) else ():
        panel.plot(*view.corners[[one, other], :2].T, "--", color="0.5", linewidth=0.8, zorder=1)
    for i, half in _half_bonds(atoms):
        tone = 0.35 + 0.4 * (1 - near[i])
        start = atoms.positions[i]
        panel.plot(*np.array([start, start + half])[:, :2].T, color=(tone,) * 3, linewidth=1.6, zorder=2 + near[i])
    for i, number in enumerate(atoms.numbers):
        colour = 1 - (1 - jmol_colors[number]) * (1 - _FADE * (1 - near[i]))
        rim = (0.15 + 0.5 * (1 - near[i]),) * 3
        radius = _DISC_A + share * covalent_radii[number]
        disc = Circle(atoms.positions[i, :2], radius, facecolor=colour, edgecolor=rim, linewidth=0.6)
        disc.set_zorder(2.001 + near[i])
        panel.add_patch(disc)
    low, high = _extent(view)
    panel.set_xlim(low[0], high[0])
    panel.set_ylim(low[1], high[1])
    panel.set_aspect("equal")


def _half_bonds(atoms: Atoms) -> list[tuple[int, Floats]]:
    """List each atom's half of its bonds; no bonds are drawn between metals."""
    loose = Atoms(atoms.numbers, positions=atoms.positions)
    first, second, vectors = neighbor_list("ijD", loose, natural_cutoffs(loose, mult=_BOND_SCALE))
    light = np.isin(atoms.numbers, _NONMETALS)
    return [(int(i), vector / 2) for i, j, vector in zip(first, second, vectors, strict=True) if light[i] or light[j]]


def _legend(figure: Figure, atoms: Atoms) -> None:
    """Name each element beside the picture, in its colour."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], marker="o", linestyle="", markersize=6 + 4 * covalent_radii[number],
            markerfacecolor=jmol_colors[number], markeredgecolor="0.15", label=symbol,
        )
        for number, symbol in sorted({(int(atom.number), str(atom.symbol)) for atom in atoms})
    ]  # fmt: skip
    figure.legend(handles=handles, loc="center right", frameon=False, fontsize=11, labelspacing=1.0)
