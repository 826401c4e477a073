"""Files that are whole or not there, and that tell when a byte of them changed."""

from __future__ import annotations

import glob
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DamagedError(ValueError):
    """A file is not what was written."""


def write_sealed(path: Path, content: bytes, *, of: bytes = b"") -> None:
    """Write a checksum in hexadecimal digits, a new line and the content, as `write_atomically` does.

    Parameters
    ----------
    path, content
        What is written.
    of
        What the content belongs to: the checksum is of both, so that a file from elsewhere is noticed.
    """
    write_atomically(path, _checksum(content, of) + b"\n" + content)


def read_sealed(path: Path, *, of: bytes = b"") -> bytes:
    """Return the content that `write_sealed` wrote.

    Raises
    ------
    DamagedError
        A byte of the file changed, is missing, or it belongs to something else.
    """
    check, _, content = path.read_bytes().partition(b"\n")
    if check != _checksum(content, of):
        raise DamagedError(f"`{path}` is damaged: it is not what was written")
    return content


def _checksum(content: bytes, of: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(of).digest() + content).hexdigest().encode()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, even after a kill, finds the old one or the new one.

    Raises
    ------
    OSError
        The disk is full, for example; the old file is still there. The kind of error is kept.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        sentence = f"`{path}` cannot be written: {error.strerror}; make room and run again: it resumes here"
        raise type(error)(sentence) from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path to write to, beside a file that takes its name once all of it is written.

    Raises
    ------
    ValueError
        The folder does not exist, or what stands at the path is no file, or it cannot be written: nothing half-written
        stays, and what was there before is still there.
    """
    if not path.absolute().parent.is_dir():
        raise ValueError(f"`{path}` is in a folder that does not exist: make it first")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ValueError(f"`{path}` is a link or no file: give another name, or remove it")
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield beside
        beside.replace(path)
    except (OSError, sqlite3.Error) as error:
        raise ValueError(f"`{path}` cannot be written: {getattr(error, 'strerror', None) or error}") from error
    finally:
        for left in path.parent.glob(glob.escape(beside.name) + "*"):  # an ASE database has files beside it
            left.unlink()
