"""A submitter is at work when the command that started it returns, or says why not."""

import os
import re
import signal

import pytest

from philic.workflows.cluster import keeper
from philic.workflows.cluster.settings import read
from philic.workflows.cluster.spool import Spool
from philic.workflows.stores.opening import open_store


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluster.yaml").write_text("queue: local\nfolder: packs\nstore: philic.db\njobs: 1\n")
    return read(tmp_path / "cluster.yaml")


def test_a_submitter_that_ends_at_once_is_reported(settings, tmp_path):
    spool = Spool(settings.folder)
    spool.make()
    with pytest.raises(ValueError, match=r"the submitter ended at once: .*none\.yaml") as told:
        keeper.start(spool, tmp_path / "none.yaml")
    assert re.search(r"see `.*submitter.log`", str(told.value))


def test_a_submitter_is_at_work_when_it_has_been_started(settings, tmp_path):
    store = open_store(settings.store)
    store.add_run("slow", {}, {}, [], "adsorption", str(tmp_path))  # open, so that there is something to look after
    spool = Spool(settings.folder)
    spool.make()
    keeper.start(spool, tmp_path / "cluster.yaml")
    found = keeper.keeper(spool)
    if found:  # or it has found that nothing is left, and ended
        assert found.alive
        os.kill(found.pid, signal.SIGTERM)
