"""Ctrl-C and SIGTERM at moments when they must not come in between."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

# SIGINT is restored last, so that a Ctrl-C which comes then finds everything restored.
STOPS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Ctrl-C and SIGTERM act when the block has ended: what it writes is whole, and what it reports is true.

    For short blocks. Outside the main thread, where no signal acts, it changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in STOPS}
    handlers = {number: handler for number, handler in handlers.items() if handler is not None}  # None: not Python's
    try:
        for number in handlers:
            signal.signal(number, lambda number, frame: came.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for first in came[:1]:  # several are one wish
            signal.raise_signal(first)
