"""From a run folder back to its data set, and from there to what is known of each user and item when a request comes.

A request comes after training, so an entity's statistic and history are made of all training rows (`request_tables`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from foundation.errors import InputError
from foundation.feature_columns import Column
from foundation.features import Lists
from foundation.ids import keys_of
from foundation.run_files import RESULT, committed, read_config
from foundation.values import is_missing
from model.base import TwoTower
from preprocessing import movielens
from preprocessing.cache import DEFAULT_CACHE
from preprocessing.dataset import Dataset, FeatureTable
from preprocessing.dataset_spec import SPEC
from preprocessing.label_features import request_tables
from preprocessing.label_statistics import user_histories
from preprocessing.load import (
    AMAZON_NAMES,
    DATA_DIR,
    MOVIELENS_NAMES,
    SYNTHETIC,
    SYNTHETIC_NAME,
    TAOBAO_NAMES,
    find_movielens,
    load_amazon,
    load_taobao,
    reader_of,
)
from preprocessing.own_data import load_own
from preprocessing.raw import RawData
from preprocessing.synthetic import synthetic_movielens
from serving.entities import Entities
from training.result_file import FOLDER, RUN, read_result, split_of

IN_PYTHON = "Build an index of data from frames in Python: docs/frames.md."


def _generated(path: str | None, config: dict) -> RawData:
    if path not in (None, SYNTHETIC):
        raise InputError(
            "The run was trained on synthetic data, which is generated and not read. Leave --data_path out. "
            f"Received: --data_path {path}."
        )
    return synthetic_movielens()


def _movielens(path: str | None, config: dict) -> RawData:
    found = find_movielens(path, quiet=True)
    if found is None:
        raise InputError(
            f"The data of the run are not in {DATA_DIR / 'ml-1m'}, and cannot be downloaded. Say where they are with "
            "--data_path."
        )
    return movielens.read(found)


# Name of the data (`reader_of`) -> how to read it, given --data_path and the run's settings.
LOADERS: dict[str, Callable[[str | None, dict], RawData]] = {
    **dict.fromkeys(MOVIELENS_NAMES, _movielens),
    SYNTHETIC_NAME: _generated,
    **dict.fromkeys(AMAZON_NAMES, lambda path, config: load_amazon(path, DEFAULT_CACHE, quiet=True)),
    **dict.fromkeys(TAOBAO_NAMES, lambda path, config: load_taobao(path, config["pid_placement"], DEFAULT_CACHE)),
}


def load_dataset(run: Path, data_path: str | None) -> Dataset:
    """The data set that a run was trained on. data_path: None for where it was read from then.

    Raises `InputError` if it is not the same, to the last value, if it is not there any more or cannot be split as it
    was, or if there is a path for data that is generated.
    """
    if not committed(run, RESULT).is_file() and "dataset" not in read_config(run):
        raise InputError(f"{run} was saved by model.save, without its data. {IN_PYTHON}")
    result = read_result(run)
    name, config = result["dataset"], result["config"]
    raw = _own(run, result, data_path) if FOLDER in result.get(RUN, {}) else _read(run, result, data_path)
    if config.get("sample_rate"):
        raw = raw.sample(config["sample_rate"], result["seed"])
    if config.get("max_rows"):
        raw = raw.first(config["max_rows"])
    if raw.fingerprint != result["data_sha256"]:
        raise InputError(
            f"{run} was trained on '{name}' ({result['data_sha256'][:12]}...). Received '{raw.name}' "
            f"({raw.fingerprint[:12]}...). Give the same data with --data_path."
        )
    return Dataset.build(raw, **split_of(result))


def _read(run: Path, result: dict, data_path: str | None) -> RawData:
    """Data that have a reader here."""
    reader = reader_of(result["dataset"])
    if reader is None:
        known = ", ".join(LOADERS)
        raise InputError(f"There is no reader for data set '{result['dataset']}'. Known: {known}. {IN_PYTHON}")
    return LOADERS[reader](data_path or _data_path(run, result), result["config"])


def _own(run: Path, result: dict, data_path: str | None) -> RawData:
    """Data of a folder with a `dataset.toml`: where it was, or in `data_path` if it was moved there."""
    folder, tables = result[RUN][FOLDER], data_path or result[RUN]["data_path"]
    if data_path is not None and os.path.exists(os.path.join(data_path, SPEC)):
        folder = data_path
    for place in (folder, *filter(None, [tables])):
        if not os.path.isdir(place):
            raise _moved(run, place)
    return load_own(Path(folder), None if tables is None else Path(tables), DEFAULT_CACHE, quiet=True)


def _moved(run: Path, place: str) -> InputError:
    return InputError(f"The data of {run} are not in {place} any more. Say where they are with --data_path.")


def _data_path(run: Path, result: dict) -> str | None:
    """As the run was given it, None for the data set's own place."""
    path = result.get(RUN, {}).get("data_path")
    if path not in (None, SYNTHETIC) and not os.path.exists(path):
        raise _moved(run, path)
    return path


def user_entities(data: Dataset, model: TwoTower) -> Entities:
    """All users with what the model's user tower reads, and their history, to be shown and left out."""
    schema = data.schema
    names = {column.name for column in model.user_columns} | ({schema.history} if schema.history else set())
    users, _ = request_tables(data.raw, data.protocol, data.users, data.items, data.scalers)
    values = {name: value for name, value in users.values.items() if name in names}
    lists = {name: value for name, value in users.lists.items() if name in names}
    liked = _liked(data) if schema.history else None
    return Entities(data.raw.users[schema.user_id].to_numpy(), FeatureTable(values, lists), liked=liked)


def _liked(data: Dataset) -> Lists:
    """The keys of the items of each user's history, a list a user."""
    histories = user_histories(data.protocol.splits["train"], data.raw)
    keys = keys_of(data.raw.items[data.schema.item_id].to_numpy())[histories.items]
    return Lists(*map(torch.from_numpy, (keys, histories.start, histories.end)))


def item_entities(data: Dataset, model: TwoTower) -> Entities:
    """All items with what the model's item tower reads, and their texts.

    Raises `InputError` for a model whose item tower reads something of the impression: an item then has no one vector.
    """
    schema = data.schema
    _, items = request_tables(data.raw, data.protocol, data.users, data.items, data.scalers)
    values, lists = items.values, items.lists
    names = [column.name for column in model.item_columns]
    strange = [name for name in names if name not in values and name not in lists]
    if strange:
        raise InputError(
            f"The item tower reads {', '.join(strange)}, which belongs to the impression and not to the item, so that "
            "an item has no one vector. Train with the feature on the user's side."
        )
    return Entities(
        data.raw.items[schema.item_id].to_numpy(),
        FeatureTable({k: v for k, v in values.items() if k in names}, {k: v for k, v in lists.items() if k in names}),
        item_texts(data.raw),
    )


def item_texts(raw: RawData) -> dict[str, list[str]]:
    """What there is to show of each item, by name: first the columns that are for display alone, then features that are
    texts."""
    schema, frame = raw.schema, raw.items
    features = {*schema.item_sparse, *schema.item_dense, *schema.item_lists, *schema.item_vectors}
    texts = {
        name: ["" if is_missing(value) else str(value) for value in frame[name]]
        for name in frame
        if name not in features
    }
    features.discard(schema.item_id)
    known = [name for name in frame if name in features and all(isinstance(value, str) for value in frame[name])]
    return texts | {name: frame[name].tolist() for name in known}


def defaults(data: Dataset, columns: list[Column]) -> dict[str, float]:
    """What a new user's or item's statistic is, as long as nobody knows better: the mean label of all training rows,
    scaled where the encoding scales it."""
    train = data.protocol.splits["train"]
    statistics = (data.schema.user_statistic, data.schema.item_statistic)
    mean = float(data.raw.label[train].mean(dtype=np.float64))
    result = {column.name: mean for column in columns if column.name in statistics}
    for name in result.keys() & data.scalers.keys():
        result[name] = data.scalers[name].transform(name, np.array([mean])).item()
    return result
