"""Ctrl-C and SIGTERM while a script still imports, which takes seconds: it ends with status 130 then as later.

Imports nothing that is slow.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ("benchmark.py", "prerank.py", "train_*.py")
USUAL = (signal.SIG_DFL, signal.default_int_handler)


def stoppable_from_the_start() -> None:
    """For the scripts of this project alone: other programs that import it decide for themselves.

    `experiment.script.run` takes over, and leaves this for what Python does at the end. What is ignored stays ignored.
    """
    path = Path(getattr(sys.modules["__main__"], "__file__", None) or "").resolve()
    if path.parent != ROOT or not any(map(path.match, SCRIPTS)):
        return
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) in USUAL:
                signal.signal(number, _end)
        atexit.register(_all_is_done)


def _end(*_) -> None:
    os.write(2, b"\nInterrupted.\n")
    os._exit(130)


def _all_is_done() -> None:
    """Python's end takes a moment, in which a signal would kill: the status of a complete run is its own."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is _end:
            signal.signal(number, signal.SIG_IGN)
