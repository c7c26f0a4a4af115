"""Frames of a shop made by hand, and columns of every type that a frame may hold."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
from storage_types import arrow

from preprocessing.dataset import Dataset

NAMES = {"user_id": "u", "item_id": "i", "label": "y", "timestamp": "t"}


def frames(rows: int = 240) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    return {
        "users": pd.DataFrame(
            {
                "u": [f"u{n}" for n in range(20)],
                "country": pd.Categorical(["DE", "FR", None, "PL"] * 5),
                "member": [True, False] * 10,
                "income": [1.5, np.nan, 3.0, 2.0] * 5,
                "hobbies": [["chess", "go"], [], None, ["go"]] * 5,
            },
            index=range(100, 120),
        ),
        "items": pd.DataFrame(
            {
                "i": np.arange(15) * 10,
                "kind": ["a", "b", "c"] * 5,
                "price": np.arange(15) / 2,
                "tags": [np.array([n % 3, 7]) for n in range(15)],
            }
        ),
        "interactions": pd.DataFrame(
            {
                "u": [f"u{n}" for n in rng.integers(0, 20, rows)],
                "i": rng.integers(0, 15, rows) * 10,
                "y": rng.integers(0, 2, rows),
                "t": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(rng.permutation(rows), unit="s"),
                "device": ["phone", "desktop", "tv"] * (rows // 3),
                "hour": rng.random(rows) * 24,
            }
        ),
    }


def build(protocol: str = "holdout", **changes) -> Dataset:
    return Dataset.from_frames(**{**frames(), **NAMES, **changes}, protocol=protocol)


USERS, ITEMS, LOG = (frames()[name] for name in ("users", "items", "interactions"))
GAPS = [3, None, 1, 3]
CATEGORIES = {  # -> the values that a vocabulary then has, and (of the first three rows) what each row is
    "categorical integers with gaps": (pd.Categorical(GAPS), [1, 3], [3, None, 1]),
    "ordered, with one that is not there": (pd.Categorical(GAPS, [9, 3, 1], ordered=True), [1, 3], [3, None, 1]),
    "categorical floats": (pd.Categorical([0.5, None, 1.5, 0.5]), [0.5, 1.5], [0.5, None, 1.5]),
    "categorical truth": (pd.Categorical([True, None, False, True]), [False, True], [True, None, False]),
    "boolean": (pd.array([True, None, False, True], "boolean"), [False, True], [True, None, False]),
    "objects of truth": (pd.Series([True, None, False, np.True_], dtype=object), [False, True], [True, None, False]),
    "Int8": (pd.array(GAPS, "Int8"), [1, 3], [3, None, 1]),
    "objects of many integers": (pd.Series([3, None, np.int8(1), np.uint64(3)], dtype=object), [1, 3], [3, None, 1]),
    "arrow integers": (arrow(GAPS, pa.int32()), [1, 3], [3, None, 1]),
    "arrow dictionary": (arrow(["b", None, "a"], pa.dictionary(pa.int8(), pa.string())), ["a", "b"], ["b", None, "a"]),
    "beyond 64 bits": (pd.Series([2**70, None, 1, 2**70], dtype=object), [1, 2**70], [2**70, None, 1]),
    "nothing": (arrow([None] * 4, pa.null()), [], [None, None, None]),
}  # fmt: skip
NUMBERS = {
    "Float32": pd.array([1.5, None, -2.0, 1.5], "Float32"),
    "arrow double": arrow([1.5, None, -2.0, 1.5], pa.float64()),
    "arrow decimal": arrow([Decimal("1.5"), None, Decimal(-2), Decimal("1.5")], pa.decimal128(9, 2)),
    "decimals": pd.Series([Decimal("1.5"), None, Decimal(-2), Decimal("NaN")], dtype=object),
    "objects": pd.Series([1.5, pd.NA, -2, np.float32(1.5)], dtype=object),
    "sparse array": pd.arrays.SparseArray([1.5, np.nan, -2.0, 1.5]),
}
LISTS = {
    "arrow list": arrow([["b", None, "a"], None, [], ["a"]], pa.list_(pa.string())),
    "arrow large list": arrow([["b", "a"], None, [], ["a"]], pa.large_list(pa.large_string())),
    "arrow fixed list": arrow([["b", "a"], None, [None, None], ["a", None]], pa.list_(pa.string(), 2)),
    "tuples, arrays and Series": [("b", "a"), pd.NA, np.array([]), pd.Series(["a"], index=[7])],
    "numpy texts": [np.array(["b", "a"]), None, frozenset(), {"a"}],
}


def repeated(column) -> pd.Series:
    """As long as the users, with their index, in the type that it has."""
    series = column if isinstance(column, pd.Series) else pd.Series(column)
    return series.iloc[np.resize(np.arange(len(series)), len(USERS))].set_axis(USERS.index)
