"""A live reader keeps up with the index on disk, and goes on with what it has where that cannot be opened."""

from __future__ import annotations

import logging
import time

from preprocessing.errors import InputError
from serving.manifest import signature
from serving.state import State

RETRY_SECONDS = 10.0  # until files that could not be opened are looked at again, the manifest being the same
LOG = logging.getLogger(__name__)


class Follower:
    """Remembers what could not be opened, so that one request in many pays for another try, and says it once."""

    def __init__(self) -> None:
        self._failed: tuple[int, ...] | None = None  # signature of a manifest
        self._again, self._said = 0.0, ""

    def newest(self, state: State) -> State:
        """`state`, or what the manifest names by now. A state is whole: one model, with items and users of its own."""
        try:
            seen = signature(state.run)
            if seen == state.signature or (seen == self._failed and time.monotonic() < self._again):
                return state
            self._failed, self._again = seen, time.monotonic() + RETRY_SECONDS
            newer = state.refreshed()
        except (InputError, OSError) as problem:
            self._say(state, str(problem))
            return state
        self._failed, self._said = None, ""
        return newer

    def _say(self, state: State, problem: str) -> None:
        if problem != self._said:
            self._said = problem
            LOG.warning("Answers come from generation %d as before: %s", state.manifest.generation, problem)
