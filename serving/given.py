"""What a caller gives as ids, users or items, in whatever holds them -> arrays and lists, or a refusal in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from foundation.errors import InputError
from foundation.values import TEXTLIKE, plain, shown, whole


def listed(what: str, given: Any, ordered: bool = False) -> Sequence | np.ndarray:
    """The entries of a list, tuple, range, array, Series, Index, generator and so on, in order.

    ordered: whether the answer has their order, so that a set is refused.

    >>> listed("ids", pd.Series([5, 7], index=[1, 0])).tolist(), listed("ids", (one for one in "ab"))
    ([5, 7], ['a', 'b'])
    """
    no_list = isinstance(given, (*TEXTLIKE, Mapping)) or not isinstance(given, Iterable)
    if no_list or getattr(given, "ndim", 1) != 1 or (ordered and isinstance(given, (set, frozenset))):
        order = ", in an order" if ordered else ""
        raise InputError(f"{what} must be a list{order}. Received: {type(given).__name__} {shown(given)}.")
    if isinstance(given, np.ma.MaskedArray):
        return given.tolist()  # with None for what is masked
    if isinstance(given, (list, tuple, np.ndarray)):
        return given
    if isinstance(given, (pd.Series, pd.Index)) and isinstance(given.dtype, np.dtype):
        return given.to_numpy()
    as_list = getattr(given, "tolist", None) or getattr(given, "to_pylist", None)
    return as_list() if as_list else list(given)


def records(what: str, given: Any) -> list:
    """The entries of a list, or the rows of a frame as dicts of its columns.

    >>> records("Items", pd.DataFrame({"id": [5, 7], "price": [1.5, 2.0]}))
    [{'id': 5, 'price': 1.5}, {'id': 7, 'price': 2.0}]
    """
    if not isinstance(given, pd.DataFrame):
        return list(listed(what, given, ordered=True))
    twice = given.columns[given.columns.duplicated()].tolist()
    if twice:
        raise InputError(f"{what} have several columns named {', '.join(map(repr, twice))}. Rename or drop them.")
    return given.to_dict("records")


def id_array(what: str, given: Any, text: bool, ordered: bool = False) -> np.ndarray:
    """(n,) int64, or texts as objects.

    text: what the index has as ids. Raises `InputError` for what is no list, and for ids of another kind; a float is
    the whole number that it is exactly.

    >>> id_array("ids", [5, np.uint8(7), 9.0], text=False).tolist()
    [5, 7, 9]
    """
    values = listed(what, given, ordered)
    if not text:
        is_array = isinstance(values, np.ndarray) and values.dtype.kind == "i"
        if is_array or (not isinstance(values, np.ndarray) and set(map(type, values)) == {int}):
            array = np.asarray(values)
            if array.dtype.kind == "i":  # not beyond 64 bits
                return array.astype(np.int64, copy=False)
    ids = [one_id(value, text) for value in values]
    if None in ids:
        wrong = values[ids.index(None)]
        raise InputError(
            f"{what} must be a list of {'strings' if text else 'whole numbers'}. Received: {shown(plain(wrong))} "
            f"({type(wrong).__name__})."
        )
    return np.array(ids, dtype=object if text else np.int64)


def one_id(value: Any, text: bool) -> int | str | None:
    """An id as the index has it, None for what cannot be one."""
    if text:
        return plain(value) if isinstance(value, str) else None
    return whole(value)
