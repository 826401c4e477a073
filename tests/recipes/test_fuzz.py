"""Whatever is typed or read ends soon: in a plan or a structure, or in one sentence that says where to look."""

import json
import re
import signal
from contextlib import contextmanager
from io import BytesIO, StringIO

import pytest
from ase.build import bulk, fcc111
from ase.io import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from philic.recipes.parts.kinds import no_results
from philic.recipes.parts.structure_files import read_host
from philic.recipes.running.recipe_files import FOLDER, RECIPES, packaged, read
from philic.structures.limits import at_most

LONGEST_S = 60
QUICK = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
SLOW = settings(QUICK, max_examples=150)

NUMBERS = st.one_of(
    st.integers(-3, 12),
    st.integers(),
    st.floats(),
    st.sampled_from([0, -0.0, 1e-12, 1e20, 1e308, 2**63, "600.0", ".nan", ".inf", "1e3"]),
)
WORDS = st.one_of(
    st.sampled_from(
        ["K", "Na", "Xx", "all", "none", "pristine", "vacancy", "Cu(111)", "MF(100)", "M-bcc", "hollow", "chgnet"]
    ),
    st.sampled_from(
        ["emt", "Cu(0 0 0)", "Cu(1 1)", "../x.cif", "[/red]", "true", "~", "!!python/object", "&a", "*a", "a: b"]
    ),
    st.text(max_size=12),
)
VALUES = st.recursive(
    st.one_of(NUMBERS, WORDS, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=6,
)


@contextmanager
def soon():
    """End what takes too long with an error that no reader and no plan catches."""

    def end(*_):
        raise KeyboardInterrupt(f"still at it after {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def told(error, *places):
    """A sentence of more than a bare word, that names the place."""
    sentence = str(error)
    assert len(sentence.split()) > 3, sentence
    assert not re.match(r"^\w+(Error|Exception)?$", sentence), sentence
    assert not places or any(place in sentence for place in places), sentence
    assert len(sentence) < 5000


def planned(name, overrides):
    """Read a recipe and plan it, or be told why not; tell whether it is planned."""
    with soon():
        try:
            recipe = read(name, overrides)
        except ValueError as error:
            told(error)
            return False
        try:
            with at_most(200):
                recipe.kind.plan(recipe.parameters, no_results)
        except ValueError as error:
            told(error)
            return False
    return True


PLANNABLE = sorted(set(packaged()) - {"verify"})


def a_value_is_taken_or_refused(data):
    name = data.draw(st.sampled_from(PLANNABLE))
    chosen = data.draw(
        st.lists(
            st.sampled_from([*sorted(RECIPES[read(name).kind_name].parameters.model_fields), "nonsense"]),
            min_size=1,
            max_size=2,
            unique=True,
        )
    )
    overrides = {key: data.draw(st.one_of(st.text(max_size=20), VALUES.map(str))) for key in chosen}
    planned(name, overrides)


def a_file_is_taken_or_refused(data, folder):
    text = (FOLDER / f"{data.draw(st.sampled_from(PLANNABLE))}.yaml").read_text()
    lines = text.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        key = lines[at].split(":")[0]
        new = data.draw(
            st.one_of(
                VALUES.map(lambda value, key=key: f"{key}: {json.dumps(value)}"),
                WORDS.map(lambda word, key=key: f"{key}: {word}"),
                st.text(max_size=30),
                st.just(""),
            )
        )
        lines[at] = new
    path = folder / "fuzz.yaml"
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    planned(str(path), {})


def _file(ending):
    atoms = fcc111("Cu", (1, 1, 3), vacuum=8.0) if ending == "extxyz" else bulk("KF", "rocksalt", a=5.4, cubic=True)
    atoms.info.clear()
    atoms.pbc = True
    content = BytesIO() if ending == "cif" else StringIO()
    write(content, atoms, format=ending)
    written = content.getvalue()
    return written.decode() if isinstance(written, bytes) else written


FILES = {ending: _file(ending) for ending in ("vasp", "cif", "extxyz", "json")}
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]\d+)?")


def a_structure_file_is_read_or_refused(data, folder):
    ending = data.draw(st.sampled_from(sorted(FILES)))
    text = FILES[ending]
    for _ in range(data.draw(st.integers(1, 3))):
        way = data.draw(st.sampled_from(["number", "cut", "line", "text"]))
        found = list(NUMBER.finditer(text))
        if way == "number" and found:
            match = data.draw(st.sampled_from(found))
            text = text[: match.start()] + str(data.draw(NUMBERS)) + text[match.end() :]
        elif way == "cut":
            text = text[: data.draw(st.integers(0, len(text)))]
        elif way == "line" and text:
            lines = text.splitlines(keepends=True)
            at = data.draw(st.integers(0, len(lines) - 1))
            text = "".join(lines[:at] + lines[at + 1 :] * data.draw(st.integers(1, 2)))
        else:
            at = data.draw(st.integers(0, len(text)))
            text = text[:at] + data.draw(st.text(max_size=8)) + text[at:]
    path = folder / f"fuzz.{ending}"
    path.write_text(text, encoding="utf-8", errors="replace")
    with soon():
        try:
            atoms = read_host(path)
        except ValueError as error:
            told(error, path.name)
        else:
            assert len(atoms)


@QUICK
@given(st.data())
def test_a_value_is_taken_or_refused(data):
    a_value_is_taken_or_refused(data)


@QUICK
@given(st.data())
def test_a_recipe_file_is_taken_or_refused(tmp_path, data):
    a_file_is_taken_or_refused(data, tmp_path)


@QUICK
@given(st.data())
def test_a_structure_file_is_read_or_refused(tmp_path, data):
    a_structure_file_is_read_or_refused(data, tmp_path)


@pytest.mark.slow
@SLOW
@given(st.data())
def test_many_values_are_taken_or_refused(data):
    a_value_is_taken_or_refused(data)


@pytest.mark.slow
@SLOW
@given(st.data())
def test_many_recipe_files_are_taken_or_refused(tmp_path, data):
    a_file_is_taken_or_refused(data, tmp_path)


@pytest.mark.slow
@settings(SLOW, max_examples=1500)
@given(st.data())
def test_many_structure_files_are_read_or_refused(tmp_path, data):
    a_structure_file_is_read_or_refused(data, tmp_path)
