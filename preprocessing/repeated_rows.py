"""Rows of a log that repeat another one: a random split puts copies of a row into training and into test."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd

from preprocessing.leak_probe import LeakWarning
from preprocessing.raw import RawData

FEW = 0.01  # share of repeated rows up to which a random split is hardly changed by them
LOG = "interactions"  # whose count of rows says how many there are


def repeated_rows(raw: RawData) -> np.ndarray:
    """(n,) bool, whether a row has the user, the item and the time of an earlier one.

    Without times, when a user may well meet an item twice, it must have the label and all features of it, too.
    """
    columns = {"user": raw.user, "item": raw.item, "time": raw.timestamp}
    if not raw.timestamp.any():
        columns |= {"label": raw.label} | {f"feature {name}": values for name, values in raw.interactions.items()}
    return pd.DataFrame(columns).duplicated().to_numpy()


def told_of_repeated_rows(raw: RawData, protocol: str, time: str | None, stacklevel: int = 1) -> RawData:
    """The same data with a note beside the count of the log's rows. Warns (`LeakWarning`) of more than a few under a
    protocol that splits at random.

    time: the column of times, None without one. stacklevel: as of `warnings.warn`, from the caller on.
    """
    count, rows = int(repeated_rows(raw).sum()), len(raw)
    if not count:
        return raw
    if count > FEW * rows and protocol != "temporal":
        key = f"'{raw.schema.user_id}', '{raw.schema.item_id}'"
        advice = f"Leave the copies out: log = log.drop_duplicates([{key}, '{time}'])."
        if time is None:
            advice = "Name the column of times, if there is one; if they are copies, leave them out: "
            advice += "log = log.drop_duplicates()."
        warnings.warn(
            f"{count:,} of {rows:,} rows of the log repeat another one. {protocol} splits at random and puts copies of "
            f"a row into training and test, so that test results are better than they should be. {advice}",
            LeakWarning,
            stacklevel=stacklevel + 1,
        )
    note = f"{count:,} of them repeat another one"
    counts = [replace(one, notes=(*one.notes, note)) if one.source == LOG else one for one in raw.counts]
    return replace(raw, counts=tuple(counts))
