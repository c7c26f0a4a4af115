"""Texts of a command line as numbers, values and types, and what is said about wrong ones."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

from foundation.errors import InputError
from foundation.options import Option

# The largest numbers that are taken: more is no size of anything, or infinity.
MOST = {int: 2**31 - 1, float: sys.float_info.max}


class Parser(argparse.ArgumentParser):
    """One line for an error, instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[0].upper()}{message[1:]}. See --help.")


def number(
    kind: type,
    least: float | None = None,
    *,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> Callable[[str], Any]:
    """A converter for argparse that also checks the range. Without an upper bound: up to `MOST`."""
    if kind is int and most is None and below is None:
        most = MOST[int]
    bounds = Option("", kind, False, "", least=least, above=above, most=most, below=below)

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {'a whole' if kind is int else 'a'} number") from None
        if not (bounds.allows(value) and (kind is int or abs(value) <= MOST[float])):
            raise argparse.ArgumentTypeError(f"{text} is out of range, it must be {bounds.bounds}")
        return value

    return convert


def place(text: str) -> str:
    """A path. An empty one, as of a shell's variable that is not set, would mean the current folder or the default."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return text


def folder(text: str) -> Path:
    return Path(place(text))


def suits(value, annotation) -> bool:
    """Whether a value has this type; whole numbers up to `MOST` are numbers, truth values and NaN are not."""
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind in (Union, UnionType):
        return any(suits(value, part) for part in parts)
    if kind is Literal:
        return any(type(value) is type(choice) and value == choice for choice in parts)
    if kind is type:
        return False  # no text is a class
    if kind in (tuple, list):
        return isinstance(value, tuple) and all(suits(entry, parts[0]) for entry in value)
    if annotation in (int, float):
        kinds = (int,) if annotation is int else (int, float)
        return type(value) in kinds and abs(value) <= MOST[annotation]
    return isinstance(value, annotation)


def described(annotation: Any) -> str:
    """The type for people: without classes, which no text is.

    >>> described(float), described(tuple[int, ...] | None), described(Literal["all", "last"])
    ('float', 'tuple[int, ...] or null', 'one of all, last')
    """
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind is Literal:
        return f"one of {', '.join(map(str, parts))}" if len(parts) > 1 else str(parts[0])
    if kind in (Union, UnionType):
        return " or ".join(described(part) for part in parts if get_origin(part) is not type)
    if annotation is NoneType:
        return "null"
    return str(annotation) if kind else getattr(annotation, "__name__", str(annotation))


def as_annotated(value, annotation):
    """The value as an argument of this type takes it: 1 as 1.0 where numbers need not be whole.

    >>> as_annotated(1, float | str), as_annotated(1, int), as_annotated("learned", float | str)
    (1.0, 1, 'learned')
    """
    kinds = get_args(annotation) or (annotation,)
    return float(value) if type(value) is int and float in kinds and int not in kinds else value


def plain_value(text: str):
    """What a text says as JSON, a list as a tuple; the text itself if it is no JSON.

    >>> plain_value("[128, 64]"), plain_value("True"), plain_value("mean")
    ((128, 64), True, 'mean')
    """
    try:
        value = json.loads(text.lower() if text in ("True", "False") else text)
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value
