"""What to do about ids of the log that a table does not have: the change of spelling that would make them match."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

# What makes ids of another spelling of a column of texts -> what it does to one of them.
SPELLINGS: dict[str, Callable[[str], str]] = {
    ".str.strip()": str.strip,
    ".str.lower()": str.lower,
    ".str.upper()": str.upper,
    ".str.strip().str.lower()": lambda text: text.strip().lower(),
    ".str.removesuffix('.0')": lambda text: text.removesuffix(".0"),
    ".str.lstrip('0')": lambda text: text.lstrip("0"),
}
# Texts of this form -> as which type numpy reads them, what they are called, and what makes integers of their column.
NUMBERS = (
    (r"-?\d{1,18}", np.int64, "are whole numbers", ".astype('int64')"),
    (r"-?\d{1,15}(\.0*)?", np.float64, "look like floats", ".astype(float).astype('int64')"),
)


def advice(where: str, name: str, keys: np.ndarray, unmatched: np.ndarray) -> str:
    """A sentence. keys: the ids of the table `where`. unmatched: those of the log that are not among them; both
    integers, or texts as objects.

    >>> advice("items", "sku", np.array([500137, 7]), np.array(["500137.0"], dtype=object))
    "They look like floats that are written as text: log['sku'] = log['sku'].astype(float).astype('int64')."
    """
    own, other = f"log['{name}']", f"{where}['{name}']"
    if keys.dtype == object and unmatched.dtype == object:
        return _of_texts(own, other, where, keys, unmatched)
    if unmatched.dtype == object:
        return _as_numbers(own, unmatched, keys) or _no_match(where, keys)
    if keys.dtype == object:
        if _most(unmatched.astype(str), keys):
            return f"Give both the same type: {own} = {own}.astype(str)."
        return _as_numbers(other, keys, unmatched) or _no_match(where, keys)
    return "Add its row, or drop them."


def _of_texts(own: str, other: str, where: str, keys: np.ndarray, unmatched: np.ndarray) -> str:
    for change, spelled in SPELLINGS.items():
        if _most([*map(spelled, unmatched)], keys):
            return f"They differ in spelling alone: {own} = {own}{change}."
        if _most(unmatched, [*map(spelled, keys)]):
            return f"They differ in spelling alone: {other} = {other}{change}."
    return f"Add its row, or drop them{f'; {where} hold ids like {keys[0]!r}' if len(keys) else ''}."


def _most(ids: Sequence[str] | np.ndarray, known: Sequence[str] | np.ndarray) -> bool:
    """Whether at least half of the ids are known."""
    return bool(pd.Index(ids).isin(known).mean() >= 0.5)


def _as_numbers(column: str, texts: np.ndarray, numbers: np.ndarray) -> str:
    """How to make the texts of a column numbers, if that makes some of them match."""
    for pattern, kind, called, change in NUMBERS:
        if all(re.fullmatch(pattern, text, re.ASCII) for text in texts):
            matches = np.isin(texts.astype(kind).astype(np.int64), numbers).any()
            return f"They {called} that are written as text: {column} = {column}{change}." if matches else ""
    return ""


def _no_match(where: str, keys: np.ndarray) -> str:
    like = f" like {keys[0]!r}" if len(keys) else ""
    return f"Texts and numbers are never the same id: give both the ids of {where}{like}."
