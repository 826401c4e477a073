"""The house: folders are floors, and a floor imports only from below."""

import ast
import graphlib
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

import philic

HOUSE = Path(philic.__file__).parent
REPOSITORY = Path(__file__).parents[1]
FLOORS = {
    "structures": set(),
    "potentials": set(),
    "workflows": {"structures", "potentials"},
    "recipes": {"structures", "potentials", "workflows"},
}
ROOMS = {  # rooms and single files of a floor, in the order in which they may import each other
    "structures": "limits symmetry crystals carbons surfaces sites defects jumps contacts measures catalogue",
    "potentials": (
        "calculator base torch_threads devices references analytic dispersion training chgnet mace external committee"
        " registry __init__"
    ),
    "workflows": "stores steps neb dynamics transport analyses engine cluster fireworks",
    "recipes": "parts adsorption dynamics barriers glasses wetting verification labelling training running command_line",
}
FILES = sorted(path for floor in FLOORS for path in (HOUSE / floor).rglob("*.py"))
MODULES = {path: ("philic", *path.relative_to(HOUSE).with_suffix("").parts) for path in FILES}
HEAVY = ("torch", "mace", "chgnet", "pymatgen", "fireworks", "e3nn")


def imports(path):
    """Yield what a file imports, names included, as parts of a dotted path that begins with ``philic`` where it is ours."""
    package = MODULES[path][:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            yield from ((*module, alias.name) for alias in node.names)


def ours(path):
    """Give the files of the package that a file imports."""
    known = {module: other for other, module in MODULES.items()}
    found = {parts[:n] for parts in imports(path) for n in range(2, len(parts) + 1)}
    return {known[module] for module in found & known.keys()}


def test_no_room_is_forgotten():
    for floor, rooms in ROOMS.items():
        there = {module[2] for module in MODULES.values() if module[1] == floor}
        assert there - {"__init__"} == set(rooms.split()) - {"__init__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_floor_imports_from_below_and_a_room_from_rooms_before_it(path):
    _, floor, room, *_ = MODULES[path]
    rooms = ROOMS[floor].split()
    for parts in imports(path):
        if parts[0] != "philic" or parts[1] == "__version__":
            continue
        assert parts[1] in FLOORS[floor] | {floor}
        if parts[1] == floor:
            assert rooms.index(parts[2]) <= rooms.index(room), f"{room} imports {parts[2]}"


def test_no_files_import_each_other_in_a_circle():
    list(graphlib.TopologicalSorter({path: ours(path) - {path} for path in FILES}).static_order())


@pytest.mark.parametrize("room", sorted({path.parent for path in FILES}), ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_room_says_what_belongs_there_and_is_not_too_full(room):
    assert (room / "__init__.py").read_text(encoding="utf-8").startswith('"""')
    assert len(list(room.glob("*.py"))) <= 11


@pytest.mark.parametrize(
    ("package", "only"),
    [
        ("torch", "potentials"),
        ("mace", "potentials"),
        ("chgnet", "potentials"),
        ("fireworks", "workflows/fireworks/"),
        ("sqlalchemy", "workflows/stores/"),
        ("typer", "recipes/command_line/"),
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
        "from philic.recipes.command_line.cli import app\n"
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
        "from philic.recipes.running.recipe_files import read\n"
        "from philic.recipes.running.planning import prepare\n"
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
