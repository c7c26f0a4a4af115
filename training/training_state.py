"""Where a training run stands: in memory, at the end of an epoch or inside one."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from foundation.errors import InputError
from training.optim import Optimizer
from training.protocols import Trainable


@dataclass
class EpochProgress:
    """An epoch under way: how much of it is done, and what its metrics are made of so far.

    logits: (n,) by row number, -inf for the rows that are not done.
    rows: how many of the epoch's order are done. seconds: how long they took. sums: loss name -> sum over them.
    Each of several processes knows the logits of its own rows, and sums whose mean over the processes is meant.
    """

    logits: Tensor
    rows: int = 0
    seconds: float = 0.0
    sums: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def start(cls, count: int) -> EpochProgress:
        """Nothing of an epoch over `count` rows."""
        return cls(torch.full((count,), -torch.inf))

    @torch.no_grad()
    def add(self, count: int, share: Tensor, weight: float, losses: dict[str, Tensor], logits: Tensor) -> None:
        """A batch of `count` rows. share: (B,) row numbers, those that this process computed; logits: (B,).

        losses: means over the share; weight: of the share in the batch (`training.distributed.Group.share`).
        """
        self.rows += count
        self.logits[share] = logits.detach().float()
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach() * (weight * count)

    def to(self, device: torch.device) -> EpochProgress:
        sums = {name: value.to(device) for name, value in self.sums.items()}
        return EpochProgress(self.logits.to(device), self.rows, self.seconds, sums)


@dataclass
class Choice:
    """What a training has chosen and left for the one that follows it: a model trained anew on more rows.

    history: one dict of logs an epoch. best_epoch: the number of epochs for the other. validation: metric -> score of
    the best epoch. seconds: that it took. rows: how many it had, by split.
    """

    history: list[dict[str, float]]
    best_epoch: int
    validation: dict[str, float]
    seconds: float
    rows: dict[str, int]


@dataclass
class TrainingState:
    """Everything that the rest of a run depends on.

    epoch: epochs finished. history: one dict of logs an epoch. best_weights: of the best validation epoch so far.
    progress: of the epoch under way, None between epochs.
    choice: of the training before this one, None if this is the first.
    weights, optimizer, random: as `capture` found them.
    """

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_auc: float = float("-inf")
    best_weights: dict[str, Tensor] | None = None
    progress: EpochProgress | None = None
    choice: Choice | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict = field(default_factory=dict)
    random: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def anew(cls, choice: Choice, model: Trainable, optimizer: Optimizer) -> TrainingState:
        """Where the second training begins, with its random numbers as `fit` sets them."""
        torch.manual_seed(model.seed)
        state = cls(choice=choice)
        state.capture(model, optimizer)
        return state

    @property
    def curve(self) -> list[dict[str, float]]:
        """The history with validation figures: of the training that chooses the number of epochs."""
        return self.history if self.choice is None else self.choice.history

    @property
    def kept(self) -> int:
        """The epoch of `curve` that was best."""
        return self.best_epoch if self.choice is None else self.choice.best_epoch

    def record(self, logs: dict[str, float], model: Trainable, optimizer: Optimizer) -> None:
        """Closes an epoch. Without validation the last epoch counts as the best."""
        self.epoch += 1
        self.progress = None
        self.history.append({"epoch": self.epoch, **logs})
        auc = logs.get("val_auc")
        if auc is None or auc > self.best_auc:
            self.best_epoch = self.epoch
            self.best_auc = self.best_auc if auc is None else auc
            self.best_weights = None if auc is None else _copy(model.state_dict())
        self.capture(model, optimizer)

    def capture(self, model: Trainable, optimizer: Optimizer) -> None:
        """Takes in model, optimiser and random numbers as they are now; not copies, so write them at once."""
        self.weights = model.state_dict()
        self.optimizer = optimizer.state_dict()
        self.random = {"cpu": torch.get_rng_state()}
        if model.device.type == "cuda":  # not necessarily the current device
            self.random["cuda"] = torch.cuda.get_rng_state(model.device)

    def exhausted(self, patience: int | None) -> bool:
        """Whether validation has not improved for `patience` epochs."""
        return patience is not None and self.epoch - self.best_epoch >= patience

    def restore(self, model: Trainable, optimizer: Optimizer) -> None:
        """Puts model, optimiser and random numbers where this state left them."""
        if self.weights.keys() != model.state_dict().keys():  # the optimiser numbers them in the model's order
            raise InputError(
                "The checkpoint has weights of other names than this model: it is of another model, or of an earlier "
                "version of this one. Use another --out."
            )
        try:
            model.load_state_dict(self.weights)
            optimizer.load_state_dict(self.optimizer)
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                f"The checkpoint does not fit this model ({str(error).splitlines()[0]}). Use another --out."
            ) from None
        torch.set_rng_state(self.random["cpu"])
        if "cuda" in self.random and model.device.type == "cuda":
            torch.cuda.set_rng_state(self.random["cuda"], model.device)

    @property
    def place(self) -> str:
        """For people: how far the run is."""
        which = "" if self.choice is None else " of the second training"
        if self.progress is None:
            return f"after epoch {self.epoch}{which}"
        rows = f"after {self.progress.rows:,} of {len(self.progress.logits):,} rows"
        return f"in epoch {self.epoch + 1}{which}, {rows}"


def _copy(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in weights.items()}
