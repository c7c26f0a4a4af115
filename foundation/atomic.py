"""Files that are whole or absent: written beside their place, then renamed.

Several files that are replaced together, and folders, have ways of their own: a run's (`training.commit`), an export's
(`serving.export_files`), the cache's and downloads' (`preprocessing.folders`). So has a checkpoint
(`training.checkpoints`), which keeps the file that it replaces.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TEMPORARY = re.compile(r"(.+)\.[0-9a-f]{8}\.tmp")


def temporary_of(path: Path) -> Path:
    """A new name beside `path`. Two processes that write the same file never share one."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a name to write a file under. When the block has ended, that file stands at `path`.

    Readers, crashes and other writers see the old content or the new. The block sees to it that its file is on the
    disk. Raises `OSError`; then nothing is left behind. A killed process leaves a file of `temporary_of`.
    """
    temporary = temporary_of(path)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None:  # else it has a text of its own
            error.filename = error.filename or str(path)  # which a failed write does not name
        raise
    finally:
        temporary.unlink(missing_ok=True)  # on a full disk it stands in the way of what would fit


def write_atomic(path: Path, content: bytes | str) -> None:
    """Writes a whole file or none, as `replacing` does."""
    with replacing(path) as temporary:
        write_synced(temporary, content.encode() if isinstance(content, str) else content)


def write_synced(path: Path, content: bytes) -> None:
    """Writes a file in its place. It is on the disk when this returns. Raises `OSError`."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


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
