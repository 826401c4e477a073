"""Calculators for the tests of settings files: one that works in files, others that go wrong."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from ase.calculators.calculator import CalculationFailed, Calculator, SCFError
from ase.calculators.emt import EMT
from ase.io import read, write

SCRIPT = (
    "from ase.io import read; from ase.calculators.emt import EMT; import json;"
    "a = read('in.xyz'); a.calc = EMT(); print(json.dumps([a.get_potential_energy(), a.get_forces().tolist()]))"
)


class FileEMT(Calculator):
    """EMT in a program of its own: input, command and output are files."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, *_, **__):
        Path(os.environ["SEEN"], "folder").write_text(os.getcwd())
        write("in.xyz", atoms, format="extxyz")
        assert len(read("in.xyz")) == len(atoms)
        with open("out.txt", "w") as out:
            subprocess.run([sys.executable, "-c", SCRIPT], stdout=out, check=True)
        energy, forces = json.loads(Path("out.txt").read_text())
        self.results = {"energy": energy, "forces": np.array(forces)}


class Failing(EMT):
    """Writes a last word and fails."""

    def calculate(self, *_, **__):
        Path("out.txt").write_text("starting\nno licence left\n")
        raise CalculationFailed("the program ended with status 1")


class Unconverged(EMT):
    """Fails for aluminium only."""

    def calculate(self, atoms=None, *more, **named):
        if "Al" in atoms.symbols:
            raise SCFError("not converged after 150 iterations")
        super().calculate(atoms, *more, **named)


class Sleepy(EMT):
    """Takes its time."""

    def calculate(self, *given, **named):
        time.sleep(0.15)
        super().calculate(*given, **named)


class Single(EMT):
    """Rounds to single precision."""

    def calculate(self, *given, **named):
        super().calculate(*given, **named)
        self.results["forces"] = self.results["forces"].astype(np.float32).astype(float)


class Crystals(EMT):
    """Knows a lattice only where all its vectors are periodic, as Nequix 0.4.5 does."""

    def calculate(self, atoms=None, *given, **named):
        atoms = atoms.copy()
        atoms.pbc = atoms.pbc.all()
        super().calculate(atoms, *given, **named)


class Nothing(EMT):
    """Gives no number."""

    def calculate(self, *given, **named):
        super().calculate(*given, **named)
        self.results["energy"] = np.nan


class Leaving(EMT):
    """Ends the process."""

    def calculate(self, *_, **__):
        os._exit(3)


class Late(Calculator):
    """Knows small cells only."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, *_, **__):
        self.results = {"energy": 0.0 if len(atoms) < 3 else np.nan, "forces": np.zeros((len(atoms), 3))}
