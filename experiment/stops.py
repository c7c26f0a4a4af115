"""Ctrl-C and SIGTERM: both end a script, once, and neither disturbs how it ends."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

from foundation.interrupts import STOPS

ONE_WISH = 1.0  # seconds in which several signals are one


class _Handler:
    """Raises `KeyboardInterrupt`, until the end has begun."""

    def __init__(self):
        self.ending, self._last = False, -ONE_WISH

    def __call__(self, *_) -> None:
        now = time.monotonic()
        if self.ending or now - self._last < ONE_WISH:
            return
        self._last = now
        raise KeyboardInterrupt


_handler = _Handler()


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise `KeyboardInterrupt` in the block. One that the system ignores stays ignored.

    Outside the main thread, where no signal acts, it changes nothing.
    """
    global _handler
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _handler = _Handler()
    before = {number: signal.getsignal(number) for number in STOPS}
    before = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}
    try:
        for number in before:
            signal.signal(number, _handler)
        yield
    finally:
        _handler.ending = True
        for number, handler in before.items():
            signal.signal(number, handler)


def end() -> None:
    """From here on signals do nothing until the script has ended: what is being written and said is whole."""
    _handler.ending = True
