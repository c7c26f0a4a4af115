"""One value of a table or of a request -> what is computed with: `None`, a truth value, a number, a text, a list.

A frame's columns (`preprocessing.frame_columns`) and a request's features (`serving.raw_encoder`) are both read by
these functions, so that a row means the same in both, whatever pandas, numpy or Arrow type holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from foundation.errors import InputError, at_least

INT64 = range(-(2**63), 2**63)  # what an id may be
TEXTLIKE = (str, bytes, bytearray, memoryview)


def is_missing(value: Any) -> bool:
    """
    >>> [is_missing(value) for value in (None, float("nan"), pd.NA, pd.NaT, Decimal("nan"), 0, "", "nan", [])]
    [True, True, True, True, True, False, False, False, False]
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    if isinstance(value, (float, np.floating)):
        return bool(value != value)
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    return isinstance(value, Decimal) and value.is_nan()


def plain(value: Any) -> Any:
    """Python's own None, bool, int, float or str for a value that is one of these; any other value as it is.

    >>> plain(np.int8(3)), plain(np.float32(0.5)), plain(np.str_("a")), plain(np.bool_(True)), plain(pd.NA)
    (3, 0.5, 'a', True, None)
    """
    if is_missing(value):
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)) and not isinstance(value, np.timedelta64):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    # `str(value)` of a member of an enumeration is its name.
    return str.__str__(value) if isinstance(value, str) else value


def exact_below(kind: type | np.dtype) -> int:
    """From this number on a float may stand for several whole numbers.

    >>> exact_below(float) == 2**53, exact_below(np.float32) == 2**24
    (True, True)
    """
    dtype = np.dtype(kind)
    return 2 ** (np.finfo(dtype).nmant + 1)


def whole(value: Any) -> int | None:
    """The whole number of 64 bits that a number is, exactly; None for anything else, and for a float too large to tell.

    >>> whole(np.uint8(7)), whole(7.0), whole(Decimal(7)), whole(7.5), whole(float(2**53)), whole(2**63), whole(True)
    (7, 7, 7, None, None, None, None)
    """
    if isinstance(value, (bool, np.bool_, np.timedelta64)) or is_missing(value):
        return None
    if isinstance(value, (int, np.integer)):
        number = int(value)
    elif isinstance(value, (float, np.floating)):
        limit = exact_below(type(value) if isinstance(value, np.floating) else float)
        if not -limit < value < limit or value != np.floor(value):
            return None
        number = int(value)
    elif isinstance(value, Decimal) and value.is_finite() and abs(value) < 2**64 and value == int(value):
        number = int(value)
    else:
        return None
    return number if number in INT64 else None


def number(value: Any) -> float | None:
    """A number or truth value as a float, as near as floats are; None for anything else, missing ones included.

    Raises `OverflowError` for a whole number beyond all floats.
    """
    return float(value) if is_number(value) else None


def is_number(value: Any) -> bool:
    """Whether it is a number or a truth value of Python or numpy, and not missing."""
    if is_missing(value) or isinstance(value, np.timedelta64):
        return False
    return isinstance(value, (bool, np.bool_, int, np.integer, float, np.floating, Decimal))


def undecimal(value: Any) -> Any:
    """A decimal as the whole number or else the float that it is as a category or an id; any other value as it is.

    >>> undecimal(Decimal(7)), undecimal(Decimal("7.5")), undecimal("7")
    (7, 7.5, '7')
    """
    if not isinstance(value, Decimal):
        return value
    exact = whole(value)
    return float(value) if exact is None else exact


def vector(value: Any) -> np.ndarray | None:
    """(k,) float64: the numbers of a list of numbers, NaN where one is missing; None for anything else, sets among it.

    >>> vector([1, 0.5, None]).tolist(), vector(np.zeros(2, np.float32)).tolist(), vector(["a"]), vector("0.5")
    ([1.0, 0.5, nan], [0.0, 0.0], None, None)
    """
    if not is_list(value) or isinstance(value, (set, frozenset)):
        return None
    values = value if type(value) is np.ndarray else value.tolist() if hasattr(value, "tolist") else list(value)
    try:
        array = np.asarray(values)
        if array.ndim == 1 and array.dtype.kind == "O":
            numbers = [np.nan if is_missing(one) else number(one) for one in array]
            array = np.array(numbers, dtype=np.float64 if None not in numbers else object)
    except ValueError:  # lists of several lengths in it
        return None
    except OverflowError:  # a whole number beyond all floats
        return np.full(len(values), np.inf)
    return array.astype(np.float64) if array.ndim == 1 and array.dtype.kind in "iuf" else None


def shown(value: Any) -> str:
    """A value as a message shows it, of any length, and whatever its `repr` does.

    >>> shown("a" * 100) == "'" + "a" * 79 + "...", shown(10**5000)
    (True, 'int that cannot be shown')
    """
    try:
        text = repr(value)
    except Exception:  # Python prints no number of more than 4300 digits, and other classes may do anything
        return f"{type(value).__name__} that cannot be shown"
    return text if len(text) <= 80 else text[:80] + "..."


def as_count(name: str, value: Any, least: int | None = None) -> int:
    """A setting that is a whole number as Python's own. Raises `InputError` for anything else, and below the least."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or abs(int(value)) >= 2**31:
        raise InputError(f"{name} must be a whole number of less than 2**31. Received: {shown(value)}.")
    if least is not None:
        at_least(name, int(value), least)
    return int(value)


def is_list(value: Any) -> bool:
    """Whether a value is a list of values: of Python, numpy, pandas or Arrow; no text, no mapping, no table."""
    if isinstance(value, (*TEXTLIKE, Mapping)) or not isinstance(value, Iterable):
        return False
    return getattr(value, "ndim", 1) == 1


def entries(value: Any) -> list:
    """The plain values of a list, missing ones left out. Those of a set are sorted where they can be: the order in a
    set changes from one process to the next.

    >>> entries((np.int64(3), None, 4)), entries(np.array(["b", "a"])), entries({2, 1})
    ([3, 4], ['b', 'a'], [1, 2])
    """
    values = value.tolist() if hasattr(value, "tolist") else list(value)
    values = [one for one in map(plain, values) if one is not None]
    if isinstance(value, (set, frozenset)):
        return sorted(values, key=lambda one: (type(one).__name__, one if isinstance(one, (str, int, float)) else 0))
    return values
