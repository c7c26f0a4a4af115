"""The training loop, and the prediction pass that evaluation and early stopping share."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from preprocessing.deepctr import CallbackList
from preprocessing.errors import InputError
from training import distributed
from training.checkpoint import TrainingState
from training.metrics import metrics
from training.rowwise import row_parameters

PRECISIONS = ("fp32", "bf16")
LR_SCHEDULES = ("constant", "linear")


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    patience: epochs without a better validation AUC before stopping; None trains all epochs. Either way the weights of
        the best validation epoch are restored at the end.
    precision: "bf16" runs the forward pass under autocast; losses and metrics stay float32.
    published_eval_mode: reproduces a defect of the published loop, whose first validation leaves the model in
        evaluation mode for good, so that dropout and batch statistics are active in the first epoch only.
    lr_schedule: "constant", or "linear", which lets the learning rate fall to 0 over all epochs.
    verbose: 0 silent, 1 progress bar, 2 one line an epoch.
    """

    batch_size: int = 256
    epochs: int = 1
    initial_epoch: int = 0
    patience: int | None = None
    precision: str = "fp32"
    shuffle: bool = True
    published_eval_mode: bool = False
    lr_schedule: str = "constant"
    verbose: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 2:
            raise InputError(f"The batch size must be at least 2, for batch statistics. Received: {self.batch_size}.")
        if self.epochs < 1:
            raise InputError(f"The number of epochs must be at least 1. Received: {self.epochs}.")
        if self.patience is not None and self.patience < 1:
            raise InputError(f"The patience must be at least 1 epoch. Received: {self.patience}.")
        if self.precision not in PRECISIONS:
            raise InputError(f"Unknown precision '{self.precision}'. Known: {', '.join(PRECISIONS)}.")
        if self.lr_schedule not in LR_SCHEDULES:
            raise InputError(f"Unknown lr_schedule '{self.lr_schedule}'. Known: {', '.join(LR_SCHEDULES)}.")


class Objective(nn.Module):
    """A model and its losses as one forward pass."""

    def __init__(self, model: nn.Module, precision: str):
        super().__init__()
        self.model, self.precision = model, precision

    def forward(self, features, labels: Tensor):
        """-> the model's output, and its losses by name"""
        with autocast(self.model, self.precision):
            output = self.model.output(features)
        return output, self.model.losses(features, labels, output)


class Trainer:
    """Trains a model on a source of batches (`preprocessing.dataset.Split`, `preprocessing.arrays.Arrays`).

    on_epoch: called with the `TrainingState` after every epoch, to save it.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, options: TrainOptions, on_epoch=None):
        self.model = model
        self.optimizer = optimizer
        self.options = options
        self.on_epoch = on_epoch
        self.group = distributed.current()
        self.tables = row_parameters(optimizer)

    def fit(self, train, validation, callbacks: CallbackList, state: TrainingState | None = None) -> TrainingState:
        """Trains until the last epoch or early stopping, and leaves the best epoch's weights in the model.

        train: source with labels. validation: the same, or None, which keeps the last epoch's weights.
        state: where an interrupted run stood.
        """
        options, model = self.options, self.model
        if len(train) < 2:
            raise InputError(f"Training needs at least 2 rows. Received: {len(train)}.")
        self.group.check(options.batch_size)
        train = train.to(model.device)
        validation = None if validation is None else validation.to(model.device)
        if state is None:
            state = TrainingState(epoch=options.initial_epoch, best_epoch=options.initial_epoch)
        else:
            state.restore(model, self.optimizer)
        self.objective = self.group.wrap(Objective(model, options.precision), self.tables)
        callbacks.on_train_begin()
        model.stop_training = False
        while state.epoch < options.epochs and not state.exhausted(options.patience):
            validated = validation is not None and state.epoch > options.initial_epoch
            model.train(not (options.published_eval_mode and validated))
            callbacks.on_epoch_begin(state.epoch)
            logs = self._train_epoch(train, state.epoch)
            if validation is not None:
                result = score_split(model, validation, precision=options.precision)
                logs |= {f"val_{name}": value for name, value in result.items()}
            state.record(logs, model, self.optimizer)
            if options.verbose == 2 and self.group.is_main:
                print(_epoch_line(state.epoch, options.epochs, logs))
            if self.on_epoch is not None:
                self.on_epoch(state)
            callbacks.on_epoch_end(state.epoch - 1, logs)
            if model.stop_training:
                break
        self._set_lr(0.0)  # a later fit starts from the full learning rate
        callbacks.on_train_end()
        if state.best_weights is not None:
            model.load_state_dict(state.best_weights)
        model.eval()
        return state

    def _train_epoch(self, train, epoch: int) -> dict[str, float]:
        """One pass over the training rows. Returns the mean of each named loss, and AUC and logloss over these rows."""
        start = time.perf_counter()
        model, count = self.model, len(train)
        labels = train.labels
        logits = torch.full((count,), -torch.inf, device=labels.device)
        sums: dict[str, Tensor] = {}
        order = self._order(count, epoch, labels.device)
        if count % self.options.batch_size == 1:
            order = order[:-1]  # a single left-over row has no batch statistics
        seen = 0
        for rows in _progress(order.split(self.options.batch_size), sums, epoch, self.options):
            self._set_lr(epoch + seen / count)
            self.group.seed(model.seed, epoch, seen)
            seen += len(rows)
            share, weight = self.group.share(rows)
            output, losses = self.objective(train.batch(share, model.feature_names), labels[share])
            loss = weight * torch.stack(list(losses.values())).sum()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.group.exchange(self.tables)
            self.optimizer.step()
            with torch.no_grad():
                logits[share] = output.logits.detach().float()
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + value.detach() * (weight * len(rows))
        self.group.agree_on_buffers(model)
        sums, logits = self.group.mean(sums), self.group.merge(logits)
        return self._summary(sums, labels[order], logits[order], time.perf_counter() - start)

    def _set_lr(self, epochs_done: float) -> None:
        """The learning rate at this point of the run, a function of it alone: a resumed run needs no state for it."""
        if self.options.lr_schedule == "constant":
            return  # callbacks may change it
        for group in self.optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * (1.0 - epochs_done / self.options.epochs)

    def _order(self, count: int, epoch: int, device: torch.device) -> Tensor:
        if not self.options.shuffle:
            return torch.arange(count, device=device)
        # The order is a function of seed and epoch, so that a resumed run needs no state to repeat it.
        generator = torch.Generator().manual_seed(self.model.seed * 100_003 + epoch)
        return torch.randperm(count, generator=generator).to(device)

    def _summary(self, sums: dict[str, Tensor], labels: Tensor, logits: Tensor, seconds: float) -> dict[str, float]:
        means = {name: float(total) / len(labels) for name, total in sums.items()}
        logs = {"loss": sum(means.values()), **(means if len(means) > 1 else {})}
        if not torch.isfinite(torch.tensor(logs["loss"])):
            raise InputError(
                f"The loss is {logs['loss']}: {means}. Lower the learning rate (--lr), or look for extreme dense "
                "features."
            )
        logs |= self.group.once(lambda: metrics(labels.cpu().numpy(), logits.cpu().numpy()))
        return logs | {"seconds": seconds, "rows_per_second": len(labels) / seconds}


def _progress(batches: Sequence[Tensor], sums: dict[str, Tensor], epoch: int, options: TrainOptions):
    """The batches, with a bar that shows the running mean of each loss; read a few times a second only."""
    bar = tqdm(
        total=len(batches),
        disable=options.verbose != 1 or not distributed.current().is_main,
        desc=f"epoch {epoch + 1}/{options.epochs}",
        leave=False,
    )
    with bar:
        seen = 0
        for rows in batches:
            yield rows
            seen += len(rows)
            if bar.update():
                bar.set_postfix({name: f"{float(total) / seen:.4f}" for name, total in sums.items()}, refresh=False)


def _epoch_line(epoch: int, epochs: int, logs: dict[str, float]) -> str:
    shown = {name: value for name, value in logs.items() if name not in ("seconds", "rows_per_second")}
    values = "  ".join(f"{name} {value:.4f}" for name, value in shown.items())
    return f"epoch {epoch}/{epochs}  {logs['seconds']:.1f} s  {logs['rows_per_second']:,.0f} rows/s  {values}"


def autocast(model: nn.Module, precision: str) -> contextlib.AbstractContextManager:
    """The context of one forward pass in this precision."""
    return torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def score_split(model: nn.Module, source, precision: str = "fp32", batch_size: int = 8192) -> dict[str, float]:
    """Metrics over all rows of a source, scored once. The model's mode is restored afterwards."""
    group = distributed.current()
    logits = group.score(source, lambda part: predict_logits(model, part, batch_size, precision))
    users = None if source.users is None else source.users.cpu().numpy()
    return group.once(lambda: metrics(source.labels.cpu().numpy(), logits.cpu().numpy(), users))


@torch.no_grad()
def predict_logits(model: nn.Module, source, batch_size: int = 8192, precision: str = "fp32") -> Tensor:
    """(n,) float32 logits in evaluation mode; the model decides how (two-tower models encode each entity once)."""
    training = model.training
    model.eval()
    try:
        with autocast(model, precision):
            return model.predict_logits(source, batch_size).float()
    finally:
        model.train(training)
