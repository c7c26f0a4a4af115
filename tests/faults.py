"""Calls to the system that end a process, fail, or bring a signal: the n-th of them, whichever it is."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest

TAKE_ROOM = ("replace", "rename", "mkdir", "fsync")
CALLS = (*TAKE_ROOM, "unlink", "rmdir")


class Calls:
    """Counts the calls that change files. `strike` runs before each from number `at` on, or before that one alone.

    names: of functions of `os`; to open a file for writing always counts.
    """

    def __init__(
        self, strike: Callable[[], None] | None = None, at: int = 0, once: bool = True, names: tuple[str, ...] = CALLS
    ):
        self.strike, self.at, self.once, self.names, self.count = strike, at, once, names, 0

    def _note(self) -> None:
        number, self.count = self.count, self.count + 1
        if self.strike is not None and (number == self.at or (number > self.at and not self.once)):
            self.strike()

    @contextmanager
    def watched(self):
        with pytest.MonkeyPatch.context() as patch:
            for name in self.names:
                patch.setattr(os, name, self._counted(getattr(os, name)))
            original = Path.open

            def open_counted(path, mode="r", *more, **options):
                if mode not in ("r", "rb"):
                    self._note()
                return original(path, mode, *more, **options)

            patch.setattr(Path, "open", open_counted)
            yield self

    def _counted(self, original):
        def call(*given, **options):
            self._note()
            return original(*given, **options)

        return call


def number_of_calls(action: Callable[[], None]) -> int:
    """How many there are, in a process of its own that leaves no trace but in files."""
    read, write = os.pipe()

    def counted() -> None:
        with Calls().watched() as calls:
            action()
        os.write(write, str(calls.count).encode())

    assert in_child(counted) == 0
    os.close(write)
    with os.fdopen(read) as pipe:
        return int(pipe.read())


def in_child(action: Callable[[], None]) -> int:
    """Runs it in a fork of this process. -> exit status"""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            status = 0
        except SystemExit as end:
            status = end.code
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def full_disk(at: int, once: bool = False) -> Calls:
    """There is no room from the n-th call on that takes some, or at that one alone."""

    def refuse() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return Calls(refuse, at, once, TAKE_ROOM)
