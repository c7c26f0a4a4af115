"""Where a training run stands, in memory and in `checkpoint.pt`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from preprocessing.errors import InputError


@dataclass
class TrainingState:
    """Everything that the next epoch depends on.

    epoch: epochs finished. history: one dict of logs an epoch. best_weights: of the best validation epoch so far.
    weights, optimizer, random: after the last finished epoch.
    """

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_auc: float = float("-inf")
    best_weights: dict[str, torch.Tensor] | None = None
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    optimizer: dict = field(default_factory=dict)
    random: dict[str, torch.Tensor] = field(default_factory=dict)

    def record(self, logs: dict[str, float], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Closes an epoch. Without validation the last epoch counts as the best."""
        self.epoch += 1
        self.history.append({"epoch": self.epoch, **logs})
        auc = logs.get("val_auc")
        if auc is None or auc > self.best_auc:
            self.best_epoch = self.epoch
            self.best_auc = self.best_auc if auc is None else auc
            self.best_weights = None if auc is None else _copy(model.state_dict())
        self.weights = model.state_dict()
        self.optimizer = optimizer.state_dict()
        self.random = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            self.random["cuda"] = torch.cuda.get_rng_state()

    def exhausted(self, patience: int | None) -> bool:
        """Whether validation has not improved for `patience` epochs."""
        return patience is not None and self.epoch - self.best_epoch >= patience

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Puts model, optimiser and random numbers where this state left them."""
        model.load_state_dict(self.weights)
        optimizer.load_state_dict(self.optimizer)
        torch.set_rng_state(self.random["cpu"])
        if "cuda" in self.random and torch.cuda.is_available():
            torch.cuda.set_rng_state(self.random["cuda"])


def save_checkpoint(path: Path, state: TrainingState, identity: dict) -> None:
    """Writes the state whole or not at all. identity: what a run must share with this one to continue it."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        torch.save({"identity": identity, "state": vars(state)}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_checkpoint(path: Path, identity: dict) -> TrainingState:
    """Reads a state without executing anything in the file.

    Raises `InputError` if there is no checkpoint, if it cannot be read, or if it belongs to another run.
    """
    if not path.exists():
        raise InputError(f"There is nothing to resume: {path} does not exist. Run without --resume.")
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        state, other = TrainingState(**saved["state"]), dict(saved["identity"])
    except Exception as error:  # a damaged file fails in many ways, all with the same remedy
        raise InputError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}). Run without --resume."
        ) from None
    different = [
        f"{key}: {other.get(key)!r}, now {value!r}" for key, value in identity.items() if other.get(key) != value
    ]
    if different:
        raise InputError(f"The checkpoint {path} belongs to another run ({'; '.join(different)}). Use another --out.")
    return state


def _copy(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in weights.items()}
