"""Commands of a queue: real programs that fail, hang or answer, first on the path."""

import os
import shutil
import subprocess
import sys

import pytest

from philic.workflows.cluster import queues
from philic.workflows.cluster.queues import Pbs, QueueError, Slurm, call, script
from philic.workflows.cluster.settings import Cluster


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A function that writes a program which is found first."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(queues, "FIRST_WAIT_S", 0.01)

    def write(name, text):
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)

    return write


def test_a_question_that_fails_is_asked_again(programs, tmp_path):
    programs(
        "squeue",
        f'echo x >> {tmp_path}/n; [ $(wc -l < {tmp_path}/n) -gt 2 ] && echo "7 RUNNING" || {{ echo busy >&2; exit 1; }}',
    )
    assert Slurm().states() == {"7": "RUNNING"}
    assert (tmp_path / "n").read_text() == "x\nx\nx\n"


def test_what_the_queue_said_last_is_the_sentence(programs):
    programs("squeue", "echo first >&2; echo slurm_load_jobs error: Socket timed out on send/recv operation >&2; exit 1")
    with pytest.raises(QueueError, match="`squeue` failed: slurm_load_jobs error: Socket timed out on send/recv operation"):
        Slurm().states()


def test_a_command_that_hangs_is_given_up(programs, monkeypatch):
    monkeypatch.setattr(queues, "TIMEOUT_S", 0.2)
    programs("squeue", "exec sleep 20")
    with pytest.raises(QueueError, match=r"`squeue` failed: it did not answer in 0.2 s"):
        Slurm().states()


def test_a_missing_command_is_named():
    with pytest.raises(QueueError, match="the command `no-such-queue` is missing: is this a machine of the cluster"):
        call(["no-such-queue"])


def test_a_job_is_handed_in_once_even_if_that_fails(programs, tmp_path):
    """Whether a failed sbatch has taken the job is not known: another try could double it."""
    programs("sbatch", f"echo x >> {tmp_path}/n; exit 1")
    with pytest.raises(QueueError):
        Slurm().submit(tmp_path / "job.sh")
    assert (tmp_path / "n").read_text() == "x\n"


def test_pbs_as_its_documentation_prints(programs):
    programs(
        "qstat",
        """cat <<'E'

server:
                                                            Req'd  Req'd   Elap
Job ID          Username Queue    Jobname    SessID NDS TSK Memory Time  S Time
--------------- -------- -------- ---------- ------ --- --- ------ ----- - -----
16.server       me       workq    philic-18a   2345   1   1    --  04:00 R 00:01
17.server       me       workq    philic-18b    --    1   1    --  04:00 Q   --
E""",
    )
    assert Pbs().states() == {"16.server": "R", "17.server": "Q"}


@pytest.mark.parametrize("queue", ["slurm", "pbs", "local"])
def test_a_script_is_sound_shell_and_says_what_was_asked(tmp_path, queue):
    asked = {"queue": queue, "folder": tmp_path / "a b", "account": "p-1", "partition": "short", "cores": 4, "gpus": 2}
    cluster = Cluster.model_validate({**asked, "time": "01:30:00", "memory": "8G", "threads": 2, "setup": ["module load x"]})
    text = script(cluster, tmp_path / "jobs", "philic-1")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    assert "module load x" in text
    assert "seq 0 1" in text  # two workers of two threads
    assert f"--folder '{tmp_path}/a b'" in text
    header = [line for line in text.splitlines() if line.startswith("#")]
    expected = {
        "slurm": [
            "--account=p-1",
            "--partition=short",
            "--time=1:30:00",
            "--mem=8G",
            "--gpus-per-node=2",
            "--cpus-per-task=4",
        ],
        "pbs": ["walltime=1:30:00", "select=1:ncpus=4:ngpus=2:mem=8G", "-A p-1", "-q short"],
        "local": [],
    }
    assert all(any(words in line for line in header) for words in expected[queue])


def test_workers_take_turns_with_gpus(tmp_path):
    cluster = Cluster.model_validate({"queue": "slurm", "folder": tmp_path, "cores": 3, "gpus": 2})
    text = script(cluster, tmp_path, "x").replace("philic work", f"echo $CUDA_VISIBLE_DEVICES; {shutil.which('true')}")
    (loop,) = [line for line in text.splitlines() if line.startswith("for i in")]
    loop = loop.replace(" & done", "; done").replace(
        "echo $CUDA_VISIBLE_DEVICES; ", f"{sys.executable} -c 'import os; print(os.environ[\"CUDA_VISIBLE_DEVICES\"])'; "
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "3,5"}
    ran = subprocess.run(["bash", "-c", loop], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout.split() == ["3", "5", "3"]
