"""A prediction as bytes, as stores keep it: a checksum, and numbers of eight bytes."""

from __future__ import annotations

import zlib

import numpy as np

from ...potentials.base import Prediction


def packed(digest: str, prediction: Prediction) -> bytes:
    """Write energy and forces, of the structure that has this digest.

    Where there is a stress, it and a mark follow, so that the length tells.
    """
    stress = prediction.stress_eV_per_A3
    last = [] if stress is None else [*stress, 0.0]
    numbers = np.concatenate([[prediction.energy_eV], prediction.forces_eV_per_A.ravel(), last]).tobytes()
    return _checksum(digest, numbers) + numbers


def unpacked(digest: str, content: bytes) -> Prediction | None:
    """Read what `packed` wrote; nothing where a byte of it changed: it is computed again."""
    check, numbers = content[:4], content[4:]
    if check != _checksum(digest, numbers):
        return None
    row = np.frombuffer(numbers)
    if len(row) % 3 == 1:
        return Prediction(float(row[0]), row[1:].reshape(-1, 3))
    return Prediction(float(row[0]), row[1:-7].reshape(-1, 3), row[-7:-1])


def _checksum(digest: str, numbers: bytes) -> bytes:
    return zlib.crc32(digest.encode() + numbers).to_bytes(4, "little")
