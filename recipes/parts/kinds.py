"""What every recipe has in common: parameters, a plan, and words and tables for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator
from pydantic.functional_validators import AfterValidator
from rich.console import RenderableType

from ...potentials import resolve
from ...structures.limits import MAX_ATOMS
from ...workflows.engine.flow import Flow
from ...workflows.stores.result import Result

METALS = ("Li", "Na", "K")
"""Metals of anodes, with reference values for the gate."""


def _as_list(value: Any) -> Any:
    return [] if value is None else [value] if isinstance(value, str) else value


def number_as_list(value: Any) -> Any:
    """Take one number where several may be given."""
    return [value] if isinstance(value, (int, float)) else value


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _known_metals(metals: tuple[str, ...]) -> tuple[str, ...]:
    for metal in metals:
        if metal not in METALS:
            raise ValueError(f"`metal` is {metal!r} but must be one of: {', '.join(METALS)}")
    return _distinct(metals)


def known_potential(name: str) -> str:
    """Write a potential's name in its one form.

    Raises
    ------
    ValueError
        If it is unknown, its file does not exist, or its package is not installed.
    """
    try:
        return resolve(name)
    except (FileNotFoundError, ModuleNotFoundError) as error:
        raise ValueError(str(error)) from error


Kelvin = Annotated[float, Field(gt=0, le=20_000)]
Picoseconds = Annotated[float, Field(gt=0, le=1e9)]
Femtoseconds = Annotated[float, Field(ge=0.01, le=20)]
Gigapascal = Annotated[float, Field(ge=-100, le=1000)]
Angstrom = Annotated[float, Field(gt=0, le=500)]
"""What a recipe can mean: beyond the bounds it is a mistake of the unit or of a power of ten."""
OneOrMore = Annotated[tuple[str, ...], Field(max_length=1000), BeforeValidator(_as_list)]
Seeds = Annotated[
    tuple[NonNegativeInt, ...], Field(min_length=1), BeforeValidator(number_as_list), AfterValidator(_distinct)
]
Metals = Annotated[
    OneOrMore,
    Field(min_length=1, description="the alkali metal, or several to compare"),
    AfterValidator(_known_metals),
]
PotentialName = Annotated[str, AfterValidator(known_potential)]
OtherPotentials = Annotated[
    tuple[PotentialName, ...],
    BeforeValidator(lambda value: _as_list(None if value == "none" else value)),
    AfterValidator(_distinct),
]
"""Names of potentials beside the recipe's own, or ``none``."""


class Parameters(BaseModel):
    """What every recipe takes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_truth(cls, given: Any) -> Any:
        """Refuse ``true`` where a number is asked for: Python takes it for 1."""
        for name, value in given.items() if isinstance(given, Mapping) else ():
            if isinstance(value, bool):
                raise ValueError(f"`{name}` is {str(value).lower()} but nothing of a recipe is true or false: give a value")
        return given

    metal: Metals
    potential: PotentialName = Field("chgnet", description="where energies and forces come from (`philic list`)")
    max_atoms: PositiveInt = Field(MAX_ATOMS, description="no structure may have more")


Known = Callable[[Iterable[str]], Mapping[str, Result]]
"""From keys to the results that are stored already."""


def no_results(_: Iterable[str]) -> Mapping[str, Result]:
    """Know nothing."""
    return {}


class Plan(Protocol):
    """What a recipe makes of its parameters: a flow, and sentences about what is doubtful before anything is computed."""

    @property
    def flow(self) -> Flow:
        """Every step."""

    @property
    def warnings(self) -> Sequence[str]:
        """Sentences for the user."""

    @property
    def complete(self) -> bool:
        """Whether this is all; else what comes next depends on these steps' results, and the recipe is planned again."""


@dataclass(frozen=True)
class Kind:
    """One recipe: what it takes, what it does, and how its results are shown.

    Attributes
    ----------
    parameters
        The model of its parameters; has ``metal`` and ``potential``.
    plan
        From the parameters, and what is stored already, to a plan; computes nothing.
    headline, overview
        From parameters and plan to a few words, and to a table of what is computed.
    tables
        From plan and results to what is printed in the end.
    """

    parameters: type[Parameters]
    plan: Callable[[Any, Known], Plan]
    headline: Callable[[Any, Any], str]
    overview: Callable[[Any, Any], RenderableType]
    tables: Callable[[Any, Mapping[str, Result]], Iterable[RenderableType]]
