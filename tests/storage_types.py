"""The same values in every type that pandas, numpy and Arrow store them as."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa


def arrow(values, kind: pa.DataType) -> pd.Series:
    return pd.Series(pa.array(values, type=kind), dtype=pd.ArrowDtype(kind))


def nullable(values, kind: str) -> pd.Series:
    return pd.Series(pd.array(values, dtype=kind))


WHOLE = {
    **{
        kind: lambda values, kind=kind: pd.Series(np.array(values, dtype=kind)) for kind in ("int16", "uint16", "int64")
    },
    **{
        kind: lambda values, kind=kind: pd.Series(np.array(values, dtype=kind)) for kind in ("uint64", "float32", ">i8")
    },
    **{kind: lambda values, kind=kind: nullable(values, kind) for kind in ("Int64", "UInt16", "Int32", "Float64")},
    "float64": lambda values: pd.Series(np.array(values, dtype=float)),
    "objects": lambda values: pd.Series(values, dtype=object),
    "numpy objects": lambda values: pd.Series([np.int64(value) for value in values], dtype=object),
    "mixed objects": lambda values: pd.Series(
        [float(v) if v % 2 else np.uint8(v % 256) + v // 256 * 256 for v in values], dtype=object
    ),
    "decimals": lambda values: pd.Series([Decimal(value) for value in values], dtype=object),
    "arrow int64": lambda values: arrow(values, pa.int64()),
    "arrow uint16": lambda values: arrow(values, pa.uint16()),
    "arrow double": lambda values: arrow(list(map(float, values)), pa.float64()),
    "arrow decimal": lambda values: arrow([Decimal(value) for value in values], pa.decimal128(20, 0)),
    "arrow dictionary": lambda values: arrow(values, pa.dictionary(pa.int32(), pa.int64())),
    "categorical": lambda values: pd.Series(pd.Categorical(values, categories=sorted({*values, 9999}))),
    "ordered categorical": lambda values: pd.Series(pd.Categorical(values, sorted(set(values)), ordered=True)),
    "categorical of floats": lambda values: pd.Series(pd.Categorical(list(map(float, values)))),
    "sparse array": lambda values: pd.Series(pd.arrays.SparseArray(values)),
}
TEXTS = {
    **{kind: lambda values, kind=kind: nullable(values, kind) for kind in ("str", "string", "string[python]")},
    "objects": lambda values: pd.Series(values, dtype=object),
    "numpy objects": lambda values: pd.Series([v if v is None else np.str_(v) for v in values], dtype=object),
    "arrow string": lambda values: arrow(values, pa.string()),
    "arrow large_string": lambda values: arrow(values, pa.large_string()),
    "arrow dictionary": lambda values: arrow(values, pa.dictionary(pa.int32(), pa.string())),
    "categorical": lambda values: pd.Series(pd.Categorical(values)),
}
