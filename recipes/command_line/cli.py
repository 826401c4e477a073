"""The command line. Each command imports what it needs, so that ``philic --help`` is quick."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from . import cluster_cli
from .cluster_cli import default_store
from .console import RESULTS_WIDTH, end, refusals, settle, terminal
from .structures_cli import app as structures_app

MOST_PRINTED = 1_000
"""Rows of a table on the terminal."""

app = typer.Typer(
    help="Which host does an alkali metal like, and how easily does it move there?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(structures_app, name="structures")
app.add_typer(cluster_cli.settings_app, name="cluster")

StoreOption = Annotated[
    str,
    typer.Option("--store", envvar="PHILIC_STORE", help="The results store: a file, or postgresql://USER@HOST/DATABASE."),
]
RecipeArgument = Annotated[str, typer.Argument(help="Name of a recipe file (`philic list`), or path of one.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a parameter, e.g. metal=Na.")
]
PotentialOption = Annotated[str | None, typer.Option("--potential", help="Short for --set potential=…")]
CrossCheckOption = Annotated[
    str | None, typer.Option("--cross-check", help="Short for --set cross_check=…: other potentials, or none.")
]
ConfirmOption = Annotated[str | None, typer.Option("--confirm", help="Evaluate the best hosts by it, e.g. ase:gpaw.")]
TopOption = Annotated[int | None, typer.Option("--top", help="How many hosts --confirm evaluates.")]
CalibrateOption = Annotated[str | None, typer.Option("--calibrate", help="Calibrate the ranking by it, e.g. ase:gpaw.")]
PointsOption = Annotated[int | None, typer.Option("--points", help="How many hosts --calibrate evaluates.")]
MetalsOption = Annotated[str | None, typer.Option("--metals", help="Compare metals, e.g. Li,Na,K.")]
HERE = ("chgnet", "chgnet:r2scan")
"""Potentials for alkali metals that need no download."""


def main() -> None:
    """Run the command line.

    Exit codes: 0 where all that was asked is there, 1 where a step crashed or failed, 2 for refused input, 130 where it was
    interrupted.
    """
    settle()
    app()


@app.command("list")
def list_() -> None:
    """List the recipes and the potentials."""
    from rich.table import Table

    from ...potentials import known
    from ..running.recipe_files import packaged

    for title, entries in (("recipe", packaged()), ("potential", dict(known()))):
        table = Table(title, "", box=None, padding=(0, 2, 0, 0))
        for name, words in entries.items():
            table.add_row(name, words)
        terminal().print(table)


@app.command()
def show(
    recipe: RecipeArgument,
    set_: SetOption = None,
    potential: PotentialOption = None,
    metals: MetalsOption = None,
    cross_check: CrossCheckOption = None,
    store: StoreOption = "",
) -> None:
    """Show a recipe: its question, every parameter, every host with its sites, and what a run would do."""
    from .report import recipe_tables

    overrides = _overrides(set_, potential=potential, metal=metals, cross_check=cross_check)
    _beside(recipe, overrides)
    terminal().print(recipe_tables(_prepare(recipe, overrides, store)))


@app.command()
def run(
    recipe: RecipeArgument,
    set_: SetOption = None,
    potential: PotentialOption = None,
    metals: MetalsOption = None,
    cross_check: CrossCheckOption = None,
    confirm: ConfirmOption = None,
    top: TopOption = None,
    calibrate: CalibrateOption = None,
    points: PointsOption = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes side by side, one model each.")] = 1,
    store: StoreOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; compute and write nothing.")] = False,
) -> None:
    """Run a recipe. What the store has already is not computed again."""
    given = {"cross_check": cross_check, "confirm": confirm, "top": top, "calibrate": calibrate, "points": points}
    from .cross_check import compared

    overrides = _overrides(set_, potential=potential, metal=metals, **given)
    others = _beside(recipe, overrides)
    runs = []
    for name in (None, *others):
        planning = partial(_prepare, recipe, overrides | ({"potential": name} if name else {}), store)
        if finished := _run_to_the_end(planning, store, dry_run, workers):
            runs.append(finished)
            if name:
                (own, results), (prepared, checked) = runs[0], finished
                terminal().print(compared(results, checked, (own.potential.name, prepared.potential.name)))
    _end(runs)


@app.command()
def submit(
    recipe: RecipeArgument,
    set_: SetOption = None,
    potential: PotentialOption = None,
    metals: MetalsOption = None,
    cross_check: CrossCheckOption = None,
    confirm: ConfirmOption = None,
    top: TopOption = None,
    calibrate: CalibrateOption = None,
    points: PointsOption = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Jobs at once, at most.")] = None,
    cluster: cluster_cli.ClusterOption = None,
) -> None:
    """Send a recipe to the queue of cluster.yaml, and return at once."""
    from ...workflows.cluster.settings import find, read
    from .report import plan_lines

    given = {"cross_check": cross_check, "confirm": confirm, "top": top, "calibrate": calibrate, "points": points}
    overrides = _overrides(set_, potential=potential, metal=metals, **given)
    others = _beside(recipe, overrides)
    with refusals():
        path = cluster or find()
        settings = read(path)
    os.environ.setdefault("PHILIC_WORK", str(settings.work))
    for name in (None, *others):
        prepared = _prepare(recipe, overrides | ({"potential": name} if name else {}), settings.store)
        terminal().print("\n".join(plan_lines(prepared)), highlight=False)
        cluster_cli.submit_prepared(prepared, _open(settings.store), settings, path, workers)


for name in ("status", "watch", "retry", "cancel", "pause", "resume", "work", "submitter"):
    app.command(name, hidden=name == "submitter")(getattr(cluster_cli, name))
app.command("check")(cluster_cli.check_store)


@app.command()
def labels(
    recipe: RecipeArgument = "labels",
    set_: SetOption = None,
    potential: PotentialOption = None,
    metals: MetalsOption = None,
    store: StoreOption = "",
    to: Annotated[
        Path, typer.Option("--to", help="The file (extended XYZ); labels of one level of theory are added.")
    ] = Path("labels.xyz"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; compute and write nothing.")] = False,
) -> None:
    """Make structures to train on, label them with any potential, and write them."""
    from ..labelling.writing import check_file, write_labels

    overrides = _overrides(set_, potential=potential, metal=metals)
    prepared = _prepare(recipe, overrides, store)
    with refusals():
        labeller = getattr(prepared.recipe.parameters, "labeller", None)
        if labeller is None:
            raise ValueError(f"`{recipe}` labels nothing: give a recipe file with `recipe: labels`, or use `philic run`")
        check_file(to, labeller)
    finished = _run_to_the_end(partial(_prepare, recipe, overrides, store), store, dry_run)
    if finished is None:
        return
    prepared, results = finished
    with refusals():
        n = write_labels(prepared.plan, results, labeller, to)
    print(f"{n} labelled structures in {to}")
    _end([finished])


@app.command()
def train(
    files: Annotated[list[Path], typer.Argument(help="Labelled structures, extended XYZ.")],
    start: Annotated[str, typer.Option("--from", help="chgnet, chgnet:PATH, mace:MODEL, mace:PATH, or mace:new.")],
    to: Annotated[Path, typer.Option("--to", help="Folder for weights, records and checkpoints.")],
    hold_out: Annotated[str, typer.Option("--hold-out", help="Systems to judge by, e.g. B,vacancy; else drawn.")] = "",
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    seeds: Annotated[int, typer.Option("--seeds", help="How many potentials: several are a committee.")] = 1,
    epochs: Annotated[int, typer.Option("--epochs", help="At most.")] = 100,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="At the start; 0.01 for mace:new, else 0.001.")
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Structures a step, about.")] = 8,
    adsorption_weight: Annotated[
        float, typer.Option("--adsorption-weight", help="Of adsorption energies in the loss.")
    ] = 1.0,
    channels: Annotated[int, typer.Option("--channels", help="Width of mace:new.")] = 32,
    verify_: Annotated[
        bool, typer.Option("--verify/--no-verify", help="End in report cards of old and new (minutes).")
    ] = True,
    store: StoreOption = "",
) -> None:
    """Train or fine-tune a potential; whole systems are held out to judge it by. Killed, the same command goes on."""
    from ..training.report import outcome
    from ..training.train import NEW, Task, checked_start
    from ..training.train import train as train_potentials

    with refusals():
        checked_start(start)
        from ...potentials.training.loop import Settings

        rate = learning_rate if learning_rate is not None else 1e-2 if start == NEW else 1e-3
        settings = Settings(epochs=epochs, learning_rate=rate, batch_size=batch_size, adsorption_weight=adsorption_weight)
        systems = [name.strip() for name in hold_out.split(",") if name.strip()]
        task = Task(files, start, to, systems, device, channels)
        trained = train_potentials(task, settings, seeds, lambda line: print(line, flush=True))
    for table in outcome(trained, start):
        terminal().print(table)
    if verify_:
        old = [start] if start != NEW else []
        _verify([*old, *(one.potential for one in trained)], store)


@app.command()
def verify(
    potentials: Annotated[list[str] | None, typer.Argument(help="Names of potentials (`philic list`).")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every potential that needs no download.")] = False,
    store: StoreOption = "",
) -> None:
    """Compare potentials with reference numbers: a report card of each, side by side."""
    names = list(dict.fromkeys([*(potentials or []), *(HERE if all_ else [])]))
    _verify(names, store)


@app.command()
def results(
    where: Annotated[list[str] | None, typer.Option("--where", help="Filter, e.g. metal=K or 'vs_bulk_eV<0'.")] = None,
    sort: Annotated[str, typer.Option("--sort", help="Column to sort by.")] = "",
    to: Annotated[Path | None, typer.Option("--to", help="Write .csv, .json, .parquet, .xyz, .db (ASE), or .png.")] = None,
    function: Annotated[str, typer.Option("--function", help="Which steps: adsorption, migration …")] = "adsorption",
    store: StoreOption = "",
) -> None:
    """Print, filter, sort and export what is stored."""
    from ...workflows.stores.export import write
    from ...workflows.stores.opening import exists
    from ..barriers.profiles import PICTURES, draw_profiles
    from ..dynamics.curves import draw_arrhenius, draw_density, draw_transport
    from ..glasses.glasses import draw_glasses
    from ..wetting.islands import draw_wetting
    from .report import results_table

    store = default_store(store)
    with refusals():
        if not exists(store):
            raise ValueError(f"`{store}` does not exist: run a recipe first, or name the store with --store")
        found = _selected(_open(store, reading=True), function, where or [], sort)
        rows = list(islice(found.rows(), MOST_PRINTED + 1))
        if where and not rows:
            print(f"none of the {function} results in `{store}` meets {' and '.join(where)}", file=sys.stderr)
            raise typer.Exit(1)
        if to and to.suffix in PICTURES:
            pictures = {"transport": draw_transport, "sites": draw_density, "arrhenius": draw_arrhenius}
            pictures |= {"glass": draw_glasses, "wetting": draw_wetting}
            drawn = list(found.results())
            pictures.get(function, draw_profiles)(drawn, to)
            print(f"{len(drawn)} results written to {to}")
        elif to:
            print(f"{write(found, to)} results written to {to}")
        else:
            terminal(RESULTS_WIDTH).print(results_table(rows[:MOST_PRINTED]))
            if len(rows) > MOST_PRINTED:
                print(f"These are the first {MOST_PRINTED:,}: narrow them with --where, or write them all with --to FILE.")


def _selected(store: Any, function: str, where: list[str], sort: str) -> Any:
    """Select results of a step function that has any."""
    from ...workflows.engine.registry import STEPS
    from ...workflows.stores.export import select

    if function not in STEPS:
        near = get_close_matches(function, STEPS) or sorted(STEPS)
        raise ValueError(f"--function: no step is called `{function}`: nearest are {', '.join(near)}")
    if not _any(store.results(function, whole=False)):
        stored = ", ".join(name for name in STEPS if _any(store.results(name, whole=False)))
        raise ValueError(f"`{store.address}` has no results of `{function}` but of: {stored or 'nothing'}")
    return select(store, function, where, sort)


def _any(found: Iterator[Any]) -> bool:
    return next(found, None) is not None


def _run_to_the_end(
    plan: Callable[[], Any], store: str, dry_run: bool, workers: int = 1
) -> tuple[Any, dict[str, Any]] | None:
    """Plan, run and print; return the last plan and all results, or nothing where only the plan was asked for."""
    from ...potentials import check_machine
    from ...workflows.stores.opening import exists
    from ...workflows.stores.store import StoreError
    from . import report

    console = terminal()
    prepared = plan()
    if not dry_run:
        with refusals():
            check_machine()
    console.print("\n".join(report.plan_lines(prepared)), highlight=False)
    if dry_run:
        return None
    start = time.perf_counter()
    opened = _open(store)
    try:
        prepared, results, computed = _run(prepared, opened, workers)
    except KeyboardInterrupt as error:
        print("stopped; what is finished is stored: run it again to resume", file=sys.stderr)
        raise typer.Exit(130) from error
    except (RuntimeError, StoreError) as error:
        rest = "; what is finished is stored: run it again to resume" if exists(default_store(store)) else ""
        print(f"error: the run stopped: {error}{rest}", file=sys.stderr)
        raise typer.Exit(1) from error
    except ValueError as error:
        with refusals():
            raise error
    for table in prepared.recipe.kind.tables(prepared.plan, results):
        console.print(table)
    if line := report.card_line(opened, prepared.recipe.parameters.potential):
        console.print(line, highlight=False)
    if not prepared.plan.complete:
        console.print("Some sites could not be tried, so the jumps of their hosts are missing: run it again.")
    console.print(report.cost_line(results, computed, time.perf_counter() - start), highlight=False)
    return prepared, results


def _verify(names: list[str], store: str) -> None:
    """Print report cards; what a potential fails at is what they are about, and no failure of the command."""
    finished = _run_to_the_end(partial(_verifying, names, store), store, dry_run=False)
    assert finished
    end(result for result in finished[1].values() if not result.status.final)


def _end(runs: Sequence[tuple[Any, dict[str, Any]]]) -> None:
    """Give the exit code of runs that came to their end."""
    end((result for _, results in runs for result in results.values()), all(one.plan.complete for one, _ in runs))


def _beside(recipe: str, overrides: dict[str, str]) -> list[str]:
    """Take the potentials of a cross-check out of the parameters of a recipe that has no way of its own to use them.

    Such a recipe is run with each of them too, at the full cost, and its numbers are set beside the first ones.
    """
    from ..parts.kinds import known_potential
    from ..running.recipe_files import as_value, checks_itself, read

    with refusals():
        if "cross_check" not in overrides or checks_itself(recipe):
            return []
        asked = as_value("cross_check", overrides.pop("cross_check"))
        names = asked if isinstance(asked, list) else str(asked).split(",")
        others = [known_potential(str(name).strip()) for name in names if asked not in (None, "none")]
        own = read(recipe, overrides).parameters.potential
        if own in others:
            raise ValueError(f"`cross_check` is {own!r} but must be another than `potential`")
        return others


def _overrides(set_: list[str] | None, **short: object) -> dict[str, str]:
    """Collect the parameters that are changed; a short option goes before ``--set``."""
    with refusals():
        given = {key: str(value) for key, value in short.items() if value is not None}
        return dict(_pair(text) for text in set_ or []) | given


def _verifying(names: list[str], store: str) -> Any:
    from ..running.planning import prepare
    from ..running.recipe_files import verifying

    with refusals():
        if not names:
            raise ValueError(f"name a potential, such as {HERE[0]}, or give --all")
        return prepare(verifying(names), default_store(store))


def _prepare(recipe: str, overrides: dict[str, str], store: str) -> Any:
    from ..running.planning import prepare
    from ..running.recipe_files import read

    with refusals():
        return prepare(read(recipe, overrides), default_store(store))


def _run(prepared: Any, store: Any, workers: int) -> tuple[Any, dict[str, Any], list[str]]:
    """Run to the end; return the last plan, all results, and the keys of what was computed."""
    from ..running.planning import run as run_recipe
    from .progress import progress

    with progress(prepared) as computed:
        return *run_recipe(prepared, store, workers), computed


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text}: give it as KEY=VALUE, such as --set metal=Na")
    return key.strip(), value.strip()


def _open(address: str, *, reading: bool = False) -> Any:
    from ...workflows.stores.opening import open_store

    with refusals():
        return open_store(default_store(address), reading=reading)


if __name__ == "__main__":
    main()
