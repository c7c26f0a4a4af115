"""Features that are hardly what was meant, such as a CSV file's index or numbers that are written as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from foundation.shown import quoted, shortened

if TYPE_CHECKING:
    from preprocessing.dataset import Dataset

LEAST = 8  # distinct values from which on a feature is judged by them
ALMOST = 0.9  # share of values that must look alike
SHOWN = 24  # of an example, in columns of a terminal
# A number as shops write it: a currency before it, thousands apart, a decimal sign, a unit behind it.
NUMBER = re.compile(
    r"[^\w\s.,+-]?\s?[+-]?(\d{1,3}([ .,'\u00a0\u202f]\d{3})+|\d+)([.,]\d+)?\s?([^\w\s]|[A-Za-z]{1,3})?", re.ASCII
)
SEPARATORS = ("|", ";", ",")


def notes(data: Dataset) -> list[str]:
    """A sentence for each such feature. Reads what training knows of it: its distinct values, or its bounds."""
    raw, schema = data.raw, data.schema
    parts = (
        (raw.users, raw.user, "user", (*schema.user_sparse, *schema.user_dense)),
        (raw.items, raw.item, "item", (*schema.item_sparse, *schema.item_dense)),
        (raw.interactions, np.arange(len(raw)), "row", (*data.per_row.values,)),
    )
    # A list that is read as one category is meant.
    known = {schema.user_id, schema.item_id, *raw.user_lists, *raw.item_lists}
    found = []
    for table, entity, what, features in parts:
        names = [name for name in features if name in table and name not in known]
        count = int(np.count_nonzero(np.bincount(entity[data.protocol.splits["train"]]))) if names else 0
        for name in names:
            if name in data.vocabularies:
                note = _of_category(data.vocabularies[name].tolist(), count, what)
            else:
                note = _of_number(data, name, np.asarray(table[name]))
            found += [f"{quoted(name)} {note}"] if note else []
    return found


def _of_category(values: list, rows: int, what: str) -> str:
    """values: the distinct ones. rows: how many users, items or rows of the log have one. what: a word for these."""
    if len(values) < 2:
        return _of_few(len(values))
    if len(values) < LEAST:
        return ""
    texts = [value for value in values if isinstance(value, str)]
    if looks_like_numbers(texts):
        return f"looks like numbers that are written as text ({shortened(repr(texts[0]), SHOWN)}): make numbers of it."
    separator = list_separator(texts)
    if separator:
        example = next(text for text in texts if separator in text)
        return f"looks like lists ({shortened(repr(example), SHOWN)}): split it at {separator!r}."
    if ALMOST * rows <= len(values) <= rows:
        return f"has a value of its own for nearly each {what}, of which a model learns nothing: ignore it."
    return ""


def _of_number(data: Dataset, name: str, values: np.ndarray) -> str:
    scaler = data.scalers.get(name)
    if scaler is None or scaler.low != scaler.high:
        return ""
    return _of_few(int(not np.isnan(values.astype(np.float64)).all()))


def _of_few(count: int) -> str:
    what = "the same value in all training rows" if count else "no value in any training row"
    return f"has {what}: ignore it."


def looks_like_numbers(texts: list[str]) -> bool:
    """Whether distinct texts are numbers with a currency, a unit or decimals; digits alone may well be codes, if they
    begin with 0 or all have one length.

    >>> looks_like_numbers(["12,30 €", "7,00 €", "1.299,00 €", "8,10 €"])
    True
    >>> looks_like_numbers(["01881", "12472", "93699"]), looks_like_numbers(["2 x 4", "S-12", "red"])
    (False, False)
    """
    matching = [text.strip() for text in texts if NUMBER.fullmatch(text.strip())]
    if not matching or len(matching) < ALMOST * len(texts):
        return False
    digits = [text for text in matching if text.isdigit()]
    if len(digits) < len(matching) / 2:
        return True
    return not any(text.startswith("0") and text != "0" for text in digits) and len(set(map(len, digits))) > 1


def list_separator(texts: list[str]) -> str:
    """What separates the parts of texts that are lists, "" if they are none: parts come again in other texts.

    >>> list_separator(["new|sale", "new", "sale|red", "red|new"]), list_separator(["Doe, J.", "Roe, A.", "Poe, E."])
    ('|', '')
    """
    for separator in SEPARATORS:
        several = [text.split(separator) for text in texts if separator in text.strip(separator)]
        parts = {part.strip() for entry in several for part in entry}
        if len(several) >= max(1, len(texts) / 2) and len(parts) <= len(several):
            return separator
    return ""
