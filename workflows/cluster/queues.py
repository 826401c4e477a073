"""Queues: hand in a job, ask which jobs are there, cancel them. Slurm, PBS, and processes on this machine."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from .settings import Cluster

TIMEOUT_S = 60
TRIES = 4
"""How often a command of the queue is tried; the wait between doubles from `FIRST_WAIT_S`."""
FIRST_WAIT_S = 2.0


class QueueError(RuntimeError):
    """A command of the queue failed: its sentence."""


class Queue(Protocol):
    """What takes jobs."""

    def submit(self, script: Path) -> str:
        """Hand in a job and return its id."""

    def states(self) -> Mapping[str, str]:
        """Return the state of every job of this user that is waiting or running, by id. A failed question raises."""

    def cancel(self, jobs: Collection[str]) -> None:
        """End jobs; those that are gone are no error."""


class Slurm:
    """Slurm, by sbatch, squeue and scancel."""

    def submit(self, script: Path) -> str:
        """Hand in a job."""
        said = call(["sbatch", "--parsable", str(script)], tries=1)
        return said.strip().split(";")[0]

    def states(self) -> Mapping[str, str]:
        """Ask squeue."""
        said = call(["squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i %T"])
        return dict(line.split(maxsplit=1) for line in said.splitlines() if len(line.split()) == 2)

    def cancel(self, jobs: Collection[str]) -> None:
        """Ask scancel; the batch script gets SIGTERM first."""
        if jobs:
            call(["scancel", "--full", "--signal=TERM", *sorted(jobs)], tries=2, may_fail=True)
            call(["scancel", *sorted(jobs)], tries=2, may_fail=True)


class Pbs:
    """PBS, by qsub, qstat and qdel."""

    def submit(self, script: Path) -> str:
        """Hand in a job."""
        return call(["qsub", str(script)], tries=1).strip()

    def states(self) -> Mapping[str, str]:
        """Ask qstat; its lines begin with the job and have the state in the column before last."""
        said = call(["qstat", "-u", getpass.getuser()])
        rows = [line.split() for line in said.splitlines() if re.match(r"\s*\d+", line)]
        return {row[0]: row[-2] for row in rows}

    def cancel(self, jobs: Collection[str]) -> None:
        """Ask qdel."""
        if jobs:
            call(["qdel", *sorted(jobs)], tries=2, may_fail=True)


class Local:
    """Processes on this machine; a job is the id of one."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def submit(self, script: Path) -> str:
        """Start a process of its own session."""
        with script.with_suffix(".out").open("ab") as log:
            process = subprocess.Popen(
                ["bash", str(script)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.processes[str(process.pid)] = process
        return str(process.pid)

    def states(self) -> Mapping[str, str]:
        """Look which are alive, those that an earlier submitter started included."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                del self.processes[name]
        return {path.name: "RUNNING" for path in Path("/proc").iterdir() if path.name.isdigit() and _is_ours(path)}

    def cancel(self, jobs: Collection[str]) -> None:
        """Ask processes to stop, with everything they started."""
        for job in jobs:
            if _is_ours(Path("/proc", job)):
                os.killpg(int(job), signal.SIGTERM)


def _is_ours(process: Path) -> bool:
    """Whether a process runs one of our job scripts."""
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        ours = words[0] == b"bash" and re.search(rb"/jobs/philic-[0-9a-f]+\.sh$", words[1])
        return bool(ours) and process.stat().st_uid == os.getuid()
    except (OSError, IndexError):
        return False


QUEUES: Mapping[str, type[Queue]] = {"slurm": Slurm, "pbs": Pbs, "local": Local}


def call(command: Sequence[str], *, tries: int = TRIES, may_fail: bool = False) -> str:
    """Run a command of the queue, again after a wait where it fails, and return what it printed.

    Raises
    ------
    QueueError
        If it failed each time: what it said, or that it is missing or did not answer.
    """
    for number in range(tries):
        if number:
            time.sleep(FIRST_WAIT_S * 2 ** (number - 1))
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        except FileNotFoundError as error:
            raise QueueError(f"the command `{command[0]}` is missing: is this a machine of the cluster?") from error
        except subprocess.TimeoutExpired:
            problem = f"it did not answer in {TIMEOUT_S} s"
            continue
        if ran.returncode == 0 or may_fail:
            return ran.stdout
        problem = (ran.stderr.strip() or ran.stdout.strip() or f"it ended with status {ran.returncode}").splitlines()[-1]
    raise QueueError(f"`{command[0]}` failed: {problem}")


def script(cluster: Cluster, folder: Path, name: str) -> str:
    """Write the script of a job: the header of the queue, the set-up lines, and the workers.

    The job knows when it will be killed; the queue sends SIGTERM before, too.
    """
    environment = {
        "PHILIC_DEVICE": cluster.device,
        "PHILIC_THREADS": str(cluster.threads),
        "OMP_NUM_THREADS": str(cluster.threads),
    }
    lines = ["#!/bin/bash", *_header(cluster, folder, name), *cluster.header]
    lines += [f"UNTIL=$(( $(date +%s) + {cluster.time} ))" if cluster.queue != "local" else "UNTIL="]
    lines += [f"export {key}={shlex.quote(value)}" for key, value in environment.items()]
    lines += ["export PHILIC_JOB_ID=$$"] if cluster.queue == "local" else []
    lines += cluster.setup
    here = cluster.queue == "local" and not cluster.setup
    program = shlex.join([sys.executable, "-m", "philic.recipes.command_line.cli"]) if here else "philic"
    command = f"{program} work" + (" --until $UNTIL" if cluster.queue != "local" else "")
    place = shlex.join(["--launchpad", str(cluster.launchpad)] if cluster.launchpad else ["--folder", str(cluster.folder)])
    lines += [
        "trap 'kill -TERM $(jobs -p) 2>/dev/null' TERM INT USR1",
        f"for i in $(seq 0 {cluster.workers - 1}); do {_gpu(cluster)}{command} {place} & done",
        'while [ -n "$(jobs -pr)" ]; do wait; done',
    ]
    return "\n".join([*lines, ""])


def _gpu(cluster: Cluster) -> str:
    """Let the workers of a job with several GPUs take turns with them, of those that the queue gave it."""
    if cluster.gpus < 2:
        return ""
    numbers = ",".join(map(str, range(cluster.gpus)))
    return (
        f"GPUS=($(tr , ' ' <<< ${{CUDA_VISIBLE_DEVICES:-{numbers}}})); CUDA_VISIBLE_DEVICES=${{GPUS[i % {cluster.gpus}]}} "
    )


def _header(cluster: Cluster, folder: Path, name: str) -> list[str]:
    output = folder / f"{name}.out"
    hours, seconds = divmod(cluster.time, 3600)
    clock = f"{hours}:{seconds // 60:02d}:{seconds % 60:02d}"
    if cluster.queue == "slurm":
        asked = {
            "--job-name": name,
            "--output": str(output),
            "--time": clock,
            "--nodes": "1",
            "--ntasks": "1",
            "--cpus-per-task": str(cluster.cores),
            "--account": cluster.account,
            "--partition": cluster.partition,
            "--mem": cluster.memory,
            "--gpus-per-node": str(cluster.gpus) if cluster.gpus else None,
            "--signal": "B:TERM@30",
            "--open-mode": "append",
        }
        return [f"#SBATCH {key}={value}" for key, value in asked.items() if value]
    if cluster.queue == "pbs":
        select = f"select=1:ncpus={cluster.cores}"
        select += f":ngpus={cluster.gpus}" if cluster.gpus else ""
        select += f":mem={cluster.memory}" if cluster.memory else ""
        lines = [f"#PBS -N {name[:15]}", f"#PBS -o {output}", "#PBS -j oe", f"#PBS -l walltime={clock}", f"#PBS -l {select}"]
        lines += [f"#PBS -A {cluster.account}"] if cluster.account else []
        return lines + ([f"#PBS -q {cluster.partition}"] if cluster.partition else [])
    return []
