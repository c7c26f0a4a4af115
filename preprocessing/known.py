"""New frames for a model that is trained already, encoded as it expects; values that it does not know are unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundation.deepctr import VarLenSparseFeat
from foundation.errors import InputError
from foundation.feature_columns import Column
from foundation.kinds import kind_name
from foundation.run_files import read_config
from preprocessing.data_encoding import DataEncoding
from preprocessing.encoding import Vocabulary, of_length, scaled
from preprocessing.frames import features_of, raw_from_frames
from preprocessing.raw import Ragged, RawData, Schema


def as_encoding(given: Any) -> DataEncoding:
    """given: a run folder, the entries of its `config.json`, a data set, a trained model, or what these hold.

    Raises `InputError` where there is no encoding.
    """
    found = getattr(given, "encoding", given)
    if isinstance(found, (str, Path)):
        found = read_config(Path(found))
    if isinstance(found, Mapping):
        found = DataEncoding.from_json(found)
    if not isinstance(found, DataEncoding):
        raise InputError(
            "encoding must be a run folder, the content of its config.json, or a model that was trained on a data set. "
            f"Received: {str(given)[:80]}, which holds none."
        )
    return found


def raw_for(
    encoding: DataEncoding,
    users: pd.DataFrame | None,
    items: pd.DataFrame | None,
    interactions: pd.DataFrame,
    **names: Any,
) -> RawData:
    """`raw_from_frames` with the kinds, sides and features of an encoding; columns that it does not have are ignored.

    names: as of `raw_from_frames`; what the encoding says may be left out. Raises `InputError` as that does, for a
    feature that is in none of the frames, and for names that contradict the encoding.
    """
    schema = encoding.schema
    columns = {name for frame in (users, items, interactions) if frame is not None for name in frame}
    ids = {schema.user_id, schema.item_id}
    kinds = _kinds(schema)
    missing = [name for name in kinds if name not in columns]
    if missing:
        raise InputError(f"The model reads {', '.join(missing)}, which no frame has. Add the columns, or train anew.")
    reserved = {*ids, names.get("label"), names.get("timestamp")}
    unread = {*schema.display, *(one for one, kind in (names.get("kinds") or {}).items() if kind == "display")}
    kinds = {name: kinds.get(name, "display" if name in unread else "ignore") for name in columns - reserved}
    on_item = {*schema.item_sparse, *schema.item_dense}
    sides = {
        name: "item" if name in on_item else "user"
        for name in interactions
        if kinds.get(name, "ignore") not in ("ignore", "list", "vector", "display")
    }
    agreed: dict[str, Any] = {
        "user_id": schema.user_id,
        "item_id": schema.item_id,
        "statistics": bool(schema.user_statistic or schema.item_statistic),
        "history": schema.history is not None,
        "vocabulary_sizes": dict(schema.vocabulary_sizes),
    }
    for name, value in agreed.items():
        _require_agreement(name, names.pop(name, value), value)
    for name, value in (("kinds", kinds), ("sides", sides)):
        for feature, given in (names.pop(name, None) or {}).items():
            _require_agreement(f"{name}[{feature!r}]", kind_name(given), value.get(feature, "ignore"))
    raw = raw_from_frames(users, items, interactions, kinds=kinds, sides=sides, **agreed, **names)
    return replace(raw, schema=schema)


def arrays_for(encoding: DataEncoding, frame: pd.DataFrame, columns: list[Column]) -> dict[str, np.ndarray]:
    """Raw rows -> what `Arrays.check` takes, lists padded with 0.

    frame: one row an impression, with a column for each feature that the model reads. A statistic that is not there is
    the mean label of the training rows, as of a new user or item; a history is empty. Other columns are ignored.
    Raises `InputError` for a feature that is missing or of another kind.
    """
    schema = encoding.schema
    computed = {schema.user_statistic, schema.item_statistic, schema.history}
    needed = [column.name for column in columns if column.name not in computed]
    missing = [name for name in needed if name not in frame]
    if missing:
        raise InputError(f"The model reads {', '.join(missing)}. Received the columns: {', '.join(map(str, frame))}.")
    twice = [column.name for column in columns if list(frame.columns).count(column.name) > 1]
    if twice:
        raise InputError(f"The rows have two columns named {', '.join(twice)}. Drop or rename one of each.")
    kinds = _kinds(schema) | dict.fromkeys({schema.user_id, schema.item_id}, "sparse")
    kinds |= {name: "list" if name == schema.history else "dense" for name in computed if name}
    present = [column.name for column in columns if column.name in frame]
    part = features_of("the rows", frame[present].reset_index(drop=True), kinds)
    arrays = {}
    for column in columns:
        name = column.name
        vocabulary = encoding.vocabulary_of(name)
        if vocabulary is not None and isinstance(column, VarLenSparseFeat):
            lists = part.lists[name] if name in part.lists else Ragged.from_lists([[]] * len(frame))
            arrays[name] = _padded(vocabulary, name, lists)
        elif vocabulary is not None:
            vocabulary.require_kind(name, pd.Index(part.table[name]))
            arrays[name] = vocabulary.encode(part.table[name])
        elif name in part.vectors:
            arrays[name] = of_length(name, part.vectors[name], encoding.vectors[name])
        elif name in computed:
            none = np.full(len(frame), np.nan)
            values = part.table[name].to_numpy(dtype=np.float64) if name in frame else none
            arrays[name] = scaled(name, _statistics(name, values, encoding.mean_label), encoding.scalers)
        else:
            arrays[name] = encoding.scalers[name].transform(name, part.table[name].to_numpy(dtype=np.float64))
    return arrays


def _kinds(schema: Schema) -> dict[str, str]:
    """feature -> kind, without ids and what is computed from labels."""
    by_kind = {
        "sparse": (*schema.user_sparse, *schema.item_sparse),
        "dense": (*schema.user_dense, *schema.item_dense),
        "list": (*schema.user_lists, *schema.item_lists),
        "vector": (*schema.user_vectors, *schema.item_vectors),
    }
    ids = {schema.user_id, schema.item_id}
    return {name: kind for kind, names in by_kind.items() for name in names if name not in ids}


def _require_agreement(name: str, given: Any, expected: Any) -> None:
    if given != expected:
        raise InputError(f"{name}={given!r} contradicts the given encoding, which has {expected!r}. Leave it out.")


def _padded(vocabulary: Vocabulary, name: str, lists: Ragged) -> np.ndarray:
    """(n, length of the longest) int64"""
    vocabulary.require_kind(name, pd.Index(lists.values))
    lengths = lists.lengths
    padded = np.zeros((len(lengths), max(1, lengths.max(initial=0))), dtype=np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = vocabulary.encode(lists.values)
    return padded


def _statistics(name: str, values: np.ndarray, mean_label: float) -> np.ndarray:
    """(n,), the mean label where one is missing. Raises `InputError` for what is no mean label."""
    statistic = np.where(np.isnan(values), mean_label, values)
    low, high = statistic.min(initial=0.5), statistic.max(initial=0.5)
    if not 0 <= low <= high <= 1:
        raise InputError(f"'{name}' is a mean label and must lie in 0..1. Received: {low} to {high}.")
    return statistic
