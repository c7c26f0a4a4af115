"""Alibaba's display advertising data (Tianchi data set 56): raw_sample.csv, ad_feature.csv, user_profile.csv.

An impression is a positive if it was clicked. Missing values are a category of their own, `MISSING`; so are all
features of a user without a profile and of an ad without a feature row, but an ad's price, which is filled with a mean.
The published protocol alone drops the impressions of these, as the releases do.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from foundation.errors import InputError
from preprocessing.files import find_file, fingerprint, read_text, unchanged
from preprocessing.planted import planted_beside, read_planted
from preprocessing.raw import RawData, RowCount, Schema
from preprocessing.text_table import INTEGER, MISSING, NUMBER, Field, TextTable

PROFILE = (
    "cms_segid",
    "cms_group_id",
    "final_gender_code",
    "age_level",
    "pvalue_level",
    "shopping_level",
    "occupation",
    "new_user_class_level",
)
AD = ("cate_id", "campaign_id", "customer", "brand")
SCHEMA = Schema(
    user_id="userid",
    item_id="adgroup_id",
    user_sparse=("userid", *PROFILE),
    item_sparse=("adgroup_id", *AD, "pid"),
    item_dense=("price",),
    user_static=PROFILE,
    item_static=("cate_id", "customer", "brand", "pid"),
    fill_mean=("price",),
    published_statistics="all",
    day_start=16 * 3600,  # midnight in China
)
PID_PLACEMENTS = ("item", "request")

SAMPLE_FIELDS = (
    *(Field(name, INTEGER) for name in ("user", "time_stamp", "adgroup_id")),
    Field("pid"),
    *(Field(name, INTEGER, wanted="0 or 1") for name in ("nonclk", "clk")),
)
AD_FIELDS = (
    Field("adgroup_id", INTEGER),
    *(Field(name, INTEGER, optional=True) for name in AD),
    Field("price", NUMBER, optional=True),
)
PROFILE_FIELDS = (Field("userid", INTEGER), *(Field(name, INTEGER, optional=True) for name in PROFILE))
FILES = {"raw_sample.csv": SAMPLE_FIELDS, "ad_feature.csv": AD_FIELDS, "user_profile.csv": PROFILE_FIELDS}
PUBLISHED_ROWS = {"raw_sample.csv": 26_557_961, "ad_feature.csv": 846_811, "user_profile.csv": 1_061_768}

HOME_PAGE = "https://tianchi.aliyun.com/dataset/dataDetail?dataId=56"
NEEDED = f"a folder with {', '.join(FILES)}, plain or gzipped (.gz)"


def find_files(path: Path) -> list[Path]:
    """The three files in a folder, and `PLANTED` where it lies beside them. Raises `InputError` if one is missing."""
    path = Path(path)
    if not os.path.isdir(path):
        what = "is a file" if os.path.exists(path) else "does not exist"
        raise InputError(f"{path} {what}. Give {NEEDED}, from {HOME_PAGE} (a free Tianchi account is needed).")
    places = {name: find_file(path, name) for name in FILES}
    found = {name: place for name, place in places.items() if place is not None}
    if len(found) < len(FILES):
        missing = ", ".join(name for name in FILES if name not in found)
        raise InputError(f"{path} lacks {missing}. Give {NEEDED}, from\n{HOME_PAGE} (account needed).")
    return [*found.values(), *planted_beside(path)]


def read(path: Path) -> RawData:
    """Reads and checks the three files. Users and ads are in file order, those in raw_sample.csv alone behind them.

    The name is "taobao-ads" for files with the published numbers of rows, "generated-taobao" for generated ones and
    "taobao" for others. Raises `InputError` for missing files and content that is not Taobao's; it names the file, the
    first offending line and the number of lines affected.
    """
    files = find_files(path)
    with unchanged(files):
        return _read(files)


def _read(files: list[Path]) -> RawData:
    places = dict(zip(FILES, files, strict=False))
    tables, frames = {}, {}
    for name in ("user_profile.csv", "ad_feature.csv", "raw_sample.csv"):  # the large one last, while little is held
        content = read_text(places[name], NEEDED)
        tables[name] = TextTable.with_header(places[name], content, FILES[name], NEEDED, HOME_PAGE)
        frames[name] = tables[name].parse()
    for name, key in (("user_profile.csv", "userid"), ("ad_feature.csv", "adgroup_id")):
        tables[name].require(~frames[name][key].duplicated(), f"the {key} stands on an earlier line already")
    price = frames["ad_feature.csv"]["price"]
    tables["ad_feature.csv"].require(~(price < 0), "price must not be negative")
    sample = frames["raw_sample.csv"]
    clicked = sample["clk"].to_numpy()
    right = ((clicked == 0) | (clicked == 1)) & (sample["nonclk"].to_numpy() == 1 - clicked)
    tables["raw_sample.csv"].require(right, "nonclk and clk must be 0 and 1, or 1 and 0")
    # Other columns that a file may have, such as a row number, are not read.
    profiles = frames["user_profile.csv"][[field.name for field in PROFILE_FIELDS]]
    ads = frames["ad_feature.csv"][[field.name for field in AD_FIELDS]]
    users, user, new_users = _with_unknown(profiles, "userid", sample["user"].to_numpy())
    items, item, new_items = _with_unknown(ads, "adgroup_id", sample["adgroup_id"].to_numpy())
    notes = {
        "raw_sample.csv": (
            _note(new_users, user, "users without a profile"),
            _note(new_items, item, "ads without a feature row"),
        )
    }
    return RawData(
        name=_name({name: len(frame) for name, frame in frames.items()}, len(files) > len(FILES)),
        fingerprint=fingerprint(files),
        schema=SCHEMA,
        users=users,
        items=items,
        user=user,
        item=item,
        label=clicked.astype(np.float32),
        timestamp=sample["time_stamp"].to_numpy(),
        interactions={"pid": sample["pid"].array},
        best_score=read_planted(files[-1], len(sample)) if len(files) > len(FILES) else None,
        described_users=new_users,
        described_items=new_items,
        counts=tuple(
            RowCount(places[name].name, len(frames[name]), len(frames[name]), notes=notes.get(name, ()))
            for name in FILES
        ),
    )


def place_pid(schema: Schema, placement: str) -> Schema:
    """Moves the position of the ad, `pid`, to the side of an ad ("item", as published) or of a request ("request").

    On the item side an ad has one vector for each position. A service knows the position when the request comes, and
    wants to store one vector an ad: the request side gives it that.
    """
    if placement not in PID_PLACEMENTS:
        raise InputError(f"pid can be placed on the side: {', '.join(PID_PLACEMENTS)}. Received: '{placement}'.")

    def without(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name != "pid")

    on_user, on_item = ((), ("pid",)) if placement == "item" else (("pid",), ())
    return replace(
        schema,
        user_sparse=without(schema.user_sparse) + on_user,
        item_sparse=without(schema.item_sparse) + on_item,
        user_static=without(schema.user_static) + on_user,
        item_static=without(schema.item_static) + on_item,
    )


def _with_unknown(entities: pd.DataFrame, key: str, ids: np.ndarray) -> tuple[pd.DataFrame, np.ndarray, int]:
    """Row numbers of `ids` in an entity table that has got a row of missing values for each id it lacked.

    Returns the table, rows (n,) int32, and from which row on it is new.
    """
    rows = pd.Index(entities[key]).get_indexer(ids).astype(np.int32)
    known = len(entities)
    lacking = np.flatnonzero(rows < 0)
    codes, new_ids = pd.factorize(ids[lacking], sort=True)
    rows[lacking] = known + codes
    fill = {name: np.nan if kind.kind == "f" else MISSING for name, kind in entities.dtypes.items()}
    more = {name: np.full(len(new_ids), fill[name], kind) for name, kind in entities.dtypes.items()}
    more = pd.DataFrame(more | {key: new_ids})
    table = pd.concat([entities, more], ignore_index=True) if len(more) else entities
    return table.astype({name: np.int32 for name in table if _fits(table[name])}), rows, known


def _fits(column: pd.Series) -> bool:
    """Whether integers may be kept in 32 bits."""
    return column.dtype.kind == "i" and len(column) > 0 and column.between(-(2**31), 2**31 - 1).all()


def _note(first_new: int, rows: np.ndarray, what: str) -> str:
    """How many rows are those of entities from number `first_new` on, and of how many of these."""
    new = rows >= first_new
    count = int(rows.max()) + 1 - first_new if new.any() else 0
    return f"{int(new.sum()):,} of {count:,} {what}"


def _name(rows: dict[str, int], generated: bool) -> str:
    if generated:
        return "generated-taobao"
    return "taobao-ads" if rows == PUBLISHED_ROWS else "taobao"
