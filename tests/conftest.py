"""A MACE model file that needs no download."""

from __future__ import annotations

import contextlib
import getpass
import io
import os
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: its threads spin, and tests call functions directly too

import numpy as np
import pytest
from hypothesis import settings

from philic.potentials.mace import potential as philic_mace

settings.register_profile("steady", derandomize=True, deadline=None)  # the same examples every time: a red run is a change
settings.load_profile("steady")

MACE_ELEMENTS = (6, 9, 19)


@pytest.fixture(scope="session")
def tiny_mace(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a MACE with random weights for C, F and K to a new file; tests that ask for it are skipped without `[mace]`."""
    if find_spec("mace") is None:
        pytest.skip("needs the extra [mace]")

    def write(dtype: str = "float64", heads: tuple[str, ...] = ("Default",)) -> Path:
        path = tmp_path_factory.mktemp("mace") / f"tiny-{dtype}.model"
        write_tiny_mace(path, dtype, heads)
        return path

    return write


@pytest.fixture(scope="session")
def mace_pair(tiny_mace: Callable[..., Path]) -> tuple[Path, Path]:
    """Two files of models that differ: the second gives 1.3 times the interaction energy of the first."""
    one = tiny_mace("float64")
    philic_mace.import_mace()
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.load(one, weights_only=False)
        model.scale_shift.scale *= 1.3
        other = one.with_name("other.model")
        torch.save(model, other)
    return one, other


def write_tiny_mace(path: Path, dtype: str, heads: tuple[str, ...]) -> None:
    """Build a small ScaleShiftMACE with random weights and save it as mace does."""
    philic_mace.import_mace()
    import torch
    from e3nn import o3
    from mace import modules
    from mace.tools import torch_tools

    torch.manual_seed(0)
    interaction = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    with (
        torch_tools.default_dtype(dtype),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # building a model is mace's business, not ours
        model = modules.ScaleShiftMACE(
            r_max=4.5,
            num_bessel=4,
            num_polynomial_cutoff=5,
            max_ell=2,
            interaction_cls=interaction,
            interaction_cls_first=interaction,
            num_interactions=2,
            num_elements=len(MACE_ELEMENTS),
            hidden_irreps=o3.Irreps("8x0e + 8x1o"),
            MLP_irreps=o3.Irreps("8x0e"),
            gate=torch.nn.functional.silu,
            atomic_energies=np.array([[-1.0, -2.0, -0.5]] * len(heads)),
            avg_num_neighbors=10.0,
            atomic_numbers=list(MACE_ELEMENTS),
            correlation=2,
            radial_type="bessel",
            atomic_inter_scale=[1.0] * len(heads),
            atomic_inter_shift=[0.0] * len(heads),
            heads=list(heads),
        )
        torch.save(model, path)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Start a PostgreSQL of our own on a socket; gives a function that makes an empty database and returns its address."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]  # where Debian has it
    folder = tmp_path_factory.mktemp("pg")
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    for part in (folder, *folder.parents[:2]):
        part.chmod(0o755)
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, user)

    def call(*command: str) -> None:
        as_user = ["runuser", "-u", user, "--"] if os.geteuid() == 0 else []
        subprocess.run([*as_user, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")

    call(str(programs / "initdb"), "-A", "trust", "-N", "-D", f"{folder}/data")
    control = [str(programs / "pg_ctl"), "-w", "-D", f"{folder}/data", "-l", f"{folder}/log"]
    call(*control, "-o", f"-k {folder} -c listen_addresses=''", "start")
    names = (f"test{number}" for number in count())

    def new() -> str:
        name = next(names)
        call(str(programs / "createdb"), "-h", str(folder), name)
        return f"postgresql://{user}@/{name}?host={folder}"

    yield new
    call(*control, "-m", "immediate", "stop")
