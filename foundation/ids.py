"""Ids of users and items, whole numbers or strings, and the keys that an index sorts and finds them by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from foundation.errors import InputError
from foundation.values import shown, whole


def utf8(what: str, text: str) -> bytes:
    """Raises `InputError` for half of a surrogate pair: JSON may spell one, and a byte that is not UTF-8 becomes one in
    a command line.

    >>> utf8("An id", "ü")
    b'\xc3\xbc'
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{what} holds half of a surrogate pair, or a byte that is not UTF-8. Give text. Received: {text[:60]!r}."
        ) from None


def plain_ids(ids: Sequence | np.ndarray) -> np.ndarray:
    """(n,) int64, or strings as objects, of ids in a list, array, Series or Arrow array of any type that holds them.

    Whole numbers of a floating type count where each stands for itself alone, below 2**53.
    Raises `InputError` for anything else: other kinds, both kinds, truth values, gaps, numbers beyond 64 bits.

    >>> plain_ids([3, 1.0]).tolist(), plain_ids(np.array([7], dtype=np.uint64)).dtype.name
    ([3, 1], 'int64')
    """
    if not isinstance(ids, (list, tuple)):
        try:
            array = np.asarray(ids)
        except (TypeError, ValueError):
            array = np.zeros(0, dtype=bool)
        if array.dtype.kind in "iu" and array.ndim == 1:
            if array.dtype.kind == "u" and len(array) and array.max() > np.iinfo(np.int64).max:
                raise _no_ids(ids)
            return array.astype(np.int64, copy=False)
        ids = array.tolist() if array.dtype.kind in "fOUT" and array.ndim == 1 else [array]
    kinds = set(map(type, ids))
    try:
        if kinds <= {int}:  # as most are
            return np.array(ids, dtype=np.int64)
        if all(issubclass(kind, str) for kind in kinds):
            # As objects: an array of numpy's own strings loses any zero characters at their ends.
            return np.array(ids, dtype=object)
        return np.array([whole(one) for one in ids], dtype=np.int64)  # None is a `TypeError`
    except (OverflowError, TypeError):
        raise _no_ids(ids) from None


def _no_ids(ids) -> InputError:
    return InputError(f"Ids must be a list of whole numbers below 2**63, or of strings. Received: {shown(ids)}.")


def hashed(texts: np.ndarray) -> np.ndarray:
    """(n,) strings -> (n,) int64, a 64-bit hash of each. Raises `InputError` as `utf8` does."""
    digests = b"".join(hashlib.blake2b(utf8("An id", one), digest_size=8).digest() for one in texts)
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)


def keys_of(ids: Sequence | np.ndarray) -> np.ndarray:
    """(n,) int64, by which ids are sorted and found: whole numbers are their own, strings have a 64-bit hash.

    Raises `InputError` for what is no id (`plain_ids`), and strings that are not text (`utf8`).

    >>> keys_of([3, 1]).tolist(), keys_of(["b00"]).tolist()
    ([3, 1], [-2230513773753566635])
    """
    array = plain_ids(ids)
    return hashed(array) if array.dtype == object else array
