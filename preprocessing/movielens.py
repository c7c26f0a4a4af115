"""MovieLens-1M as GroupLens publishes it (ratings.dat, users.dat, movies.dat), or as the one file `movielens.txt`.

Source: F. M. Harper and J. A. Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015.
A rating of 3 says neither yes nor no and is dropped; above 3 is a positive.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike
from pyarrow import csv as arrow_csv

from preprocessing.errors import InputError
from preprocessing.raw import Ragged, RawData, Schema

SCHEMA = Schema(
    user_id="user_id",
    item_id="movie_id",
    user_sparse=("user_id", "gender", "age", "occupation"),
    item_sparse=("movie_id",),
    item_lists=("genres",),
    user_statistic="user_mean_rating",
    item_statistic="item_mean_rating",
    history="liked_movies",
    user_static=("gender", "age"),
    item_static=("movie_id",),
)

# The files of ml-1m.zip and their sha256.
ML_1M_FILES = {
    "ratings.dat": "506d64ca44484487c11dc2d9a28de5c54948213e6b96285e298afe28d6ea4e0f",
    "users.dat": "1dc3a95300cb19f7c10e027daf29b8cdf1d908dab65b5edfb45950aa389a10a3",
    "movies.dat": "0140fc2356357c1a851d0f52e893a1e4d3696df632c4141cea8d5bc3d621f0b9",
}
ML_1M_RATINGS = 1_000_209
ONE_FILE = "movielens.txt"
RATING_COLUMNS = ("user_id", "movie_id", "rating", "timestamp")
USER_COLUMNS = ("user_id", "gender", "age", "occupation", "zipcode")
MOVIE_COLUMNS = ("movie_id", "title", "genres")
ONE_FILE_COLUMNS = (*RATING_COLUMNS, *USER_COLUMNS[1:], *MOVIE_COLUMNS[1:])
INTEGERS = {"user_id", "movie_id", "rating", "timestamp", "age", "occupation"}
INTEGER = re.compile(r" *[+-]?[0-9]{1,18} *")

HOME_PAGE = "grouplens.org/datasets/movielens/1m"
NEEDED = f"a folder with {', '.join(ML_1M_FILES)}, or {ONE_FILE} with the columns {','.join(ONE_FILE_COLUMNS)}"


def read(path: Path) -> RawData:
    """Reads and checks a GroupLens folder, a `movielens.txt`, or a folder that holds only that one.

    Rows of `users` and `items` are in order of id, interactions in file order. The name is "ml-1m" for the original
    files, "movielens" for others.
    Raises `InputError` for a missing or unreadable file and for content that is not MovieLens; it names the file, the
    first offending line and the number of lines affected.
    """
    path = Path(path)
    if path.is_file():
        return _read_one_file(path)
    if not path.is_dir():
        raise InputError(f"No such file or folder: {path}. Give {NEEDED}.")
    missing = [name for name in ML_1M_FILES if not (path / name).is_file()]
    if len(missing) == len(ML_1M_FILES) and (path / ONE_FILE).is_file():
        return _read_one_file(path / ONE_FILE)
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}. Give {NEEDED}.")
    return _read_folder(path)


@dataclass(frozen=True)
class TextTable:
    """A text file with one row a line: columns in `INTEGERS` as int64, others as categories of strings.

    content: UTF-8, without byte order mark and trailing blank lines.  columns: distinct names, in order.
    separator: "::", or "," with quotes as in RFC 4180.
    """

    path: Path
    content: bytes
    columns: tuple[str, ...]
    separator: str
    header_lines: int = 0

    def parse(self) -> pd.DataFrame:
        """Raises `InputError` for a row with too few or too many columns and for a non-integer."""
        frame = self._parse_fast()
        return self._parse_by_line() if frame is None else frame

    def _parse_fast(self) -> pd.DataFrame | None:
        """None for whatever is not plainly right: the line-by-line parser then decides, and says what is wrong."""
        content, delimiter, quote = self.content, ",", '"'
        if self.separator == "::":
            if b"\t" in content:
                return None
            content, delimiter, quote = content.replace(b"::", b"\t"), "\t", False
        strings = pa.dictionary(pa.int32(), pa.string())
        types = {name: pa.int64() if name in INTEGERS else strings for name in self.columns}
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(content),
                read_options=arrow_csv.ReadOptions(column_names=self.columns, skip_rows=self.header_lines),
                parse_options=arrow_csv.ParseOptions(delimiter=delimiter, quote_char=quote),
                convert_options=arrow_csv.ConvertOptions(column_types=types, null_values=[]),
            )
        except pa.ArrowException:
            return None
        # A quote that is not closed swallows the lines behind it.
        lines = content.count(b"\n") + 1 - self.header_lines
        return table.to_pandas() if len(table) == lines else None

    def _parse_by_line(self) -> pd.DataFrame:
        rows = [self._split(line) for _, line in self._lines()]
        if not rows:
            raise InputError(f"{self.path} has a header but no rows. Give {NEEDED}.")
        problems = [self._problem(row) for row in rows]
        self.require([problem is None for problem in problems], next(filter(None, problems), ""))
        types = {name: "int64" if name in INTEGERS else "category" for name in self.columns}
        return pd.DataFrame(rows, columns=self.columns, dtype=object).astype(types)

    def _lines(self) -> Iterator[tuple[int, str]]:
        """The number, from 1, and the text of each line that holds a row."""
        # Lines of bytes end at \n, \r and \r\n only; str.splitlines knows seven more line ends.
        for number, line in enumerate(self.content.splitlines(), start=1):
            if number > self.header_lines and line.strip():
                yield number, line.decode()

    def _split(self, line: str) -> list[str]:
        if self.separator != ",":
            return line.split(self.separator)
        try:
            return next(csv.reader([line], strict=True))
        except csv.Error:  # a quote that is not closed on its line
            return []

    def _problem(self, fields: list[str]) -> str | None:
        if len(fields) != len(self.columns):
            return f"{len(fields)} columns instead of {len(self.columns)}" if fields else "malformed quotes"
        for name, value in zip(self.columns, fields, strict=True):
            if name in INTEGERS and not INTEGER.fullmatch(value):
                return f"{name} must be an integer{' from 1 to 5' if name == 'rating' else ''}"
        return None

    def require(self, right: ArrayLike, problem: str) -> None:
        """Raises `InputError` where `right`, one bool a row, is False: quotes the first such line, counts all."""
        wrong = np.flatnonzero(~np.asarray(right, dtype=bool))
        if len(wrong) == 0:
            return
        number, line = next(islice(self._lines(), wrong[0], None))
        raise InputError(
            f"{self.path}, line {number}: {problem}. Received: {line[:80]!a}. Lines affected: {len(wrong)}.\n"
            f"Expected {self.separator.join(self.columns)}. Correct it, or get the original from {HOME_PAGE}."
        )


def _load(path: Path, encoding: str) -> tuple[str, bytes]:
    """The sha256 of the file, and its content as `TextTable` takes it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    text = content.removeprefix(b"\xef\xbb\xbf").rstrip()
    if not text:
        raise InputError(f"{path} is empty. Give {NEEDED}.")
    try:
        text = text if text.isascii() else text.decode(encoding).encode()
    except UnicodeDecodeError:
        text = text.decode("latin-1").encode()
    return hashlib.sha256(content).hexdigest(), text


def _read_folder(folder: Path) -> RawData:
    digests, tables = {}, {}
    for name, columns in zip(ML_1M_FILES, (RATING_COLUMNS, USER_COLUMNS, MOVIE_COLUMNS), strict=True):
        digests[name], content = _load(folder / name, "latin-1")
        tables[name] = TextTable(folder / name, content, columns, "::")
    frames = {name: table.parse() for name, table in tables.items()}
    for name, key in (("users.dat", "user_id"), ("movies.dat", "movie_id")):
        tables[name].require(~frames[name][key].duplicated(), f"the {key} stands on an earlier line already")
    name = "ml-1m" if digests == ML_1M_FILES else "movielens"
    fingerprint = hashlib.sha256("".join(digests.values()).encode()).hexdigest()
    return _assemble(name, fingerprint, tables["ratings.dat"], *frames.values())


def _read_one_file(path: Path) -> RawData:
    digest, content = _load(path, "utf-8")
    header = content[:4096].splitlines()[0].decode(errors="replace")
    columns = tuple(name.strip() for name in next(csv.reader([header])))
    wrong = [name for name in (*ONE_FILE_COLUMNS, *columns) if columns.count(name) != 1]
    if wrong:
        raise InputError(
            f"{path}, line 1: the header lacks or repeats {', '.join(map(repr, dict.fromkeys(wrong)))}. "
            f"Received: {header[:80]!a}.\nGive {NEEDED}."
        )
    table = TextTable(path, content, columns, ",", header_lines=1)
    frame = table.parse()
    name = "ml-1m" if len(frame) == ML_1M_RATINGS else "movielens"
    users, movies = _distinct(table, frame, USER_COLUMNS), _distinct(table, frame, MOVIE_COLUMNS)
    return _assemble(name, digest, table, frame, users, movies)


def _distinct(table: TextTable, frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """One row a distinct value of the first column. Raises `InputError` where lines contradict each other."""
    key, *attributes = columns
    entities = frame.loc[~frame[key].duplicated(), list(columns)]
    first = pd.Index(entities[key]).get_indexer(frame[key])
    for name in attributes:
        value = frame[name] if name in INTEGERS else frame[name].cat.codes
        same = value.to_numpy() == value[entities.index].to_numpy()[first]
        table.require(same, f"the {key} has another {name} on an earlier line")
    return entities


def _assemble(
    name: str, fingerprint: str, table: TextTable, ratings: pd.DataFrame, users: pd.DataFrame, movies: pd.DataFrame
) -> RawData:
    """Joins ratings with entities, and drops rating 3. table: where `ratings` was read, for errors."""
    table.require(ratings["rating"].between(1, 5), "rating must be an integer from 1 to 5")
    users = users.astype({"gender": str, "zipcode": str}).sort_values("user_id", ignore_index=True)
    movies = movies.astype({"title": str, "genres": str}).sort_values("movie_id", ignore_index=True)
    rows = {}
    for entities, file in ((users, "users.dat"), (movies, "movies.dat")):
        key = entities.columns[0]
        rows[key] = pd.Index(entities[key]).get_indexer(ratings[key]).astype(np.int32)
        table.require(rows[key] >= 0, f"its {key} is not in {file}")
    rating = ratings["rating"].to_numpy()
    kept = rating != 3
    if not kept.any():
        raise InputError(f"{table.path} has no rating other than 3, which is neither a positive nor a negative.")
    return RawData(
        name=name,
        fingerprint=fingerprint,
        schema=SCHEMA,
        users=users,
        items=movies,
        user=rows["user_id"][kept],
        item=rows["movie_id"][kept],
        label=(rating[kept] > 3).astype(np.float32),
        timestamp=ratings["timestamp"].to_numpy()[kept],
        item_lists={"genres": Ragged.from_lists([[g for g in text.split("|") if g] for text in movies["genres"]])},
    )
