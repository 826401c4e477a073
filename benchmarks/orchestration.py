"""What a step costs beside its calculation: CPU milliseconds for a trivial step, memory, a rerun, and the other engines.

    python benchmarks/orchestration.py [--steps 1000 10000 100000] [--jobflow /environment/bin/python]

A step is a single point of two copper atoms by EMT, given in flows of that many steps; what the bare calculations take is
measured in the same process and subtracted. Each line is of a process of its own.
Plain FireWorks (on the same launchpad in memory) and jobflow's `run_locally` are given an empty function as often, up to
1,000 times: more takes them minutes. jobflow needs an environment of its own: it comes with another mongomock.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LEFT_OUT = 1_000
"""Largest number of steps that the others are given."""


def flow_of(n):
    from ase import Atoms

    from philic.workflows.engine.flow import Flow, Step

    steps = []
    for number in range(n):
        atoms = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2 + number * 1e-6]])
        steps.append(Step("single_point", {}, atoms, potential="emt"))
    return Flow(steps)


def measure_philic(n):
    """A flow of n steps, then the same with one result taken out of the store, then `philic status`."""
    import sqlalchemy as sa

    from philic.potentials import load
    from philic.workflows.fireworks.here import run_here
    from philic.workflows.steps.single_point import single_point
    from philic.workflows.stores import tables
    from philic.workflows.stores.opening import open_store

    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "philic.db")
        flow = flow_of(n)
        store.finished(flow.steps)  # keys are made, modules are loaded
        run_here(flow_of(2), store, "warm")
        bare = timed(lambda: list(single_point([step.structure for step in flow], load("emt"))))
        figures = timed(lambda: run_here(flow, store, "all"))
        figures |= {name: figures[name] - bare[name] for name in ("wall_s", "cpu_s")}
        (key,) = list(flow.steps)[n // 2 : n // 2 + 1]
        with store.engine.begin() as connection:
            connection.execute(sa.delete(tables.results).where(tables.results.c.key == key))
        one = timed(lambda: run_here(flow, store, "one"))
        assert store.finished(flow.steps) == set(flow.steps)
        store.add_run("benchmark", {}, {}, list(flow.steps), "adsorption")
        store.close()
        command = [sys.executable, "-m", "philic.recipes.command_line.cli", "status", "--store", f"{folder}/philic.db"]
        status = timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
    return figures | {"one_missing_s": one["wall_s"], "status_s": status["wall_s"]}


def measure_fireworks(n):
    from fireworks import Firework, FWorker, PyTask, Workflow
    from fireworks.core.rocket_launcher import launch_rocket

    from philic.workflows.fireworks.launchpads import memory_launchpad

    launchpad = memory_launchpad()

    def run():
        launchpad.add_wf(Workflow([Firework(PyTask(func="time.process_time")) for _ in range(n)]))
        while launch_rocket(launchpad, FWorker(), strm_lvl="CRITICAL"):
            pass

    with tempfile.TemporaryDirectory() as folder:
        import contextlib

        with contextlib.chdir(folder), contextlib.redirect_stdout(sys.stderr):
            return timed(run)


def measure_jobflow(n):
    import jobflow

    job = jobflow.job(time.process_time)
    with tempfile.TemporaryDirectory() as folder:
        import contextlib

        with contextlib.chdir(folder):
            flow = jobflow.Flow([job() for _ in range(n)])
            return timed(lambda: jobflow.run_locally(flow, log=False))


def timed(run):
    import resource

    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "memory_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


MEASURES = {"philic": measure_philic, "fireworks": measure_fireworks, "jobflow": measure_jobflow}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--jobflow", default=sys.executable, help="the Python of an environment that has jobflow")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, n = options.one
        print(json.dumps(MEASURES[name](int(n))))
        return
    head = ("steps", "CPU ms a step", "wall ms a step", "peak MB", "one missing s", "status s")
    print(f"{'':10}" + "".join(f"{words:>16}" for words in head))
    for name in MEASURES:
        for n in options.steps:
            if name != "philic" and n > LEFT_OUT:
                continue
            python = options.jobflow if name == "jobflow" else sys.executable
            command = [python, __file__, "--one", name, str(n)]
            ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            if ran.returncode:
                print(f"{name:10}{n:16,}  could not be run here")
                continue
            found = json.loads(ran.stdout.splitlines()[-1])
            each = (1000 * found["cpu_s"] / n, 1000 * found["wall_s"] / n, found["memory_MB"])
            once = [found[key] for key in ("one_missing_s", "status_s") if key in found]
            print(f"{name:10}{n:16,}" + "".join(f"{figure:16.2f}" for figure in (*each, *once)), flush=True)


if __name__ == "__main__":
    main()
