"""The HIT release's `chooseModel`: a model by its name, with the arguments that the release gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foundation.feature_columns import Column
from model import MODELS, find_model
from model.base import CTRModel, TwoTower
from model.hit import HitTower
from published.log import Logger

# IntTower's, by the name of the data; another name is MovieLens there.
INT_TOWER = {
    "Amazon": {"field_dim": 64, "user_head": 32, "item_head": 32, "user_filed_size": 1, "item_filed_size": 2},
    "taobao": {"field_dim": 16, "user_head": 32, "item_head": 32, "user_filed_size": 9, "item_filed_size": 6},
}
INT_TOWER_MOVIELENS = {"field_dim": 64, "user_head": 2, "item_head": 2, "user_filed_size": 5, "item_filed_size": 2}
WITHOUT_DROPOUT = ("dssm", "wide_and_deep")  # the release leaves it out for them
HIT_FIELD_DIM = 16


def chooseModel(
    model_name: str,
    user_feature_columns: list[Column],
    item_feature_columns: list[Column],
    linear_feature_columns: list[Column],
    dnn_feature_columns: list[Column],
    dropout: float,
    device: str,
    log: Logger,
    data_name: str | None = None,
    user_feature_columns_for_recon: list[Column] | None = None,
    item_feature_columns_for_recon: list[Column] | None = None,
    ouput_head: int = 2,
) -> CTRModel:
    """model_name: as `--model_name` of this project's scripts takes it.  data_name: "movieLens", "Amazon", "taobao".

    ouput_head: HIT's number of heads, and of no effect on others.
    Raises `InputError` for an unknown model.
    """
    name = find_model(model_name)
    log.logger.info(f"model_name {name}")
    arguments: dict[str, Any] = {"task": "binary", "device": device}
    if "dnn_dropout" in MODELS[name].arguments and name not in WITHOUT_DROPOUT:
        arguments["dnn_dropout"] = dropout
    if name == "hit":
        return HitTower(
            user_feature_columns,
            item_feature_columns,
            user_feature_columns_for_recon or [],
            item_feature_columns_for_recon or [],
            user_head=ouput_head,
            item_head=ouput_head,
            field_dim=HIT_FIELD_DIM,
            **arguments,
        )
    if name == "int_tower":
        arguments |= INT_TOWER.get(data_name or "", INT_TOWER_MOVIELENS)
    model_class = MODELS[name].model_class
    build: Callable[..., CTRModel] = model_class  # each takes its own columns
    if issubclass(model_class, TwoTower):
        return build(user_feature_columns, item_feature_columns, **arguments)
    if "dnn_hidden_units" in MODELS[name].arguments:
        return build(linear_feature_columns, dnn_feature_columns, **arguments)
    return build(linear_feature_columns, **arguments)
