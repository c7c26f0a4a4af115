"""Files of a run folder that are replaced together: at every moment a reader finds all old ones or all new ones.

A killed writer leaves a folder that nobody reads, or files that are in force but not in their places
(`foundation.run_files`); the next writer deletes the one and moves the others.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from foundation.atomic import sync_folder, write_synced
from foundation.interrupts import held_back
from foundation.run_files import COMMIT, GONE

NEXT = ".next-"


def replace_together(folder: Path, files: dict[str, bytes], gone: Iterable[str] = ()) -> None:
    """Makes `files` (name -> content) the folder's, and deletes what is named in `gone`: all of it, or nothing.

    Only under a lock on the folder. Raises `OSError`; then nothing has changed and nothing is left behind, unless
    `is_pending`: the new files are in force, but could not be moved to their places.
    """
    with held_back():
        finish(folder)
        for name in files:
            require_place(folder / name)
        following = folder / f"{NEXT}{secrets.token_hex(4)}"
        try:
            following.mkdir()
            for name, content in files.items():
                write_synced(following / name, content)
            for name in gone:
                if (folder / name).exists():
                    write_synced(following / (name + GONE), b"")
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


def require_place(path: Path) -> None:
    """Raises `OSError` for what is in the place of a file: a folder, which no file can replace, a pipe, a device."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "Is no file", str(path))
