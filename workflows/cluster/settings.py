"""`cluster.yaml`: where a run goes, which queue takes it, and what its jobs need."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    ValidationInfo,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

FILE = "cluster.yaml"
TEMPLATE = """\
# Where philic sends its jobs. `philic cluster check` tests every line.

queue: slurm             # slurm, pbs, or local: processes on this machine
# account: my-project    # who pays
# partition: short       # partition of Slurm, queue of PBS
time: "04:00:00"         # walltime of a job, H:MM:SS; unfinished work is handed to the next job
cores: 1                 # cores of a job; each runs a worker, unless `threads` says otherwise
gpus: 0                  # GPUs of a job
# memory: 8G             # memory of a job
jobs: 4                  # jobs at once, at most

# Further lines of the job's header, as the queue wants them: "#SBATCH --constraint=avx2"
header: []
# What a job runs first, so that the command `philic` is there: modules, a virtual environment.
setup: []
# - module load python/3.11
# - source ~/philic/bin/activate

# Packs of work and trajectories: a folder that this machine and the compute nodes share.
folder: {folder}
# The results: a file on a disk of this machine, or postgresql://USER@HOST/DATABASE.
store: {store}
# FireWorks' file for a launchpad on MongoDB; without it no server is needed.
# launchpad: my_launchpad.yaml

device: auto             # auto, cpu, cuda or cuda:1
threads: 1               # cores for one structure: more pay for large ones alone, and the last bits may then differ
"""
SHORTEST_S = 60.0
"""Estimated seconds of a pack that is worth a Firework of its own."""
NO_SHELL = re.compile(r"^[\w.,:@%+=/\-]+$")


def _plain(value: str | None, info: ValidationInfo) -> str | None:
    if value is not None and not NO_SHELL.match(value):
        raise ValueError(f"`{info.field_name}` is {value!r} but may hold letters, digits and .,:@%+=/-_ only")
    return value


def _seconds(value: Any) -> Any:
    """Read ``H:MM:SS``, or seconds where YAML has made them of it."""
    if isinstance(value, str) and (parts := re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?", value)):
        days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
        return ((24 * days + hours) * 60 + minutes) * 60 + seconds
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"`time` is {value!r} but must be hours, minutes and seconds, such as 04:00:00")


def _lines(value: Any) -> Any:
    return value.splitlines() if isinstance(value, str) else value or []


Name = Annotated[str | None, AfterValidator(_plain)]
Walltime = Annotated[int, BeforeValidator(_seconds), Field(ge=60)]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
Lines = Annotated[tuple[str, ...], BeforeValidator(_lines)]


class Cluster(BaseModel):
    """What `cluster.yaml` says; every path is absolute."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queue: Literal["slurm", "pbs", "local"] = Field(description="which queue takes the jobs")
    folder: Path = Field(description="packs of work and trajectories, shared with the compute nodes")
    store: str = Field("philic.db", description="the results")
    launchpad: Path | None = Field(None, description="FireWorks' file for a launchpad on MongoDB")
    account: Name = Field(None, description="who pays")
    partition: Name = Field(None, description="partition of Slurm, queue of PBS")
    time: Walltime = Field(4 * 3600, description="walltime of a job, in seconds")
    cores: PositiveInt = Field(1, description="cores of a job")
    gpus: int = Field(0, ge=0, description="GPUs of a job")
    memory: Name = Field(None, description="memory of a job")
    jobs: PositiveInt = Field(4, description="jobs at once, at most")
    header: Lines = Field((), description="further lines of the job's header")
    setup: Lines = Field((), description="what a job runs first")
    device: Device = Field("auto", description="auto, cpu, cuda or cuda:1")
    threads: PositiveInt = Field(1, description="cores for one structure")

    @property
    def workers(self) -> int:
        """Workers in a job: they share its cores."""
        return max(1, self.cores // self.threads)

    def longest_s(self, total_s: float, jobs: int) -> float:
        """Return how long a pack may take: it fills the walltime, but leaves every worker a few packs."""
        return max(SHORTEST_S, min(self.time / 2, total_s / (3 * jobs * self.workers)))

    @property
    def work(self) -> Path:
        """The folder for trajectories."""
        return self.folder / "work"


def find() -> Path | None:
    """Return the path of the nearest `cluster.yaml`: in this folder, else in the user's configuration."""
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "philic"
    return next((folder / FILE for folder in (Path.cwd(), configuration) if (folder / FILE).is_file()), None)


def read(path: Path | None = None) -> Cluster:
    """Read `cluster.yaml`.

    Raises
    ------
    ValueError
        If there is none, another could have written into it, it is no YAML, or a line is wrong.
    """
    path = path or find()
    if path is None:
        raise ValueError(f"there is no {FILE} here or in ~/.config/philic: `philic cluster init` writes one")
    if not path.is_file():
        raise ValueError(f"`{path}` does not exist: `philic cluster init` writes one")
    if path.stat().st_mode & 0o022:
        raise ValueError(f"`{path}` can be written by others, and its set-up lines are run: chmod go-w {path}")
    try:
        content = YAML(typ="safe").load(path)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is empty: `philic cluster init` writes one with comments")
    try:
        found = Cluster.model_validate(content)
    except ValidationError as error:
        raise ValueError("\n".join(_sentence(path, dict(one)) for one in error.errors())) from error
    base = path.absolute().parent
    update: dict[str, Any] = {}
    for name in ("folder", "launchpad"):
        if value := getattr(found, name):
            update[name] = base / Path(value).expanduser()
    if "://" not in found.store:
        update["store"] = str(base / Path(found.store).expanduser())
    return found.model_copy(update=update)


def write_template(path: Path) -> None:
    """Write a `cluster.yaml` with comments.

    Raises
    ------
    ValueError
        If there is a file already: it is left as it is.
    """
    if path.exists():
        raise ValueError(f"`{path}` is there already: edit it, or remove it first")
    home = path.absolute().parent
    path.write_text(TEMPLATE.format(folder=home / "philic.cluster", store=home / "philic.db"), encoding="utf-8")
    path.chmod(0o644)


def _sentence(path: Path, error: dict[str, Any]) -> str:
    key = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return f"{path.name}: `{key}` is not a key of it; the keys are: {', '.join(Cluster.model_fields)}"
    if error["type"] == "missing":
        return f"{path.name}: `{key}` is missing: {Cluster.model_fields[key].description}"
    if error["type"] == "value_error":
        return f"{path.name}: {error['ctx']['error']}"
    return f"{path.name}: `{key}` is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"
