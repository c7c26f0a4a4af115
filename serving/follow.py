"""A live reader keeps up with the index on disk, and goes on with what it has where that cannot be opened."""

from __future__ import annotations

import logging
import os
import threading
import time

from foundation.errors import InputError
from serving.manifest import signature
from serving.state import State

RETRY_SECONDS = 10.0  # until files that could not be opened are looked at again, the manifest being the same
LOG = logging.getLogger(__name__)


class Follower:
    """Remembers what could not be opened, so that one request in many pays for another try, and says it once."""

    def __init__(self) -> None:
        self._failed: tuple[int, ...] | None = None  # signature of a manifest
        self._again, self._said = 0.0, ""
        self._process, self._lock = os.getpid(), threading.Lock()

    def turn(self) -> threading.Lock:
        """For `with`: one thread at a time. A forked child has its own: the thread that holds it may not be there."""
        if self._process != os.getpid():
            self._process, self._lock = os.getpid(), threading.Lock()
        return self._lock

    def is_newest(self, state: State) -> bool:
        """Whether the manifest is the one of the state, or has failed of late: then nothing is to be opened."""
        try:
            seen = signature(state.run)
        except (InputError, OSError):
            return False
        return seen == state.signature or self._is_hopeless(seen)

    def _is_hopeless(self, seen: tuple[int, ...]) -> bool:
        return seen == self._failed and time.monotonic() < self._again

    def newest(self, state: State) -> State:
        """`state`, or what the manifest names by now. A state is whole: one model, with items and users of its own."""
        try:
            seen = signature(state.run)
            if seen == state.signature or self._is_hopeless(seen):
                return state
        except (InputError, OSError) as problem:
            return self._as_before(state, problem)
        try:
            newer = state.refreshed()
        except (InputError, OSError) as problem:
            self._failed, self._again = seen, time.monotonic() + RETRY_SECONDS
            return self._as_before(state, problem)
        self._failed, self._said = None, ""
        return newer

    def _as_before(self, state: State, problem: Exception) -> State:
        if str(problem) != self._said:
            self._said = str(problem)
            LOG.warning("Answers come from generation %d as before: %s", state.manifest.generation, problem)
        return state
