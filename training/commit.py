"""Files of a folder that are replaced together: at every moment a reader finds all old ones or all new ones.

A writer puts the new files into a folder of its own inside the folder and renames that to `.commit`: from then on they
are what the folder holds. It then moves them to their places one by one. If it is killed meanwhile, they count where
they are, and the next writer moves them. Readers ask `committed` for each file, and read inside `unchanged`.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from foundation.atomic import sync_folder
from foundation.errors import InputError
from foundation.interrupts import held_back

COMMIT, NEXT = ".commit", ".next-"
GONE = ".gone"  # ends the name of a file that stands for one to be deleted
ATTEMPTS = 20  # to read files while writers replace them

T = TypeVar("T")


def committed(folder: Path, name: str) -> Path:
    """Where a file of the folder lies at this moment, if there is one."""
    waiting = folder / COMMIT / name
    if waiting.exists() or waiting.with_name(name + GONE).exists():
        return waiting
    return folder / name


def unchanged(folder: Path, names: Iterable[str], read: Callable[[], T]) -> T:
    """What `read` returns, from files of one commit: it is called again if one of them was replaced meanwhile.

    Raises what `read` raises, and `InputError` if they are replaced all the time.
    """
    names = list(names)
    for _ in range(ATTEMPTS):
        before = signature(folder, names)
        try:
            found = read()
        except (InputError, OSError):
            if signature(folder, names) == before:
                raise
        else:
            if signature(folder, names) == before:
                return found
    raise InputError(f"The files in {folder} were replaced again and again while they were read. Try again.")


def signature(folder: Path, names: Iterable[str]) -> list[tuple]:
    """Differs after every commit of these files: each is a new file every time."""
    return [_signature(committed(folder, name)) for name in names]


def _signature(path: Path) -> tuple:
    try:
        status = path.stat()
    except FileNotFoundError:
        return (path,)
    return path, status.st_ino, status.st_mtime_ns, status.st_size


def replace_together(folder: Path, files: dict[str, bytes], gone: Iterable[str] = ()) -> None:
    """Makes `files` (name -> content) the folder's, and deletes what is named in `gone`: all of it, or nothing.

    Only under a lock on the folder. Raises `OSError`; then nothing has changed and nothing is left behind, unless
    `is_pending`: the new files are in force, but could not be moved to their places.
    """
    with held_back():
        finish(folder)
        for name in files:
            require_no_folder(folder / name)
        following = folder / f"{NEXT}{secrets.token_hex(4)}"
        try:
            following.mkdir()
            for name, content in files.items():
                _write(following / name, content)
            for name in gone:
                if (folder / name).exists():
                    _write(following / (name + GONE), b"")
            sync_folder(following)
            following.rename(folder / COMMIT)
        except BaseException:
            shutil.rmtree(following, ignore_errors=True)
            raise
        finish(folder)


def is_pending(folder: Path) -> bool:
    """Whether files are in force that do not lie in their places yet."""
    return (folder / COMMIT).is_dir()


def finish(folder: Path) -> None:
    """Moves the files of a commit to their places. Only under a lock on the folder. Raises `OSError`."""
    place = folder / COMMIT
    if not place.is_dir():
        return
    sync_folder(folder)  # the commit itself, before anything old goes
    for path in sorted(place.iterdir()):
        if path.name.endswith(GONE):
            (folder / path.name.removesuffix(GONE)).unlink(missing_ok=True)
            path.unlink()
        else:
            path.replace(folder / path.name)
    sync_folder(folder)
    place.rmdir()


def remove_unfinished(folder: Path) -> None:
    """Deletes what killed writers left before they came to their commit. Only under a lock on the folder."""
    for path in folder.glob(f"{NEXT}*"):
        shutil.rmtree(path)


def require_no_folder(path: Path) -> None:
    """Raises `OSError` for a folder in the place of a file, which no file can replace."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
