"""What `philic status` prints: runs, packs, jobs, and steps that crashed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ...workflows.cluster.keeper import keeper
from ...workflows.cluster.settings import Cluster
from ...workflows.cluster.spool import RUNNING, Spool
from ...workflows.cluster.status import SILENT_S, PackStatus, RunStatus, known, packs_of, runs_of
from ...workflows.stores.store import MOST_TRIES, Store

AT_MOST = 20
"""Packs and crashed steps that are printed."""


def status_tables(
    store: Store, spool: Spool | None, run: int | None = None, cluster: Cluster | None = None
) -> list[RenderableType]:
    """Say how far runs are."""
    runs = runs_of(store, spool, run)
    if not runs:
        return [Text(f"there is no run{f' {run}' if run else ''} in {store.address}")]
    packs = [pack for pack in packs_of(spool) if pack.run in {one.run.id for one in runs}] if spool else []
    if cluster and cluster.launchpad:
        from ...workflows.fireworks import pull

        packs = [pack for one in runs if one.run.state.open for pack in pull.packs_of(cluster, store.address, one.run.id)]
    jobs = known(spool).get("jobs") if spool else None
    tables: list[RenderableType] = [_runs_table(runs, packs)]
    if packs:
        tables.append(_packs_table(packs, jobs or {}))
    if any(one.interrupted for one in runs):
        tables.append(Text("interrupted: nobody is at work on it; the same `philic run` goes on where it was"))
    if troubles := _troubles(runs):
        tables.append(Text("\n".join(troubles)))
    if spool and any(one.run.state.open for one in runs):
        tables.append(Text(_keeper_line(spool, jobs)))
        if trouble := known(spool).get("trouble"):
            tables.append(Text(trouble))
    return tables


def _runs_table(runs: Sequence[RunStatus], packs: Sequence[PackStatus]) -> Table:
    table = Table("run", "recipe", "state", "steps", "done", "crashed", "packs", "left", "since", box=None, pad_edge=False)
    for one in runs:
        ours = [pack for pack in packs if pack.run == one.run.id]
        running = sum(pack.place == RUNNING for pack in ours)
        table.add_row(
            str(one.run.id),
            one.run.recipe,
            "interrupted" if one.interrupted else one.run.state.value,
            str(len(one.run.keys)),
            str(one.finished),
            str(len(one.troubles)),
            f"{running} running, {len(ours) - running} ready" if ours else "",
            _left(one, running),
            one.run.created.replace("T", " ")[:16],
        )
    return table


def _left(one: RunStatus, running: int) -> str:
    """Estimate the time left with as many workers as there are now; the share of steps that is done stands for the work."""
    if one.left_s is None or not running or one.finished == len(one.run.keys):
        return ""
    share = 1 - one.finished / len(one.run.keys)
    minutes = one.left_s * share / running / 60
    return f"about {minutes:.0f} min" if minutes >= 1 else "about a minute"


def _packs_table(packs: Sequence[PackStatus], jobs: dict[str, str]) -> Table:
    table = Table("pack", "state", "steps", "job", "worker", "last sign", box=None, pad_edge=False)
    for pack in packs[:AT_MOST]:
        silent = f"{pack.silent_s:.0f} s ago" if pack.worker else ""
        lost = " (lost? philic retry --lost)" if pack.silent_s > SILENT_S else ""
        job = f"{pack.job} {jobs.get(pack.job, '').lower()}".strip()
        table.add_row(pack.title, pack.place, f"{pack.n_done} of {pack.n_steps}", job, pack.worker, silent + lost)
    if len(packs) > AT_MOST:
        table.add_row(f"and {len(packs) - AT_MOST} more", "", "", "", "", "")
    return table


def _troubles(runs: Sequence[RunStatus]) -> list[str]:
    lines = [f"run {one.run.id} was stopped: {one.run.message}" for one in runs if one.run.message]
    for one in runs:
        for trouble in one.troubles[:AT_MOST]:
            given_up = trouble.tries >= MOST_TRIES
            what = f"quarantined after {trouble.tries} tries" if given_up else f"crashed {trouble.tries} times, tried again"
            lines.append(f"{trouble.title}: {what}: {trouble.message}")
        if any(trouble.tries >= MOST_TRIES for trouble in one.troubles):
            lines.append(f"philic retry {one.run.id} tries the quarantined steps again")
    return lines


def _keeper_line(spool: Spool, jobs: dict[str, str] | None) -> str:
    who = keeper(spool)
    if who is None or not who.alive:
        return "no submitter is at work: philic watch starts one"
    queued = (
        f"{len(jobs)} jobs of yours in the queue" if jobs is not None else "the queue does not answer: see submitter.log"
    )
    return f"submitter on {who.host} (process {who.pid}), {queued}"
