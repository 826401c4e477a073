"""Launchpads: one in memory that dies with its process, and one on MongoDB as FireWorks' own file names it."""

from __future__ import annotations

import re
from pathlib import Path

import mongomock
from fireworks import LaunchPad
from fireworks.core import launchpad as fireworks_launchpad
from fireworks.core import rocket
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

QUIET = "CRITICAL"


def be_quiet() -> None:
    """Let FireWorks print nothing while it launches, and leave no ``FW.json`` in the present folder."""
    rocket.ROCKET_STREAM_LOGLEVEL = QUIET  # a second level, apart from strm_lvl
    rocket.PRINT_FW_JSON = False


def memory_launchpad() -> LaunchPad:
    """Make a launchpad on mongomock. FireWorks reads both from globals of its module when a launchpad is made."""
    in_memory = {"MongoClient": mongomock.MongoClient, "GRIDFS_FALLBACK_COLLECTION": None}
    before = {name: getattr(fireworks_launchpad, name) for name in in_memory}
    try:
        vars(fireworks_launchpad).update(in_memory)
        launchpad = LaunchPad(strm_lvl=QUIET)
    finally:
        vars(fireworks_launchpad).update(before)
    be_quiet()
    launchpad.reset("", require_password=False)
    # FireWorks says from another thread that a run is alive, and once more as it ends; mongomock is not made for two threads
    vars(launchpad)["ping_launch"] = lambda *_, **__: None
    return launchpad


def read_launchpad(path: Path) -> LaunchPad:
    """Open the launchpad of FireWorks' ``my_launchpad.yaml``. A server that is out of reach is reported within seconds.

    Raises
    ------
    ValueError
        If there is no such file, or it holds a password and others can read it.
    """
    if not path.is_file():
        raise ValueError(f"`{path}` does not exist: `lpad init` writes one")
    text = path.read_text(encoding="utf-8")
    secret = re.search(r"^\s*password:(?!\s*(null|''|\"\")?\s*$)|://[^/\s]*:[^/\s]*@", text, re.MULTILINE)
    if secret and path.stat().st_mode & 0o077:
        raise ValueError(f"`{path}` holds a password and others can read it: chmod 600 {path}")
    try:
        settings = YAML(typ="safe").load(text)
        given = {"serverSelectionTimeoutMS": 10_000, **(settings.get("mongoclient_kwargs") or {})}
        be_quiet()
        return LaunchPad.from_dict({**settings, "mongoclient_kwargs": given, "strm_lvl": QUIET})
    except (YAMLError, AttributeError, TypeError) as error:
        raise ValueError(f"`{path}` is no launchpad of FireWorks: `lpad init` writes one") from error
