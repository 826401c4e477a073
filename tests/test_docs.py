"""Every table of the docs that a command prints names the command, and says so when an older version printed it."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from philic.recipes.command_line.cli import app

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def script():
    spec = importlib.util.spec_from_file_location("regenerate", DOCS / "regenerate.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["regenerate"] = module
    spec.loader.exec_module(module)
    return module


regenerate = script()
REGIONS = [region for page in PAGES for region in regenerate.regions(page)]
RUN = regenerate.Region("philic run x", "", "Printed by philic 0.1.0 with chgnet (md 1, relax 1):\n\n```text\n1\n```\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_region_is_closed(page):
    text = page.read_text(encoding="utf-8")
    assert len([*regenerate.regions(page)]) == len(re.findall("<!-- philic", text)) == len(re.findall("<!-- end -->", text))


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.command)
def test_the_command_of_a_region_is_one(region, tmp_path):
    command = [*shlex.split(region.command)[1:], "--dry-run", "--store", str(tmp_path / "none.db")]
    planned = CliRunner().invoke(app, command)
    assert planned.exit_code == 0, planned.output


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.command)
def test_a_region_that_an_older_version_printed_says_so(region):
    """Where this fails: `python docs/regenerate.py --mark`, or run it again without `--mark`."""
    assert regenerate.STAMP.search(region.content)
    assert region.marked or not region.outdated


def test_a_page_says_which_versions_made_its_regions():
    assert RUN.outdated
    marked = RUN.marked_if_outdated()
    assert marked.marked
    assert marked.content.startswith("Out of date, printed by philic 0.1.0 with chgnet (md 1, relax 1):\n")
    assert marked.marked_if_outdated() == marked
    version, sites = (regenerate.STEPS[name].version for name in ("md", "sites"))
    current = regenerate.Region("philic run x", "", RUN.content.replace("md 1, relax 1", f"md {version}, sites {sites}"))
    assert not current.outdated
    assert current.marked_if_outdated() == current
    assert regenerate.Region("philic run x", "", "no stamp\n").outdated


def test_a_region_survives_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{RUN}\n\nAfter.\n")
    assert [*regenerate.regions(page)] == [RUN]


@pytest.mark.slow
def test_a_region_comes_back(tmp_path):
    """The cheapest one, digit for digit."""
    (shown,) = (region for region in REGIONS if region.command.endswith("--metals K --set hosts=pristine"))
    assert regenerate.regenerated(shown, tmp_path / "philic.db") == shown
