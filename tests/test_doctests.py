"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import philic

FOREIGN = {"tests", "benchmarks", "docs", "build"}  # in a clone they lie beside the package's own folders
MODULES = [
    module.name for module in pkgutil.walk_packages(philic.__path__, "philic.") if FOREIGN.isdisjoint(module.name.split("."))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    found = [test for name in MODULES for test in doctest.DocTestFinder().find(importlib.import_module(name))]
    assert sum(bool(test.examples) for test in found) > 10
