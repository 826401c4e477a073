import pytest

from philic.workflows.fireworks.launchpads import read_launchpad


def written(tmp_path, text, mode):
    path = tmp_path / "my_launchpad.yaml"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "host: localhost\nport: 27017\nname: x\nusername: me\npassword: secret\n",
        "uri_mode: true\nhost: mongodb+srv://me:secret@cluster.example.org/x\n",
        'uri_mode: true\nhost: "mongodb://me:secret@localhost:27017/x"\n',
    ],
)
def test_a_password_that_others_can_read_is_refused_and_not_repeated(tmp_path, text):
    path = written(tmp_path, text, 0o640)
    with pytest.raises(ValueError, match="holds a password and others can read it: chmod 600 ") as refusal:
        read_launchpad(path)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("password", ["null", "''", '""', ""])
def test_a_file_without_a_password_may_be_read(tmp_path, password):
    text = f"host: localhost\nport: 27017\nname: x\nusername: null\npassword: {password}\nstrm_lvl: INFO\n"
    launchpad = read_launchpad(written(tmp_path, text, 0o644))
    assert (launchpad.host, launchpad.port, launchpad.name, launchpad.strm_lvl) == ("localhost", 27017, "x", "CRITICAL")
    assert launchpad.mongoclient_kwargs["serverSelectionTimeoutMS"] == 10_000
    launchpad.connection.close()


def test_what_fireworks_file_says_of_the_client_counts(tmp_path):
    path = written(tmp_path, "host: localhost\nname: x\nmongoclient_kwargs: {serverSelectionTimeoutMS: 5}\n", 0o600)
    launchpad = read_launchpad(path)
    assert launchpad.mongoclient_kwargs["serverSelectionTimeoutMS"] == 5
    launchpad.connection.close()


@pytest.mark.parametrize("text", ["", "- a\n", "a: [\n"])
def test_what_is_no_launchpad_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match="is no launchpad of FireWorks: `lpad init` writes one"):
        read_launchpad(written(tmp_path, text, 0o600))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="does not exist: `lpad init` writes one"):
        read_launchpad(tmp_path / "none.yaml")
