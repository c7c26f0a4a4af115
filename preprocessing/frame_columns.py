"""Columns of a frame -> arrays of plain values, whatever pandas, numpy or Arrow type holds them, or a refusal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd

from foundation.errors import InputError
from foundation.values import (
    INT64,
    entries,
    exact_below,
    is_list,
    is_missing,
    is_number,
    number,
    plain,
    shown,
    undecimal,
    whole,
)
from preprocessing.column_storage import is_text, plain_array, stored, unpacked
from preprocessing.raw import Ragged
from preprocessing.vector_columns import has_floats

SECONDS = "integer seconds or datetimes"


def kind_of(where: str, column: pd.Series) -> str:
    """What a column is by guess: "dense" for floats and decimals, "vector" for lists with floats, "list" for lists
    without, "sparse" for everything else."""
    dtype = column.dtype
    if dtype.kind == "M":
        time = f", or timestamp='{column.name}' if it is the time of the row" if where == "interactions" else ""
        raise InputError(
            f"Column '{column.name}' of {where} holds datetimes. Make a number or a category of it, or say "
            f"kinds={{'{column.name}': 'ignore'}}{time}."
        )
    if isinstance(dtype, pd.CategoricalDtype) or is_text(dtype):
        return "sparse"
    if pd.api.types.is_float_dtype(dtype):
        return "dense"
    if dtype.kind != "O":
        return "sparse"
    kinds = {type(value): value for value in column if not is_missing(value)}
    if any(is_list(value) for value in kinds.values()):
        return "vector" if any(is_list(value) and has_floats(value) for value in column) else "list"
    numbers = all(is_number(value) and type(plain(value)) is not bool for value in kinds.values())
    floats = any(isinstance(value, (float, np.floating, Decimal)) for value in kinds.values())
    return "dense" if numbers and floats else "sparse"


def lists(where: str, column: pd.Series) -> Ragged:
    """Lists of texts or of whole numbers; a missing one is empty, a missing value in one left out."""
    given = list(unpacked(column))
    wrong = next((value for value in given if not is_list(value) and not is_missing(value)), None)
    rows = [] if wrong is not None else [[] if is_missing(value) else entries(value) for value in given]
    values = [value for row in rows for value in row]
    kinds = set(map(type, values))
    if wrong is not None or kinds not in (set(), {int}, {str}):
        what = shown(wrong) if wrong is not None else f"entries of types {_names(kinds)}"
        advice = ""
        if float in kinds:
            advice = (
                f" A vector is no list of categories: say kinds={{'{column.name}': 'vector'}}. "
                "Whole numbers must be of an integer type."
            )
        elif isinstance(wrong, str):
            advice = (
                f" Split texts at what separates their parts, for example frame['{column.name}'] = "
                f"frame['{column.name}'].str.split('|')."
            )
        raise InputError(
            f"Column '{column.name}' of {where} must hold lists of texts or of integers. Received: {what}.{advice}"
        )
    # Texts as objects: an array of numpy's own strings loses any zero characters at their ends.
    array = np.array(values, dtype=object if kinds == {str} else None)
    if kinds == {str}:
        _require_text(where, column, array)
    return Ragged(array, np.cumsum([0, *map(len, rows)], dtype=np.int64))


def numbers(where: str, column: pd.Series) -> np.ndarray:
    """(n,) float64, NaN where one is missing."""
    values = plain_array(column)
    if values.dtype.kind in "iufb":
        return values.astype(np.float64)
    try:
        floats = [np.nan if value is None else number(value) for value in values]
    except OverflowError:
        raise InputError(f"Column '{column.name}' of {where} holds a whole number beyond all floats.") from None
    if None in floats:
        wrong = {type(value) for value, one in zip(values, floats, strict=True) if one is None}
        raise InputError(
            f"Column '{column.name}' of {where} must hold numbers to be dense. Received: {_names(wrong)}."
            f"{_advice(column.name, wrong)}"
        )
    return np.array(floats, dtype=np.float64)


def categories(where: str, column: pd.Series) -> np.ndarray:
    """(n,) values that can be sorted and hashed: numbers or truth values, or objects with None where one is missing."""
    values = plain_array(column)
    if values.dtype.kind in "iub":
        return values
    if values.dtype.kind == "f":
        return _exact(where, column, values)
    present = np.array([value is not None for value in values], dtype=bool)
    kinds = {type(value) for value in values[present]}
    if Decimal in kinds and kinds <= {Decimal, int, float}:
        values = np.array([*map(undecimal, values)], dtype=object)
        kinds = {type(value) for value in values[present]}
    if kinds == {int} and present.all() and all(value in INT64 for value in values):
        return values.astype(np.int64)
    if kinds == {bool} and present.all():
        return values.astype(bool)
    if kinds == {float, int} and not any(type(value) is int and abs(value) >= exact_below(float) for value in values):
        values, kinds = np.array([None if value is None else float(value) for value in values], object), {float}
    if kinds == {float}:
        _exact(where, column, values[present].astype(np.float64))
    if len(kinds) > 1 or not kinds <= {str, int, float, bool}:
        raise InputError(
            f"Column '{column.name}' of {where} must hold texts, or numbers, to be sparse. Received: {_names(kinds)}. "
            f"Convert it, for example with .astype(str).{_advice(column.name, kinds)}"
        )
    if kinds == {str}:
        _require_text(where, column, values)
    return values


def texts(where: str, column: pd.Series) -> np.ndarray:
    """(n,) texts to show, as objects; a missing value is an empty one, a list has "|" between its entries."""
    given = ["|".join(map(str, entries(value))) if is_list(value) else plain(value) for value in unpacked(column)]
    values = np.array([*("" if value is None else str(value) for value in given), None], dtype=object)[:-1]
    _require_text(where, column, values)
    return values


def require_present(where: str, column: pd.Series) -> None:
    missing = column.isna().to_numpy(dtype=bool)
    if missing.any():
        count = int(missing.sum())
        raise InputError(
            f"{column.name} is missing in {count} row{'s' * (count > 1)} of {where}, the first at row "
            f"{missing.argmax()}. Fill or drop them."
        )


def ids(where: str, column: pd.Series) -> np.ndarray:
    """(n,) int64, or texts as objects. Raises `InputError` for missing ids and for those that are neither."""
    require_present(where, column)
    # As they are, and not `plain`: whether a float is exact depends on its type.
    values = stored(unpacked(column))
    if values.dtype.kind == "i":
        return values.astype(np.int64)
    if values.dtype.kind == "u":
        fits, result = values <= np.uint64(INT64[-1]), values
    elif values.dtype.kind == "f":
        fits, result = (np.abs(values) < exact_below(values.dtype)) & (values == np.floor(values)), values
    else:
        if all(isinstance(value, str) for value in values):
            _require_text(where, column, values)
            return values if set(map(type, values)) <= {str} else np.array([*map(plain, values)], dtype=object)
        found = [whole(value) for value in values]
        fits = np.array([value is not None for value in found], dtype=bool)
        result = np.array([0 if value is None else value for value in found], dtype=np.int64)
    if not fits.all():
        row = int(np.argmin(fits))
        raise InputError(
            f"Column '{column.name}' of {where} must hold ids: texts, or whole numbers of 64 bits, and floats below "
            f"{exact_below(values.dtype if values.dtype.kind == 'f' else float)} only, since larger ones stand for "
            f"several whole numbers. Received: {plain(values[row])!r} ({column.dtype}) at row {row}."
        )
    return result.astype(np.int64)


def labels(column: pd.Series) -> np.ndarray:
    """(n,) float32 of 0 and 1."""
    values = plain_array(column)
    if values.dtype.kind not in "iufb":
        right = [is_number(value) and value in (0, 1) for value in values]
        values = np.array([float(value) if fits else np.nan for value, fits in zip(values, right, strict=True)])
    wrong = ~((values == 0) | (values == 1))
    if wrong.any():
        row, count = int(wrong.argmax()), int(wrong.sum())
        first = plain(column.iloc[row])
        raise InputError(
            f"Labels must be 0 or 1. Received {count} other{'s' * (count > 1)}, the first {shown(first)} at row {row}. "
            f"{_as_label(column, first)}"
        )
    return values.astype(np.float32)


def _as_label(column: pd.Series, wrong: object) -> str:
    """How to make labels of a column, whose first wrong one this is."""
    name = column.name
    if is_missing(wrong):
        return f"Drop the rows without a label: log = log.dropna(subset=['{name}'])."
    given = [value for value in map(plain, pd.unique(unpacked(column))) if value is not None]
    if len(given) == 1:
        return f"All of them are {shown(given[0])}: add the rows that are not positive."
    place, found = f"log['{name}']", [number(value) for value in given]
    if all(isinstance(value, str) for value in given):
        with contextlib.suppress(ValueError):
            place, found = f"{place}.astype(float)", [float(value) for value in given]
    values = sorted(value for value in found if value is not None)
    if len(values) < len(given):
        like = max(str(value) for value in given) if isinstance(wrong, str) else wrong  # "yes" of "no" and "yes"
        condition = f"{place} == {shown(like)}"
    elif set(values) <= {0, 1}:
        return f"Make numbers of the column: log['{name}'] = {place}.astype(int)."
    else:
        condition = f"{place} {_above(values)}"
    return f"Make labels of the column, for example log['{name}'] = ({condition}).astype(int)."


def _above(values: list[float]) -> str:
    """A condition that some of these distinct values meet and others do not, the larger ones.

    >>> _above([-1, 1]), _above([0, 1, 2]), _above([1, 2, 3, 4, 5])
    ('== 1', '> 0', '> 3')
    """
    if len(values) == 2:
        return f"== {values[1]:.15g}"
    return f"> {0 if values[0] <= 0 < values[-1] else values[(len(values) - 1) // 2]:.15g}"


def seconds(column: pd.Series) -> np.ndarray:
    """(n,) int64 seconds since 1970 in UTC. Times without a zone count as UTC."""
    missing = column.isna().to_numpy(dtype=bool)
    if missing.any():
        raise InputError(
            f"{int(missing.sum())} interactions have no {column.name}, the first at row {missing.argmax()}. "
            "Fill or drop them."
        )
    column = unpacked(column)
    if column.dtype.kind in "iu":
        values = column.to_numpy()
        if len(values) and int(values.max()) not in INT64:
            raise InputError(f"{column.name} must hold {SECONDS}. Received: {values.max()}, which has over 63 bits.")
        return values.astype(np.int64)
    if column.dtype.kind == "O":
        found = [None if isinstance(value, (float, np.floating, Decimal)) else whole(value) for value in column]
        if found and None not in found:
            return np.array(found, dtype=np.int64)
        column = _datetimes(column)
    if column.dtype.kind != "M":
        objects = isinstance(column.dtype, np.dtype) and column.dtype.kind == "O"
        held = _names(set(map(type, column))) if objects else column.dtype
        texts = is_text(column.dtype) or (objects and any(isinstance(value, str) for value in column))
        place = f"log['{column.name}']"
        advice = f" Convert the texts: {place} = pd.to_datetime({place})." if texts else ""
        if column.dtype.kind == "f":
            advice = f" If they are seconds, write {place} = {place}.astype('int64')."
        raise InputError(f"{column.name} must hold {SECONDS}. Received: {held}.{advice}")
    return pd.to_datetime(column, utc=True).dt.tz_convert(None).to_numpy("datetime64[s]").astype(np.int64)


def _datetimes(column: pd.Series) -> pd.Series:
    """Objects as datetimes, if they are dates or datetimes with, or all without, a zone; else as they are."""
    values = [pd.Timestamp(value) if isinstance(value, np.datetime64) else value for value in column]
    if not values or not all(hasattr(value, "year") and hasattr(value, "timetuple") for value in values):
        return column
    zones = {getattr(value, "tzinfo", None) is not None for value in values}
    if len(zones) > 1:
        raise InputError(f"{column.name} holds times with a zone and times without. Give all of them one.")
    return pd.Series(pd.to_datetime(values, utc=True), name=column.name)


def _exact(where: str, column: pd.Series, values: np.ndarray) -> np.ndarray:
    """The floats, if each is one value: no infinity, and none that stands for several whole numbers."""
    limit = exact_below(values.dtype)
    wrong = np.abs(values) >= limit
    if wrong.any():
        raise InputError(
            f"Column '{column.name}' of {where} holds floats of {limit} or more as categories, the first at row "
            f"{wrong.argmax()}: {plain(values[wrong.argmax()])!r}. They may stand for several whole numbers: read them "
            "as integers or texts."
        )
    return values


def _require_text(where: str, column: pd.Series, values: np.ndarray) -> None:
    """Raises `InputError` for half of a surrogate pair, which no file could hold."""
    try:
        "".join(value for value in values if value is not None).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"Column '{column.name}' of {where} holds half of a surrogate pair, or a byte that is not UTF-8 "
            f"({error.object[max(error.start - 20, 0) : error.end + 20]!r}). Give text."
        ) from None


def _names(kinds: Iterable[type]) -> str:
    return ", ".join(sorted(kind.__name__ for kind in kinds))


def _advice(name: str, kinds: Iterable[type]) -> str:
    """How to make a number of what is none."""
    if any(issubclass(kind, timedelta) for kind in kinds):
        return f" Make a number of it: frame['{name}'].dt.total_seconds()."
    if any(issubclass(kind, date) for kind in kinds):
        return (
            f" Make a number of it, for example of days: (pd.to_datetime(frame['{name}'], utc=True) - "
            "pd.Timestamp(0, tz='UTC')) / pd.Timedelta(days=1)."
        )
    return f" Decode them: frame['{name}'].str.decode('utf-8')." if bytes in kinds else ""
