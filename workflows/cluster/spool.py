"""Packs of work as folders, for jobs that reach no database.

    FOLDER/ready/PACK/      steps and what they start from, waiting for a worker
    FOLDER/running/PACK/    claimed by a worker: `claim.json`, `beat`, and results as they come
    FOLDER/done/PACK/       ended or handed back, waiting for the submitter
    FOLDER/memory/TRAIL/    forces of unfinished calculations, which the next worker goes on from
    FOLDER/jobs/            scripts and output of jobs
    FOLDER/runs/            the runs that the submitter looks after, an empty file each

A pack moves by renaming its folder, which one process alone can do. A file is written under another name and then renamed,
and begins with the checksum of what follows. Times are compared by the clock of the file system, never by those of two
machines.
"""

from __future__ import annotations

import os
import platform
import shutil
import struct
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from ase.io.jsonio import decode, encode

from ...potentials.base import Prediction
from ..stores.files import DamagedError, read_sealed, write_sealed
from ..stores.predictions import packed, unpacked
from ..stores.result import Memory, Result, Status
from ..stores.store import StoreError

READY, RUNNING, DONE = PLACES = ("ready", "running", "done")
_RECORD = struct.Struct("<32sI")


class SpoolError(RuntimeError):
    """A file of a pack is damaged, or the pack was taken away."""


@dataclass(frozen=True)
class Claim:
    """Who works on a pack.

    Attributes
    ----------
    host, pid
        The process.
    job
        The queue's id of its job; empty for a worker that was started by hand.
    silent_s
        Seconds since it last said that it is alive.
    """

    host: str
    pid: int
    job: str
    silent_s: float


@dataclass(frozen=True)
class Spool:
    """The folder of packs that submitter and workers share.

    Attributes
    ----------
    folder
        Where it is.
    """

    folder: Path

    def make(self) -> None:
        """Make the folders, for nobody else to write."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (*PLACES, "jobs", "memory", "runs"):
            (self.folder / name).mkdir(exist_ok=True)

    def packs(self, place: str) -> list[str]:
        """Return the names of the packs in a place, the oldest first."""
        try:
            return sorted(path.name for path in (self.folder / place).iterdir() if not path.name.startswith("."))
        except FileNotFoundError:
            return []

    def add(self, name: str, pack: Mapping[str, Any], parents: Iterable[Result]) -> None:
        """Make a pack ready: its `Pack.content`, and the results that its steps start from."""
        made = self.folder / READY / f".{name}"
        shutil.rmtree(made, ignore_errors=True)
        (made / "results").mkdir(parents=True)
        write(made / "pack.json", dict(pack))
        write(made / "parents.json", [_plain(result) for result in parents])
        made.rename(self.folder / READY / name)

    def look_after(self, run: int) -> None:
        """Let the submitter take a run up."""
        (self.folder / "runs" / str(run)).touch()

    def limit_jobs(self, n: int) -> None:
        """Write down how many jobs there may be at once."""
        (self.folder / "jobs" / "at-most").write_text(str(n), encoding="utf-8")

    def at_most(self, default: int) -> int:
        """Return how many jobs there may be at once, as it was last written down."""
        try:
            return int((self.folder / "jobs" / "at-most").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return default

    def runs(self) -> set[int]:
        """Return the runs that the submitter looks after."""
        return {int(path.name) for path in (self.folder / "runs").glob("*") if path.name.isdecimal()}

    def claim(self, job: str) -> Pack | None:
        """Take the oldest pack that is ready; None if there is none."""
        for name in self.packs(READY):
            target = self.folder / RUNNING / name
            try:
                (self.folder / READY / name).rename(target)
            except OSError:
                continue  # another worker was faster
            pack = Pack(target, self)
            write(target / "claim.json", {"host": platform.node(), "pid": os.getpid(), "job": job})
            pack.beat()
            return pack
        return None

    def move(self, name: str, origin: str, target: str) -> bool:
        """Move a pack from one place to another; False if it is no longer there."""
        try:
            (self.folder / origin / name).rename(self.folder / target / name)
        except FileNotFoundError:
            return False
        return True

    def pack(self, place: str, name: str) -> Pack:
        """Return a pack by place and name."""
        return Pack(self.folder / place / name, self)

    def remove(self, name: str) -> None:
        """Remove a pack that was taken in."""
        shutil.rmtree(self.folder / DONE / name, ignore_errors=True)

    def now(self) -> float:
        """Return the time by the clock of the file system."""
        probe = self.folder / f".clock-{uuid.uuid4().hex}"
        probe.touch()
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink()

    def memory(self, trail: str) -> FileMemory:
        """Return the memory of a calculation."""
        return FileMemory(self.folder / "memory" / trail)


@dataclass(frozen=True)
class Pack:
    """A pack as a `philic.workflows.stores.store.StepStore`: a job runs its steps with no database."""

    path: Path
    spool: Spool

    @cached_property
    def content(self) -> dict[str, Any]:
        """What the pack is: ``keys``, ``definitions``, ``title``, ``run``, and the folder of trajectories, ``work``."""
        found: dict[str, Any] = read(self.path / "pack.json")
        return found

    def beat(self) -> None:
        """Say that the worker is alive."""
        (self.path / "beat").touch()

    def claim(self) -> Claim | None:
        """Return who works on it; None in the moment between the claim and its record."""
        now = self.spool.now()
        try:
            written = read(self.path / "claim.json")
            return Claim(**written, silent_s=max(0.0, now - (self.path / "beat").stat().st_mtime))
        except (FileNotFoundError, SpoolError):
            return None

    def unclaimed_s(self) -> float:
        """Return how long ago the folder last changed: for a worker that died before it wrote who it is."""
        return max(0.0, self.spool.now() - self.path.stat().st_mtime)

    def end(self, left: Mapping[str, str], handed_back: str = "") -> None:
        """Hand the pack to the submitter: why steps have no result, and why the worker stopped early, if it did."""
        write(self.path / "end.json", {"left": dict(left), "handed_back": handed_back})
        self.path.rename(self.spool.folder / DONE / self.path.name)

    def ended(self) -> dict[str, Any]:
        """Return what `end` wrote; a pack that was taken from a lost worker was handed back."""
        try:
            found: dict[str, Any] = read(self.path / "end.json")
        except FileNotFoundError:
            return {"left": {}, "handed_back": "its worker was lost"}
        return found

    # What a worker needs of a store

    def definitions(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return what steps are, by key."""
        known = self.content["definitions"]
        for key in (keys := list(keys)):
            if key not in known:
                raise KeyError(f"no step {key} is written down in `{self.path}`")
        return {key: known[key] for key in keys}

    def get(self, keys: Iterable[str]) -> dict[str, Result]:
        """Return the results that are here, by key: those that came with the pack, and its own."""
        wanted = set(keys)
        own = {key: result for key in wanted if (result := self._own(key))}
        return own | {key: _result(self._parents[key]) for key in wanted - own.keys() if key in self._parents}

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Return which of the keys have a result that a rerun takes as it is."""
        return {key for key, result in self.get(keys).items() if result.status.final}

    def add(self, result: Result) -> None:
        """Keep a result in the pack."""
        try:
            write(self.path / "results" / f"{result.key}.json", _plain(result))
        except FileNotFoundError as error:
            raise SpoolError(f"`{self.path}` was taken away: the submitter took this worker for lost") from error
        except OSError as error:
            raise StoreError(str(error)) from error

    def results(self) -> Iterator[Result | str]:
        """Yield the pack's own results; of a damaged file a sentence."""
        for path in sorted((self.path / "results").glob("*.json")):
            try:
                yield _result(read(path))
            except SpoolError as error:
                yield str(error)

    def memory(self, trail: str) -> Memory:
        """Return the memory of a calculation, shared by all workers."""
        return self.spool.memory(trail)

    def folder(self, trail: str) -> Path:
        """Return the folder for a trajectory, shared by all workers."""
        return Path(self.content["work"]) / trail

    @cached_property
    def _parents(self) -> dict[str, dict[str, Any]]:
        return {row["key"]: row for row in read(self.path / "parents.json")}

    def _own(self, key: str) -> Result | None:
        try:
            return _result(read(self.path / "results" / f"{key}.json"))
        except FileNotFoundError:
            return None


class FileMemory:
    """Predictions of a calculation in files, one for each process that writes; a torn end is left out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, Prediction] | None = None

    def get(self, digest: str, /) -> Prediction | None:
        """Return what was predicted for a structure."""
        return self.all().get(digest)

    def all(self) -> dict[str, Prediction]:
        """Return every prediction by digest."""
        if self._known is None:
            self._known = {}
            for path in sorted(self.folder.glob("*.log")):
                self._known |= dict(_records(path.read_bytes()))
        return self._known

    def remove(self) -> None:
        """Remove the files: the calculation has ended and its forces are in the store."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def update(self, new: Mapping[str, Prediction], /) -> None:
        """Keep predictions."""
        self.all().update(new)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{platform.node()}-{os.getpid()}.log").open("ab") as file:
            for digest, prediction in new.items():
                content = packed(digest, prediction)
                file.write(_RECORD.pack(digest.encode(), len(content)) + content)


def _records(content: bytes) -> Iterator[tuple[str, Prediction]]:
    at = 0
    while at + _RECORD.size <= len(content):
        digest, size = _RECORD.unpack_from(content, at)
        at += _RECORD.size + size
        prediction = unpacked(digest.decode(errors="replace"), content[at - size : at])
        if prediction is None:
            return
        yield digest.decode(), prediction


def write(path: Path, content: Any) -> None:
    """Write JSON with its checksum, under another name first."""
    write_sealed(path, encode(content).encode())


def read(path: Path) -> Any:
    """Read what `write` wrote.

    Raises
    ------
    SpoolError
        If a byte of it changed.
    """
    try:
        return decode(read_sealed(path).decode())
    except DamagedError as error:
        raise SpoolError(str(error)) from error


def _plain(result: Result) -> dict[str, Any]:
    return {field.name: getattr(result, field.name) for field in fields(Result)} | {"status": result.status.value}


def _result(row: Mapping[str, Any]) -> Result:
    return Result(**{**row, "status": Status(row["status"])})
