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
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
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
INTEGERS = ("user_id", "movie_id", "rating", "timestamp", "age", "occupation")

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
        raise InputError(f"{path} lacks {', '.join(missing)}. MovieLens is {NEEDED}.")
    return _read_folder(path)


@dataclass(frozen=True)
class TextTable:
    """A text file with one row a line.

    content: UTF-8, without byte order mark and trailing blank lines.  columns: of the file, in order.
    separator: "::" without a header line, or "," with one and with quotes as in RFC 4180.
    wanted: the columns that are parsed, of those in `INTEGERS` as int64, others as categories of strings.
    """

    path: Path
    content: bytes
    columns: tuple[str, ...]
    separator: str
    wanted: tuple[str, ...]

    @property
    def header_lines(self) -> int:
        return 1 if self.separator == "," else 0

    def parse(self) -> pd.DataFrame:
        """Raises `InputError` for a row with too few or too many columns, a non-integer, and a table without rows."""
        frame = self._parse_fast()
        if frame is None:
            frame = self._parse_by_line()
        if frame.empty:
            raise InputError(f"{self.path} has a header but no rows. {self._expected}")
        return frame

    def _parse_fast(self) -> pd.DataFrame | None:
        """None for whatever is not plainly right: the line-by-line parser then decides, and says what is wrong."""
        content, delimiter = self.content, self.separator
        if delimiter == "::":
            if b"\t" in content:
                return None
            content, delimiter = content.replace(b"::", b"\t"), "\t"
        types = {name: pa.int64() if name in INTEGERS else pa.dictionary(pa.int32(), pa.string()) for name in self.wanted}
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(content),
                read_options=arrow_csv.ReadOptions(column_names=self.columns, skip_rows=self.header_lines),
                parse_options=arrow_csv.ParseOptions(delimiter=delimiter, quote_char='"' if delimiter == "," else False),
                convert_options=arrow_csv.ConvertOptions(column_types=types, include_columns=self.wanted, null_values=[]),
            )
        except pa.ArrowException:
            return None
        # A quote that is not closed swallows the lines behind it.
        lines = content.count(b"\n") + 1 - self.header_lines
        return table.to_pandas() if len(table) == lines else None

    def _parse_by_line(self) -> pd.DataFrame:
        place = {name: self.columns.index(name) for name in self.wanted}
        rows, bad, first_problem = [], [], ""
        for number, (_, line) in enumerate(self._lines()):
            fields = self._split(line)
            problem = _problem(fields, place, len(self.columns))
            if problem:
                first_problem = first_problem or problem
                bad.append(number)
            elif not bad:
                rows.append(fields)
        if bad:
            self.reject(np.array(bad), first_problem)
        return pd.DataFrame(
            {
                name: np.array([int(row[i]) for row in rows], dtype=np.int64)
                if name in INTEGERS
                else pd.Categorical([row[i] for row in rows])
                for name, i in place.items()
            }
        )

    def _split(self, line: str) -> list[str]:
        if self.separator != ",":
            return line.split(self.separator)
        try:
            return next(csv.reader([line], strict=True))
        except csv.Error:  # a quote that is not closed on its line
            return []

    def _lines(self) -> Iterator[tuple[int, str]]:
        """The number, from 1, and the text of each line that holds a row."""
        # Lines of bytes end at \n, \r and \r\n only; str.splitlines knows seven more line ends.
        for number, line in enumerate(self.content.splitlines(), start=1):
            if number > self.header_lines and line.strip():
                yield number, line.decode()

    def reject(self, rows: np.ndarray, problem: str) -> NoReturn:
        """Raises `InputError` for these rows, numbered from 0: the first one's line is quoted, all are counted."""
        for row, (number, line) in enumerate(self._lines()):
            if row == rows[0]:
                break
        raise InputError(
            f"{self.path}, line {number}: {problem}. Received: {_shorten(line)!a}. Lines affected: {len(rows)}.\n"
            f"{self._expected} Correct the file, or get the original: grouplens.org/datasets/movielens/1m"
        )

    @property
    def _expected(self) -> str:
        return f"Expected: {self.separator.join(self.columns)}."


def _problem(fields: list[str], place: dict[str, int], width: int) -> str | None:
    """What is wrong with a row, or None. place: the index of each wanted column."""
    if not fields:
        return "malformed quotes"
    if len(fields) != width:
        return f"{len(fields)} columns instead of {width}"
    for name, i in place.items():
        if name in INTEGERS and not re.fullmatch(r" *[+-]?[0-9]{1,18} *", fields[i]):
            return f"{name} must be an integer{' from 1 to 5' if name == 'rating' else ''}"
    return None


def _shorten(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    if not content.strip():
        raise InputError(f"{path} is empty. MovieLens is {NEEDED}.")
    return content


def _to_utf8(content: bytes, encoding: str) -> bytes:
    content = content.removeprefix(b"\xef\xbb\xbf").rstrip()
    if content.isascii():
        return content
    try:
        return content.decode(encoding).encode()
    except UnicodeDecodeError:
        return content.decode("latin-1").encode()


def _read_folder(folder: Path) -> RawData:
    contents = {name: _read_bytes(folder / name) for name in ML_1M_FILES}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    columns = dict(zip(ML_1M_FILES, (RATING_COLUMNS, USER_COLUMNS, MOVIE_COLUMNS), strict=True))
    tables = {
        name: TextTable(folder / name, _to_utf8(content, "latin-1"), columns[name], "::", columns[name])
        for name, content in contents.items()
    }
    frames = {name: table.parse() for name, table in tables.items()}
    ratings, users, movies = frames.values()
    for name, key in (("users.dat", "user_id"), ("movies.dat", "movie_id")):
        repeated = np.flatnonzero(frames[name][key].duplicated())
        if len(repeated):
            tables[name].reject(repeated, f"{key} stands on an earlier line already")
    return _assemble(
        "ml-1m" if digests == ML_1M_FILES else "movielens",
        hashlib.sha256("".join(digests.values()).encode()).hexdigest(),
        tables["ratings.dat"],
        ratings,
        users,
        movies,
    )


def _read_one_file(path: Path) -> RawData:
    original = _read_bytes(path)
    content = _to_utf8(original, "utf-8")
    header = next(csv.reader([content.splitlines()[0].decode()[:1000]]))
    columns = tuple(name.strip() for name in header)
    missing = [name for name in ONE_FILE_COLUMNS if name not in columns]
    if missing:
        received = _shorten(",".join(columns))
        raise InputError(f"{path}, line 1: the header lacks {', '.join(missing)}. Received: {received!a}. Give {NEEDED}.")
    table = TextTable(path, content, columns, ",", ONE_FILE_COLUMNS)
    frame = table.parse()
    return _assemble(
        "ml-1m" if len(frame) == ML_1M_RATINGS else "movielens",
        hashlib.sha256(original).hexdigest(),
        table,
        frame,
        _distinct(table, frame, USER_COLUMNS),
        _distinct(table, frame, MOVIE_COLUMNS),
    )


def _distinct(table: TextTable, frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """One row a distinct value of the first column. Raises `InputError` where lines contradict each other."""
    key, *attributes = columns
    entities = frame.loc[~frame[key].duplicated(), list(columns)]
    first = pd.Index(entities[key]).get_indexer(frame[key])
    for name in attributes:
        value = frame[name] if name in INTEGERS else frame[name].cat.codes
        different = np.flatnonzero(value.to_numpy() != value[entities.index].to_numpy()[first])
        if len(different):
            table.reject(different, f"the {key} has another {name} on an earlier line")
    return entities


def _assemble(
    name: str, fingerprint: str, table: TextTable, ratings: pd.DataFrame, users: pd.DataFrame, movies: pd.DataFrame
) -> RawData:
    """Joins ratings with entities, and drops rating 3. table: where `ratings` was read, for errors."""
    wrong = np.flatnonzero(~ratings["rating"].between(1, 5))
    if len(wrong):
        table.reject(wrong, "rating must be an integer from 1 to 5")
    users, movies = _tidy(users), _tidy(movies)
    rows = {}
    for entities, file in ((users, "users.dat"), (movies, "movies.dat")):
        key = entities.columns[0]
        rows[key] = pd.Index(entities[key]).get_indexer(ratings[key]).astype(np.int32)
        unknown = np.flatnonzero(rows[key] < 0)
        if len(unknown):
            table.reject(unknown, f"{key} {ratings[key].iloc[unknown[0]]} is not in {file}")
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
        item_lists={"genres": Ragged.from_lists([_genres(text) for text in movies["genres"]])},
    )


def _tidy(entities: pd.DataFrame) -> pd.DataFrame:
    strings = {name: str for name in entities.columns if name not in INTEGERS}
    return entities.astype(strings).sort_values(entities.columns[0], ignore_index=True)


def _genres(text: str) -> list[str]:
    return [genre for genre in text.split("|") if genre]
