"""The commands that list, show, write and draw structures. Each imports what it needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from ase import Atoms

app = typer.Typer(help="The structure library: list, show, build and draw hosts.", no_args_is_help=True)

WIDE = 170
"""Characters the list needs."""


class Chosen(NamedTuple):
    """What a command is about: what was typed, the atoms, and what is to be said of a slab's indices."""

    name: str
    metal: str | None
    atoms: Atoms
    note: str = ""


LARGEST = 100_000
"""Atoms of a structure that a command builds."""
MetalOption = Annotated[str | None, typer.Option("--metal", help="Li, Na or K, for names with M.")]


def _structure(
    name: Annotated[str, typer.Argument(help="A name from `philic structures list`, or a file: CIF, POSCAR, extxyz …")],
    metal: MetalOption = None,
    miller: Annotated[
        tuple[int, int, int] | None,
        typer.Option("--miller", help="Cut a slab, e.g. --miller 1 1 0.", show_default=False),
    ] = None,
    termination: Annotated[
        str | None,
        typer.Option("--termination", help="What the upper face of a slab ends in, e.g. K or Li.", show_default=False),
    ] = None,
    layers: Annotated[int, typer.Option("--layers", help="Layers of a slab.")] = 6,
    vacuum: Annotated[float, typer.Option("--vacuum", metavar="Å", help="Height of the vacuum over a slab.")] = 15.0,
) -> Chosen:
    """Build or read what a command is about: its parameters are those of every such command."""
    from ..parts.hosts import host_atoms
    from ..parts.structure_files import indices_note

    atoms = host_atoms(name, metal)
    if miller is None and termination is not None:
        raise ValueError(f"`--termination` is {termination!r} but only a slab has one: give --miller too")
    if miller is None:
        return Chosen(name, metal, atoms)
    if atoms.cell.rank < 3:
        raise ValueError(f"`{name}` has no cell but a slab is cut from a crystal: leave --miller out")
    from ...structures.surfaces.slabs import slab

    cut = slab(atoms, miller, layers=layers, termination=termination, vacuum_A=vacuum)
    return Chosen(name, metal, cut, indices_note(atoms, miller))


def _of_a_structure(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command of a `Chosen` take the parameters of `_structure` in its place."""
    given, own = signature(_structure, eval_str=True), signature(command, eval_str=True)
    rest = list(own.parameters.values())[1:]

    @wraps(command)
    def whole(**values: Any) -> None:
        from ...structures.limits import at_most
        from .console import refusals

        with refusals(), at_most(LARGEST, "build it in Python"):
            if "to" in values:
                from ..parts.structure_files import check_new

                check_new(values["to"])
            chosen = _structure(**{key: values.pop(key) for key in given.parameters})
            command(chosen, **values)

    name, *options = given.parameters.values()
    whole.__signature__ = Signature([name, *rest, *options])  # type: ignore[attr-defined]
    whole.__annotations__ = {one.name: one.annotation for one in (name, *rest, *options)}
    return whole


@app.command("list")
def list_(
    family: Annotated[str | None, typer.Option("--family", help="Only this family.")] = None,
    metal: MetalOption = None,
) -> None:
    """List every host: formula, space group, atoms, whether measured, computed or built by rule, and source."""
    from ...structures.catalogue import entries, facts, families
    from ...structures.crystals.metals import check_metal
    from ..parts.styles import new_table
    from .console import refusals, terminal

    with refusals():
        if family is not None and family not in families():
            raise ValueError(f"`--family` is {family!r} but must be one of: {', '.join(families())}")
        if metal is not None:
            check_metal(metal)
    chosen = [
        entry
        for entry in entries()
        if (family is None or entry.family == family) and (metal is None or not entry.metals or metal in entry.metals)
    ]
    words = ("name", "family", "metal", "formula", "space group")
    table = new_table("", words, ("atoms",), ("geometry", "source"), folds=("source",))
    for entry in chosen:
        for shown in [metal] if metal and entry.metals else list(entry.stated) or [""]:
            found = facts(entry, shown or None)
            of = shown or " ".join(entry.metals)
            table.add_row(
                entry.name,
                entry.family,
                of,
                found.formula,
                found.spacegroup,
                f"{found.n_atoms:g}",
                found.geometry,
                found.source,
            )
    console = terminal(WIDE)
    console.print(table)
    console.print(f"{len(chosen)} hosts; M in a name stands for the alkali metal", highlight=False)


@app.command()
@_of_a_structure
def show(chosen: Chosen) -> None:
    """Show one host: what it is, its cell, its shortest distances, and where it comes from."""
    from rich.table import Table

    from .console import terminal

    table = Table.grid(padding=(0, 2))
    for key, value in {"name": chosen.name, **_described(chosen)}.items():
        table.add_row(key, value)
    terminal().print(table, highlight=False)


@app.command()
@_of_a_structure
def build(
    chosen: Chosen, to: Annotated[Path, typer.Option("--to", help="The file to write; its ending sets the format.")]
) -> None:
    """Write a host, or a slab cut from it, to a file. Nothing is overwritten."""
    from ..parts.structure_files import write_structure

    write_structure(chosen.atoms, to)
    print(f"{_title(chosen)} written to {to}")
    _print_notes(chosen)


@app.command()
@_of_a_structure
def draw(chosen: Chosen, to: Annotated[Path, typer.Option("--to", help="The picture to write, a .png.")]) -> None:
    """Draw a host, or a slab cut from it, from above and from the side."""
    from .draw import draw as paint

    paint(chosen.atoms, to, _title(chosen))
    print(f"{_title(chosen)} drawn to {to}")
    _print_notes(chosen)


def _print_notes(chosen: Chosen) -> None:
    """Print which cell a slab's indices refer to, and its caveats."""
    from ...structures.surfaces.caveats import slab_caveats

    for note in [chosen.note, *slab_caveats(chosen.atoms)]:
        if note:
            print(f"note: {note}")


def _title(chosen: Chosen) -> str:
    about = chosen.atoms.info.get("philic", {})
    called = about.get("host", chosen.name) if "miller" in about else chosen.name
    formula = chosen.atoms.symbols.formula.format("metal")
    return f"{called}: {formula}, {len(chosen.atoms)} atoms"


def _described(chosen: Chosen) -> dict[str, str]:
    """Collect what a person asks about a structure."""
    from ase import units

    from ...structures.catalogue import facts, find, space_group
    from ...structures.surfaces.caveats import slab_caveats
    from ...structures.symmetry.periodic import VACUUM_A, gaps_A
    from ..parts.structure_files import is_path

    name, metal, atoms, note = chosen
    about = atoms.info.get("philic", {})
    rows = {"host": str(about.get("host", name)), "formula": atoms.symbols.formula.format("metal")}
    if not is_path(name):
        entry, meant = find(name, metal)
        found = facts(entry, meant)
        rows |= {"family": entry.family, "metal": meant if entry.metals else "none in it"}
        rows |= {"geometry": found.geometry, "source": found.source}
    rows["atoms"] = str(len(atoms))
    if atoms.cell.rank == 3:
        a, b, c, *angles = atoms.cell.cellpar()
        rows["cell"] = f"{a:.3f} {b:.3f} {c:.3f} Å, {' '.join(f'{angle:.2f}' for angle in angles)}°"
        rows["space group"] = space_group(atoms)
        gap = max(gaps_A(atoms))
        if gap > VACUUM_A:
            rows["vacuum"] = f"{gap:.2f} Å"
        else:
            rows["density"] = f"{atoms.get_masses().sum() / atoms.cell.volume / units.mol * 1e24:.3f} g/cm³"
    rows["shortest distances"] = _shortest(atoms)
    rows |= {"Miller indices": note} if note else {}
    caveats = slab_caveats(atoms)
    rows |= {"caveats": "; ".join(caveats)} if caveats else {}
    others = {key: value for key, value in about.items() if key not in ("family", "host", "source", "metal")}
    return rows | {key: str(value) for key, value in others.items()}


def _shortest(atoms: Atoms) -> str:
    """Name the shortest distance of each pair of elements, the five shortest of them."""
    from ase.neighborlist import neighbor_list

    first, second, distance = neighbor_list("ijd", atoms, 6.0)
    pairs: dict[str, float] = {}
    for i, j, d in zip(first, second, distance, strict=True):
        pair = "-".join(sorted((str(atoms.symbols[i]), str(atoms.symbols[j]))))
        pairs[pair] = min(float(d), pairs.get(pair, float("inf")))
    return ", ".join(f"{pair} {d:.2f} Å" for pair, d in sorted(pairs.items(), key=lambda item: item[1])[:5])
