"""The two files of Amazon Electronics with one object a line: reviews in JSON, metadata as Python literals."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isfinite, nan
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from preprocessing.errors import InputError
from preprocessing.files import open_binary, read_lines
from preprocessing.literal import read_entries

REVIEW_TYPES = pa.schema(
    {"reviewerID": pa.string(), "asin": pa.string(), "overall": pa.float64(), "unixReviewTime": pa.int64()}
)
META_ENTRIES = ("asin", "price", "categories")
HOME_PAGE = "https://jmcauley.ucsd.edu/data/amazon/"


def read_meta(path: Path) -> list[tuple[str, float, list[str]]]:
    """asin, price (NaN where missing) and the distinct names of all category paths, of each line.

    Raises `InputError` for a line that is not a Python dict with these, and for an asin that stands there twice.
    """
    found, seen = [], set()

    def keep(entries: dict) -> str | None:
        asin, price = entries.get("asin"), entries.get("price")
        names = distinct_names(entries.get("categories") or [])
        if not isinstance(asin, str) or not asin:
            return "asin must be a text"
        if asin in seen:
            return "its asin stands on an earlier line already"
        if price is not None and not (_is_number(price) and price >= 0):
            return "price must be a number of at least 0"
        if names is None:
            return "categories must be a list of lists of texts"
        seen.add(asin)
        found.append((asin, nan if price is None else float(price), names))
        return None

    _each_line(path, lambda line: read_entries(line, META_ENTRIES), keep, "a Python dict")
    return found


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
            if not isinstance(entry.get(name), str) or not entry[name]:
                return f"{name} must be a text"
        if not _is_number(entry.get("overall")) or not 1 <= entry["overall"] <= 5:
            return "overall must be a number from 1 to 5"
        time = entry.get("unixReviewTime")
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


def distinct_names(paths) -> list[str] | None:
    """The distinct names of category paths, in order; None if they are no paths.

    >>> distinct_names([["Electronics", "Computers", "Cables"], ["Electronics", "Audio"]])
    ['Electronics', 'Computers', 'Cables', 'Audio']
    """
    if not isinstance(paths, list) or not all(isinstance(path, list) for path in paths):
        return None
    names = [name for path in paths for name in path]
    return list(dict.fromkeys(names)) if all(isinstance(name, str) for name in names) else None
