"""Two-tower models as somebody else would write them, and the table of models with one of them in it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from model import MODELS, ModelEntry
from model.base import TwoTower
from model.interaction import AdditiveInteraction, Interaction, SumOfMaxima
from model.IntTower import IntTower
from model.layers.side_tower import SideTower

PAGE = Path(__file__).resolve().parents[1] / "docs" / "own_model.md"


class Mine(IntTower):
    """IntTower whose users are turned around."""

    def encode_user(self, features) -> Tensor:
        return -super().encode_user(features)

    def output(self, features):
        return TwoTower.output(self, features)


class Heads(TwoTower):
    """Vectors of two towers, cut into heads of four numbers."""

    def __init__(self, user_dnn_feature_columns, item_dnn_feature_columns, *, dnn_hidden_units=(16, 8), **common):
        super().__init__(user_dnn_feature_columns, item_dnn_feature_columns, **common)
        self.user_side = SideTower(self.user_columns, dnn_hidden_units, init_std=0.5)
        self.item_side = SideTower(self.item_columns, dnn_hidden_units, init_std=0.5)
        self.interaction = self.make_interaction(dnn_hidden_units[-1] // 4)
        self.to(self.device)

    def make_interaction(self, heads: int) -> Interaction:
        return SumOfMaxima(heads, heads)

    def encode_user(self, features) -> Tensor:
        return self.user_side(features).unflatten(1, (-1, 4))

    def encode_item(self, features) -> Tensor:
        return self.item_side(features).unflatten(1, (-1, 4))


class MeanProduct(AdditiveInteraction):
    """logit = sum_r mean_h <u_r, v_h> + bias"""

    vector_name = "part"

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        return (users @ items.mT).mean(2).sum(1) + self.bias

    def terms(self, products: Tensor) -> Tensor:
        return products.mean(1)


class Distance(Interaction):
    """logit = -sum_r min_h |u_r - v_h|, which is made of no products."""

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        return -torch.cdist(users, items).amin(2).sum(1)


class MeanHeads(Heads):
    def make_interaction(self, heads: int) -> Interaction:
        return MeanProduct()


class DistantHeads(Heads):
    def make_interaction(self, heads: int) -> Interaction:
        return Distance()


class Farther(IntTower):
    """IntTower with an interaction of one's own."""

    def __init__(self, user_dnn_feature_columns, item_dnn_feature_columns, **arguments):
        super().__init__(user_dnn_feature_columns, item_dnn_feature_columns, **arguments)
        self.interaction = Distance()


def page_module() -> ModuleType:
    """The module `model.bilinear` that docs/own_model.md shows."""
    (code, *_) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    module = ModuleType("model.bilinear")
    exec(code, vars(module))
    return module


def enter(monkeypatch, model_class: type[TwoTower]) -> str:
    """Puts a model into the table for a test. Returns its name there."""
    name, module = model_class.__name__, model_class.__module__
    if module not in sys.modules:
        monkeypatch.setitem(sys.modules, module, page_module())
    monkeypatch.setitem(MODELS, name.lower(), ModelEntry(title=name, path=f"{module}:{name}"))
    return name.lower()
