"""Evaluate structures with an ASE calculator: in this process, or as a program that answers JSON lines.

Run as a program, by an interpreter that may know nothing of philic: it needs Python 3.9, NumPy and ASE.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any

TAIL = 8
"""Lines of a failed calculation's output that are kept in the message."""
UNCONVERGED = ("KohnShamConvergenceError", "SCFError")
"""Exceptions of calculators whose electrons did not converge: trying again gives the same."""
_calculators: dict[str, Any] = {}


def construct(value: Any) -> Any:
    """Call every ``{"factory": "module:name", "arguments": {...}}`` in a value, innermost first."""
    if isinstance(value, list):
        return [construct(one) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) <= {"factory", "arguments"} and "factory" in value:
        module, _, name = value["factory"].partition(":")
        made: Any = importlib.import_module(module)
        for part in name.split("."):
            made = getattr(made, part)
        return made(**construct(value.get("arguments", {})))
    return {name: construct(one) for name, one in value.items()}


def evaluate(task: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate one structure.

    ``task`` has ``calculator`` (a factory and its arguments), ``atoms`` (symbols, positions, cell, pbc, magnetic_moments)
    and ``stress``; with ``folder`` the calculator is new and works in a folder of its own, which is left behind when the
    calculation fails. The answer has ``energy``, ``forces``, ``stress`` or None, or else ``error``, and ``unconverged``
    when the electrons did not converge.
    """
    atoms = _atoms(task["atoms"])
    folder = tempfile.mkdtemp(prefix="philic-calculation-") if task["folder"] else None
    before = os.getcwd()
    try:
        if folder:
            os.chdir(folder)
        atoms.calc = construct(task["calculator"]) if folder else _shared(task["calculator"])
        answer = _results(atoms, task["stress"])
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        where = f"; its files are in {folder}{_tail(folder)}" if folder else ""
        trace = traceback.format_exc()
        return {"error": words + where, "unconverged": type(error).__name__ in UNCONVERGED, "traceback": trace}
    finally:
        os.chdir(before)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
    return answer


def _shared(described: Mapping[str, Any]) -> Any:
    """Return the calculator, made once."""
    key = json.dumps(described, sort_keys=True)
    if key not in _calculators:
        _calculators[key] = construct(described)
    return _calculators[key]


def _atoms(given: Mapping[str, Any]) -> Any:
    from ase import Atoms

    moments = given.get("magnetic_moments")
    atoms = Atoms(given["symbols"], given["positions"], cell=given["cell"], pbc=given["pbc"])
    if moments is not None:
        atoms.set_initial_magnetic_moments(moments)
    return atoms


def _results(atoms: Any, stress: bool) -> dict[str, Any]:
    energy = float(atoms.get_potential_energy())
    forces = atoms.get_forces()
    single = str(forces.dtype) == "float32" or bool((forces.astype("float32") == forces).all() and abs(forces).max() > 0)
    tensor = [float(x) for x in atoms.get_stress()] if stress else None
    return {"energy": energy, "forces": forces.tolist(), "stress": tensor, "dtype": "float32" if single else "float64"}


def _tail(folder: str) -> str:
    """Return the last lines that a calculation wrote into its newest text file."""
    paths = [os.path.join(folder, name) for name in os.listdir(folder)]
    for path in sorted(filter(os.path.isfile, paths), key=os.path.getmtime, reverse=True):
        try:
            with open(path, encoding="utf-8") as file:
                lines = [line.rstrip() for line in file if line.strip()]
        except UnicodeDecodeError:
            continue
        if lines:
            return f", where {os.path.basename(path)} ends: {' | '.join(lines[-TAIL:])}"
    return ""


def _end_with(parent: int) -> None:
    """End this process and what it started when the process that asks is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def serve() -> None:
    """Answer one JSON line for each that comes; what calculators print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    for line in sys.stdin:
        answers.write(json.dumps(evaluate(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its files are modules of philic
    serve()
