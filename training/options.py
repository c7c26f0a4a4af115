"""The options of training: adding one is a field here, and the place that acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from foundation.errors import InputError
from foundation.options import option, options_of
from foundation.precisions import ALIASES

Precision = Literal["float32", "bfloat16", "bfloat16_forced"]
LrSchedule = Literal["constant", "linear"]
GRADIENTS = "learns_by_gradients"  # of a model's class


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    patience: epochs without a better validation AUC before stopping; None trains all epochs. Either way the weights of
        the best validation epoch are restored at the end.
    precision: "bfloat16" runs the forward pass under autocast (`training.precision`); losses and metrics stay float32.
    stop_after: epochs after which training ends, of a learning rate's schedule over `epochs`: how a model is trained
        anew for the number of epochs that validation has chosen.
    summed_loss: the click loss is summed over the rows of a batch, as in deepctr-torch and the releases, in place of
        the mean; other losses of a model and l2 are added as they are. What is logged stays a mean.
    published_eval_mode: reproduces a defect of the published loop, whose first validation leaves the model in
        evaluation mode for good, so that dropout and batch statistics are active in the first epoch only.
    checkpoint_minutes: time after which an epoch under way is saved; every finished epoch is.
    verbose: 0 silent, 1 a progress bar on a terminal and one line an epoch, 2 the line alone.
    """

    batch_size: int = option(
        "rows a training step",
        256,
        least=2,  # for batch statistics
        needs={GRADIENTS: "which trains on all rows at once"},
    )
    epochs: int = option("passes over the training rows at most", 1, least=1, flags=("--epoch",))
    initial_epoch: int = option(
        "finished epochs", 0, decides=False, needs={GRADIENTS: "which grows all trees anew"}, flags=()
    )
    patience: int | None = option("epochs without a better validation AUC before stopping", None, least=1)
    precision: Precision = option(
        "of the forward and backward pass; bfloat16 is refused where it would be slower, bfloat16_forced is not",
        "float32",
        aliases=ALIASES,
        needs={GRADIENTS: "which is grown by scikit-learn in float64"},
    )
    shuffle: bool = option(
        "rows in random order", True, decides=False, needs={GRADIENTS: "which trains on all rows at once"}, flags=()
    )
    published_eval_mode: bool = option(
        "reproduce the published loop's evaluation-mode defect",
        False,
        off=("--no_published_eval_mode", "train in training mode throughout"),
    )
    summed_loss: bool = option(
        "sum the click loss over the rows of a batch, which makes l2 and other losses weigh less beside it",
        False,
        off=("--no_summed_loss", "the mean over the rows of a batch"),
        needs={GRADIENTS: "whose trees have no steps"},
    )
    stop_after: int | None = option("epochs after which training ends", None, least=1, decides=False, flags=())
    lr_schedule: LrSchedule = option(
        "of the learning rate; linear: it falls to 0 over all epochs",
        "constant",
        needs={GRADIENTS: "which shrinks all trees alike"},
    )
    checkpoint_minutes: float = option(
        "time between checkpoints inside an epoch; one is written after every epoch anyway",
        5.0,
        above=0,
        decides=False,
        needs={GRADIENTS: "which is checkpointed once, when all trees have grown"},
    )
    verbose: int = 1

    def __post_init__(self) -> None:
        for name, declared in options_of(TrainOptions).items():
            object.__setattr__(self, name, declared.check(getattr(self, name)))
        if not 0 <= self.initial_epoch < self.epochs:
            raise InputError(
                f"initial_epoch must be at least 0 and below epochs={self.epochs}. Received: {self.initial_epoch}."
            )
        if not self.initial_epoch < self.last_epoch <= self.epochs:
            raise InputError(
                f"stop_after must be above initial_epoch={self.initial_epoch} and at most epochs={self.epochs}. "
                f"Received: {self.stop_after}."
            )

    @property
    def last_epoch(self) -> int:
        """The number of the epoch, from 1, after which training ends at the latest."""
        return self.epochs if self.stop_after is None else self.stop_after


def settings_of_before(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an earlier run as those of a new one are written: choices without abbreviations, and options that
    there were not yet at their default, which is what was done without them.

    >>> settings_of_before({"lr": 0.1, "precision": "bf16"}, {"lr": 0.2, "precision": "float32", "patience": 3})
    {'lr': 0.1, 'precision': 'bfloat16', 'patience': None}
    """
    written = dict(old)
    for name, declared in options_of(TrainOptions).items():
        if name in new:
            value = old.get(name, getattr(TrainOptions, name))
            written[name] = declared.aliases.get(value, value) if isinstance(value, str) else value
    return written


class FitOptions(TypedDict, total=False):
    """What `fit` takes besides the arguments of deepctr-torch's: for editors and type checkers, which read no fields.

    `tests/training/test_options.py` keeps it equal to `TrainOptions`.
    """

    patience: int | None
    precision: Precision
    published_eval_mode: bool
    summed_loss: bool
    stop_after: int | None
    lr_schedule: LrSchedule
    checkpoint_minutes: float
