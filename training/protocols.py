"""What training needs of a model and of data, written down: neither has to derive from anything here.

`model.base.CTRModel` is a `Trainable`; `preprocessing.dataset.Split` and `preprocessing.arrays.Arrays` are each a
`BatchSource`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from foundation.errors import InputError
from foundation.feature_columns import Column
from foundation.features import Features
from training.click_loss import ClickLoss


@dataclass(frozen=True)
class Candidates:
    """The items of a batch of positives as candidates of each of its rows.

    log_share: (B,) the log of the probability that a row of a batch has the item. excluded: (B, B) bool, the items c
    that are no negatives of row b, but for its own, c = b.
    """

    log_share: Tensor
    excluded: Tensor


@dataclass(frozen=True)
class Output:
    """What one forward pass hands to the losses.

    logits: (B,). latent: whatever else a model's losses need, by name. vectors: of a two-tower model, those of the
    users, in parts (B, R_i, d) that sum to R, and of the items (B, H, d). Training adds weights, (B,) of the rows in
    the click loss, None: all alike; and the candidates of rows that are all positives, None for labelled rows.
    Raises `InputError` for logits of another shape, which a loss might spread over pairs of rows without a word.
    """

    logits: Tensor
    latent: dict[str, Any] = field(default_factory=dict)
    weights: Tensor | None = None
    vectors: tuple[Sequence[Tensor], Tensor] | None = None
    candidates: Candidates | None = None

    def __post_init__(self) -> None:
        if self.logits.ndim != 1:
            shape = tuple(self.logits.shape)
            raise InputError(f"A model returns one logit a row, in shape (rows). Received: {shape}. Flatten them.")


class BatchSource(Protocol):
    """n rows of encoded features, numbered from 0."""

    def __len__(self) -> int: ...

    @property
    def labels(self) -> Tensor | None:
        """(n,) float32 of 0 and 1; None where there are none to learn from (`labels_of`)."""

    @property
    def users(self) -> Tensor | None:
        """(n,) whose impression a row is, for GAUC; None without users."""

    @property
    def weights(self) -> Tensor | None:
        """(n,) float32, how much a row counts in the click loss and in metrics; None: all alike."""

    @property
    def pairs(self) -> tuple[Tensor, Tensor] | None:
        """(n,) user and (n,) item of rows that are all positives, to be learned from with the other items of a batch as
        negatives; None for labelled rows."""

    @property
    def origin(self) -> str:
        """What the rows are of: equal where two processes read the same."""

    def batch(self, rows: Tensor, names: list[str]) -> Features:
        """The features of these names. rows: (B,) int64."""

    def distinct(self, names: list[str]) -> tuple[Tensor, Tensor]:
        """Groups rows that agree in these features -> first (G,), a row of each group, and group (n,), that of each
        row.
        """

    def take(self, rows: Tensor) -> Self:
        """Only these rows, in this order."""

    def to(self, device: torch.device | str) -> Self:
        """The same rows there."""


class Trainable(Protocol):
    """A module that `training.trainer.Trainer` can train.

    columns, feature_names: what it reads. unknown_rate: share of its sparse ids that training replaces.
    settings: its constructor's arguments. editable: function that its scores hang on -> version.
    click_loss, metrics_names ("loss" first): chosen at `compile`. stop_training: set by callbacks.
    has_idle_parameters: whether the loss leaves some parameters out, which several processes must know.
    """

    columns: list[Column]
    feature_names: list[str]
    device: torch.device
    seed: int
    unknown_rate: float
    click_loss: ClickLoss
    metrics_names: Sequence[str]
    stop_training: bool
    has_idle_parameters: bool
    training: bool

    @property
    def settings(self) -> Mapping[str, Any]: ...

    @property
    def editable(self) -> Mapping[str, str]: ...

    def output(self, features: Features) -> Output:
        """One forward pass."""

    def losses(self, features: Features, labels: Tensor, output: Output) -> dict[str, Tensor]:
        """Weighted loss terms by name, each a batch mean. labels: (B,)."""

    def predict_logits(self, source: BatchSource, batch_size: int) -> Tensor:
        """(n,) logits of all rows of a source."""

    def rank_metrics(self, source: BatchSource, names: Sequence[str]) -> dict[str, float]:
        """`recall@k` and the like of a two-tower model, which alone is asked for them (`training.metrics`)."""

    def l2_of(self, parameter_name: str) -> float:
        """The l2 weight of a parameter."""

    # Of `nn.Module`.
    def train(self, mode: bool = True) -> Any: ...

    def eval(self) -> Any: ...

    def modules(self) -> Iterator[nn.Module]: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...

    def buffers(self) -> Iterator[Tensor]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> Any: ...


def labels_of(source: BatchSource) -> Tensor:
    """(n,) float32. Raises `InputError` for a source without labels."""
    if source.labels is None:
        raise InputError("Labels are missing: pass y beside the features.")
    return source.labels
