"""The HIT release's data classes, over this project's `Dataset` under its `published` protocol."""

from __future__ import annotations

import functools
import random
import sys

import numpy as np
import pandas as pd
import torch

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.feature_columns import Column
from foundation.features import Bags, values_of
from preprocessing.dataset import Dataset, Split
from preprocessing.load import load_amazon, load_movielens, load_taobao
from preprocessing.raw import RawData
from preprocessing.sequence import pad_sequences
from published.log import Logger
from published.taobao_place import taobao_folder

NOTICE = (
    "note: rows and label features are the release's for seed {seed}. Ids are numbered otherwise (0 is no value), of "
    "rows with equal times the first in the file comes first, and fit(validation_split=...) draws its rows at random."
)


def setup_seed(seed: int) -> None:
    """Seeds torch, numpy and random. The data classes split by this seed."""
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    np.random.seed(seed)  # noqa: NPY002 (what else a script draws)
    random.seed(seed)
    torch.backends.cudnn.deterministic = True


@functools.cache
def _tell(notice: str) -> None:
    """On standard error, once a process."""
    print(notice, file=sys.stderr, flush=True)


class PublishedData:
    """What the published scripts read of a data set.

    user_feature_columns, item_feature_columns; *_for_recon: those of them that HIT's generators read.
    train, test: frames of the encoded sparse and dense features and of the label, whose column `target` names.
    train_model_input, test_model_input: name -> (n,) values, (n, maxlen) ids of a list, padded with 0 behind.

    Training and validation rows are one part, in the order of the release's joins: `fit(validation_split=...)` divides
    it, at random, where the release takes its last rows.
    """

    def __init__(self, raw: RawData, target: str, embedding_dim: int):
        seed = torch.initial_seed() % 2**32
        _tell(NOTICE.format(seed=seed))
        data = Dataset.build(raw, "published", seed)
        columns = data.feature_columns(embedding_dim, history=True, own_history_table=True)
        part = np.concatenate([data.protocol.splits["train"], data.protocol.splits["validation"]])
        parts = {"train": Split(data, torch.from_numpy(part)), "test": data.test}
        width = {
            column.name: max(_longest(part, column.name) for part in parts.values())
            for column in columns.all
            if isinstance(column, VarLenSparseFeat)
        }

        def sized(column: Column) -> Column:
            return column._replace(maxlen=width[column.name]) if isinstance(column, VarLenSparseFeat) else column

        self.target = [target]
        self.user_feature_columns = user = [sized(column) for column in columns.user]
        self.item_feature_columns = item = [sized(column) for column in columns.item]
        self.user_feature_columns_for_recon = [column for column in user if column.name in columns.user_static]
        self.item_feature_columns_for_recon = [column for column in item if column.name in columns.item_static]
        self.train, self.train_model_input = _arrays(parts["train"], user + item, target)
        self.test, self.test_model_input = _arrays(parts["test"], user + item, target)


class movieDataProcess(PublishedData):
    """MovieLens. data_path: as `--data_path` of the script here; `movielens.txt`, or GroupLens' folder."""

    def __init__(self, log: Logger, data_path: str, embedding_dim: int):
        super().__init__(load_movielens(data_path), "rating", embedding_dim)


class amazonDataProcess(PublishedData):
    """Amazon Electronics. data_path: as `--data_path` of the script here."""

    def __init__(self, log: Logger, data_path: str, embedding_dim: int):
        super().__init__(load_amazon(data_path), "overall", embedding_dim)


class taobaoDataProcess(PublishedData):
    """Taobao's ads. sample_rate: share of the impressions that is kept, at random."""

    def __init__(
        self,
        log: Logger,
        profile_path: str,
        ad_path: str,
        user_path: str,
        embedding_dim: int,
        sample_rate: float = 1.0,
    ):
        raw = load_taobao(str(taobao_folder(profile_path, ad_path, user_path)))
        super().__init__(raw.sample(sample_rate, torch.initial_seed() % 2**32), "clk_y", embedding_dim)


def _lists(part: Split, name: str) -> Bags:
    lists = part.batch(torch.arange(len(part)), [name])[name]
    assert isinstance(lists, Bags)  # of a list column
    return lists


def _longest(part: Split, name: str) -> int:
    """Length of the longest list, at least 1."""
    return max(1, int(_lists(part, name).offsets.diff().max()))


def _arrays(part: Split, columns: list[Column], target: str) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """-> the frame of a part, and what a model reads of it."""
    single = [column.name for column in columns if isinstance(column, (SparseFeat, DenseFeat))]
    batch = part.batch(torch.arange(len(part)), single)
    values = {name: values_of(batch, name).numpy() for name in single}
    frame = pd.DataFrame(values | {target: part.labels.numpy().astype(np.int64)})
    inputs = {name: frame[name] for name in single}
    for column in columns:
        if isinstance(column, VarLenSparseFeat):
            bags = _lists(part, column.name)
            lists = np.split(bags.values.numpy(), bags.offsets[1:-1].numpy())
            inputs[column.name] = pad_sequences(lists, column.maxlen, padding="post")
    return frame, inputs
