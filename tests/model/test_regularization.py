"""Which l2 weight each parameter has."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from zoo import COLUMNS, ITEM, NAMES, NEURAL, USER, build

from foundation.deepctr import SparseFeat
from foundation.feature_columns import FeatureColumns
from model.base import CTRModel, Output
from model.layers.embedding import FeatureEmbedding
from model.layers.linear_part import LinearPart

MORE = {
    "dcn": [{"cross_num": 0}, {"cross_parameterization": "matrix", "l2_reg_cross": 0.7}, {"dnn_hidden_units": ()}],
    "auto_int": [{"att_layer_num": 0}, {"att_res": False}, {"dnn_hidden_units": ()}],
    "deep_fm": [{"use_fm": False, "dnn_use_bn": True}, {"dnn_hidden_units": ()}],
    "dssm": [{"gamma": 1.0}],
    "int_tower": [{"cir_weight": 0.0}],
    "hit": [{"generation_loss": "none"}, {"use_target": False, "use_non_target": False}],
}
WEIGHTS = {"l2_reg_embedding": 0.1, "l2_reg_linear": 0.2, "l2_reg_dnn": 0.3}


def variants() -> list[tuple[str, dict]]:
    found = []
    for name in NAMES:
        towers = [{"dnn_activation": kind} for kind in ("prelu", "dice")] if name not in ("lr", "gbdt") else []
        found += [(name, arguments) for arguments in ({}, *towers, *MORE.get(name, []))]
    return found


def by_name(model: CTRModel, name: str) -> float:
    """The rule by the parameters' names, which the models here keep to."""
    kind = type(model).__name__
    if kind == "DCN" and name.startswith("cross."):
        return model.l2["cross"] if name == "cross.kernels" else 0.0
    if kind == "AutoInt" and (name == "head.weight" or name.startswith("interacting")):
        return 0.0
    if "embedding" in name:
        return model.l2["embedding"]
    if name.startswith("linear"):
        return model.l2["linear"]
    is_slope = isinstance(model.get_submodule(name.rpartition(".")[0]), nn.PReLU)
    return model.l2["dnn"] if is_slope or model.get_parameter(name).ndim > 1 else 0.0


@pytest.mark.parametrize(("name", "arguments"), variants(), ids=lambda part: part if isinstance(part, str) else None)
def test_is_that_of_the_part_by_whose_name_a_parameter_goes(name, arguments):
    model = build(name, COLUMNS, **arguments)
    model.set_l2(**{part.removeprefix("l2_reg_"): weight for part, weight in WEIGHTS.items()})
    names = [key for key, _ in model.named_parameters()]
    assert {key: model.l2_of(key) for key in names} == {key: by_name(model, key) for key in names}
    assert name == "gbdt" or names


@pytest.mark.parametrize("name", ["wide_and_deep", "dcn", "dssm", "dat"])
def test_of_tables_of_several_sizes(name):
    columns = FeatureColumns([*USER, SparseFeat("age", 8, 7)], ITEM)
    model = build(name, columns, l2_reg_embedding=0.1)
    tables = [key for key, module in model.named_modules() if isinstance(module, FeatureEmbedding) and module.dim > 1]
    assert len(tables) >= 2
    assert {model.l2_of(f"{key}.weight") for key in tables} == {0.1}


class Misnamed(CTRModel):
    """Its parameters have names that say nothing of what they are, or something else."""

    def __init__(self, columns, **common):
        super().__init__(columns, **common)
        self.codes = nn.Embedding(9, 4)
        self.wide = LinearPart(self.columns)
        self.linear_embedding = nn.Linear(4, 4)
        self.tables = nn.ModuleDict({"a": FeatureEmbedding(self.columns)})

    def output(self, features) -> Output:
        return Output(self.wide(features))


def test_hangs_on_what_a_module_is_and_not_on_its_name():
    model = Misnamed(COLUMNS.all, **WEIGHTS)
    assert {name: model.l2_of(name) for name, _ in model.named_parameters()} == {
        "codes.weight": 0.1,
        "wide.ids.weight": 0.2,
        "wide.dense.weight": 0.2,
        "linear_embedding.weight": 0.3,
        "linear_embedding.bias": 0.0,
        "tables.a.weight": 0.1,
    }


@pytest.mark.parametrize("name", NEURAL)
def test_is_added_by_its_groups(name):
    """What the optimiser decays by is twice the weight of each parameter."""
    model = build(name, COLUMNS)
    model.compile("adam")
    decay = {id(one): group["weight_decay"] for group in model.optim.param_groups for one in group["params"]}
    assert {key: decay[id(one)] for key, one in model.named_parameters()} == {
        key: 2.0 * model.l2_of(key) for key, _ in model.named_parameters()
    }
    assert all(torch.isfinite(torch.tensor(list(decay.values()))))
