"""The commands that list, show, write and draw structures. Each imports what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ase import Atoms

app = typer.Typer(help="The structure library: list, show, build and draw hosts.", no_args_is_help=True)

WIDE = 170
"""Characters the list needs."""

NameArgument = Annotated[str, typer.Argument(help="A name from `philic structures list`, or a file: CIF, POSCAR, extxyz …")]
MetalOption = Annotated[str | None, typer.Option("--metal", help="Li, Na or K, for names with M.")]
MillerOption = Annotated[
    tuple[int, int, int] | None,
    typer.Option("--miller", help="Cut a slab, e.g. --miller 1 1 0.", show_default=False),
]
TerminationOption = Annotated[
    str | None,
    typer.Option("--termination", help="What the slab's upper face shows, e.g. K or Li.", show_default=False),
]
LayersOption = Annotated[int, typer.Option("--layers", help="Layers of a slab.")]
VacuumOption = Annotated[float, typer.Option("--vacuum", metavar="Å", help="Empty height over a slab.")]


@app.command("list")
def list_(
    family: Annotated[str | None, typer.Option("--family", help="Only this family.")] = None,
    metal: MetalOption = None,
) -> None:
    """List every host: formula, space group, atoms, whether measured, computed or built by rule, and source."""
    from rich import box
    from rich.table import Table

    from ...structures.catalogue import entries, facts, families
    from ...structures.crystals.metals import check_metal
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
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("name", "family", "metal", "formula", "space group"):
        table.add_column(column, no_wrap=True)
    table.add_column("atoms", justify="right")
    table.add_column("geometry", no_wrap=True)
    table.add_column("source")
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
def show(
    name: NameArgument,
    metal: MetalOption = None,
    miller: MillerOption = None,
    termination: TerminationOption = None,
    layers: LayersOption = 6,
    vacuum: VacuumOption = 15.0,
) -> None:
    """Show one host: what it is, its cell, its shortest distances, and where it comes from."""
    from rich.table import Table

    from .console import refusals, terminal

    with refusals():
        atoms = _atoms(name, metal, miller, termination, layers, vacuum)
        rows = {"name": name, **_described(atoms, name, metal)}
    table = Table.grid(padding=(0, 2))
    for key, value in rows.items():
        table.add_row(key, value)
    terminal().print(table, highlight=False)
    _print_caveats(atoms)


@app.command()
def build(
    name: NameArgument,
    to: Annotated[Path, typer.Option("--to", help="The file to write; its ending says the format.")],
    metal: MetalOption = None,
    miller: MillerOption = None,
    termination: TerminationOption = None,
    layers: LayersOption = 6,
    vacuum: VacuumOption = 15.0,
) -> None:
    """Write a host, or a slab cut from it, to a file. Nothing is overwritten."""
    from ..parts.hosts import check_new, write_structure
    from .console import refusals

    with refusals():
        check_new(to)
        atoms = _atoms(name, metal, miller, termination, layers, vacuum)
        write_structure(atoms, to)
    print(f"{_title(atoms, name)} written to {to}")
    _print_caveats(atoms)


@app.command()
def draw(
    name: NameArgument,
    to: Annotated[Path, typer.Option("--to", help="The picture to write, a .png.")],
    metal: MetalOption = None,
    miller: MillerOption = None,
    termination: TerminationOption = None,
    layers: LayersOption = 6,
    vacuum: VacuumOption = 15.0,
) -> None:
    """Draw a host, or a slab cut from it, from above and from the side."""
    from ..parts.draw import draw as paint
    from ..parts.hosts import check_new
    from .console import refusals

    with refusals():
        check_new(to)
        atoms = _atoms(name, metal, miller, termination, layers, vacuum)
        paint(atoms, to, _title(atoms, name))
    print(f"{_title(atoms, name)} drawn to {to}")
    _print_caveats(atoms)


def _atoms(
    name: str,
    metal: str | None,
    miller: tuple[int, int, int] | None,
    termination: str | None,
    layers: int,
    vacuum: float,
) -> Atoms:
    """Build or read what a command is about."""
    from ..parts.hosts import host_atoms

    atoms = host_atoms(name, metal)
    if miller is None and termination is not None:
        raise ValueError(f"`--termination` is {termination!r} but only a slab has one: give --miller too")
    if miller is None:
        return atoms
    if atoms.cell.rank < 3:
        raise ValueError(f"`{name}` has no cell but a slab is cut from a crystal: leave --miller out")
    from ...structures.surfaces.slabs import slab

    return slab(atoms, miller, layers=layers, termination=termination, vacuum_A=vacuum)


def _print_caveats(atoms: Atoms) -> None:
    """Print what speaks against a slab."""
    from ...structures.surfaces.caveats import slab_caveats

    for caveat in slab_caveats(atoms):
        print(f"Note: {caveat}")


def _title(atoms: Atoms, name: str) -> str:
    about = atoms.info.get("philic", {})
    called = about.get("host", name) if "miller" in about else name
    formula = atoms.symbols.formula.format("metal")
    return f"{called}: {formula}, {len(atoms)} atoms"


def _described(atoms: Atoms, name: str, metal: str | None) -> dict[str, Any]:
    """Collect what a person asks about a structure."""
    from ase import units
    from ase.data import atomic_masses

    from ...structures.catalogue import facts, find, space_group
    from ...structures.symmetry.periodic import VACUUM_A, gaps_A
    from ..parts.hosts import is_path

    about = atoms.info.get("philic", {})
    rows = {"host": str(about.get("host", name)), "formula": atoms.symbols.formula.format("metal")}
    if not is_path(name):
        entry, chosen = find(name, metal)
        found = facts(entry, chosen)
        rows |= {"family": entry.family, "metal": chosen if entry.metals else "none in it"}
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
            rows["density"] = f"{atomic_masses[atoms.numbers].sum() / atoms.cell.volume / units.mol * 1e24:.3f} g/cm³"
    rows["shortest distances"] = _shortest(atoms)
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
