"""What means "the input is wrong", as opposed to "the program is wrong"."""

from __future__ import annotations

from collections.abc import Collection


class InputError(ValueError):
    """Bad input from a person: a file, an option, a feature, a label.

    The message says what was wrong, what was received and what to do, in one or two lines. Scripts print it on
    standard error and exit with status 2; library callers catch it as a `ValueError`.
    """


class InputWarning(UserWarning):
    """Input that can be used and is probably not what was meant. Scripts print the message alone."""


def at_least(name: str, value: float, least: float) -> None:
    """Raises `InputError` for less."""
    if value < least:
        raise InputError(f"{name} must be at least {least}. Received: {value}.")


def one_of(name: str, value: object, choices: Collection[str]) -> None:
    """Raises `InputError` for anything but one of the choices."""
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}. Received: {value!r}.")
