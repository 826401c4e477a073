"""Open a store by its address: the path of an SQLite file, or ``postgresql://…``."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from . import index, tables
from .sql import INSERT, WAIT_FOR_LOCK_S, SqlStore
from .store import Store, StoreError

LOG = logging.getLogger(__name__)

WORK = "PHILIC_WORK"
"""Environment variable: the folder for trajectories, of any store."""
NETWORK = (
    "nfs",
    "lustre",
    "gpfs",
    "beegfs",
    "cifs",
    "smb",
    "afs",
    "ceph",
    "fuse.sshfs",
    "fuse.gluster",
    "9p",
    "panfs",
    "orangefs",
)
"""What the types of file systems begin with on which SQLite loses or mixes up writes: https://www.sqlite.org/wal.html"""


def open_store(address: str | Path, *, reading: bool = False) -> Store:
    """Open a store, and make it if it does not exist.

    Parameters
    ----------
    address
        A path, ``sqlite:///PATH`` or ``postgresql://USER@HOST/DATABASE``. A password belongs in libpq's ``~/.pgpass``.
    reading
        Open without writing: no file or table is created, and a store that does not exist reads as an empty one.

    Raises
    ------
    StoreError
        If it is no such database, another program's, of a newer schema (it is left as it is), on a network file system,
        out of reach, or cannot be written.
    """
    url = _url(str(address))
    if url.get_backend_name() == "sqlite":
        return _open_file(Path(url.database or "").absolute(), reading)
    return _open_server(url, reading)


def exists(address: str | Path) -> bool:
    """Whether there is a store to read; a server is asked only when it is opened."""
    url = _url(str(address))
    return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()


def reopen(address: str | Path) -> Store:
    """Open a store that a run is on: one that was moved or deleted under it is not made anew.

    Raises
    ------
    StoreError
        If it is gone, or as `open_store` does.
    """
    if not exists(address):
        raise StoreError(f"`{address}` is gone: it was moved or deleted while a run was on it; put it back and run again")
    return open_store(address)


def work_folder(address: str | Path) -> Path | None:
    """Return the folder for trajectories: what PHILIC_WORK says, else the one beside an SQLite file."""
    if given := os.environ.get(WORK):
        return Path(given).absolute()
    url = _url(str(address))
    if url.get_backend_name() != "sqlite":
        return None
    path = Path(url.database or "").absolute()
    return path.with_name(f"{path.name}.work")


def _url(address: str) -> sa.URL:
    if "://" not in address:
        return sa.URL.create("sqlite", database=address)
    shown = address.split("@")[-1].split("?")[0]
    try:
        url = sa.make_url(address)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise StoreError(f"`{shown}` is no address of a store: give a path, or postgresql://USER@HOST/DATABASE") from error
    if url.password is not None or "password" in url.query:
        raise StoreError(
            f"the address of the store at `{shown}` holds a password, which others see in the list of processes: "
            "leave it out and write it into ~/.pgpass (mode 0600), where PostgreSQL looks for it"
        )
    if url.drivername == "sqlite" and url.database:
        return url
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise StoreError(f"`{url}` is no address of a store: give a path, or postgresql://USER@HOST/DATABASE")
    return url.set(drivername="postgresql")


def _open_server(url: sa.URL, reading: bool) -> Store:
    address = url.render_as_string()
    try:
        import psycopg  # noqa: F401
    except ModuleNotFoundError as error:
        raise StoreError(f'`{address}` needs the package psycopg: pip install "philic[postgres]"') from error
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "application_name": "philic"},
    )
    try:
        with engine.connect() as connection:
            version, names = tables.version_of(connection)
        if refused := _refusal(address, version, names):
            engine.dispose()
            raise StoreError(refused)
        if reading and not version:
            engine.dispose()
            return SqlStore(_empty(), address, None)
        if not reading and version < tables.SCHEMA:
            with engine.begin() as connection:
                _bring_up_to_date(connection)
    except sa.exc.DBAPIError as error:
        raise StoreError(f"`{address}` cannot be used: {str(error.orig).strip()}") from error
    return SqlStore(engine, address, work_folder(address), version if reading else tables.SCHEMA)


def _open_file(path: Path, reading: bool) -> Store:
    if path.is_dir() or not path.parent.is_dir():
        raise StoreError(f"`{path}` cannot be a store: give the path of a file in a folder that exists")
    if kind := network_file_system(path):
        raise StoreError(
            f"`{path}` is on a network file system ({kind}), where SQLite can lose what is written: give --store a "
            "path on a disk of this machine, such as /var/tmp, or the address of a PostgreSQL database"
        )
    version = _version_of_file(path)
    if reading and not version:
        return SqlStore(_empty(), str(path), work_folder(path))
    if reading:
        return SqlStore(_existing(path), str(path), work_folder(path), version)
    if not version:
        _make_file(path)
    url = sa.URL.create("sqlite", database=str(path))
    engine = sa.create_engine(url, connect_args={"timeout": WAIT_FOR_LOCK_S})
    sa.event.listen(engine, "connect", _configure)
    if version < tables.SCHEMA:
        _update(path, engine)
    return SqlStore(engine, str(path), work_folder(path))


def _make_file(path: Path) -> None:
    """Make an empty file of the mode that the umask says, where everybody may write one of 0600.

    SQLite alone would let nobody but the owner write; it gives the files beside a store the store's mode.
    """
    private = bool(path.parent.stat().st_mode & stat.S_IWOTH)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600 if private else 0o666))
    except OSError:
        return  # it is there, or SQLite says why it cannot be
    if private:
        LOG.warning("`%s` lies in a folder where everybody may write: only you can read it (mode 0600)", path)


def _version_of_file(path: Path) -> int:
    """Return the schema of a file, 0 for an empty or missing one; a foreign file is refused and left unchanged."""
    if not path.exists() or path.stat().st_size == 0:
        return 0
    engine = _existing(path)
    try:
        with engine.connect() as connection:
            version, names = tables.version_of(connection)
    except sa.exc.DBAPIError as error:
        raise StoreError(f"`{path}` cannot be read as a store: {error.orig}; give another file to --store") from error
    finally:
        engine.dispose()
    if refused := _refusal(str(path), version, names):
        raise StoreError(refused)
    return version


def _existing(path: Path) -> sa.Engine:
    """Open a file that is there, as one that nobody changes where its folder cannot be written.

    A file in WAL mode cannot be read otherwise, for its readers write beside it (https://www.sqlite.org/wal.html).
    """
    folder, log = path.parent, path.with_name(f"{path.name}-wal")
    mode = "mode=rw"
    if os.statvfs(folder).f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK):
        if log.exists() and log.stat().st_size:
            raise StoreError(
                f"`{path}` lies where nobody can write, beside unfinished writes: copy it and `{log.name}` first"
            )
        mode = "mode=ro&immutable=1"
    return sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True, timeout=WAIT_FOR_LOCK_S),
        poolclass=sa.pool.QueuePool,
    )


def _refusal(address: str, version: int, names: list[str]) -> str:
    """Say why a database is not for this philic; empty where it is."""
    if names and tables.schema.name not in names:
        return (
            f"`{address}` is a database of another program (it has the tables {', '.join(names[:3])}): "
            "give another one to --store"
        )
    if names and version < 1:
        return f"`{address}` is damaged: it does not tell its schema; take a copy of it, or give another one to --store"
    if version > tables.SCHEMA:
        return (
            f"`{address}` has schema {version} but this philic knows up to {tables.SCHEMA}, so a newer philic wrote it: "
            "update philic or give another one to --store"
        )
    return ""


def _update(path: Path, engine: sa.Engine) -> None:
    """Make the tables of a file, one process at a time."""
    try:
        with closing(sqlite3.connect(path, timeout=WAIT_FOR_LOCK_S)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _bring_up_to_date(connection)
            connection.commit()
    except (sqlite3.Error, sa.exc.DBAPIError) as error:
        cause = getattr(error, "orig", error)
        raise StoreError(f"`{path}` cannot be written: {cause}; give another file to --store") from error


def _bring_up_to_date(connection: sa.Connection) -> None:
    if 0 < tables.bring_up_to_date(connection) < index.SINCE:
        index.make_anew(connection, index.insertions(INSERT[connection.dialect.name]))


def _configure(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _empty() -> sa.Engine:
    engine = sa.create_engine("sqlite://")
    tables.metadata.create_all(engine)
    return engine


def network_file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the type of the network file system that a path is on; empty where the disk is local or nobody knows.

    Parameters
    ----------
    path
        The path; it need not exist.
    mounts
        The list of file systems, as Linux gives it.
    """
    try:
        lines = mounts.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    real = Path(os.path.realpath(path))
    kinds = {fields[1].encode().decode("unicode_escape"): fields[2] for line in lines if len(fields := line.split()) > 2}
    under = [place for place in kinds if real.is_relative_to(place)]
    kind = kinds[max(under, key=len)] if under else ""
    return kind if kind.startswith(NETWORK) else ""
