"""Progress for people who wait: the one place that makes bars, and durations in words."""

from __future__ import annotations

import os
import sys

from tqdm import tqdm


def progress_bar(iterable=None, *, quiet: bool = False, **options) -> tqdm:
    """A bar on standard error, where that is a terminal: a file or a pipe would hold every state of it.

    quiet: no bar. options: of tqdm.
    """
    disable = True if quiet else None  # None: unless it is a terminal
    return tqdm(iterable, disable=disable, **_size(), **options)


def _size() -> dict[str, int]:
    """A size for terminals that do not know theirs, as some of containers, which tqdm would show nothing on."""
    try:
        known = all(os.get_terminal_size(sys.stderr.fileno()))
    except (OSError, ValueError, AttributeError):  # no terminal, or a stream of a notebook
        known = True
    return {} if known else {"ncols": 80, "nrows": 24}


def duration(seconds: float) -> str:
    """In words short enough for a progress bar.

    >>> duration(0.34), duration(42.4), duration(200), duration(7500)
    ('0.3 s', '42 s', '3 min', '2 h 5 min')
    """
    if seconds < 90:
        return f"{seconds:.{1 if seconds < 9.95 else 0}f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
