"""The house: folders are floors, and a floor imports only from below."""

import ast
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

import philic

HOUSE = Path(philic.__file__).parent
FLOORS = {
    "structures": set(),
    "potentials": set(),
    "workflows": {"structures", "potentials"},
    "recipes": {"structures", "potentials", "workflows"},
}
FILES = sorted(path for floor in FLOORS for path in (HOUSE / floor).glob("*.py"))
HEAVY = ("torch", "mace", "chgnet", "pymatgen", "fireworks", "e3nn")
REPOSITORY = Path(__file__).parents[1]


def imports(path, top_only=False):
    """Yield each imported module's parts, with ``philic`` for what is relative to the package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = ["philic", path.parent.name][: 3 - node.level]
            yield base + (node.module.split(".") if node.module else [node.names[0].name])
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_folder_imports_only_from_below(path):
    allowed = FLOORS[path.parent.name] | {path.parent.name, "__version__"}
    assert {parts[1] for parts in imports(path) if parts[0] == "philic"} <= allowed


@pytest.mark.parametrize(
    ("package", "only"),
    [
        ("torch", "potentials"),
        ("mace", "potentials"),
        ("chgnet", "potentials"),
        ("fireworks", "workflows/fireworks.py"),
        ("sqlalchemy", "workflows/store.py"),
        ("typer", "recipes/"),
    ],
)
def test_a_package_is_known_in_one_place(package, only):
    users = [path for path in FILES if package in {parts[0] for parts in imports(path)}]
    assert users
    assert all(str(path.relative_to(HOUSE)).startswith(only) for path in users)


def test_the_command_line_is_quick():
    """Under 0.5 s of CPU, and nothing heavy loaded: for `import philic` and for ``philic --help``."""
    code = (
        "import sys, time\n"
        "import philic\n"
        "from philic.recipes.cli import app\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"loaded = [name for name in {(*HEAVY, 'ase', 'numpy', 'sqlalchemy', 'pydantic')!r} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
        "assert time.process_time() < 0.5, time.process_time()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_planning_loads_no_model():
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from philic.recipes.files import read\n"
        "from philic.recipes.run import prepare\n"
        "prepare(read('k-philic-dopants'), Path('nowhere.db'))\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_files_are_short():
    assert {path.name: lines for path in FILES if (lines := len(path.read_text().splitlines())) > 500} == {}


def test_functions_are_short():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                assert lines <= 60, f"{path.name}: {node.name} has {lines} lines"


def test_every_dependency_says_why_it_is_there():
    lines = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    content = tomllib.loads("\n".join(lines))
    extras = content["project"]["optional-dependencies"].values()
    for name in chain(content["project"]["dependencies"], *extras):
        number, line = next((n, line) for n, line in enumerate(lines) if f'"{name}"' in line)
        assert "#" in line or lines[number - 1].strip().startswith("#"), f"{name} has no reason beside it"


def test_the_version_is_told_once():
    from importlib.metadata import version

    assert version("philic") == philic.__version__
    assert f"version: {philic.__version__}" in (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
