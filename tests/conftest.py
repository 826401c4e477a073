"""A MACE model file that needs no download."""

from __future__ import annotations

import contextlib
import getpass
import io
import os
import platform
import shutil
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: its threads spin, and tests call functions directly too
os.environ.setdefault("PHILIC_DEVICE", "cpu")  # bits are compared, also on a machine with a GPU

import numpy as np
import pytest
from hypothesis import settings

from philic.potentials import Potential
from philic.potentials.devices import Batches
from philic.potentials.mace import potential as philic_mace

settings.register_profile("steady", derandomize=True, deadline=None)  # the same examples every time: a red run is a change
settings.load_profile("steady")

MACE_ELEMENTS = (6, 9, 19)


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep out of the user's folders; commands that tests start inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


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
def in_batches() -> Callable[..., Potential]:
    """Give a CHGNet or MACE on the CPU the batches of a GPU."""

    def collating(potential: Potential, n_rows: int = 10_000) -> Potential:
        predict: partial = potential.predict
        return replace(potential, predict=partial(predict.func, predict.args[0], Batches("cpu", n_rows)))

    return collating


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Start a Slurm of one node, without systemd, cgroups or accounting; needs root."""
    folder, host = tmp_path_factory.mktemp("slurm"), platform.node().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    settings = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        **{"SlurmUser": "root", "SlurmdUser": "root", "AuthType": "auth/munge", "CredType": "cred/munge"},
        **{"ProctrackType": "proctrack/linuxproc", "TaskPlugin": "task/none", "SelectType": "select/cons_tres"},
        **{"JobAcctGatherType": "jobacct_gather/none", "AccountingStorageType": "accounting_storage/none"},
        **{"SlurmctldPort": free_port(), "SlurmdPort": free_port(), "MpiDefault": "none", "ReturnToService": 2},
        **{"SlurmctldPidFile": folder / "ctld.pid", "SlurmdPidFile": folder / "d.pid"},
        **{"StateSaveLocation": folder / "state", "SlurmdSpoolDir": folder / "spool"},
        **{"SlurmctldLogFile": folder / "ctld.log", "SlurmdLogFile": folder / "d.log", "KillWait": 5, "InactiveLimit": 0},
        "SchedulerParameters": "sched_interval=5,bf_interval=5,batch_sched_delay=1,sched_min_interval=0",
    }
    lines = [f"{key}={value}" for key, value in settings.items()]
    lines += [f"NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN"]
    lines += [f"PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP"]
    (folder / "slurm.conf").write_text("\n".join([*lines, ""]))
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    if subprocess.run(["munge", "-n"], capture_output=True).returncode:
        Path("/run/munge").mkdir(exist_ok=True)
        shutil.chown("/run/munge", "munge")
        subprocess.run(["runuser", "-u", "munge", "--", "/usr/sbin/munged"], check=True)
    subprocess.run(["slurmctld"], check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"})
    subprocess.run(["slurmd", "-N", host], check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"})
    for _ in range(300):
        if "idle" in subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True).stdout:
            break
        time.sleep(0.1)
    yield
    subprocess.run(["scancel", "--user", getpass.getuser()])
    subprocess.run(["scontrol", "shutdown"], check=True)


@pytest.fixture(scope="session")
def mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """Start a server of MongoDB's protocol (SecantusDB) in a process of its own: the program that SECANTUSD names."""
    server = MongoServer(os.environ["SECANTUSD"], tmp_path_factory.mktemp("mongodb"), free_port())
    server.start()
    yield server
    server.kill()


class MongoServer:
    """A server that can be killed and started again."""

    def __init__(self, program: str, folder: Path, port: int) -> None:
        self.program, self.folder, self.port = program, folder, port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [self.program, "--port", str(self.port), "--storage-path", str(self.folder / "data")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, "--standalone", "--sync-on-commit"], stdout=log, stderr=log)
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text())

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def launchpad(self, folder: Path) -> Path:
        """Write FireWorks' file for a database of its own."""
        path = folder / "my_launchpad.yaml"
        path.write_text(f"host: localhost\nport: {self.port}\nname: {folder.name.replace('-', '_')}\n")
        path.chmod(0o600)
        return path
