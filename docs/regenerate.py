"""Rewrite the tables of these pages with what their commands print: ``python docs/regenerate.py [PAGE ...]``.

A region lies between two comments. The first gives the command and, after a bar, the title of the one table that is shown:

    <!-- philic run sei-migration | barriers of every distinct jump -->
    <!-- end -->

Stored results are reused (``--store FILE``), and ``--only TEXT`` takes the regions whose command holds that text. ``--mark``
runs nothing: it marks the regions that an older version of a step computed. ``tests/test_docs.py`` holds the pages to this.
"""

from __future__ import annotations

import argparse
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table

from philic.recipes.command_line.console import TABLE_WIDTH
from philic.recipes.running.recipe_files import read
from philic.workflows.engine.registry import STEPS
from philic.workflows.stores.opening import open_store

DOCS = Path(__file__).parent
REGION = re.compile(r"<!-- (philic run [^|\n]+?)(?: \| ([^\n]+?))? -->\n(.*?)<!-- end -->", re.DOTALL)
STAMP = re.compile(r"printed by philic \S+ with [^(\n]+ \(([a-z_]+ \d+(?:, [a-z_]+ \d+)*)\):\n", re.IGNORECASE)
OLD = "Out of date, "


@dataclass(frozen=True)
class Region:
    """A part of a page that a command prints.

    Attributes
    ----------
    command
        Begins with ``philic run``.
    table
        Title of the table that is shown, or its beginning; empty for all of them.
    content
        The text between the comments.
    """

    command: str
    table: str
    content: str

    @property
    def outdated(self) -> bool:
        """Whether a step that it shows has another version by now, or nothing says which it had."""
        stamp = STAMP.search(self.content)
        steps = [entry.split() for entry in stamp.group(1).split(", ")] if stamp else []
        return not steps or any(name not in STEPS or STEPS[name].version != int(version) for name, version in steps)

    @property
    def marked(self) -> bool:
        """Whether it says that it is out of date."""
        return self.content.startswith(OLD)

    def marked_if_outdated(self) -> Region:
        """Return it with the mark that it needs."""
        if self.marked or not self.outdated:
            return self
        return Region(self.command, self.table, OLD + self.content[0].lower() + self.content[1:])

    def __str__(self) -> str:
        """Return it as it stands in a page."""
        head = f"{self.command} | {self.table}" if self.table else self.command
        return f"<!-- {head} -->\n{self.content}<!-- end -->"


def regions(page: Path) -> Iterator[Region]:
    """Yield the regions of a page."""
    for found in REGION.finditer(page.read_text(encoding="utf-8")):
        yield Region(found[1], found[2] or "", found[3])


def regenerated(region: Region, path: Path) -> Region:
    """Run a region's command, where the store has not what it needs, and return the region with what it prints."""
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", *shlex.split(region.command)[1:]]
    ended = subprocess.run([*command, "--store", str(path)], check=False)
    if ended.returncode not in (0, 1):  # 1: something failed or crashed, and the tables say so
        raise SystemExit(ended.returncode)
    store = open_store(path)
    made = store.runs()[-1]
    kind = read(made.recipe, {}).kind
    plan = kind.plan(kind.parameters.model_validate(made.parameters), store.get)
    shown = _text(kind.tables(plan, store.get(plan.flow.steps)), region.table)
    versions = ", ".join(f"{name} {STEPS[name].version}" for name in sorted({step.function for step in plan.flow}))
    packages = f"{made.lock['versions']['philic']} with {made.lock['potential']['name']}"
    return Region(region.command, region.table, f"Printed by philic {packages} ({versions}):\n\n```text\n{shown}\n```\n")


def _text(tables: Iterable[RenderableType], title: str) -> str:
    """Print tables with the notes below them, or the one whose title is asked for."""
    written = io.StringIO()
    console = Console(width=TABLE_WIDTH, file=written)
    for printed in tables:
        parts: list[Any] = list(printed.renderables) if isinstance(printed, Group) else [printed]
        if not title or any(isinstance(part, Table) and str(part.title).startswith(title) for part in parts):
            console.print(printed)
    lines = [line.rstrip() for line in written.getvalue().splitlines()]
    if not any(lines):
        raise ValueError(f"the table {title!r} is not among those that the command prints: give the beginning of its title")
    return "\n".join(lines).strip("\n")


def main() -> None:
    """Rewrite the pages that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, default=sorted(DOCS.glob("*.md")))
    parser.add_argument("--store", type=Path, default=Path("docs.db"), help="where results are taken from and kept")
    parser.add_argument("--mark", action="store_true", help="run nothing; mark what is out of date")
    parser.add_argument("--only", default="", help="rewrite the regions whose command holds this text")
    asked = parser.parse_args()
    for page in asked.pages:
        for region in [one for one in regions(page) if asked.only in one.command]:
            new = region.marked_if_outdated() if asked.mark else regenerated(region, asked.store)
            text = page.read_text(encoding="utf-8")
            page.write_text(text.replace(str(region), str(new)), encoding="utf-8")


if __name__ == "__main__":
    main()
