"""Files that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path


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
