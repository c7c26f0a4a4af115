"""The training loop."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from foundation.deepctr import CallbackList, EarlyStopping
from foundation.errors import InputError
from foundation.features import Features
from foundation.interrupts import held_back
from kernels.row_optimizers import row_parameters
from training import distributed
from training.epoch_lines import EpochLines
from training.evaluation import score_split
from training.in_batch import TrainingPairs
from training.metrics import metrics, of_training
from training.monitors import figures_for_callbacks, require_figures, require_validation_figures
from training.nan_guard import Guard
from training.optim import Optimizer
from training.options import TrainOptions
from training.precision import autocast, require_precision
from training.protocols import BatchSource, Candidates, Trainable, labels_of
from training.training_state import EpochProgress, TrainingState
from training.unknown_ids import sparse_names, with_unknown_ids

CLICKS = "ctr"  # of a model's losses, the one of clicks


class Objective(nn.Module):
    """A model and its losses as one forward pass."""

    model: Trainable

    def __init__(self, model: Trainable, precision: str):
        super().__init__()
        self.model, self.precision = model, precision
        self.ids = sparse_names(model.columns)

    def forward(
        self,
        features: Features,
        labels: Tensor,
        weights: Tensor | None = None,
        candidates: Candidates | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """-> logits (B,), and the losses by name: what leads to no loss stays here, as DDP must not wait for it"""
        model, seen = self.model, features
        if model.training and model.unknown_rate:
            seen = with_unknown_ids(features, self.ids, model.unknown_rate)
        with autocast(model, self.precision):
            output = model.output(seen)
        if weights is not None:
            output = replace(output, weights=weights)
        if candidates is not None:
            output = replace(output, candidates=candidates)
        return output.logits.detach(), model.losses(features, labels, output)


@dataclass(frozen=True)
class _Run:
    """What one call of `Trainer.fit` works on. objective: as the processes call it (`training.distributed`). pairs: of
    training rows that are all positives, None for labelled rows.
    """

    train: BatchSource
    pairs: TrainingPairs | None
    validation: BatchSource | None
    callbacks: CallbackList
    state: TrainingState
    objective: nn.Module
    lines: EpochLines


class Trainer:
    """Trains a model on a source of batches.

    on_epoch: called with the `TrainingState` after every epoch, and inside a long one, to save it.
    """

    def __init__(
        self,
        model: Trainable,
        optimizer: Optimizer,
        options: TrainOptions,
        on_epoch: Callable[[TrainingState], None] | None = None,
    ):
        self.model = model
        self.optimizer = optimizer
        self.options = options
        self.on_epoch = on_epoch
        self.group = distributed.current()
        self.tables = row_parameters(optimizer)
        self._saved_at = 0.0

    def fit(
        self,
        train: BatchSource,
        validation: BatchSource | None,
        callbacks: CallbackList,
        state: TrainingState | None = None,
    ) -> TrainingState:
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
        objective = self.group.wrap(Objective(model, options.precision), self.tables, model.has_idle_parameters)
        self.group.require_same(lambda: _description(model, train, validation, options))
        stoppable = any(isinstance(one, EarlyStopping) for one in callbacks.callbacks)
        lines = EpochLines(options.verbose, options.last_epoch, options.patience, len(train), state, stoppable)
        callbacks.on_train_begin()
        model.stop_training = False
        self._saved_at = time.monotonic()
        try:
            self._train(_Run(train, TrainingPairs.of(train), validation, callbacks, state, objective, lines))
        finally:  # after Ctrl-C or an error, too: the model is used as it stands, in a notebook at the latest
            with held_back():
                self._schedule_lr(epochs_done=0.0)  # a later fit starts from the full learning rate
                if state.best_weights is not None:
                    model.load_state_dict(state.best_weights)
                model.eval()
        return state

    def _train(self, run: _Run) -> None:
        """Epoch after epoch, from where the state is."""
        options, model = self.options, self.model
        validation, callbacks, state = run.validation, run.callbacks, run.state
        while state.epoch < options.last_epoch and not state.exhausted(options.patience):
            # A training anew goes through the modes of the one that chose its number of epochs.
            validates = validation is not None or options.stop_after is not None
            validated = validates and state.epoch > options.initial_epoch
            model.train(not (options.published_eval_mode and validated))
            callbacks.on_epoch_begin(state.epoch)
            logs = self._train_epoch(run)
            if validation is not None:
                result = score_split(model, validation, precision=options.precision, training=True)
                logs |= {f"val_{name}": value for name, value in result.items()}
            state.record(logs, model, self.optimizer)
            self._save(state)
            run.lines.show(state, logs)
            figures = figures_for_callbacks(logs)
            callbacks.on_epoch_end(state.epoch - 1, figures)
            require_figures(callbacks.callbacks, figures)
            if model.stop_training:
                break
        callbacks.on_train_end()

    def _train_epoch(self, run: _Run) -> dict[str, float]:
        """The pass over the training rows that the state is at, or the rest of it.

        Returns the mean of each named loss, and of labelled rows AUC and logloss, over all rows of the epoch.
        """
        model, train, state = self.model, run.train, run.state
        epoch, labels = state.epoch, labels_of(train)
        order = self._order(len(train), epoch, labels.device)
        if len(order) % self.options.batch_size == 1:
            order = order[:-1]  # a single left-over row has no batch statistics
        progress = (state.progress or EpochProgress.start(len(train))).to(labels.device)
        guard = Guard(model, train, self.options.precision, epoch)
        start = time.perf_counter() - progress.seconds
        for rows in run.lines.batches(order, progress, self.options.batch_size, state):
            step = progress.rows // self.options.batch_size + 1
            self._schedule_lr(epoch + progress.rows / len(train))
            self.group.seed(model.seed, epoch, progress.rows)
            share, weight = self.group.share(rows)
            weighed_by = None if train.weights is None else train.weights[share]
            candidates = None if run.pairs is None else run.pairs.batch(share)
            features = train.batch(share, model.feature_names)
            logits, losses = run.objective(features, labels[share], weighed_by, candidates)
            loss = weight * self._minimised(losses, len(rows))
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
        names = () if run.pairs is not None else of_training(model.metrics_names[1:])  # of one class there are none
        result = self.group.once(
            lambda: metrics(labels[order].cpu().numpy(), progress.logits[order].cpu().numpy(), None, weights, names)
        )
        return _summary(progress, len(order), result, seconds)

    def _minimised(self, losses: dict[str, Tensor], count: int) -> Tensor:
        """The sum of the losses, each a mean over this process's rows. count: rows of the batch, of all processes:
        with `Group.share`'s weight, their mean is the click loss summed over the batch, whatever the shares.
        """
        if self.options.summed_loss:
            if CLICKS not in losses:
                raise InputError(
                    f"summed_loss sums the loss named '{CLICKS}'. This model has {', '.join(losses)}. Leave it out."
                )
            losses = losses | {CLICKS: count * losses[CLICKS]}
        return torch.stack(list(losses.values())).sum()

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


def _description(
    model: Trainable, train: BatchSource, validation: BatchSource | None, options: TrainOptions
) -> dict[str, str]:
    """What processes that train one model must share."""
    return {
        "the model": f"{type(model).__name__} {model.settings} {model.editable} {model.columns}",
        "the seed": str(model.seed),
        "the options": str(options),
        "the training rows": _digest(train),
        "the validation rows": "none" if validation is None else _digest(validation),
    }


def _digest(source: BatchSource) -> str:
    """Of the rows' labels, and of whatever else the source says of itself."""
    labels = hashlib.sha256(labels_of(source).cpu().numpy().tobytes()).hexdigest()[:12]
    return f"{len(source)} rows, labels {labels}, {source.origin}"


def _summary(progress: EpochProgress, count: int, result: dict[str, float], seconds: float) -> dict[str, float]:
    """count: of the rows of the epoch. result: their metrics."""
    means = {name: float(total) / count for name, total in progress.sums.items()}
    logs = {"loss": sum(means.values()), **(means if len(means) > 1 else {})}
    return logs | result | {"seconds": seconds, "rows_per_second": count / seconds}
