"""Several potentials as one: the mean of their predictions, and the spread between them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from .base import Card, Fingerprint, Kind, Potential, Predict, Prediction

if TYPE_CHECKING:
    from ase import Atoms

PREFIX = "committee:"


@dataclass(frozen=True)
class Members:
    """How the members of a committee are found, each by its name: the functions of the registry."""

    resolve: Callable[[str], str]
    card: Callable[[str], Card]
    fingerprint: Callable[[str], Fingerprint]
    load: Callable[[str], Potential]


def kind(members: Members) -> Kind:
    """Return the kind of ``committee:A,B,…``."""
    return Kind(
        prefix="committee",
        variants=dict,
        fingerprint=lambda name: _fingerprint(name, members),
        card=lambda name: _card(name, members),
        predict=lambda name: _loaded_predict(name, members),
        resolve=lambda name: _resolve(name, members),
        device=lambda name: " + ".join(sorted({members.load(part).device for part in _names(name)})),
    )


def _names(name: str) -> list[str]:
    """Split the name of a committee.

    Raises
    ------
    ValueError
        Fewer than two members, one twice, or a committee in a committee.
    """
    names = [part.strip() for part in name.removeprefix(PREFIX).split(",")]
    if len(names) < 2 or "" in names or len(set(names)) < len(names) or any(part.startswith(PREFIX) for part in names):
        raise ValueError(
            f"{name!r} must name at least two different potentials, such as committee:mace:a.model,mace:b.model"
        )
    return names


def _resolve(name: str, members: Members) -> str:
    """Make the paths of the members' files absolute and refuse members that do not belong together."""
    resolved = PREFIX + ",".join(members.resolve(part) for part in _names(name))
    _card(resolved, members)
    _fingerprint(resolved, members)
    return resolved


def _fingerprint(name: str, members: Members) -> Fingerprint:
    parts = [members.fingerprint(part) for part in _names(name)]
    _refuse_mix(name, "dispersion", [part.dispersion for part in parts])
    content = [{key: value for key, value in part.asdict().items() if key != "name"} for part in parts]
    if any(one in content[:i] for i, one in enumerate(content)):
        raise ValueError(f"{name!r} names the same weights twice: members must differ")
    return Fingerprint(
        name=PREFIX + ",".join(part.name for part in parts),
        weights_sha256=hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
        dtype="+".join(sorted({part.dtype for part in parts})),
        dispersion=parts[0].dispersion,
        package="+".join(sorted({part.package for part in parts})),
        version="+".join(sorted({part.version for part in parts})),
    )


def _card(name: str, members: Members) -> Card:
    cards = [members.card(part) for part in _names(name)]
    _refuse_mix(name, "functional", [card.functional for card in cards])
    _refuse_mix(name, "cohesive energies", [card.cohesive_reference for card in cards])
    return Card(
        name=name,
        description=f"mean of {len(cards)} potentials, with their spread",
        functional=cards[0].functional,
        cohesive_reference=cards[0].cohesive_reference,
        training_set="; ".join(dict.fromkeys(card.training_set for card in cards)),
        elements=frozenset.intersection(*(card.elements for card in cards)),
        cutoff_A=max(card.cutoff_A for card in cards),
        seconds_per_atom_call=sum(card.seconds_per_atom_call for card in cards),
    )


def _refuse_mix(name: str, what: str, values: Sequence[str | None]) -> None:
    """Refuse members whose energies must not be averaged."""
    if len(set(values)) > 1:
        told = "; ".join(f"{part}: {value}" for part, value in zip(_names(name), values, strict=True))
        raise ValueError(
            f"the members of a committee must share their {what} but do not ({told}); "
            "take potentials trained on the same level of theory"
        )


def _loaded_predict(name: str, members: Members) -> Predict:
    return partial(_predict, [members.load(part) for part in _names(name)])


def _predict(potentials: Sequence[Potential], structures: Sequence[Atoms], stress: bool) -> list[Prediction]:
    by_member = [potential.evaluate(structures, stress) for potential in potentials]
    return [_joined(predictions) for predictions in zip(*by_member, strict=True)]


def _joined(predictions: Sequence[Prediction]) -> Prediction:
    """Return the mean with its spread; where a member says nothing, that member's answer."""
    for prediction in predictions:
        if prediction.reason:
            return prediction
    energies = np.array([prediction.energy_eV for prediction in predictions])
    forces = np.array([prediction.forces_eV_per_A for prediction in predictions])
    stresses = [one.stress_eV_per_A3 for one in predictions if one.stress_eV_per_A3 is not None]
    return Prediction(
        energy_eV=float(energies.mean()),
        forces_eV_per_A=forces.mean(axis=0),
        stress_eV_per_A3=np.mean(stresses, axis=0) if len(stresses) == len(predictions) else None,
        energy_spread_eV=float(energies.std()),
        forces_spread_eV_per_A=np.sqrt(((forces - forces.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0)),
    )
