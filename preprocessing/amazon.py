"""Amazon Electronics, 5-core (2014), as J. McAuley published it, or as the one file `amazon_eletronics.csv`.

Source: R. He and J. McAuley, "Ups and Downs: Modeling the Visual Evolution of Fashion Trends with One-Class
Collaborative Filtering", WWW 2016. A review is a positive if it gives 4 or 5 stars. An item has the names of all its
category paths as a list. A missing price is filled with a mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from preprocessing.errors import InputError
from preprocessing.files import find_file, fingerprint, open_binary, read_lines, read_text
from preprocessing.literal import read_entries, read_literal
from preprocessing.raw import Ragged, RawData, RowCount, Schema
from preprocessing.text_table import INTEGER, NUMBER, Field, TextTable

SCHEMA = Schema(
    user_id="reviewerID",
    item_id="asin",
    user_sparse=("reviewerID",),
    item_sparse=("asin",),
    item_dense=("price",),
    item_lists=("categories",),
    user_statistic="user_mean_rating",
    item_statistic="item_mean_rating",
    user_static=("reviewerID",),
    item_static=("asin", "categories"),
    fill_mean=("price",),
    published_statistics="all",
)

REVIEWS, META = "reviews_Electronics_5.json.gz", "meta_Electronics.json.gz"
PUBLISHED_ROWS = {REVIEWS: 1_689_188, META: 498_196}
ONE_FILE = "amazon_eletronics.csv"
FIELDS = (
    Field("reviewerID"),
    Field("asin"),
    Field("overall", NUMBER),
    Field("unixReviewTime", INTEGER),
    Field("price", NUMBER, optional=True),
    Field("categories"),
)
REVIEW_TYPES = pa.schema(
    {"reviewerID": pa.string(), "asin": pa.string(), "overall": pa.float64(), "unixReviewTime": pa.int64()}
)
META_ENTRIES = ("asin", "price", "categories")
# Beside generated files (`benchmarks.make_amazon`): the probability that each review was made a positive with.
PLANTED = "planted_probability.npy"

HOME_PAGE = "https://jmcauley.ucsd.edu/data/amazon/"
NEEDED = f"a folder with {REVIEWS} and {META} (or unpacked), or {ONE_FILE} with the columns " + ",".join(
    field.name for field in FIELDS
)


def find_files(path: Path) -> list[Path]:
    """The files to read: reviews and metadata, or the one file; and `PLANTED` where it lies beside them."""
    path = Path(path)
    if path.is_file():
        found = [path]
    elif path.is_dir():
        pair = [find_file(path, REVIEWS), find_file(path, META)]
        one = find_file(path, ONE_FILE)
        found = [one] if one and not any(pair) else pair
        missing = [name for name, file in zip((REVIEWS, META), found, strict=False) if file is None]
        if missing:
            raise InputError(f"{path} lacks {', '.join(missing)}. Give {NEEDED}.")
    else:
        raise InputError(f"No such file or folder: {path}. Give {NEEDED}.")
    return [*found, *(place for place in [found[0].parent / PLANTED] if place.is_file())]


def read(path: Path) -> RawData:
    """Reads and checks both files, or the one. Users and items are those with reviews, in order of id.

    The name is "amazon-electronics" for files with the published numbers of rows, "generated-amazon" for generated ones
    and "amazon" for others. Raises `InputError` for missing or damaged files and content that is not Amazon's; it names
    the file, the first offending line and the number of lines affected.
    """
    files = find_files(path)
    planted = np.load(files.pop(), mmap_mode="c") if files[-1].name == PLANTED else None
    reviews, items, counts = _read_one_file(*files) if len(files) == 1 else _read_pair(*files)
    user_ids, user = _sorted_codes(reviews["reviewerID"])
    if planted is not None and planted.shape != (len(reviews),):
        raise InputError(
            f"{PLANTED} beside {files[0]} has shape {planted.shape} for {len(reviews)} reviews. Delete it."
        )
    published = len(reviews) == PUBLISHED_ROWS[REVIEWS] and counts[-1].read in PUBLISHED_ROWS.values()
    name = "generated-amazon" if planted is not None else "amazon-electronics" if published else "amazon"
    return RawData(
        name=name,
        fingerprint=fingerprint(find_files(path)),
        schema=SCHEMA,
        users=pd.DataFrame({"reviewerID": user_ids}),
        items=pd.DataFrame({"asin": items.ids, "price": items.price}),
        user=user,
        item=items.of_review,
        label=(reviews["overall"].to_numpy() >= 4).astype(np.float32),
        timestamp=reviews["unixReviewTime"].to_numpy(dtype=np.int64),
        item_lists={"categories": Ragged.from_lists(items.categories)},
        best_score=planted,
        counts=tuple(counts),
    )


@dataclass(frozen=True)
class Items:
    """ids (items,) in order; price (items,) float64, NaN where missing; distinct category names of each; and the row of
    each review's item, of_review (reviews,) int32."""

    ids: np.ndarray
    price: np.ndarray
    categories: list[list[str]]
    of_review: np.ndarray

    @classmethod
    def without_metadata(cls, asin: pd.Series) -> Items:
        ids, of_review = _sorted_codes(asin)
        return cls(ids, np.full(len(ids), np.nan), [[] for _ in ids], of_review)


def _read_pair(reviews_path: Path, meta_path: Path) -> tuple[pd.DataFrame, Items, list[RowCount]]:
    reviews = _read_reviews(reviews_path)
    items = Items.without_metadata(reviews["asin"])
    row_of = {asin: row for row, asin in enumerate(items.ids)}
    seen: set[str] = set()

    def keep(entries: dict) -> str | None:
        problem = _meta_problem(entries)
        if problem or entries["asin"] in seen:
            return problem or "its asin stands on an earlier line already"
        seen.add(entries["asin"])
        row = row_of.get(entries["asin"])
        if row is not None:
            items.price[row] = np.nan if entries.get("price") is None else entries["price"]
            items.categories[row] += _names(entries.get("categories") or [])
        return None

    _each_line(meta_path, lambda line: read_entries(line, META_ENTRIES), keep, "a Python dict with asin")
    described = sum(asin in seen for asin in items.ids)
    notes = (
        f"{len(items.ids) - described:,} reviewed items without a line",
        f"{int(np.isnan(items.price).sum()):,} without a price",
    )
    dropped = {"never reviewed": len(seen) - described}
    return (
        reviews,
        items,
        [
            RowCount(reviews_path.name, len(reviews), len(reviews)),
            RowCount(meta_path.name, len(seen), described, dropped, notes),
        ],
    )


def _read_reviews(path: Path) -> pd.DataFrame:
    """Columns of `REVIEW_TYPES`, ids as categories."""
    try:
        with open_binary(path) as file:
            table = arrow_json.read_json(
                file,
                arrow_json.ReadOptions(block_size=1 << 24),
                arrow_json.ParseOptions(explicit_schema=REVIEW_TYPES, unexpected_field_behavior="ignore"),
            )
    except pa.ArrowException:
        table = None
    # For whatever is not plainly right, the line-by-line parser decides, and says what is wrong.
    if table is None or not _plainly_right(table):
        table = _read_reviews_by_line(path)
    columns = {name: table[name].to_pandas() for name in ("overall", "unixReviewTime")}
    columns |= {name: pc.dictionary_encode(table[name]).to_pandas() for name in ("reviewerID", "asin")}
    return pd.DataFrame(columns)


def _plainly_right(table: pa.Table) -> bool:
    if len(table) == 0 or any(column.null_count for column in table.columns):
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
        raise InputError(f"{path} has no reviews. Give {NEEDED}.")
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


def _meta_problem(entries: dict) -> str | None:
    if not isinstance(entries.get("asin"), str) or not entries["asin"]:
        return "asin must be a text"
    price = entries.get("price")
    if price is not None and not (_is_number(price) and price >= 0):
        return "price must be a number of at least 0"
    if _names(entries.get("categories") or []) is None:
        return "categories must be a list of lists of texts"
    return None


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300 and isfinite(value)


def _names(paths) -> list[str] | None:
    """The distinct names of category paths, in order; None if they are no paths.

    >>> _names([["Electronics", "Computers", "Cables"], ["Electronics", "Audio"]])
    ['Electronics', 'Computers', 'Cables', 'Audio']
    """
    if not isinstance(paths, list) or not all(isinstance(path, list) for path in paths):
        return None
    names = [name for path in paths for name in path]
    return list(dict.fromkeys(names)) if all(isinstance(name, str) for name in names) else None


def _read_one_file(path: Path) -> tuple[pd.DataFrame, Items, list[RowCount]]:
    table = TextTable.with_header(path, read_text(path, NEEDED), FIELDS, NEEDED, HOME_PAGE)
    frame = table.parse()
    table.require(frame["overall"].between(1, 5), "overall must be a number from 1 to 5")
    table.require(~(frame["price"] < 0), "price must not be negative")
    for name in ("reviewerID", "asin"):
        table.require((frame[name] != "").to_numpy(), f"{name} is empty")
    items = Items.without_metadata(frame["asin"])
    entities = table.entities(frame, ("asin", "price", "categories"))
    rows = items.of_review[entities.index]
    items.price[rows] = entities["price"]
    for row, text in zip(rows, entities["categories"].astype(str), strict=True):
        # The published scripts write the list as Python prints it; other text is the name of a category.
        names = _names(read_literal(text)) if text.startswith("[") else None
        items.categories[row] += ([text] if text else []) if names is None else names
    notes = (f"{int(np.isnan(items.price).sum()):,} items without a price",)
    return frame, items, [RowCount(path.name, len(frame), len(frame), notes=notes)]


def _sorted_codes(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """A category column's values in order, and the place of each row's value there, int32."""
    values = column.cat.categories.to_numpy(dtype=object)
    order = np.argsort(values)
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order))
    return values[order], place[column.cat.codes]
