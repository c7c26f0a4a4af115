"""Amazon's two files with one object a line: reviews in JSON, metadata as Python literals or in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from math import isfinite, nan
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from foundation.errors import InputError
from preprocessing.files import open_binary, read_lines
from preprocessing.literal import read_entries

REVIEW_TYPES = pa.schema(
    {"reviewerID": pa.string(), "asin": pa.string(), "overall": pa.float64(), "unixReviewTime": pa.int64()}
)
META_ENTRIES = ("asin", "price", "categories", "category")
HALF_CHARACTER = re.compile("[\ud800-\udfff]")
# A price as later releases of the data have it.
DOLLARS = re.compile(r"\$([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(\.[0-9]+)?")
HOME_PAGE = "https://jmcauley.ucsd.edu/data/amazon/"


def read_meta(path: Path) -> list[tuple[str, float, list[str]]]:
    """asin, price (NaN where missing) and the distinct names of all category paths, of each line.

    Lines are Python dicts, as published in 2014, or JSON objects, in which a later release has the one path "category"
    and prices like "$1,234.50". Raises `InputError` for a line that is neither, an asin that stands there twice, and a
    file without lines.
    """
    found: list[tuple[Any, float, list[str]]] = []
    seen = set()

    def keep(entries: dict) -> str | None:
        asin, price = entries.get("asin"), _price(entries.get("price"))
        paths = entries.get("categories") or [entries.get("category") or []]
        names = distinct_names(paths)
        if not _is_text(asin):
            return "asin must be a text"
        if asin in seen:
            return "its asin stands on an earlier line already"
        if price is None:
            return "price must be a number of at least 0"
        if names is None:
            return "categories must be a list of lists of texts"
        seen.add(asin)
        found.append((asin, price, names))
        return None

    _each_line(path, _meta_entries, keep, "a Python dict or JSON object")
    if not found:
        raise InputError(f"{path} has no items. Get the original from {HOME_PAGE}.")
    return found


def _meta_entries(line: str) -> dict | None:
    # Python prints a key in single quotes. What begins with double ones is JSON, whose escapes are others.
    first, second = (_json_object, _literal) if line.startswith('{"') else (_literal, _json_object)
    entries = first(line)
    return second(line) if entries is None else entries


def _literal(line: str) -> dict | None:
    return read_entries(line, META_ENTRIES)


def _price(value) -> float | None:
    """NaN for a missing price, None for what is no price."""
    if value is None or value == "":
        return nan
    if isinstance(value, str):
        found = DOLLARS.fullmatch(value)
        return float("".join(found.groups("")).replace(",", "")) if found else None
    return float(value) if _is_number(value) and value >= 0 else None


def read_reviews(path: Path) -> pd.DataFrame:
    """Columns of `REVIEW_TYPES`, ids as categories. Raises `InputError` for a line that is no JSON object with them."""
    try:
        with open_binary(path) as file:
            watched = UntilNull(file)
            table = arrow_json.read_json(
                watched,
                arrow_json.ReadOptions(block_size=1 << 24),
                arrow_json.ParseOptions(explicit_schema=REVIEW_TYPES, unexpected_field_behavior="ignore"),
            )
    except pa.ArrowException:
        table = None
    # For whatever is not plainly right, the line-by-line parser decides, and says what is wrong.
    if table is None or watched.found or not _plainly_right(table):
        table = _read_reviews_by_line(path)
    columns = {name: table[name].to_pandas() for name in ("overall", "unixReviewTime")}
    columns |= {name: pc.dictionary_encode(table[name]).to_pandas() for name in ("reviewerID", "asin")}
    return pd.DataFrame(columns)


class UntilNull:
    """A binary file that ends before a line that begins with null: as the first value, it crashes Arrow's parser.

    found: whether such a line has been met.
    """

    closed = False

    def __init__(self, file: BinaryIO):
        self._file, self._line, self.found = file, b"", False

    def read(self, size: int) -> bytes:
        block = b"" if self.found else self._file.read(size)
        text = self._line + block
        place = text.find(b"null")
        while place >= 0 and not self.found:
            start = text.rfind(b"\n", 0, place) + 1
            start = max(start, text.rfind(b"\r", start, place) + 1)
            self.found = not text[start:place].strip()
            place = text.find(b"null", place + 1)
        self._line = text[text.rfind(b"\n") + 1 :]
        return b"" if self.found else block


def _plainly_right(table: pa.Table) -> bool:
    if len(table) == 0 or any(column.null_count for column in table.columns):
        return False
    try:
        table.validate(full=True)  # that texts are UTF-8, which the parser does not ask
    except pa.ArrowException:
        return False
    if not all(pc.min(pc.utf8_length(table[name])).as_py() for name in ("reviewerID", "asin")):
        return False
    # A NaN is the minimum of nothing and fails the comparison.
    return pc.all(pc.and_(pc.greater_equal(table["overall"], 1), pc.less_equal(table["overall"], 5))).as_py()


def _read_reviews_by_line(path: Path) -> pa.Table:
    columns: dict[str, list] = {name: [] for name in REVIEW_TYPES.names}

    def keep(entry: dict) -> str | None:
        for name in ("reviewerID", "asin"):
            if not _is_text(entry.get(name)):
                return f"{name} must be a text"
        if not _is_number(entry.get("overall")) or not 1 <= entry["overall"] <= 5:
            return "overall must be a number from 1 to 5"
        time: Any = entry.get("unixReviewTime")
        if not _is_number(time) or int(time) != time or abs(time) >= 2**62:
            return "unixReviewTime must be an integer"
        for name, values in columns.items():
            values.append(entry[name])
        return None

    _each_line(path, _json_object, keep, "a JSON object")
    if not columns["asin"]:
        raise InputError(f"{path} has no reviews. Get the original from {HOME_PAGE}.")
    columns["unixReviewTime"] = list(map(int, columns["unixReviewTime"]))
    return pa.table(columns, schema=REVIEW_TYPES)


def _each_line(
    path: Path, parse: Callable[[str], dict | None], keep: Callable[[dict], str | None], expected: str
) -> None:
    """Parses each line and hands it to `keep`, which returns what is wrong with it.

    Raises `InputError` after the last line, naming the first wrong one and their number.
    """
    wrong, first = 0, None
    for number, line in read_lines(path):
        entries = parse(line)
        problem = f"not {expected}" if entries is None else keep(entries)
        if problem:
            wrong += 1
            first = first or f"line {number}: {problem}. Received: {line[:80]!a}."
    if wrong:
        raise InputError(f"{path}, {first} Lines affected: {wrong}.\nCorrect it, or get the original from {HOME_PAGE}.")


def _json_object(line: str) -> dict | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300 and isfinite(value)


def _is_text(value) -> bool:
    """Whether it is a text, not empty, that can be written in UTF-8: JSON may escape half a character."""
    return isinstance(value, str) and value != "" and not HALF_CHARACTER.search(value)


def distinct_names(paths) -> list[str] | None:
    """The distinct names of category paths, in order; None if they are no paths.

    >>> distinct_names([["Electronics", "Computers", "Cables"], ["Electronics", "Audio"]])
    ['Electronics', 'Computers', 'Cables', 'Audio']
    """
    if not isinstance(paths, list) or not all(isinstance(path, list) for path in paths):
        return None
    names = [name for path in paths for name in path]
    return list(dict.fromkeys(names)) if all(name == "" or _is_text(name) for name in names) else None
