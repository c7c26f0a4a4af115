"""The training loop, and the prediction pass that evaluation and early stopping share."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from foundation.deepctr import CallbackList, EarlyStopping
from foundation.errors import InputError
from foundation.interrupts import held_back
from kernels.row_optimizers import row_parameters
from training import distributed
from training.epoch_lines import EpochLines
from training.metrics import metrics, of_training
from training.monitors import figures_for_callbacks, require_figures, require_validation_figures
from training.nan_guard import Guard
from training.options import TrainOptions
from training.precision import autocast, require_precision
from training.training_state import EpochProgress, TrainingState
from training.unknown_ids import sparse_names, with_unknown_ids


class Objective(nn.Module):
    """A model and its losses as one forward pass."""

    def __init__(self, model: nn.Module, precision: str):
        super().__init__()
        self.model, self.precision = model, precision
        self.ids = sparse_names(model.columns)

    def forward(self, features, labels: Tensor, weights: Tensor | None = None):
        """-> logits (B,), and the losses by name: what leads to no loss stays here, as DDP must not wait for it"""
        model, seen = self.model, features
        if model.training and model.unknown_rate:
            seen = with_unknown_ids(features, self.ids, model.unknown_rate)
        with autocast(model, self.precision):
            output = model.output(seen)
        if weights is not None:
            output = replace(output, weights=weights)
        return output.logits.detach(), model.losses(features, labels, output)


class Trainer:
    """Trains a model on a source of batches (`preprocessing.dataset.Split`, `preprocessing.arrays.Arrays`).

    on_epoch: called with the `TrainingState` after every epoch, and inside a long one, to save it.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, options: TrainOptions, on_epoch=None):
        self.model = model
        self.optimizer = optimizer
        self.options = options
        self.on_epoch = on_epoch
        self.group = distributed.current()
        self.tables = row_parameters(optimizer)
        self._saved_at = 0.0

    def fit(self, train, validation, callbacks: CallbackList, state: TrainingState | None = None) -> TrainingState:
        """Trains until the last epoch or early stopping, and leaves the best epoch's weights in the model.

        train: source with labels. validation: the same, or None, which keeps the last epoch's weights.
        state: where an interrupted run stood.
        """
        options, model = self.options, self.model
        require_validation_figures(callbacks.callbacks, validation is not None, model.metrics_names[1:])
        if len(train) < 2:
            raise InputError(f"Training needs at least 2 rows. Received: {len(train)}.")
        require_precision(model, options.precision)
        self.group.check(options.batch_size)
        train = train.to(model.device)
        validation = None if validation is None else validation.to(model.device)
        if state is None:
            state = TrainingState(epoch=options.initial_epoch, best_epoch=options.initial_epoch)
        else:
            state.restore(model, self.optimizer)
        self.objective = self.group.wrap(Objective(model, options.precision), self.tables)
        self.group.require_same(lambda: _description(model, train, validation, options))
        stoppable = any(isinstance(one, EarlyStopping) for one in callbacks.callbacks)
        self.shown = EpochLines(options.verbose, options.epochs, options.patience, len(train), state, stoppable)
        callbacks.on_train_begin()
        model.stop_training = False
        self._saved_at = time.monotonic()
        try:
            self._train(train, validation, callbacks, state)
        finally:  # after Ctrl-C or an error, too: the model is used as it stands, in a notebook at the latest
            with held_back():
                self._schedule_lr(epochs_done=0.0)  # a later fit starts from the full learning rate
                if state.best_weights is not None:
                    model.load_state_dict(state.best_weights)
                model.eval()
        return state

    def _train(self, train, validation, callbacks: CallbackList, state: TrainingState) -> None:
        """Epoch after epoch, from where the state is."""
        options, model = self.options, self.model
        while state.epoch < options.epochs and not state.exhausted(options.patience):
            validated = validation is not None and state.epoch > options.initial_epoch
            model.train(not (options.published_eval_mode and validated))
            callbacks.on_epoch_begin(state.epoch)
            logs = self._train_epoch(train, state)
            if validation is not None:
                result = score_split(model, validation, precision=options.precision, training=True)
                logs |= {f"val_{name}": value for name, value in result.items()}
            state.record(logs, model, self.optimizer)
            self._save(state)
            self.shown.show(state, logs)
            figures = figures_for_callbacks(logs)
            callbacks.on_epoch_end(state.epoch - 1, figures)
            require_figures(callbacks.callbacks, figures)
            if model.stop_training:
                break
        callbacks.on_train_end()

    def _train_epoch(self, train, state: TrainingState) -> dict[str, float]:
        """The pass over the training rows that the state is at, or the rest of it.

        Returns the mean of each named loss, and AUC and logloss, over all rows of the epoch.
        """
        model, epoch, labels = self.model, state.epoch, train.labels
        order = self._order(len(train), epoch, labels.device)
        if len(order) % self.options.batch_size == 1:
            order = order[:-1]  # a single left-over row has no batch statistics
        progress = (state.progress or EpochProgress.start(len(train))).to(labels.device)
        guard = Guard(model, train, self.options.precision, epoch)
        start = time.perf_counter() - progress.seconds
        for rows in self.shown.batches(order, progress, self.options.batch_size, state):
            step = progress.rows // self.options.batch_size + 1
            self._schedule_lr(epoch + progress.rows / len(train))
            self.group.seed(model.seed, epoch, progress.rows)
            share, weight = self.group.share(rows)
            weighted = () if train.weights is None else (train.weights[share],)
            logits, losses = self.objective(train.batch(share, model.feature_names), labels[share], *weighted)
            loss = weight * torch.stack(list(losses.values())).sum()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.group.exchange(self.tables)
            guard.watch(step, share, losses)
            self.optimizer.step()
            progress.add(len(rows), share, weight, losses, logits)
            if self.group.agree(step, self._save_is_due):
                guard.check()
                self._merge(progress)
                progress.seconds = time.perf_counter() - start
                state.progress = progress
                state.capture(model, self.optimizer)
                self._save(state)
        guard.check()
        self.group.agree_on_buffers(model)
        self._merge(progress)
        seconds = time.perf_counter() - start
        weights = None if train.weights is None else train.weights[order].cpu().numpy()
        names = of_training(model.metrics_names[1:])
        result = self.group.once(
            lambda: metrics(labels[order].cpu().numpy(), progress.logits[order].cpu().numpy(), None, weights, names)
        )
        return _summary(progress, len(order), result, seconds)

    def _merge(self, progress: EpochProgress) -> None:
        """Tells every process what the others have computed."""
        progress.sums, progress.logits = self.group.mean(progress.sums), self.group.merge(progress.logits)

    def _save_is_due(self) -> bool:
        waited = time.monotonic() - self._saved_at
        return self.on_epoch is not None and waited >= 60 * self.options.checkpoint_minutes

    def _save(self, state: TrainingState) -> None:
        if self.on_epoch is not None:
            self.on_epoch(state)
        self._saved_at = time.monotonic()

    def _schedule_lr(self, epochs_done: float) -> None:
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


def _description(model: nn.Module, train, validation, options: TrainOptions) -> dict[str, str]:
    """What processes that train one model must share."""
    return {
        "the model": f"{type(model).__name__} {model.settings} {model.editable} {model.columns}",
        "the seed": str(model.seed),
        "the options": str(options),
        "the training rows": _digest(train),
        "the validation rows": "none" if validation is None else _digest(validation),
    }


def _digest(source) -> str:
    """Of the rows' labels, and of whatever else the source says of itself."""
    labels = hashlib.sha256(source.labels.cpu().numpy().tobytes()).hexdigest()[:12]
    return f"{len(source)} rows, labels {labels}, {source.origin}"


def _summary(progress: EpochProgress, count: int, result: dict[str, float], seconds: float) -> dict[str, float]:
    """count: of the rows of the epoch. result: their metrics."""
    means = {name: float(total) / count for name, total in progress.sums.items()}
    logs = {"loss": sum(means.values()), **(means if len(means) > 1 else {})}
    return logs | result | {"seconds": seconds, "rows_per_second": count / seconds}


def score_split(
    model: nn.Module, source, precision: str = "float32", batch_size: int = 8192, training: bool = False
) -> dict[str, float]:
    """Metrics over all rows of a source, scored once: those named at `compile`, or all that apply.

    training: for a model that is being trained, whose epochs are compared by AUC: all that apply in any case, and the
    click loss where it is not the logloss. The model's mode is restored afterwards.
    """
    logits = split_logits(model, source, precision, batch_size)
    named = model.metrics_names[1:]
    if not training:
        return split_metrics(source, logits, named or None)
    result = split_metrics(source, logits)
    further = [name for name in named if name not in result]
    result |= split_metrics(source, logits, further) if further else {}
    if model.click_loss.function is not None or source.weights is not None:
        with torch.no_grad():
            result["loss"] = float(model.click_loss(logits, source.labels, source.weights))
    return result


def split_logits(model: nn.Module, source, precision: str = "float32", batch_size: int = 8192) -> Tensor:
    """(n,) logits of all rows of a source, each computed by one of the processes."""
    return distributed.current().score(source, lambda part: predict_logits(model, part, batch_size, precision))


def split_metrics(source, logits: Tensor, names: Sequence[str] | None = None) -> dict[str, float]:
    """Metrics of a source's rows, given their logits (n,). names: as for `metrics`."""
    users, weights = (None if part is None else part.cpu().numpy() for part in (source.users, source.weights))
    labels = source.labels.cpu().numpy()
    return distributed.current().once(lambda: metrics(labels, logits.cpu().numpy(), users, weights, names))


@torch.no_grad()
def predict_logits(model: nn.Module, source, batch_size: int = 8192, precision: str = "float32") -> Tensor:
    """(n,) float32 logits in evaluation mode; the model decides how (two-tower models encode each entity once)."""
    training = model.training
    model.eval()
    try:
        with autocast(model, precision):
            return model.predict_logits(source, batch_size).float()
    finally:
        model.train(training)
