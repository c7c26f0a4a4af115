"""MovieLens-1M as GroupLens publishes it (ratings.dat, users.dat, movies.dat), or as the one file `movielens.txt`.

Source: F. M. Harper and J. A. Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015.
A rating of 3 says neither yes nor no and is dropped; above 3 is a positive. GroupLens' files are in latin-1; files in
UTF-8 are read as well.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd

from foundation.errors import InputError
from preprocessing.files import read_text, sha256_of, unchanged
from preprocessing.raw import Ragged, RawData, RowCount, Schema
from preprocessing.text_table import INTEGER, Field, TextTable

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
FIELDS = {name: Field(name) for name in ONE_FILE_COLUMNS} | {
    name: Field(name, INTEGER) for name in ("user_id", "movie_id", "timestamp", "age", "occupation")
}
FIELDS["rating"] = Field("rating", INTEGER, wanted="an integer from 1 to 5")

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
    if os.path.isfile(path):
        return _read_one_file(path)
    if not os.path.isdir(path):
        raise InputError(f"No such file or folder: {path}. Give {NEEDED}.")
    missing = [name for name in ML_1M_FILES if not os.path.isfile(path / name)]
    if len(missing) == len(ML_1M_FILES) and os.path.isfile(path / ONE_FILE):
        return _read_one_file(path / ONE_FILE)
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}. Give {NEEDED}.")
    with unchanged([path / name for name in ML_1M_FILES]):
        return _read_folder(path)


def _fields(columns: tuple[str, ...]) -> tuple[Field, ...]:
    return tuple(FIELDS[name] for name in columns)


def _read_folder(folder: Path) -> RawData:
    digests, tables = {}, {}
    for name, columns in zip(ML_1M_FILES, (RATING_COLUMNS, USER_COLUMNS, MOVIE_COLUMNS), strict=True):
        content = read_text(folder / name, NEEDED)
        digests[name] = sha256_of(folder / name)
        tables[name] = TextTable(folder / name, content, _fields(columns), "::", NEEDED, HOME_PAGE)
    frames = {name: table.parse() for name, table in tables.items()}
    for name, key in (("users.dat", "user_id"), ("movies.dat", "movie_id")):
        tables[name].require(~frames[name][key].duplicated(), f"the {key} stands on an earlier line already")
    name = "ml-1m" if digests == ML_1M_FILES else "movielens"
    fingerprint = hashlib.sha256("".join(digests.values()).encode()).hexdigest()
    return _assemble(name, fingerprint, tables["ratings.dat"], *frames.values())


def _read_one_file(path: Path) -> RawData:
    with unchanged([path]):
        table = TextTable.with_header(path, read_text(path, NEEDED), _fields(ONE_FILE_COLUMNS), NEEDED, HOME_PAGE)
        fingerprint = sha256_of(path)
    frame = table.parse()
    name = "ml-1m" if len(frame) == ML_1M_RATINGS else "movielens"
    users, movies = table.entities(frame, USER_COLUMNS), table.entities(frame, MOVIE_COLUMNS)
    return _assemble(name, fingerprint, table, frame, users, movies)


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
        counts=(RowCount(table.path.name, len(kept), int(kept.sum()), {"rating 3": int((~kept).sum())}),),
    )
