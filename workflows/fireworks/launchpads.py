"""Launchpads: one in memory that dies with its process."""

from __future__ import annotations

import mongomock
from fireworks import LaunchPad
from fireworks.core import launchpad as fireworks_launchpad
from fireworks.core import rocket

QUIET = "CRITICAL"


def memory_launchpad() -> LaunchPad:
    """Make a launchpad on mongomock. FireWorks reads both from globals of its module when a launchpad is made."""
    in_memory = {"MongoClient": mongomock.MongoClient, "GRIDFS_FALLBACK_COLLECTION": None}
    before = {name: getattr(fireworks_launchpad, name) for name in in_memory}
    try:
        vars(fireworks_launchpad).update(in_memory)
        launchpad = LaunchPad(strm_lvl=QUIET)
    finally:
        vars(fireworks_launchpad).update(before)
    rocket.ROCKET_STREAM_LOGLEVEL = QUIET  # a second level, apart from strm_lvl
    launchpad.reset("", require_password=False)
    # FireWorks says from another thread that a run is alive, and once more as it ends; mongomock is not made for two threads
    vars(launchpad)["ping_launch"] = lambda *_, **__: None
    return launchpad
