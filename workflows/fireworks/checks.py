"""Whether what `cluster.yaml` says is true on this machine."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from ..cluster.queues import QUEUES, QueueError, script
from ..cluster.settings import Cluster
from ..stores.opening import open_store
from .launchpads import read_launchpad

PROGRAMS = {"slurm": ("sbatch", "squeue", "scancel"), "pbs": ("qsub", "qstat", "qdel"), "local": ("bash",)}


def checks(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Yield what was tried, and what is wrong with it; an empty sentence where nothing is."""
    yield f"folder: {cluster.folder} can be written", _unwritable(cluster.folder)
    yield f"store: {cluster.store} can be opened", _closed(cluster.store)
    missing = [name for name in PROGRAMS[cluster.queue] if not shutil.which(name)]
    yield f"queue: the commands of {cluster.queue} are here", f"{', '.join(missing)} missing" if missing else ""
    if not missing:
        yield f"queue: {cluster.queue} answers", _silent(cluster)
    if cluster.queue == "slurm" and not missing:
        yield "queue: sbatch would take the job", _refused(cluster)
    yield "setup: its lines run, and find the command `philic`", _unready(cluster)
    if cluster.launchpad:
        try:
            read_launchpad(cluster.launchpad).fireworks.count_documents({})
            yield f"launchpad: {cluster.launchpad} answers", ""
        except Exception as error:
            yield f"launchpad: {cluster.launchpad} answers", str(error).splitlines()[0]


def _unwritable(folder: Path) -> str:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{uuid.uuid4().hex}"
        probe.touch()
        probe.rename(probe.with_name(f"{probe.name}.moved")).unlink()
    except OSError as error:
        return f"{error.strerror}"
    return ""


def _closed(store: str) -> str:
    try:
        open_store(store).close()
    except ValueError as error:
        return str(error)
    return ""


def _silent(cluster: Cluster) -> str:
    try:
        QUEUES[cluster.queue]().states()
    except QueueError as error:
        return str(error)
    return ""


def _refused(cluster: Cluster) -> str:
    """Ask Slurm whether it would take the job; nothing is handed in."""
    ran = subprocess.run(
        ["sbatch", "--test-only"], input=script(cluster, cluster.folder, "philic-check"), capture_output=True, text=True
    )
    return "" if ran.returncode == 0 else ran.stderr.strip().splitlines()[-1]


def _unready(cluster: Cluster) -> str:
    if cluster.queue == "local" and not cluster.setup:
        return ""  # the command that checks is the one that runs
    lines = "\n".join(["set -e", *cluster.setup, "command -v philic"])
    ran = subprocess.run(["bash", "-c", lines], capture_output=True, text=True)
    if ran.returncode == 0:
        return ""
    return (ran.stderr.strip().splitlines() or ["no command `philic`: activate its environment in `setup`"])[-1]
