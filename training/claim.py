"""A folder that belongs to one writer: its lock, and whether it is still the folder that was locked."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from foundation.errors import InputError
from foundation.locks import BusyError, locked

LOCK = ".lock"
ATTEMPTS = 3  # the last owner may be removing its lock


class Claim:
    """Holds a folder for this process. The system lets go of it however the process ends: no lock outlives its owner.

    Raises `BusyError` if another holds it, and `InputError` where it cannot be locked.
    """

    def __init__(self, folder: Path):
        self._path = folder / LOCK
        self._stack = contextlib.ExitStack()
        for attempt in range(ATTEMPTS):
            try:
                self._stack.enter_context(locked(self._path, wait=False))
                break
            except BusyError:
                if attempt == ATTEMPTS - 1:
                    raise
        try:
            # An open file keeps its number, so that no later one can be taken for it.
            self._file = os.open(self._path, os.O_RDONLY)
        except OSError as error:
            self._stack.close()
            raise InputError(f"{self._path} cannot be read: {error.strerror}.") from None
        self._stack.callback(os.close, self._file)
        self._stack.callback(self._remove)

    @property
    def holds(self) -> bool:
        """Whether the folder of that name is still the one that was locked."""
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except OSError:
            return False

    def release(self) -> None:
        """To call it again does nothing."""
        self._stack.close()

    def _remove(self) -> None:
        if self.holds:  # not the lock of another run that lies there now
            with contextlib.suppress(OSError):  # not every system removes an open file
                self._path.unlink()

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
