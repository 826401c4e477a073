"""The identity of a calculation: how parameters, structures and versions enter a key.

A key holds what determines a number and nothing else: the step's function and its version, its parameters, the structure it
starts from, its parents' keys, and the potential's fingerprint. Versions enter as follows.

- The package that evaluates a potential is in the fingerprint with its version, so energies from two releases are not mixed:
  ASE for EMT and Lennard-Jones, chgnet and mace-torch for their own models.
- Everything else that a calculation depends on, ASE's optimisers and filters as well as philic's own code, is covered by the
  version of the function in `philic.workflows.engine.registry`. ``tests/workflows/engine/test_versions.py`` pins numbers for
  each: if a release of ASE changes one, the version is raised; a release that changes nothing invalidates no store.
- The versions of all packages are recorded in each result's provenance and each run's lock.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from ...structures.symmetry.fixed import fixed_atoms
from ...structures.symmetry.species import own_arrays
from .registry import Registered

DIGITS = 12
"""Significant digits of a number in a parameter: the last bits depend on the machine and on how it was computed."""
_TIE_A = 2e-13
"""Added before rounding, so that the last bits do not decide which way a number half-way between two is rounded."""


def written(registered: Registered, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Normalise parameters to the form in which they enter a key: plain JSON, whether or not defaults were given.

    Numbers take the type of the function's signature (600 becomes 600.0 where it expects a float), are rounded to 12
    significant digits, and are never minus zero. Defaults are dropped, except those in `Registered.shown`, which are added.
    """
    types, defaults = _signature(registered.function)
    plain = {name: _typed(types.get(name, Any), value) for name, value in parameters.items()}
    usual = {name: _typed(types.get(name, Any), value) for name, value in defaults.items()}
    shown = {name: value for name, value in usual.items() if name in registered.shown}
    hidden = {name: value for name, value in usual.items() if name not in shown}
    return shown | {name: value for name, value in plain.items() if name not in hidden or value != hidden[name]}


@cache
def _signature(function: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the types of a function's parameters, and the defaults of those that a flow may name."""
    parameters = inspect.signature(function).parameters.values()
    given = {p.name: p.default for p in parameters if p.default is not p.empty and not callable(p.default)}
    return get_type_hints(function), given


def _typed(hint: Any, value: Any) -> Any:
    """Convert a value to its type hint."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        of = get_args(hint)[1] if len(get_args(hint)) == 2 else Any
        return {str(name): _typed(of, one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [_typed(of, one) for of, one in zip(_items(hint, len(items)), items, strict=True)]
    return _number(hint, value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _items(hint: Any, n: int) -> Sequence[Any]:
    """Give the type of each item of a sequence."""
    origins = {get_origin(one): one for one in _choices(hint)}
    inner = next((get_args(one) for of, one in origins.items() if of in (Sequence, list, tuple)), (Any,))
    return inner if len(inner) == n and Ellipsis not in inner else inner[:1] * n


def _number(hint: Any, value: float) -> float:
    choices = _choices(hint)
    if isinstance(value, int) and not (float in choices and int not in choices):
        return value
    value = float(f"{value:.{DIGITS}g}") + 0.0
    return int(value) if int in choices and float not in choices and value.is_integer() else value


def _choices(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) in (Union, UnionType):
        return tuple(choice for one in get_args(hint) if one is not NoneType for choice in _choices(one))
    return (hint,)


def structure_identity(atoms: Atoms) -> dict[str, Any]:
    """Give the part of a structure that enters a key.

    Masses, initial magnetic moments and charges are included where they differ from the standard ones.

    Raises
    ------
    ValueError
        If a constraint is not `ase.constraints.FixAtoms`.
    """
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise ValueError(f"`{type(constraint).__name__}` is a constraint that no key can hold: use FixAtoms alone")
    return {
        "numbers": atoms.numbers.tolist(),
        "positions_A": _rounded(atoms.positions),
        "cell_A": _rounded(atoms.cell.array),
        "pbc": atoms.pbc.tolist(),
        "fixed": np.flatnonzero(fixed_atoms(atoms)).tolist(),
        **{name: _rounded(values, 6) for name, values in own_arrays(atoms).items()},
    }


def _rounded(numbers: np.ndarray, decimals: int = 8) -> Any:
    """Round, lengths to 1e-8 angstrom, without minus zero."""
    return (np.round(numbers + _TIE_A, decimals) + 0.0).tolist()


def digest(content: Any) -> str:
    """Hash plain JSON: 32 hexadecimal digits of a SHA-256.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, default=dict)
    return hashlib.sha256(plain.encode()).hexdigest()[:32]
