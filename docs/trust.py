"""Rewrite the numbers of trust.md: ``python docs/trust.py --store FILE POTENTIAL ...``; stored results are reused."""

import argparse
import io
import re
from pathlib import Path

from rich.console import Console

from philic.recipes.command_line.console import TABLE_WIDTH
from philic.recipes.command_line.recipe_files import verifying
from philic.recipes.parts.calibrations import reference_calibration
from philic.recipes.verification import verification
from philic.workflows.engine.fireworks import run_here
from philic.workflows.engine.flow import Flow
from philic.workflows.stores.store import Store

PAGE = Path(__file__).parent / "trust.md"
METALS = ("K", "Na", "Li")
HOSTS = ("pyridinic-3N", "B", "P", "S", "pristine", "N")


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


def main() -> None:
    """Rewrite both regions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("potentials", nargs="+")
    parser.add_argument("--store", type=Path, required=True)
    given = parser.parse_args()
    store, text = Store(given.store), PAGE.read_text(encoding="utf-8")
    for name, make in (("cards", cards), ("calibrations", calibrations)):
        content = f"<!-- {name} -->\n{make(given.potentials, store)}\n<!-- {name} end -->"
        text = re.sub(rf"<!-- {name} -->.*?<!-- {name} end -->", lambda _, content=content: content, text, flags=re.DOTALL)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
