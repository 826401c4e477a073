"""What one calculation came to: a `Result`, frozen, with its status, numbers, structures and provenance.

Results of different potentials are never combined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from ase import Atoms

from ...potentials.base import Prediction


class Status(StrEnum):
    """How a calculation ended."""

    CONVERGED = "converged"
    """It did what was asked."""
    UNCONVERGED = "unconverged"
    """It ran out of steps; the numbers are stored, and said to be unconverged."""
    FAILED = "failed"
    """The physics went wrong (an exploded geometry, a NaN energy); running it again gives the same."""
    CRASHED = "crashed"
    """The program or the machine went wrong; the next run computes it again."""

    @property
    def final(self) -> bool:
        """Whether a rerun takes this as it is."""
        return self is not Status.CRASHED

    @property
    def usable(self) -> bool:
        """Whether there is a geometry and an energy to go on with."""
        return self in (Status.CONVERGED, Status.UNCONVERGED)


@dataclass(frozen=True)
class Outcome:
    """What a step function gives back: a `Result` that does not know its key yet.

    Attributes
    ----------
    status, message
        How it ended, and a sentence that says so to a person.
    scalars
        Numbers and short texts, unit in the name (``energy_eV``).
    structures
        Geometries by name (``initial``, ``final``).
    arrays
        Arrays by name, unit in the name (``forces_eV_per_A``).
    force_calls
        How often the potential was asked for the forces of a structure.
    wall_s, cpu_s
        Seconds of wall and CPU time; of a call shared by several structures, this one's share.
    """

    status: Status
    message: str
    scalars: Mapping[str, Any] = field(default_factory=dict)
    structures: Mapping[str, Atoms] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    force_calls: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0


@dataclass(frozen=True)
class Result(Outcome):
    """One finished step, as the store keeps it.

    Attributes
    ----------
    key
        The content hash of the step (see `philic.workflows.engine.flow`).
    function
        The step function's name.
    about
        What the step is about (metal, host, site …), for people; not part of the key.
    provenance
        Parameters, parents, potential fingerprint, package versions, host name, time; the device, if forces were computed.
    """

    key: str = ""
    function: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """A few words for a person: ``relax K on N, hollow C5N``."""
        return title(self.function, self.about)


def title(function: str, about: Mapping[str, Any]) -> str:
    """Name a step in a few words for a person.

    Examples
    --------
    >>> title("relax", {"metal": "K", "host": "N", "site": "top N"})
    'relax K on N, top N'
    >>> title("relax", {"host": "N"})
    'relax N'
    """
    place = " on ".join(str(about[name]) for name in ("metal", "host") if about.get(name))
    where = f", {about['site']}" if about.get("site") else ""
    return f"{function} {place}{where}".rstrip()


class Memory(Protocol):
    """Predictions of a calculation by the structure's digest, kept across kills.

    A dict will do where no kill is feared.
    """

    def get(self, digest: str, /) -> Prediction | None:
        """Return what was predicted for a structure."""

    def update(self, new: Mapping[str, Prediction], /) -> None:
        """Keep predictions."""


CHECK = "check_"
"""Prefix of the roles of parents that come from a second potential, for comparison with the first."""


def check_one_potential(results: Mapping[str, Result]) -> None:
    """Refuse to combine results of different potentials.

    Parameters
    ----------
    results
        Results by role in the formula (``host``, ``bulk`` …); an analysis has the fingerprint of its parents.

    Raises
    ------
    ValueError
        If two of them differ in weights, dtype, dispersion, package or its version, or one has no fingerprint.
    """
    found = {role: result.provenance.get("fingerprint") or {} for role, result in results.items()}
    for role, theirs in found.items():
        if not theirs:
            raise ValueError(
                f"`{role}` ({results[role].title}) names no potential: results of an unknown potential are never combined "
                "with others; compute it again"
            )
        first_role, ours = next(iter(found.items()))
        differing = [name for name in {**ours, **theirs} if name != "name" and ours.get(name) != theirs.get(name)]
        if differing:
            name = differing[0]
            raise ValueError(
                f"`{role}` comes from {theirs['name']} ({name} {theirs.get(name)}) but `{first_role}` from "
                f"{ours['name']} ({name} {ours.get(name)}): energies of different potentials are never subtracted; "
                "compute both with one"
            )
