"""The keys of `dataset.toml`, and what each may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from foundation.nearest import did_you_mean

nearest = did_you_mean  # of keys and columns
KINDS = ("sparse", "dense", "list", "vector", "display", "ignore")
SIDES = ("user", "item")
TIME_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # so many are a second
# What a key may hold: the words of an error, and the test.
Check = tuple[str, Callable[[Any], bool]]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list_of(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(test, value))


def _is_label(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _is_mapping_of(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(test, value.values()))


def _choice(choices: Iterable[str]) -> Check:
    return f"one of {', '.join(choices)}", lambda value: isinstance(value, str) and value in choices


def _each(check: Check) -> Check:
    return f"a table with {check[0]} for each column", _is_mapping_of(check[1])


TEXT: Check = ("a text", _is_text)
NUMBER: Check = ("a number", _is_number)
TABLE: dict[str, Check] = {
    "files": ("a name or a list of names", lambda value: _is_text(value) or _is_list_of(_is_text)(value)),
    "separator": ("a text of at least one character", lambda value: _is_text(value) and not set(value) & set('"\r\n')),
    "columns": ("a list of distinct names", lambda value: _is_list_of(_is_text)(value) and len({*value}) == len(value)),
    "encoding": _choice(("utf-8", "latin-1")),
    "bad_lines": _choice(("drop",)),
}
LOG: dict[str, Check] = {
    **TABLE,
    "user": TEXT,
    "item": TEXT,
    "time": TEXT,
    "time_unit": _choice(TIME_UNITS),
    "label": TEXT,
    "above": NUMBER,
    "from": NUMBER,
    "positive": ("a list of texts or numbers", _is_list_of(_is_label)),
    "drop": ("a list of texts or numbers", _is_list_of(_is_label)),
}
ENTITY: dict[str, Check] = {**TABLE, "id": TEXT, "several": ("true or false", lambda value: isinstance(value, bool))}
TABLES: Check = (
    "a table, or several with double brackets",
    lambda value: isinstance(value, dict) or _is_list_of(lambda one: isinstance(one, dict))(value),
)
WHOLE: dict[str, Check] = {
    "name": TEXT,
    "source": TEXT,
    "log": ("a table", lambda value: isinstance(value, dict)),
    "users": TABLES,
    "items": TABLES,
    "kinds": _each(_choice(KINDS)),
    "separators": _each(TEXT),
    "sides": _each(_choice(SIDES)),
    "vocabulary_sizes": _each(("a whole number of at least 2", lambda value: _is_whole(value) and value >= 2)),
    "negatives": ("a table", lambda value: isinstance(value, dict)),
    "download": TABLES,
}
DOWNLOAD: dict[str, Check] = {
    "file": ("the name of a file", lambda value: _is_text(value) and "/" not in value and value not in (".", "..")),
    "url": ("an address", lambda value: _is_text(value) and value.startswith(("https://", "http://"))),
    "sha256": ("64 hexadecimal digits", lambda value: _is_text(value) and len(value) == 64 and _is_hexadecimal(value)),
}
NEGATIVES: dict[str, Check] = {
    "train": TEXT,
    "per_positive": ("a whole number", _is_whole),
    "evaluate": TEXT,
}


def _is_hexadecimal(text: str) -> bool:
    return set(text.lower()) <= set("0123456789abcdef")
