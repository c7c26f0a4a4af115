"""Texts of a command line as numbers and values, and what is said about wrong ones."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, get_args

from foundation.errors import InputError
from foundation.nearest import did_you_mean
from foundation.options import Option

# The largest numbers that are taken: more is no size of anything, or infinity.
MOST = {int: 2**31 - 1, float: sys.float_info.max}
AS_JSON = {"True": "true", "False": "false", "None": "null"}


class Parser(argparse.ArgumentParser):
    """One line for an error, instead of the whole usage, with the option or choice that was meant, perhaps."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[0].upper()}{message[1:]}.{self._nearest(message)} See --help.")

    def _nearest(self, message: str) -> str:
        unknown = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        return did_you_mean(unknown[1], self.known_options) if unknown else ""

    @property
    def known_options(self) -> list[str]:
        """Long ones, those of subcommands among them."""
        known = [option for option in self._option_string_actions if option.startswith("--")]
        for action in self._actions:
            commands = action.choices.values() if isinstance(action, argparse._SubParsersAction) else ()
            known += [option for command in commands for option in command.known_options]
        return known


def number(kind: type, least: float | None = None, **bounds: Any) -> Callable[[str], Any]:
    """A converter for argparse that also checks the range: bounds as of an `Option`; without an upper one `MOST`."""
    if kind is int and bounds.get("most") is None and bounds.get("below") is None:
        bounds["most"] = MOST[int]
    allowed = Option("", kind, False, "", least=least, **bounds)

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {'a whole' if kind is int else 'a'} number") from None
        if not (allowed.allows(value) and (kind is int or abs(value) <= MOST[float])):
            raise argparse.ArgumentTypeError(f"{text} is out of range, it must be {allowed.bounds}")
        return value

    return convert


def place(text: str) -> str:
    """A path. An empty one, as of a shell's variable that is not set, would mean the current folder or the default."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return text


def folder(text: str) -> Path:
    return Path(place(text))


def as_annotated(value, annotation):
    """The value as an argument of this type takes it: 1 as 1.0 where numbers need not be whole.

    >>> as_annotated(1, float | str), as_annotated(1, int), as_annotated("learned", float | str)
    (1.0, 1, 'learned')
    """
    kinds = get_args(annotation) or (annotation,)
    return float(value) if type(value) is int and float in kinds and int not in kinds else value


def plain_value(text: str):
    """What a text says as JSON, or as Python writes it, a list as a tuple; the text itself if it is neither.

    >>> plain_value("[128, 64]"), plain_value("True"), plain_value("None"), plain_value("mean")
    ((128, 64), True, None, 'mean')
    """
    try:
        value = json.loads(AS_JSON.get(text, text))
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value
