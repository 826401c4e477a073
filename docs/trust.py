"""Rewrite the numbers of trust.md; what the store holds is reused.

python docs/trust.py --store FILE --confirm ase:gpaw.yaml --calibrated chgnet --calibrated ase:nequix.yaml POTENTIAL ...
"""

import argparse
import io
import re
from pathlib import Path

from rich.console import Console
from typer.testing import CliRunner

from philic.recipes.adsorption.adsorption import Row, analyse, plan
from philic.recipes.command_line.cli import app
from philic.recipes.command_line.console import TABLE_WIDTH
from philic.recipes.parts.calibrations import reference_calibration
from philic.recipes.running.recipe_files import read, verifying
from philic.recipes.verification import verification
from philic.workflows.engine.flow import Flow
from philic.workflows.fireworks.here import run_here
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.store import Store

PAGE = Path(__file__).parent / "trust.md"
METALS = ("K", "Na", "Li")
HOSTS = ("pyridinic-3N", "B", "P", "S", "pristine", "N")
RECIPE = "k-philic-dopants"


def cards(potentials: list[str], store: Store) -> str:
    """Print the report cards."""
    recipe = verifying(potentials)
    plan = verification.plan(recipe.parameters)
    run_here(plan.flow, store, "cards")
    console = Console(file=io.StringIO(), width=TABLE_WIDTH)
    for table in verification.tables(plan, store.get(plan.flow.steps)):
        console.print(table)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]
    return "```text\n" + "\n".join(lines) + "\n```"


def calibrations(potentials: list[str], store: Store) -> str:
    """Write the table of calibrations."""
    rows = [
        "| metal | | " + " | ".join(HOSTS) + " | line | left out | Kendall |",
        "|---|---|" + "--:|" * len(HOSTS) + "---|--:|--:|",
    ]
    for metal in METALS:
        steps = {name: step for name in potentials if (step := reference_calibration(metal, name))}
        run_here(Flow(list(steps.values())), store, "calibrations")
        for index, step in enumerate(steps.values()):
            s = store.get([step.key])[step.key].scalars
            if index == 0:
                reference = dict(zip(s["hosts"], s["reference_vs_bulk_eV"], strict=True))
                rows.append(f"| {metal} | PBE | " + " | ".join(f"{reference[host]:+.2f}" for host in HOSTS) + " | | | |")
            raw = dict(zip(s["hosts"], s["raw_vs_bulk_eV"], strict=True))
            numbers = " | ".join(f"{raw[host]:+.2f}" for host in HOSTS)
            line = f"{s['slope']:.2f} x {s['offset_eV']:+.2f}"
            short = store.get([step.parents["bulk"].key])[step.parents["bulk"].key].provenance["fingerprint"]["name"]
            rows.append(f"| | {short} | {numbers} | {line} | {s['left_out_error_eV']:.2f} | {s['kendall_tau']:.2f} |")
    return "\n".join(rows)


def confirmation(theory: str, store: Path) -> str:
    """Run the default recipe with its top hosts confirmed, and return the table that it prints."""
    done = CliRunner().invoke(app, ["run", RECIPE, "--confirm", theory, "--top", "3", "--store", str(store)])
    if done.exit_code:
        raise SystemExit(done.output)
    lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    first = next(i for i, line in enumerate(lines) if "adsorption energy (eV" in line)
    return "```text\n" + "\n".join(lines[first:-1]) + "\n```"


def calibrated(potentials: list[str], store: Store) -> str:
    """Write the calibrated rankings of the default recipe: all hosts for K, those that PBE knows for Na and Li."""
    found = {(metal, name): _ranked(metal, name, store) for metal in METALS for name in potentials}
    short = {name: next(iter(found[METALS[0], name].values())).best.provenance["fingerprint"]["name"] for name in potentials}
    rows = [
        "| metal | host | PBE | " + " | ".join(f"{short[name]} | calibrated" for name in potentials) + " |",
        "|---|---|--:|" + "--:|--:|" * len(potentials),
    ]
    for metal in METALS:
        step = reference_calibration(metal, potentials[0])
        s = store.get([step.key])[step.key].scalars
        pbe = dict(zip(s["hosts"], s["reference_vs_bulk_eV"], strict=True))
        for host in found[metal, potentials[0]]:
            known = f"{pbe[host]:+.2f}" if host in pbe else ""
            cells = " | ".join(_cells(found[metal, name][host]) for name in potentials)
            rows.append(f"| {metal} | {host} | {known} | {cells} |")
    return "\n".join(rows)


def _ranked(metal: str, potential: str, store: Store) -> dict[str, Row]:
    given = {"metal": metal, "potential": potential}
    recipe = read(RECIPE, given if metal == "K" else {**given, "dopants": "[N, B, P, S]", "hosts": "[pyridinic-3N]"})
    made = plan(recipe.parameters)
    run_here(made.flow, store, "calibrated")
    return {row.host: row for row in analyse(made, store.get(made.flow.steps))}


def _cells(row: Row) -> str:
    s = row.calibrated.scalars if row.calibrated else {}
    line = f"{s['calibrated_vs_bulk_eV']:+.1f} ± {s['calibrated_interval_eV']:.1f}" if "calibrated_vs_bulk_eV" in s else ""
    return f"{row.best.scalars['vs_bulk_eV']:+.2f} | {line}"


def main() -> None:
    """Rewrite the regions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("potentials", nargs="+")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--confirm", required=True)
    parser.add_argument("--calibrated", action="append", required=True)
    given = parser.parse_args()
    store, text = open_store(given.store), PAGE.read_text(encoding="utf-8")
    made = {
        "cards": cards(given.potentials, store),
        "calibrations": calibrations(given.potentials, store),
        "calibrated": calibrated(given.calibrated, store),
        "confirmation": confirmation(given.confirm, given.store),
    }
    for name, found in made.items():
        content = f"<!-- {name} -->\n{found}\n<!-- {name} end -->"
        text = re.sub(rf"<!-- {name} -->.*?<!-- {name} end -->", lambda _, content=content: content, text, flags=re.DOTALL)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
