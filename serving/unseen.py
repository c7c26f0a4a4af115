"""Values of an upsert that training has not seen: they are taken, but the model knows nothing of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import torch

from foundation.errors import InputWarning
from foundation.features import Bags, Features
from foundation.nearest import did_you_mean
from foundation.shown import some
from foundation.values import entries, is_missing, shown
from preprocessing.encoding import UNKNOWN
from serving.raw_encoder import Raw, RawEncoder

NAMED, WIDTH = 3, 100  # values of a message, and columns of each


def warn_unseen(encoder: RawEncoder, what: str, rows: list[Raw], features: list[Features]) -> None:
    """One `InputWarning` for all rows. Ids and histories are new by nature, and none of them is named.

    what: the entities are called, items or users. features: of each row, as encoded.
    """
    schema = encoder.schema
    new = {schema["user_id"], schema["item_id"], schema["history"]}
    columns = [column for column in (*encoder.user_columns, *encoder.item_columns) if column.name not in new]
    found: dict[tuple[str, object], str] = {}
    for raw, encoded in zip(rows, features, strict=True):
        for column in columns:
            if column.name in raw and column.name in encoded:
                for value in _unseen(raw[column.name], encoded[column.name]):
                    nearest = did_you_mean(value, encoder.values(column.name))
                    found.setdefault((column.name, value), f"{shown(value)} of '{column.name}'.{nearest}")
    if found:
        named = some(found.values(), NAMED, WIDTH)
        warnings.warn(
            f"Training has not seen these values of {what}: {named} They count as unknown ones.",
            InputWarning,
            stacklevel=2,
        )


def _unseen(value: object, encoded: torch.Tensor | Bags) -> Iterable:
    """The raw values that became `UNKNOWN` and were given."""
    if is_missing(value):
        return []
    given, ids = (entries(value), encoded.values) if isinstance(encoded, Bags) else ([value], encoded)
    if ids.is_floating_point():
        return []
    return [one for one, number in zip(given, ids.tolist(), strict=True) if number == UNKNOWN]
