"""Names of potentials. One entry in `KINDS` per kind; every function here goes through it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points

from . import analytic, committee, dispersion
from .base import Card, Fingerprint, Kind, Potential
from .chgnet import potential as chgnet
from .external import potential as external
from .mace import potential as mace

KINDS: tuple[Kind, ...] = (chgnet.KIND, mace.KIND, external.KIND, analytic.EMT, analytic.LENNARD_JONES)
ENTRY_POINTS = "philic.potentials"
"""Group of entry points under which another package offers a `Kind` of its own."""


@cache
def kinds() -> tuple[Kind, ...]:
    """Return every kind, those of other packages last.

    Raises
    ------
    ValueError
        If an entry point is no `Kind`, or takes a prefix that is taken.
    """
    found = [*KINDS, COMMITTEE]
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        kind = point.load()
        if not isinstance(kind, Kind):
            raise ValueError(f"the entry point {point.name} ({point.value}) is a {type(kind).__name__} but must be a Kind")
        if kind.prefix in {known.prefix for known in found}:
            raise ValueError(f"the entry point {point.name} ({point.value}) has the prefix {kind.prefix}, which is taken")
        found.append(kind)
    return tuple(found)


def known() -> list[tuple[str, str]]:
    """Return the names of all known potentials, each with one line about it.

    Files are more: ``chgnet:PATH.pth.tar``, ``mace:PATH.model`` and ``ase:SETTINGS.yaml``. With ``+d3`` at its end a name
    means the same potential with dispersion, and ``committee:A,B`` the mean of several.
    """
    return [entry for kind in kinds() for entry in kind.variants().items()]


def fingerprint(name: str) -> Fingerprint:
    """Return the fingerprint of a potential without loading its model.

    Raises
    ------
    ValueError
        The name is unknown.
    FileNotFoundError
        The weights are not on this machine and could not be downloaded.
    """
    base = _without_dispersion(name)
    found = _kind(base).fingerprint(base)
    return found if base == name else dispersion.fingerprint(found, card(base))


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
    base = _without_dispersion(name)
    found = _kind(base).card(base)
    return found if base == name else dispersion.card(found)


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
    base = _without_dispersion(name)
    kind = _kind(base)
    found = kind.resolve(base) if kind.resolve else base
    if base != name:
        fingerprint(name)
        return found + dispersion.SUFFIX
    return found


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
        A name from `known`, ``chgnet:PATH.pth.tar`` or ``mace:PATH.model`` for a file of your own, or ``committee:A,B``. A
        ``.model`` file is a Python pickle, which runs code when it is loaded: load only files you trust.

    Raises
    ------
    ValueError
        The name is unknown, or `PHILIC_DEVICE` names no device of this machine.
    FileNotFoundError
        The weights are not on this machine and could not be downloaded.
    ModuleNotFoundError
        The package of the potential is not installed.
    """
    base = _without_dispersion(name)
    kind = _kind(base)
    predict = kind.predict(base)
    if base != name:
        predict = dispersion.predict(predict, card(base))
    return Potential(card(name), fingerprint(name), predict, kind.device(base))


def _without_dispersion(name: str) -> str:
    """Leave out ``+d3``, which in the name of a committee belongs to a member."""
    return name if name.startswith(committee.PREFIX) else name.removesuffix(dispersion.SUFFIX)


def _kind(name: str) -> Kind:
    """Return the kind a name belongs to."""
    for kind in kinds():
        if name in kind.variants() or (kind.resolve and name.startswith(f"{kind.prefix}:")):
            return kind
    names = ", ".join(known_name for known_name, _ in known())
    raise ValueError(
        f"{name!r} is not a known potential; choose one of {names}, chgnet:PATH.pth.tar, mace:PATH.model, "
        "ase:SETTINGS.yaml, or several as committee:A,B"
    )


COMMITTEE = committee.kind(committee.Members(resolve, card, fingerprint, load))
