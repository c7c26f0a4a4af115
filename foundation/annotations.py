"""Whether a value is what a parameter's annotation says, for checks of what people pass."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

# A truth value is no number here: it is more likely at the wrong place than meant.
NUMBERS: dict[Any, type] = {int: Integral, float: Real}


def fits(value: Any, annotation: Any) -> bool:
    """Numbers of numpy are numbers, lists and tuples each other's equals. What is not known here fits.

    >>> fits(np.int64(3), int), fits(3, float), fits(True, int), fits([8, 4], tuple[int, ...]), fits(8, list[int])
    (True, True, False, True, False)
    >>> fits(None, int | None), fits("mean", Literal["mean", "sum"]), fits(int, type[object]), fits("x", "Missing")
    (True, True, True, True)
    """
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if kind is Literal:
        return any(type(value) is type(choice) and value == choice for choice in parts)
    if kind is type:
        return isinstance(value, type) and issubclass(value, parts[0])
    if kind in (list, tuple):
        entries = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        return entries and all(fits(entry, parts[0]) for entry in value)
    if annotation in NUMBERS:
        return isinstance(value, NUMBERS[annotation]) and not isinstance(value, bool)
    if annotation is bool:
        return isinstance(value, (bool, np.bool_))
    if annotation is None:
        return value is None
    return not isinstance(annotation, type) or annotation is inspect.Parameter.empty or isinstance(value, annotation)


def type_words(annotation: Any, classes: bool = True) -> str:
    """classes: whether to name them among several types; no text of a command line is one.

    >>> type_words(int | None), type_words(tuple[int, ...] | list[int]), type_words(str | type[ValueError])
    ('int or None', 'tuple[int, ...] or list[int]', 'str or a class of ValueError')
    >>> type_words(str | type[ValueError], classes=False), type_words(Literal["mean", "sum"])
    ('str', "one of 'mean', 'sum'")
    """
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind in (Union, UnionType):
        return " or ".join(type_words(part) for part in parts if classes or get_origin(part) is not type)
    if kind is Literal:
        return f"one of {', '.join(map(repr, parts))}"
    if kind is type:
        return f"a class of {parts[0].__name__}"
    if annotation is NoneType:
        return "None"
    return str(annotation) if kind else getattr(annotation, "__name__", str(annotation))
