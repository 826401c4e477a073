"""Names of potentials. One entry in `KINDS` per kind; every function here goes through it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from . import analytic
from .base import Card, Fingerprint, Kind, Potential
from .chgnet import potential as chgnet
from .mace import potential as mace

KINDS: tuple[Kind, ...] = (chgnet.KIND, mace.KIND, analytic.EMT, analytic.LENNARD_JONES)


def known() -> list[tuple[str, str]]:
    """Return the names of all known potentials, each with one line about it.

    A MACE file of your own, ``mace:PATH.model``, is one more.
    """
    return [entry for kind in KINDS for entry in kind.variants().items()]


def fingerprint(name: str) -> Fingerprint:
    """Return the fingerprint of a potential without loading its model.

    Raises
    ------
    ValueError
        The name is unknown.
    FileNotFoundError
        The weights are not on this machine and could not be downloaded.
    """
    return _kind(name).fingerprint(name)


def card(name: str) -> Card:
    """Return what a potential is good for.

    Only the card of a MACE model needs the model itself: its elements and cutoff are in its file.

    Raises
    ------
    ValueError
        The name is unknown.
    FileNotFoundError
        The weights are not on this machine and could not be downloaded.
    """
    return _kind(name).card(name)


def resolve(name: str) -> str:
    """Return a potential's name with the path of a file made absolute, so that it holds in every folder.

    Raises
    ------
    ValueError
        The name is unknown.
    FileNotFoundError
        The weights are not on this machine and could not be downloaded.
    ModuleNotFoundError
        The package of the potential is not installed.
    """
    kind = _kind(name)
    return kind.resolve(name) if kind.resolve else name


def check_elements(name: str, symbols: Iterable[str]) -> None:
    """Refuse elements that the potential of this name does not know.

    Raises
    ------
    ValueError
        Names the unknown elements, the potential and the elements it knows.
    """
    card(name).check_elements(symbols)


@cache
def load(name: str) -> Potential:
    """Load a potential, once per name and process.

    Parameters
    ----------
    name
        A name from `known`, or ``mace:PATH.model`` for a MACE file of your own. A ``.model`` file is a
        Python pickle, which runs code when it is loaded: load only files you trust.

    Raises
    ------
    ValueError
        The name is unknown.
    FileNotFoundError
        The weights are not on this machine and could not be downloaded.
    ModuleNotFoundError
        The package of the potential is not installed.
    """
    kind = _kind(name)
    return Potential(kind.card(name), kind.fingerprint(name), kind.predict(name))


def _kind(name: str) -> Kind:
    """Return the kind a name belongs to."""
    for kind in KINDS:
        if name in kind.variants() or (kind.resolve and name.startswith(f"{kind.prefix}:")):
            return kind
    names = ", ".join(known_name for known_name, _ in known())
    raise ValueError(f"{name!r} is not a known potential; choose one of {names}, or mace:PATH.model")
