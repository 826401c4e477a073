"""Steps and what each waits for. Knows no engine, no store and no potential's code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ase import Atoms
from ase.io.jsonio import decode, encode

from ...potentials import fingerprint
from ..stores.result import title
from .identity import digest, structure_identity, written
from .registry import BUILDERS, STEPS


@dataclass(frozen=True, eq=False)
class Derived:
    """A structure that is built from what a parent step ends with, once it has ended.

    Attributes
    ----------
    parent
        The step whose ``final`` structure is the builder's first argument.
    n_atoms
        Number of atoms it will have, for estimates.
    builder
        Name of a builder in `philic.workflows.engine.registry.BUILDERS`; None uses the parent's structure unchanged.
    parameters
        The builder's other arguments; kept as `philic.workflows.engine.identity.written` gives them. ``about`` is for
        people and not part of a key, as that of a step.
    """

    parent: Step
    n_atoms: int
    builder: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Normalise the parameters."""
        if self.builder:
            object.__setattr__(self, "parameters", written(BUILDERS[self.builder], self.parameters))


@dataclass(frozen=True, eq=False)
class Step:
    """One calculation, described but not run.

    Attributes
    ----------
    function
        Name of a step function in `philic.workflows.engine.registry.STEPS`.
    parameters
        The function's parameters; kept as `philic.workflows.engine.identity.written` gives them.
    structure
        What it starts from, for a step that computes.
    parents
        The steps whose results it reads, by role: for a step that analyses, and for one that computes between structures.
    potential
        Name of the potential, for a step that computes.
    about
        What it is about, for people (metal, host, site); not part of the key.
    """

    function: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    structure: Atoms | Derived | None = None
    parents: Mapping[str, Step] = field(default_factory=dict)
    potential: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Normalise the parameters."""
        object.__setattr__(self, "parameters", written(STEPS[self.function], self.parameters))

    @cached_property
    def key(self) -> str:
        """The content hash: same key, same calculation."""
        return digest(self._identity)

    @cached_property
    def trail(self) -> str:
        """The content hash without the parameters that set only where the calculation stops.

        Steps with one trail follow the same path as far as both go, and share one memory and one folder.
        """
        stopping = STEPS[self.function].stopping
        others = {name: value for name, value in self.parameters.items() if name not in stopping}
        return digest({**self._identity, "parameters": others})

    @property
    def _identity(self) -> dict[str, Any]:
        return {
            "function": [self.function, STEPS[self.function].version],
            "parameters": self.parameters,
            "structure": _structure_identity(self.structure),
            "parents": {role: parent.key for role, parent in self.parents.items()},
            "potential": {name: value for name, value in self.fingerprint.items() if name != "name"},
        }

    @cached_property
    def fingerprint(self) -> dict[str, str]:
        """The fingerprint of the potential; empty for an analysis, whose result inherits that of its parents."""
        return fingerprint(self.potential).asdict() if self.potential else {}

    @cached_property
    def waits_for(self) -> tuple[Step, ...]:
        """Every step that has to end before this one starts."""
        derived = (self.structure.parent,) if isinstance(self.structure, Derived) else ()
        return (*derived, *self.parents.values())

    @cached_property
    def level(self) -> int:
        """How many steps stand before this one in the longest chain."""
        return max((step.level + 1 for step in self.waits_for), default=0)

    @property
    def title(self) -> str:
        """A few words for a person."""
        return title(self.function, self.about)

    @property
    def n_atoms(self) -> int:
        """Number of atoms it computes on; 0 for an analysis."""
        if isinstance(self.structure, Derived):
            return self.structure.n_atoms
        return 0 if self.structure is None else len(self.structure)

    def definition(self) -> dict[str, Any]:
        """Everything a worker needs to run the step, given the store; plain JSON."""
        if isinstance(self.structure, Derived):
            derived = self.structure
            structure: Any = {
                "parent": derived.parent.key,
                "builder": derived.builder,
                "parameters": dict(derived.parameters),
            }
        else:
            structure = self.structure and {"atoms": encode(self.structure)}
        return {
            "function": self.function,
            "trail": self.trail,
            "parameters": dict(self.parameters),
            "structure": structure,
            "parents": {role: parent.key for role, parent in self.parents.items()},
            "potential": self.potential,
            "fingerprint": self.fingerprint,
            "about": dict(self.about),
        }


class Flow:
    """Steps in an order in which they can run, each once.

    Parameters
    ----------
    steps
        The steps that are asked for; what they wait for is taken along.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps: dict[str, Step] = {}
        for step in steps:
            self._add(step)

    def _add(self, step: Step) -> None:
        if step.key in self.steps:
            return
        for parent in step.waits_for:
            self._add(parent)
        self.steps[step.key] = step

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps.values())

    def __len__(self) -> int:
        return len(self.steps)

    def packs(
        self, keys: Collection[str], largest: int, longest_s: float, seconds: Callable[[Step], float]
    ) -> list[list[Step]]:
        """Group steps of one kind that can run at the same time.

        A pack shares one loaded model and one Firework; its steps have the same function, parameters (but for those that
        may differ in one call) and potential. No step's numbers depend on what else is in its pack.

        Parameters
        ----------
        keys
            The steps to group.
        largest
            Number of steps in a pack at most.
        longest_s
            Seconds of a pack at most, as estimated by `seconds`; a step that takes longer is alone.
        seconds
            Estimates what a step takes.
        """
        groups: dict[str, list[Step]] = {}
        for step in sorted((self.steps[key] for key in self.steps if key in keys), key=lambda step: step.level):
            shared = {**step.parameters, **dict.fromkeys(STEPS[step.function].each & step.parameters.keys())}
            alike = digest([step.level, step.function, shared, step.fingerprint])
            groups.setdefault(alike if step.structure else f"analyses {step.level}", []).append(step)
        packs: list[list[Step]] = []
        for group in groups.values():
            room_s = 0.0
            for step in group:
                room_s -= seconds(step)
                if step is group[0] or room_s < 0 or len(packs[-1]) == largest:
                    packs.append([])
                    room_s = longest_s - seconds(step)
                packs[-1].append(step)
        return packs


def parents_of(definition: Mapping[str, Any]) -> set[str]:
    """Return the keys of every step that has to end before one starts, from its `Step.definition`."""
    derived = (definition["structure"] or {}).get("parent")
    return {*([derived] if derived else []), *definition["parents"].values()}


def structure_from(definition: Mapping[str, Any], final: Mapping[str, Atoms]) -> Atoms:
    """Build the structure a definition's ``structure`` describes.

    Parameters
    ----------
    definition
        The ``structure`` entry of `Step.definition`.
    final
        Final structures of finished steps, by key; needed for a derived structure.
    """
    if "atoms" in definition:
        atoms: Atoms = decode(definition["atoms"])
        return atoms
    parent = final[definition["parent"]]
    if definition["builder"] is None:
        return parent
    built: Atoms = BUILDERS[definition["builder"]].function(parent, **definition["parameters"])
    return built


def _structure_identity(structure: Atoms | Derived | None) -> Any:
    if not isinstance(structure, Derived):
        return None if structure is None else structure_identity(structure)
    version = BUILDERS[structure.builder].version if structure.builder else 0
    keyed = {name: value for name, value in structure.parameters.items() if name != "about"}
    return [structure.parent.key, structure.builder, version, keyed]
