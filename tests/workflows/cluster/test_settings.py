import re

import pytest

from philic.workflows.cluster.settings import FILE, TEMPLATE, find, read, write_template


def written(tmp_path, text):
    path = tmp_path / FILE
    path.write_text(text)
    path.chmod(0o644)
    return path


def test_what_init_writes_is_read(tmp_path):
    write_template(tmp_path / FILE)
    found = read(tmp_path / FILE)
    assert (found.queue, found.time, found.jobs, found.workers) == ("slurm", 4 * 3600, 4, 1)
    assert found.folder == tmp_path / "philic.cluster"
    assert found.store == str(tmp_path / "philic.db")
    assert found.work == tmp_path / "philic.cluster" / "work"


def test_init_leaves_a_file_as_it_is(tmp_path):
    path = written(tmp_path, "queue: local\n")
    with pytest.raises(ValueError, match="is there already: edit it, or remove it first"):
        write_template(path)
    assert path.read_text() == "queue: local\n"


def test_paths_are_meant_from_the_file(tmp_path):
    found = read(written(tmp_path, "queue: pbs\nfolder: shared\nstore: results.db\nlaunchpad: my_launchpad.yaml\n"))
    assert found.folder == tmp_path / "shared"
    assert found.store == str(tmp_path / "results.db")
    assert found.launchpad == tmp_path / "my_launchpad.yaml"
    assert (
        read(written(tmp_path, "queue: pbs\nfolder: /x\nstore: postgresql://me@host/db\n")).store
        == "postgresql://me@host/db"
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [('"00:01:00"', 60), ('"1-02:00:00"', 26 * 3600), ("7200", 7200), ('"2:00"', 7200)]
)
def test_walltimes(tmp_path, text, seconds):
    assert read(written(tmp_path, f"queue: slurm\nfolder: x\ntime: {text}\n")).time == seconds


@pytest.mark.parametrize(("cores", "threads", "workers"), [(8, 1, 8), (8, 3, 2), (1, 4, 1)])
def test_workers_share_the_cores_of_a_job(tmp_path, cores, threads, workers):
    text = f"queue: slurm\nfolder: x\ncores: {cores}\nthreads: {threads}\n"
    assert read(written(tmp_path, text)).workers == workers


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("queue: condor", "`queue` is 'condor': input should be 'slurm', 'pbs' or 'local'"),
        ("folders: x", "`folders` is not a key of it; the keys are: queue, folder, store"),
        ("time: soon", "`time` is 'soon' but must be hours, minutes and seconds, such as 04:00:00"),
        ("cores: 0", "`cores` is 0: input should be greater than 0"),
        ("partition: 'a; rm -rf /'", "`partition` is 'a; rm -rf /' but may hold letters, digits and .,:@%+=/-_ only"),
        ("device: gpu", "`device` is 'gpu'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, words):
    key = line.partition(":")[0]
    given = {"queue": "queue: slurm", "folder": "folder: x"} | {key: line}
    with pytest.raises(ValueError, match=re.escape(words)):
        read(written(tmp_path, "\n".join(given.values())))


def test_a_folder_is_needed(tmp_path):
    with pytest.raises(
        ValueError, match="`folder` is missing: packs of work and trajectories, shared with the compute nodes"
    ):
        read(written(tmp_path, "queue: slurm\n"))


@pytest.mark.parametrize("text", ["", "- a\n", "queue: [\n"])
def test_what_is_no_mapping_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r"is empty: `philic cluster init` writes one with comments|is not YAML"):
        read(written(tmp_path, text))


def test_a_file_that_others_can_write_is_refused_because_its_lines_are_run(tmp_path):
    path = written(tmp_path, "queue: slurm\nfolder: x\n")
    path.chmod(0o666)
    with pytest.raises(ValueError, match="can be written by others, and its set-up lines are run: chmod go-w"):
        read(path)


def test_the_file_is_here_or_in_the_users_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert find() is None
    with pytest.raises(
        ValueError, match=r"there is no cluster.yaml here or in ~/.config/philic: `philic cluster init` writes one"
    ):
        read()
    (tmp_path / "config" / "philic").mkdir(parents=True)
    theirs = tmp_path / "config" / "philic" / FILE
    theirs.write_text("queue: local\nfolder: x\n")
    assert find() == theirs
    (tmp_path / "here" / FILE).write_text("queue: local\nfolder: x\n")
    assert find() == tmp_path / "here" / FILE


def test_the_template_names_every_key():
    from philic.workflows.cluster.settings import Cluster

    assert all(f"{name}:" in TEMPLATE for name in Cluster.model_fields)
