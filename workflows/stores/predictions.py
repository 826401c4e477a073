"""A prediction as a row of numbers, as stores keep it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...potentials.base import Prediction


def packed(prediction: Prediction) -> NDArray[np.float64]:
    """Write energy and forces in a row; where there is a stress, it and a mark follow, so that the length tells."""
    stress = prediction.stress_eV_per_A3
    return np.concatenate(
        [[prediction.energy_eV], prediction.forces_eV_per_A.ravel(), [] if stress is None else [*stress, 0.0]]
    )


def unpacked(numbers: NDArray[np.float64]) -> Prediction:
    """Read what `packed` wrote."""
    if len(numbers) % 3 == 1:
        return Prediction(float(numbers[0]), numbers[1:].reshape(-1, 3))
    return Prediction(float(numbers[0]), numbers[1:-7].reshape(-1, 3), numbers[-7:-1])
