"""What a trained weights file says of itself: a JSON file beside it, read without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def record_of(weights: Path) -> Path:
    """Return where the record of a weights file is: the same name, ``.json`` instead of ``.model`` or ``.pth.tar``."""
    return weights.with_name(weights.name.removesuffix(".model").removesuffix(".pth.tar") + ".json")


def read(weights: Path) -> dict[str, Any]:
    """Return the record of a weights file; empty where there is none.

    Raises
    ------
    ValueError
        The file beside it is no record.
    """
    path = record_of(weights)
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        {key: found[key] for key in ("functional", "training_set", "elements")}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"`{path}` is not the record of {weights.name} (`philic train` writes it): move it away") from error
    return dict(found)


def write(weights: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a weights file."""
    record_of(weights).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
