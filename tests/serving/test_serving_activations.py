"""Towers with another activation, or fields of several sizes: what is served and exported is what they predict."""

from __future__ import annotations

import pytest
import torch
from serving_helpers import TWO_TOWERS, Reference, dataset, random_model, ranker_of, save_run
from torch import nn

from foundation.deepctr import DenseFeat, VarLenSparseFeat
from foundation.errors import InputError
from model.base import TwoTower
from model.dssm import DSSM
from model.layers.activation import Dice
from preprocessing.dataset import Dataset
from serving.export import export_onnx
from serving.fold_batch_norm import for_inference

KINDS = {"sigmoid": "sigmoid", "linear": "linear", "prelu": "prelu", "dice": "dice", "GELU": nn.GELU}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return dataset()


def check_served(model: TwoTower, data: Dataset, folder) -> None:
    """The export compares its programs with the model by itself, and writes nothing where they differ."""
    ranker, reference = ranker_of(folder, model, data), Reference(model, data)
    for user in reference.users[:3]:
        assert ranker.score(user, reference.items) == pytest.approx(reference(user, reference.items), abs=1e-5)
    assert {path.name for path in export_onnx(folder).files} >= {"user_tower.onnx", "item_tower.onnx", "scorer.onnx"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use_bn", [True, False], ids=["batch norm", "none"])
@pytest.mark.parametrize("name", TWO_TOWERS)
def test_folded_towers_keep_their_activation(name, use_bn, kind, data):
    model = random_model(name, data, dnn_activation=KINDS[kind], dnn_use_bn=use_bn)
    folded = for_inference(model)
    batch = data.test.batch(torch.arange(len(data.test)), model.feature_names)
    torch.testing.assert_close(folded(batch), model(batch), atol=1e-5, rtol=1e-5)
    norms = [module for module in folded.modules() if isinstance(module, nn.BatchNorm1d)]
    assert len(norms) == sum(isinstance(module, Dice) for module in folded.modules())


@pytest.mark.parametrize(("name", "kind"), [("dssm", "prelu"), ("int_tower", "dice"), ("mvke", "GELU")])
def test_is_served_and_exported(name, kind, data, tmp_path):
    check_served(random_model(name, data, dnn_activation=KINDS[kind]), data, tmp_path)


def test_an_activation_that_onnx_lacks_is_refused(data, tmp_path):
    save_run(tmp_path, random_model("dssm", data, dnn_activation="torch.nn.RReLU"), data)
    with pytest.raises(InputError, match="cannot write the UserTower as ONNX"):
        export_onnx(tmp_path)
    assert not (tmp_path / "onnx").exists()


def test_several_embedding_sizes_are_served_and_exported(data, tmp_path):
    columns = data.feature_columns(4, history=True)
    sides = [
        [_of_size(column, 2 + place) for place, column in enumerate(side)] for side in (columns.user, columns.item)
    ]
    model = DSSM(*sides, dnn_hidden_units=(16, 8), init_std=1.0, gamma=2.0).eval()
    assert len(model.user_side.embedding.groups) > 1
    check_served(model, data, tmp_path)


def _of_size(column, size: int):
    if isinstance(column, DenseFeat):
        return column
    if isinstance(column, VarLenSparseFeat):
        return column._replace(sparsefeat=_of_size(column.sparsefeat, size))
    return column._replace(embedding_dim=size, embedding_name=column.name)
