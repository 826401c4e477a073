"""A whole recipe with two potentials, number by number."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from philic.recipes.command_line.cli import app
from philic.recipes.command_line.console import terminal
from philic.recipes.command_line.cross_check import COMPARED, compared, flag
from philic.recipes.running.recipe_files import checks_itself
from philic.workflows.engine.registry import STEPS
from philic.workflows.stores.result import Result, Status

RECIPE = """\
recipe: metal-on-host
question: Do two potentials agree?
metal: K
hosts: pristine
atoms: 3
size: [4, 4]
temperature_K: 300
length_ps: 0.05
equilibration_ps: 0.01
"""


def wetting(host, height_A, status=Status.CONVERGED, **about):
    return Result(status, "", {"height_A": height_A}, function="wetting", about={"metal": "K", "host": host, **about})


def printed(capsys, first, second):
    def keyed(results):
        return dict(enumerate(results))

    terminal().print(compared(keyed(first), keyed(second), ("a", "b")))
    return " ".join(capsys.readouterr().out.split())


def test_numbers_are_matched_by_what_they_are_about_and_not_by_potential(capsys):
    first = [wetting("x", 2.0, potential="a"), wetting("y", 3.0, potential="a"), wetting("z", 1.0, potential="a")]
    second = [wetting("y", 3.1, potential="b"), wetting("z", 5.0, potential="b"), wetting("x", 2.8, potential="b")]
    text = printed(capsys, first, second)
    assert "x K height_A 2 2.8 uncertain" in text
    assert "y K height_A 3 3.1 agreed" in text
    assert "z K height_A 1 5 do not trust" in text
    assert "Kendall's tau of the order by height_A: -0.33." in text


def test_what_one_of_them_has_not_is_said(capsys):
    text = printed(capsys, [wetting("x", 2.0), wetting("y", 2.0)], [wetting("x", 2.0, Status.FAILED)])
    assert text.count("not compared: one of them has no result") == 2


def test_numbers_that_are_not_converged_get_no_flag(capsys):
    assert "x K height_A 2 2 not converged" in printed(capsys, [wetting("x", 2.0)], [wetting("x", 2.0, Status.UNCONVERGED)])


@pytest.mark.parametrize(
    ("values", "expected"), [((0.0, 0.0), "agreed"), ((-1.0, 1.0), "do not trust"), ((1.0, 1.15), "agreed")]
)
def test_flags_are_relative_to_the_larger_number(values, expected):
    assert flag(values) == expected


def test_every_compared_step_exists():
    assert COMPARED.keys() <= STEPS.keys()


def test_recipes_that_check_themselves_are_known():
    assert checks_itself("k-philic-dopants")
    assert checks_itself("sei-migration")
    assert not checks_itself("metal-on-host")


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        ("chgnet:r2scan,nonsense", "'nonsense' is not a known potential"),
        ("[chgnet:r2scan, chgnet]", "`cross_check` is 'chgnet' but must be another than `potential`"),
    ],
)
def test_a_check_that_cannot_be_is_refused_before_anything_runs(check, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.yaml").write_text(RECIPE)
    done = CliRunner().invoke(app, ["run", "two.yaml", "--cross-check", check])
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert not (tmp_path / "philic.db").exists()


def test_a_dry_run_shows_the_other_run_too_and_labels_compare_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.yaml").write_text(RECIPE)
    done = CliRunner().invoke(app, ["run", "two.yaml", "--cross-check", "[chgnet:r2scan]", "--dry-run"])
    assert "potential chgnet:r2scan (r2SCAN)" in " ".join(done.stdout.split())
    done = CliRunner().invoke(app, ["run", "labels", "--cross-check", "chgnet:r2scan"])
    assert "`cross_check` has nothing to compare in labels: leave it out" in done.stderr


def test_runs_without_a_number_in_common_say_so(capsys):
    terminal().print(compared({}, {}, ("chgnet", "chgnet:r2scan")))
    assert "no number of the two runs can be compared" in capsys.readouterr().out


@pytest.mark.slow
def test_a_recipe_without_a_check_of_its_own_runs_again_with_the_other_potential(tmp_path):
    (tmp_path / "two.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "philic.recipes.command_line.cli", "run", "two.yaml", "--cross-check", "chgnet:r2scan"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "chgnet:r2scan beside chgnet" in done.stdout
    assert "height_A" in done.stdout
