"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import philic

ROOMS = ("structures", "potentials", "workflows", "recipes")
MODULES = [
    f"philic.{room}.{module.name}" for room in ROOMS for module in pkgutil.iter_modules([f"{philic.__path__[0]}/{room}"])
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    found = [test for name in MODULES for test in doctest.DocTestFinder().find(importlib.import_module(name))]
    assert sum(bool(test.examples) for test in found) > 10
