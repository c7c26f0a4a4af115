"""The trainer asks for what `training.protocols` writes down, and for nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from foundation.deepctr import CallbackList, SparseFeat
from foundation.errors import InputError
from foundation.features import Features, values_of
from model.base import Output as ModelOutput
from preprocessing.arrays import Arrays
from training.click_loss import ClickLoss
from training.evaluation import score_split
from training.optim import make_optimizer
from training.protocols import BatchSource, Output, labels_of
from training.trainer import Trainer, TrainOptions


class Table(nn.Module):
    """Of no class of this project: one logit an id."""

    has_idle_parameters = False
    stop_training = False
    unknown_rate = 0.0
    metrics_names = ("loss",)
    click_loss = ClickLoss()

    def __init__(self):
        super().__init__()
        self.columns = [SparseFeat("id", 4, 1)]
        self.feature_names = ["id"]
        self.device = torch.device("cpu")
        self.seed = 1
        self.settings: dict = {}
        self.editable: dict[str, str] = {}
        self.logits = nn.Embedding(4, 1)

    def output(self, features: Features) -> Output:
        return Output(self.logits(values_of(features, "id")).squeeze(1))

    def losses(self, features: Features, labels: Tensor, output: Output) -> dict[str, Tensor]:
        return {"ctr": self.click_loss(output.logits, labels, output.weights)}

    def predict_logits(self, source: BatchSource, batch_size: int) -> Tensor:
        return self.output(source.batch(torch.arange(len(source)), self.feature_names)).logits

    def l2_of(self, parameter_name: str) -> float:
        return 0.0


class Cycle:
    """Of no class of this project: row i has id i modulo 4, and is positive where that is odd."""

    users = weights = pairs = None
    origin = "cycle"

    def __init__(self, rows: Tensor):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Tensor | None:
        return (self.rows % 2).float()

    def batch(self, rows: Tensor, names: list[str]) -> Features:
        return {"id": self.rows[rows] % 4}

    def distinct(self, names: list[str]) -> tuple[Tensor, Tensor]:
        return torch.arange(4), self.rows % 4

    def take(self, rows: Tensor) -> Cycle:
        return Cycle(self.rows[rows])

    def to(self, device: torch.device | str) -> Cycle:
        return Cycle(self.rows.to(device))


def test_a_module_and_rows_of_anyones_own_are_trained_and_scored():
    model, train, validation = Table(), Cycle(torch.arange(64)), Cycle(torch.arange(8))
    options = TrainOptions(batch_size=16, epochs=30, verbose=0)
    state = Trainer(model, make_optimizer(model, "adam", 0.3), options).fit(train, validation, CallbackList())
    assert state.epoch == 30
    assert score_split(model, validation)["auc"] == 1.0
    assert not model.training


def test_rows_without_labels_are_refused_where_these_are_needed():
    source = Arrays({"id": torch.arange(4)}, None, None)
    with pytest.raises(InputError, match="Labels are missing"):
        labels_of(source)
    with pytest.raises(InputError, match="Labels are missing"):
        score_split(Table(), source)


def test_what_a_forward_pass_hands_to_the_losses_is_one_class():
    assert ModelOutput is Output


def test_a_list_where_one_value_a_row_is_read_is_refused():
    lists = Arrays({"id": torch.zeros(2, 3, dtype=torch.int64)}, None, None, {"id": torch.tensor([1, 2])})
    with pytest.raises(InputError, match="'id' holds lists"):
        Table().output(lists.batch(torch.arange(2), ["id"]))
