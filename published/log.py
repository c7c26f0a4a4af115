"""The HIT release's `Logger`: one log on standard error and in a file that starts anew each day."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

from foundation.errors import InputError

LEVELS = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "crit": "CRITICAL"}
FORMAT = "%(asctime)s - %(pathname)s[line:%(lineno)d] - %(levelname)s: %(message)s"


class Logger:
    """`Logger(filename).logger` is a logger of the standard library. The file's folder is created where it is missing.

    level: one of `LEVELS`.  when, backCount: unit of time that a file is for, and how many older ones are kept.
    """

    def __init__(
        self,
        filename: str,
        level: str = "info",
        when: str = "D",
        backCount: int = 3,
        fmt: str = FORMAT,
    ):
        if level not in LEVELS:
            raise InputError(f"The level of a log is one of {', '.join(LEVELS)}. Received: {level!r}.")
        self.logger = logging.getLogger(filename)
        self.logger.setLevel(LEVELS[level])
        if self.logger.handlers:  # a second one would write every line twice
            return
        Path(filename).parent.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.TimedRotatingFileHandler(filename, when, backupCount=backCount, encoding="utf-8")
        for handler in (logging.StreamHandler(), file):
            handler.setFormatter(logging.Formatter(fmt))
            self.logger.addHandler(handler)
