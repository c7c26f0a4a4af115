"""A frame's column without the type that stores it: categorical, sparse, Arrow, nullable or of another machine."""

from __future__ import annotations

import numpy as np
import pandas as pd

from foundation.values import plain


def unpacked(column: pd.Series) -> pd.Series:
    """The values without the storage of a categorical, of a sparse array or of another machine's order of bytes."""
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        return column.sparse.to_dense()
    if not isinstance(dtype, pd.CategoricalDtype):
        foreign = isinstance(dtype, np.dtype) and not dtype.isnative
        return column.astype(dtype.newbyteorder("=")) if foreign else column
    codes = column.cat.codes.to_numpy()
    if (codes >= 0).all():
        return pd.Series(column.cat.categories.take(codes), name=column.name)
    values = _taken(column.cat.categories.astype(object).to_numpy(), codes)
    return pd.Series(values, name=column.name, dtype=object)


def plain_array(column: pd.Series) -> np.ndarray:
    """(n,) numbers or truth values as numpy has them, if none is missing (or is NaN among floats), or objects: `plain`
    of each."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _taken(plain_array(pd.Series(column.cat.categories)), column.cat.codes.to_numpy())
    column = unpacked(column)
    dtype, missing = column.dtype, column.isna().to_numpy(dtype=bool)
    if dtype.kind == "f" or (dtype.kind in "iub" and not missing.any()):
        return stored(column)
    values = column.astype(object).to_numpy(copy=True)
    if is_text(dtype):
        values[missing] = None
    else:
        values[:] = [plain(value) for value in values]
    return values


def stored(column: pd.Series) -> np.ndarray:
    """(n,) numbers and truth values of one type, NaN for a missing float; else objects."""
    dtype = column.dtype
    if dtype.kind not in "iufb":
        return column.astype(object).to_numpy()
    if isinstance(dtype, np.dtype):
        return column.to_numpy()
    return column.to_numpy(dtype=dtype.numpy_dtype, **({"na_value": np.nan} if dtype.kind == "f" else {}))


def _taken(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """`values[codes]`, with NaN among floats and None among all others for the code -1."""
    if (codes >= 0).all():
        return values[codes]
    if values.dtype.kind == "f":
        return np.append(values, values.dtype.type(np.nan))[codes]
    with_none = np.empty(len(values) + 1, dtype=object)
    with_none[:-1] = [plain(value) for value in values]
    return with_none[codes]


def is_text(dtype) -> bool:
    """Whether a column of this type holds texts and nothing else."""
    return not isinstance(dtype, np.dtype) and pd.api.types.is_string_dtype(dtype)
