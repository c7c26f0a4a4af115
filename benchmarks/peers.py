"""The same models as others have them, ready to train: each function returns one epoch over given rows as a callable.

deepctr-torch 0.3.0 trains with its own `fit`, torch-rechub 0.9 with its own trainer and data loader. Same features,
sizes, dropout, batch norm and batch size; what a library does differently inside (a table a feature, per-batch metrics,
its way to do l2) is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from benchmarks.published_hit import PublishedHIT
from benchmarks.published_int_tower import PublishedIntTower
from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.feature_columns import Column, FeatureColumns
from foundation.features import Bags
from preprocessing.dataset import Split

DROPOUT = 0.3
HIDDEN = (300, 300, 128)
EMBEDDING = 32


@dataclass(frozen=True)
class Rows:
    """Training rows as arrays: lists padded with 0 to the longest. Columns to match."""

    columns: FeatureColumns
    arrays: dict[str, np.ndarray]
    labels: np.ndarray

    @classmethod
    def of(cls, split: Split, columns: FeatureColumns) -> Rows:
        user, user_arrays = _padded(columns.user, split)
        item, item_arrays = _padded(columns.item, split)
        return cls(replace(columns, user=user, item=item), user_arrays | item_arrays, split.labels.numpy())


def _padded(columns: list[Column], split: Split) -> tuple[list[Column], dict[str, np.ndarray]]:
    features = split.batch(torch.arange(len(split)), [column.name for column in columns])
    result, arrays = [], {}
    for column in columns:
        value = features[column.name]
        if isinstance(value, Bags):
            lengths = value.offsets.diff().long()
            table = torch.zeros(len(lengths), int(lengths.max()), dtype=torch.int32)
            place = torch.arange(len(value.values)) - value.offsets[:-1].long().repeat_interleave(lengths)
            table[torch.arange(len(lengths)).repeat_interleave(lengths), place] = value.values
            column = VarLenSparseFeat(column.sparsefeat, maxlen=table.shape[1], combiner="mean")
            value = table
        result.append(column)
        arrays[column.name] = value.numpy()
    return result, arrays


def deepctr_epoch(name: str, rows: Rows, batch_size: int) -> Callable[[], object] | None:
    """deepctr-torch's model, or the published computation of IntTower and HIT on it; None where there is neither."""
    from deepctr_torch import models

    columns, loss = rows.columns, "binary_crossentropy"
    common = {"dnn_hidden_units": HIDDEN, "dnn_dropout": DROPOUT, "dnn_use_bn": True}
    make = {
        "int_tower": lambda: PublishedIntTower(columns.user, columns.item, heads=4, field_dim=64, dropout=DROPOUT),
        "hit": lambda: PublishedHIT(columns, heads=2, field_dim=16, dropout=DROPOUT),
        "deep_fm": lambda: models.DeepFM(columns.all, columns.all, **common),
        "wide_and_deep": lambda: models.WDL(columns.all, columns.all, **common),
        "dcn": lambda: models.DCN(columns.all, columns.all, cross_num=2, **common),
        "auto_int": lambda: models.AutoInt(columns.all, columns.all, att_layer_num=3, att_head_num=2, **common),
    }
    if name not in make:
        return None
    model = make[name]()
    model.compile("adam", getattr(model, "loss", loss), metrics=["auc", "accuracy", "logloss"])
    return lambda: model.fit(rows.arrays, rows.labels, batch_size=batch_size, verbose=2)


def rechub_epoch(name: str, rows: Rows, batch_size: int) -> Callable[[], object] | None:
    """torch-rechub's model under its `CTRTrainer`; None where it has none."""
    from torch_rechub.models.matching import DSSM
    from torch_rechub.models.ranking import DCN, AutoInt, DeepFM, WideDeep
    from torch_rechub.trainers import CTRTrainer
    from torch_rechub.utils.data import TorchDataset

    user, item = ([_rechub_feature(column) for column in side] for side in (rows.columns.user, rows.columns.item))
    features = user + item
    fields, dense = (
        [f for f in features if hasattr(f, "vocab_size")],
        [f for f in features if not hasattr(f, "vocab_size")],
    )
    mlp = {"dims": list(HIDDEN), "dropout": DROPOUT}
    make = {
        "dssm": lambda: DSSM(user, item, mlp, mlp),
        "deep_fm": lambda: DeepFM(features, fields, mlp),
        "wide_and_deep": lambda: WideDeep(features, features, mlp),
        "dcn": lambda: DCN(features, 2, mlp),
        "auto_int": lambda: AutoInt(fields, dense, num_layers=3, num_heads=2, mlp_params=mlp),
    }
    if name not in make:
        return None
    trainer = CTRTrainer(make[name]())
    loader = torch.utils.data.DataLoader(TorchDataset(rows.arrays, rows.labels), batch_size=batch_size, shuffle=True)
    return lambda: trainer.train_one_epoch(loader)


def _rechub_feature(column: Column):
    from torch_rechub.basic.features import DenseFeature, SequenceFeature, SparseFeature

    if isinstance(column, DenseFeat):
        return DenseFeature(column.name)
    if isinstance(column, SparseFeat):
        return SparseFeature(column.name, column.vocabulary_size, EMBEDDING)
    return SequenceFeature(column.name, column.vocabulary_size, EMBEDDING, pooling="mean", padding_idx=0)
