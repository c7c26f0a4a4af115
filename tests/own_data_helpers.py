"""A shop in files: tables of users and of items and a log, in every format that `dataset.toml` can name."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd

from preprocessing.raw import RawData

SPEC = """
[log]
files = "log{suffix}"
user = "customer"
item = "article"
time = "when"
label = "stars"
above = 3
drop = [3]

[users]
files = "users{suffix}"
id = "id"

[items]
files = "items{suffix}"
id = "article"

[kinds]
title = "display"
row = "ignore"

[separators]
tags = "|"

[sides]
position = "item"

[vocabulary_sizes]
city = 3
"""


def shop(rows: int = 400, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Ids are texts and whole numbers; there are gaps of every kind."""
    rng = np.random.default_rng(seed)
    users = pd.DataFrame(
        {
            "id": [f"c{n}" for n in rng.permutation(30)],
            "city": ["Łódź", "Paris", None, "Jena", "Paris"] * 6,
            "level": pd.array([3, None, 1] * 10, "Int64"),
            "member": [True, False] * 15,
            "income": [1.5, np.nan, 0.1 + 0.2, 2.0, 1e-9] * 6,
        }
    )
    items = pd.DataFrame(
        {
            "article": 2**40 + rng.permutation(20) * 10,
            "title": [f'The "{n}", or: so' for n in range(20)],
            "brand": rng.integers(0, 5, 20),
            "price": np.round(rng.random(20) * 100, 2),
            "tags": ["new|sale", None, "sale", "old| new"] * 5,
        }
    )
    log = pd.DataFrame(
        {
            "when": 1_700_000_000 + rng.integers(0, 10**6, rows),
            "customer": users["id"].to_numpy()[rng.integers(0, 30, rows)],
            "article": items["article"].to_numpy()[rng.integers(0, 20, rows)],
            "stars": rng.integers(1, 6, rows),
            "device": pd.Series(["phone", "tv", None, "desktop"] * (rows // 4)),
            "position": rng.integers(0, 9, rows),
            "hour": rng.random(rows) * 24,
            "row": range(rows),
        }
    )
    log.loc[::7, "hour"] = np.nan
    return {"users": users, "items": items, "log": log}


def write(folder: Path, frames: dict[str, pd.DataFrame], suffix: str, parts: int = 1, **options) -> None:
    """Each frame as one file, or as several whose names end in a number."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        for number, rows in enumerate(np.array_split(np.arange(len(frame)), parts)):
            place = folder / (f"{name}{suffix}" if parts == 1 else f"{name}-{number}{suffix}")
            write_one(place, frame.iloc[rows], **options)


def write_one(path: Path, frame: pd.DataFrame, sep: str = ",", **options) -> None:
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
        return
    if len(sep) == 1:
        text = frame.to_csv(index=False, sep=sep, lineterminator="\n", **options)
    else:
        rows = [frame.columns, *frame.astype(object).where(frame.notna(), "").itertuples(index=False)]
        text = "".join(sep.join(map(str, row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def write_spec(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    return folder


def values_of(column) -> list:
    """Plain values, None where one is missing."""
    column = pd.Series(column).astype(object)
    return column.where(column.notna(), None).tolist()


def assert_same_raw(left: RawData, right: RawData, shown: tuple[str, ...] = ()) -> None:
    """Equal to the bit in all that models see. shown: columns that `right` lacks, since it is of frames."""
    assert left.schema == right.schema
    for name in ("user", "item", "label", "timestamp"):
        one, other = getattr(left, name), getattr(right, name)
        assert one.dtype == other.dtype
        assert one.tolist() == other.tolist()
    for table in ("users", "items"):
        one, other = getattr(left, table).drop(columns=list(shown), errors="ignore"), getattr(right, table)
        assert list(one.columns) == list(other.columns)
        for name in one:
            assert values_of(one[name]) == values_of(other[name])
            assert [type(value) for value in values_of(one[name])] == [type(value) for value in values_of(other[name])]
    for kind in ("user_lists", "item_lists"):
        one, other = getattr(left, kind), getattr(right, kind)
        assert list(one) == list(other)
        for name in one:
            assert one[name].values.tolist() == other[name].values.tolist()
            assert one[name].offsets.tolist() == other[name].offsets.tolist()
    assert list(left.interactions) == list(right.interactions)
    for name in left.interactions:
        assert values_of(left.interactions[name]) == values_of(right.interactions[name])
