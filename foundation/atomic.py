"""Files that are whole or absent: written beside their place, then renamed."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

_TEMPORARY = re.compile(r"(.+)\.[0-9a-f]{8}\.tmp")


def temporary_of(path: Path) -> Path:
    """A new name beside `path`. Two processes that write the same file never share one."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")


def write_atomic(path: Path, content: bytes | str) -> None:
    """Writes a whole file or none: readers, crashes and other writers see the old content or the new.

    Raises `OSError`; then nothing is left behind. A killed process leaves a file of `temporary_of`.
    """
    temporary = temporary_of(path)
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None:  # else it has a text of its own
            error.filename = error.filename or str(path)  # which a failed write does not name
        raise
    finally:
        temporary.unlink(missing_ok=True)  # on a full disk it stands in the way of what would fit


def remove_left_behind(folder: Path, names: re.Pattern) -> None:
    """Deletes what killed writers of files with such names left. Only under a lock on the folder.

    names: of the files that were to be written; files of other names are not touched.
    """
    for path in folder.iterdir():
        found = _TEMPORARY.fullmatch(path.name)
        if found and names.fullmatch(found[1]):
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder last through a power failure, where the system can."""
    with suppress(OSError):  # not every system opens a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
