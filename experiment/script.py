"""How a script ends: status 2 and a short message for bad input and for files that cannot be read or written, 130 and a
way to go on after Ctrl-C or SIGTERM."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator

import torch

import kernels
from experiment import stops
from experiment.torchrun import joined, local_rank
from foundation.advice import advice
from foundation.errors import InputError, InputWarning
from foundation.shown import visible_lines

CLOSED = 128 + 13  # exit status, as of a process that SIGPIPE ends
# In the messages of torch's errors.
NO_MEMORY = ("can't allocate memory", "not enough memory", "Storage size calculation overflowed")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training; the message says what was saved and how to go on."""


def run(main: Callable[[], None]) -> None:
    """Runs a script's `main` and turns its errors into messages and exit statuses."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a title that the terminal has no letters for ends nothing
    with stops.stoppable():
        try:
            kernels.fast()  # refuses an unknown KERNELS in the environment before anything is done
            with joined(), _files(), _memory(), _plain_warnings():
                main()
                sys.stdout.flush()
        except InputError as error:
            stops.end()
            print(f"error: {visible_lines(error)}", file=sys.stderr)
            sys.exit(2)
        except BrokenPipeError:
            stops.end()
            _discard_output()
            sys.exit(CLOSED)
        except KeyboardInterrupt as interruption:
            stops.end()
            print(f"\n{visible_lines(interruption) or 'Interrupted.'}", file=sys.stderr)
            sys.exit(130)


@contextlib.contextmanager
def _files() -> Iterator[None]:
    """Turns errors of files into messages. One process whose reader has gone (`| head`) ends in silence."""
    try:
        yield
    except BrokenPipeError as error:
        if local_rank() is None:
            raise
        raise InputError(told(error)) from None
    except OSError as error:
        raise InputError(told(error)) from None


@contextlib.contextmanager
def _memory() -> Iterator[None]:
    """Turns a lack of memory into a message; torch has no class of its own for it but on a GPU."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and not any(map(str(error).count, NO_MEMORY)):
            raise
        reason = str(error).partition("\n")[0].rpartition("Allocator: ")[2] or "memory ran out"
        raise InputError(
            f"There is not enough memory: {reason.rstrip('.')}. Ask for less, or for smaller sizes."
        ) from None


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings about the input without the line of code that found it."""
    usual = warnings.formatwarning

    def plain(message, category, filename, lineno, line=None) -> str:
        if issubclass(category, InputWarning):
            return f"warning: {visible_lines(message)}\n"
        return usual(message, category, filename, lineno, line)

    warnings.formatwarning = plain
    try:
        yield
    finally:
        warnings.formatwarning = usual


def told(error: OSError) -> str:
    """Which file, what happened to it, and what to do where that is known."""
    names = " and ".join(
        os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))
    )
    reason = error.strerror or str(error) or type(error).__name__
    return f"{names or 'A file cannot be read or written'}: {reason}. {advice(error)}".rstrip()


def _discard_output() -> None:
    """Else Python complains about what it could not write when it ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
