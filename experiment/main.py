"""How a script ends: exit status 2 and a short message for bad input, 130 and a way to go on after Ctrl-C."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

from experiment.processes import joined
from foundation.shown import visible_lines
from preprocessing.errors import InputError


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training; the message says what was saved and how to go on."""


def run(main: Callable[[], None]) -> None:
    """Runs a script's `main` and turns its errors into messages and exit statuses."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a title that the terminal has no letters for ends nothing
    try:
        with joined():
            main()
    except InputError as error:
        print(f"error: {visible_lines(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as interruption:
        message = str(interruption) or "Interrupted. Nothing was saved."
        print(f"\n{message}", file=sys.stderr)
        sys.exit(130)
