"""Wanted entries of Python dict literals, one a line, without running them: fast where a line is plain.

Amazon's 2014 metadata holds 498,196 such lines, which look like JSON and are not. `ast.literal_eval` is safe and takes
most of a minute for them. A line that follows this grammar is read by regular expressions in a tenth of that:

    line   = { string: value, ... }          one space after ":" and ",", as Python prints
    value  = atom | [atom, ...] | [[atom, ...], ...] | {string: atom or [atom, ...], ...}
    atom   = string | number | None | True | False

in which strings hold no control characters and no escapes but those that always mean one character, and keys none at
all. What is matched is a literal with just these entries, so skipping the unwanted ones is exact. Any other line, wrong
or only unusual, is left to `ast.literal_eval`; a test holds both to the same answers.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable
from functools import lru_cache

_ESCAPE = r"""\\(?:['"\\abfnrtv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})"""
_PLAIN = r"[^{quote}\\\x00-\x1f]*"
# "unrolled": runs of plain characters between escapes, so that no input makes the search go back and forth
_STRING = "(?:{})".format(
    "|".join(f"{quote}{_PLAIN.format(quote=quote)}(?:{_ESCAPE}{_PLAIN.format(quote=quote)})*{quote}" for quote in "'\"")
)
_NUMBER = r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,20})?(?:e[+-]?[0-9]{1,3})?(?![0-9a-zA-Z_.])"
_ATOM = rf"(?:{_STRING}|{_NUMBER}|None\b|True\b|False\b)"
_LIST = rf"\[(?:{_ATOM}(?:, {_ATOM})*)?\]"
_LISTS = rf"\[{_LIST}(?:, {_LIST})*\]"
_INNER = rf"{_STRING}: (?:{_ATOM}|{_LIST})"
_DICT = rf"\{{(?:{_INNER}(?:, {_INNER})*)?\}}"
_KEY = r"""(?:'([^'"\\\x00-\x1f]*)'|"([^'"\\\x00-\x1f]*)")"""
_ENTRY = re.compile(rf"{_KEY}: ({_ATOM}|{_LIST}|{_LISTS}|{_DICT})(, |\}}$)")

# Everything that `ast.literal_eval` raises for text that is no literal or is too deeply nested.
_NOT_A_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


def read_entries(line: str, names: Iterable[str]) -> dict | None:
    """The entries of a dict literal with these names, those that it has; None if the line is no dict literal.

    >>> read_entries("{'asin': 'B01', 'price': 12.5, 'title': \\"Bob's radio\\"}", ["asin", "price", "brand"])
    {'asin': 'B01', 'price': 12.5}
    >>> read_entries("{'asin': open('x')}", ["asin"]) is None
    True
    """
    texts = _plain_entries(line, names)
    if texts is None:
        return read_entries_slow(line, names)
    # Strings without escapes need no evaluation.
    return {
        name: text[1:-1] if text[0] in "'\"" and "\\" not in text else _evaluate(text) for name, text in texts.items()
    }


def read_entries_slow(line: str, names: Iterable[str]) -> dict | None:
    """What `read_entries` returns, by evaluating the whole literal."""
    entries = read_literal(line)
    return {name: entries[name] for name in names if name in entries} if isinstance(entries, dict) else None


def read_literal(text: str):
    """The value of any Python literal; None for other text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubtful escapes in strings
            return ast.literal_eval(text)
    except _NOT_A_LITERAL:
        return None


def _plain_entries(line: str, names: Iterable[str]) -> dict[str, str] | None:
    """The source text of the wanted entries, or None where the line does not follow the grammar."""
    if not line.startswith("{"):
        return None
    texts, place, match = {}, 1, _ENTRY.match
    while found := match(line, place):
        single, double, value, end = found.groups()
        name = double if single is None else single
        if name in names:
            texts[name] = value  # as in Python, the last of equal keys counts
        place = found.end()
        if end != ", ":
            return texts if place == len(line) else None
    return None


@lru_cache(maxsize=10_000)
def _evaluate(text: str):
    """The value of a piece of the grammar; of equal pieces, such as categories, one and the same."""
    return ast.literal_eval(text)
