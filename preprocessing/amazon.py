"""Amazon Electronics, 5-core (2014), as J. McAuley published it, or as the one file `amazon_eletronics.csv`.

Source: R. He and J. McAuley, "Ups and Downs: Modeling the Visual Evolution of Fashion Trends with One-Class
Collaborative Filtering", WWW 2016. A review is a positive if it gives 4 or 5 stars. An item has the names of all its
category paths as a list; under the published protocol that list is one category, as in the releases (which take its
text: two texts with equal names in equal order are one category here). A missing price is filled with a mean.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from foundation.errors import InputError
from preprocessing.amazon_lines import HOME_PAGE, distinct_names, read_meta, read_reviews
from preprocessing.files import find_file, fingerprint, read_text, unchanged
from preprocessing.literal import read_literal
from preprocessing.planted import PLANTED, planted_beside, read_planted
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
    published_values=("categories",),
    published_user_static=("reviewerID", "user_mean_rating"),
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
NEEDED = f"a folder with {REVIEWS} and {META} (or unpacked), or {ONE_FILE} with the columns " + ",".join(
    field.name for field in FIELDS
)


def find_files(path: Path) -> list[Path]:
    """The files to read: reviews and metadata, or the one file; and `PLANTED` where it lies beside them."""
    path = Path(path)
    if os.path.isfile(path):
        found = [path]
    elif os.path.isdir(path):
        reviews, meta, one = find_file(path, REVIEWS), find_file(path, META), find_file(path, ONE_FILE)
        if reviews is not None and meta is not None:
            found = [reviews, meta]
        elif one is not None and reviews is None and meta is None:
            found = [one]
        else:
            missing = [name for name, place in ((REVIEWS, reviews), (META, meta)) if place is None]
            raise InputError(f"{path} lacks {', '.join(missing)}. Give {NEEDED}.")
    else:
        raise InputError(f"No such file or folder: {path}. Give {NEEDED}.")
    return [*found, *planted_beside(found[0].parent)]


def read(path: Path) -> RawData:
    """Reads and checks both files, or the one. Users and items are those with reviews, in order of id.

    The name is "amazon-electronics" for files with the published numbers of rows, "generated-amazon" for generated ones
    and "amazon" for others. Raises `InputError` for missing or damaged files and content that is not Amazon's; it names
    the file, the first offending line and the number of lines affected.
    """
    files = find_files(path)
    with unchanged(files):
        return _read(files)


def _read(files: list[Path]) -> RawData:
    identity = fingerprint(files)
    planted_file = files.pop() if files[-1].name == PLANTED else None
    reviews, items, counts = _read_one_file(*files) if len(files) == 1 else _read_pair(*files)
    user_ids, user = _sorted_codes(reviews["reviewerID"])
    published = len(reviews) == PUBLISHED_ROWS[REVIEWS] and counts[-1].read in PUBLISHED_ROWS.values()
    name = "generated-amazon" if planted_file else "amazon-electronics" if published else "amazon"
    return RawData(
        name=name,
        fingerprint=identity,
        schema=SCHEMA,
        users=pd.DataFrame({"reviewerID": user_ids}),
        items=pd.DataFrame({"asin": items.ids, "price": items.price}),
        user=user,
        item=items.of_review,
        label=(reviews["overall"].to_numpy() >= 4).astype(np.float32),
        timestamp=reviews["unixReviewTime"].to_numpy(dtype=np.int64),
        item_lists={"categories": Ragged.from_lists(items.categories)},
        best_score=read_planted(planted_file, len(reviews)) if planted_file else None,
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
    reviews = read_reviews(reviews_path)
    items = Items.without_metadata(reviews["asin"])
    row_of = {asin: row for row, asin in enumerate(items.ids)}
    lines = described = 0
    for asin, price, names in read_meta(meta_path):
        lines += 1
        row = row_of.get(asin)
        if row is not None:
            described += 1
            items.price[row] = price
            items.categories[row] += names
    notes = (
        f"{len(items.ids) - described:,} reviewed items without a line",
        f"{int(np.isnan(items.price).sum()):,} without a price",
    )
    dropped = {"never reviewed": lines - described}
    return (
        reviews,
        items,
        [
            RowCount(reviews_path.name, len(reviews), len(reviews)),
            RowCount(meta_path.name, lines, described, dropped, notes),
        ],
    )


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
        names = distinct_names(read_literal(text)) if text.startswith("[") else None
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
