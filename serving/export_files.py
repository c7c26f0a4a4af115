"""Several files of one folder that are replaced together: all new ones, or all earlier ones."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundation.atomic import sync_folder
from foundation.errors import InputError
from foundation.interrupts import held_back
from foundation.locks import locked


@contextmanager
def replaced_together(folder: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Yields an empty folder to write into. When the block has ended, its files are those of `folder`.

    names: of all files that may be written; the last one moves last. Those that are not written now are deleted.
    Files of other names in `folder` are not touched. Writers take turns. Where anything fails, or is interrupted, the
    earlier files are as they were. A process that is killed while the files move leaves some of either kind.
    Raises `InputError` where the system does not let it write.
    """
    staged = folder.with_name(folder.name + ".new")
    try:
        with locked(folder.with_name(folder.name + ".lock")):
            shutil.rmtree(staged, ignore_errors=True)  # of a writer that was killed
            staged.mkdir()
            try:
                yield staged
                for path in staged.iterdir():
                    _sync(path)
                with held_back():
                    _move(staged, folder, names)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written: {error.strerror or error}. What was there before is as it was."
        ) from None


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _move(staged: Path, folder: Path, names: tuple[str, ...]) -> None:
    is_new = not folder.exists()
    folder.mkdir(exist_ok=True)
    earlier = staged / "earlier"
    earlier.mkdir()
    for name in names:
        if (folder / name).exists():
            _keep(folder / name, earlier / name)
    try:
        for name in names:
            if (staged / name).exists():
                (staged / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    except BaseException:
        for name in names:
            if (earlier / name).exists():
                (earlier / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
        if is_new:
            folder.rmdir()
        raise
    sync_folder(folder)


def _keep(path: Path, second: Path) -> None:
    """A second name for a file, or a copy on a file system without."""
    try:
        os.link(path, second)
    except OSError:
        shutil.copy2(path, second)


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())
