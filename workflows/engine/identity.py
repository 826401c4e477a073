"""What makes two calculations the same: how parameters, structures and versions are written into a key.

A key holds what decides a number and nothing else: the step's function and its version, its parameters, the structure it
starts from, its parents' keys, and the potential's fingerprint. Of versions:

- The package that evaluates a potential is in the fingerprint, with its version: energies of two releases are not mixed.
  ASE evaluates EMT and Lennard-Jones, chgnet and mace-torch their own models.
- What leads a calculation from start to end, ASE's optimisers and philic's own code, counts by the version of the function
  in `philic.workflows.engine.registry`. A test holds the numbers of each (``tests/workflows/engine/test_versions.py``): when
  a release of ASE changes them, the version goes up, and no store loses its results for a release that changes nothing.
- Versions of all packages are in a result's provenance and a run's lock.
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
"""Significant digits of a number in a parameter: the last bits differ between machines and ways to compute it."""
_TIE_A = 2e-13
"""Added before lengths are rounded, so that a number half-way between two does not fall to either side by its last bits."""


def written(registered: Registered, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Write parameters in the one way that a key holds: plain JSON, defaults given or left out alike.

    Numbers get the type that the function's signature asks for (600 is 600.0 where it takes a float), 12 significant digits
    and no minus zero. A default is left out, but for those of `Registered.shown`, which are filled in.
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
    """Write a value as its type hint says."""
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
    """Write what of a structure is in a key.

    Masses, initial magnetic moments and charges are where they are not the standard ones.

    Raises
    ------
    ValueError
        If a constraint is none of `ase.constraints.FixAtoms`.
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
