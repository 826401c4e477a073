"""The step functions and structure builders that a flow can name: one entry each.

A version goes up whenever the function's numbers change, so that old results are not taken for new ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...structures.defects.defects import with_vacancy
from ...structures.defects.freezing import freeze_except
from ...structures.defects.voids import fill_void
from ...structures.jumps.hop_ends import hop_end
from ...structures.sites.adatoms import place_adatoms
from ...structures.sites.islands import place_island
from ...structures.surfaces.recut import recut, stretched
from ...structures.surfaces.slabs import slab
from ...structures.symmetry.equivalents import imaged
from ..analyses.adsorption import adsorption
from ..analyses.calibration import calibrated, calibration, reference_calibration
from ..analyses.gate import gate
from ..analyses.glass import glass
from ..analyses.hopping import hopping
from ..analyses.migration import migration
from ..analyses.report_card import report_card
from ..analyses.wetting import wetting
from ..dynamics.md import md
from ..neb.neb import neb
from ..steps.bulk import bulk_modulus
from ..steps.elastic import elastic_constants
from ..steps.relax import relax
from ..steps.single_point import single_point
from ..steps.vibrations import vibrations
from ..transport.conduction import arrhenius_of_runs, sites_of_run, transport_of_run


@dataclass(frozen=True)
class Registered:
    """A function that a flow names, and its version.

    Attributes
    ----------
    function
        A step function ``(structures, potential, *, watch, **parameters)`` that yields ``(index, outcome)``, an analysis
        ``(parents, **parameters) -> Outcome``, or a builder ``(atoms, **parameters) -> Atoms``.
    version
        Goes up when the numbers change.
    expected_force_calls
        What a structure usually takes, for estimates.
    needs
        What else a step function is given, a list by structure each: ``parents`` (results by role), ``memories`` (see
        `steps.together`), ``slow_memories`` (the same, for potentials whose calls take seconds) and ``folders`` (where it
        may keep files). An analysis is given its parents' ``folders`` by role.
    stopping
        Parameters that set where it stops but not how it gets there: steps that differ in nothing else share one memory
        and one folder.
    each
        Parameters that may differ between the structures of one call, and are given as a list.
    shown
        Parameters that are always in the key, even at their default. Other defaults are not, so a parameter that is added
        later changes no key.
    """

    function: Callable[..., Any]
    version: int
    expected_force_calls: int = 0
    needs: frozenset[str] = frozenset()
    stopping: frozenset[str] = frozenset()
    each: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()


STEPS = {
    "relax": Registered(
        relax,
        2,
        expected_force_calls=32,
        needs=frozenset({"slow_memories"}),
        stopping=frozenset({"fmax_eV_per_A", "max_steps"}),
        shown=frozenset({"fmax_eV_per_A", "max_steps"}),
    ),
    "single_point": Registered(single_point, 1, expected_force_calls=1),
    "bulk_modulus": Registered(bulk_modulus, 1, expected_force_calls=7),
    "elastic_constants": Registered(elastic_constants, 2, expected_force_calls=40, needs=frozenset({"slow_memories"})),
    "adsorption": Registered(adsorption, 1),
    "reference_calibration": Registered(reference_calibration, 1),
    "calibration": Registered(calibration, 1),
    "calibrated": Registered(calibrated, 1),
    "gate": Registered(gate, 2),
    "report_card": Registered(report_card, 1),
    "migration": Registered(migration, 3),
    "hopping": Registered(hopping, 4),
    "neb": Registered(
        neb,
        4,
        expected_force_calls=40,
        needs=frozenset({"parents", "memories"}),
        stopping=frozenset({"fmax_eV_per_A", "max_iterations"}),
        shown=frozenset({"fmax_eV_per_A", "max_iterations", "image_spacing_A"}),
    ),
    "md": Registered(
        md,
        3,
        needs=frozenset({"folders"}),
        stopping=frozenset({"steps"}),
        each=frozenset({"temperature_K", "seed"}),
        shown=frozenset({"seed", "thermostat"}),
    ),
    "transport": Registered(transport_of_run, 3, needs=frozenset({"folders"})),
    "sites": Registered(sites_of_run, 2, needs=frozenset({"folders"})),
    "arrhenius": Registered(arrhenius_of_runs, 3),
    "glass": Registered(glass, 3, needs=frozenset({"folders"})),
    "wetting": Registered(wetting, 3, needs=frozenset({"folders"})),
    "vibrations": Registered(vibrations, 2, expected_force_calls=121, needs=frozenset({"memories"})),
}

BUILDERS = {
    "freeze_except": Registered(freeze_except, 1),
    "place_adatoms": Registered(place_adatoms, 1, shown=frozenset({"face"})),
    "fill_void": Registered(fill_void, 1),
    "place_island": Registered(place_island, 1),
    "hop_end": Registered(hop_end, 1),
    "imaged": Registered(imaged, 1),
    "recut": Registered(recut, 1),
    "slab_from_bulk": Registered(slab, 3),
    "stretched": Registered(stretched, 1),
    "with_vacancy": Registered(with_vacancy, 1),
}
