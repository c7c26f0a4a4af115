"""Locks between processes. The system releases them however a process ends: no lock outlives its owner."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from foundation.advice import advice
from foundation.errors import InputError


class BusyError(InputError):
    """Another process holds the lock."""


@contextlib.contextmanager
def locked(path: Path, wait: bool = True, keep: bool = True) -> Iterator[None]:
    """Holds the lock file `path`.

    wait: for another owner to let go; else `BusyError` says at once who holds it. keep: whether the file stays when it
    is released; who waits for a removed one opens its successor.
    Raises `InputError` where the file cannot be opened, or its file system has no locks.
    """
    if path.exists() and not path.is_file():  # to open a pipe waits for another program
        raise InputError(f"{path} cannot be locked: it is no file. Move it away, or use another folder.")
    lock = FileLock(path, timeout=-1 if wait else 0, poll_interval=0.01)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(f"{path.parent} is in use by {_owner(path)}.") from None
    except (OSError, NotImplementedError) as error:  # the second is filelock's word for a system without locks
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path} cannot be locked: {reason}. {advice(error, 'Use a folder on a file system with locks.')}"
        ) from None
    try:
        _sign(path)
        yield
    finally:
        if not keep:
            with contextlib.suppress(OSError):  # not every system removes an open file
                path.unlink()
        lock.release()


def _sign(path: Path) -> None:
    """Leaves the process's number for others. What filelock wrote itself, where there are no locks, stays."""
    with contextlib.suppress(OSError, ValueError):
        content = path.read_text(encoding="utf-8").strip()
        if not content or content.isdigit():
            path.write_text(str(os.getpid()), encoding="utf-8")


def _owner(path: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        words = path.read_text(encoding="utf-8").split()
        if words and words[0].isdigit():
            return f"process {words[0]}"
    return "another process"
