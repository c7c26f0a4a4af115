"""deepctr-torch's interface of a model: compile, fit, predict, evaluate, and the attributes that its users read."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Unpack

import numpy as np
import torch
from torch import Tensor, nn

from foundation.deepctr import Callback, CallbackList, History
from foundation.errors import InputError, InputWarning
from foundation.options import takes_options
from foundation.values import as_count
from model.constructor import Constructed
from model.effects import ONE_SIDE, check_options
from model.layers.embedding_optimizer import choose_embedding_optimizer, set_row_gradients
from model.retrieval import require_catalogue
from model.sources import Input, as_source, encoding_of, set_apart, validation_source
from preprocessing.data_encoding import DataEncoding
from preprocessing.dataset import Split
from training.click_loss import ClickLoss, choose_loss
from training.evaluation import predict_logits, score_split
from training.in_batch import require_fitting_loss
from training.metrics import check_names
from training.monitors import checked
from training.optim import Optimizer, added_l2, make_optimizer
from training.options import FitOptions, TrainOptions
from training.protocols import BatchSource, Trainable
from training.rank_metrics import is_rank_metric
from training.trainer import Trainer
from training.training_state import TrainingState

SCORED_AT_ONCE = 8192  # rows


class EditedWarning(InputWarning):
    """A function that belongs to a trained model was edited afterwards."""


class FitInterface(Constructed, nn.Module, Trainable):
    """Training and evaluation of a `Trainable` model, as in deepctr-torch.

    optim, click_loss, metrics_names, embedding_optimizer: chosen by `compile`; what stands here serves a model that is
        not compiled. optimizer_is_given: whether `optim` is an instance that knows nothing of l2.
    history: of the last `fit`. stop_training: set by callbacks.
    encoding: of the data that it was trained on; arrays bring none. trained_with: `editable` as it was then.
    """

    optim: Optimizer | None = None
    click_loss: ClickLoss = ClickLoss()
    metrics_names: Sequence[str] = ("loss",)
    embedding_optimizer: str | None = None
    optimizer_is_given: bool = False
    history: History | None = None
    stop_training: bool = False
    encoding: DataEncoding | None = None
    trained_with: Mapping[str, str] = {}

    def compile(
        self,
        optimizer: str | torch.optim.Optimizer = "adam",
        loss: str | Callable[..., Tensor] | None = "binary_crossentropy",
        metrics: Sequence[str] | None = None,
        lr: float | None = None,
        *,
        embedding_optimizer: str | None = None,
    ) -> None:
        """Chooses optimiser, loss and metrics, as in deepctr-torch. It hides torch's `nn.Module.compile`, another thing
        by the same name: `torch.compile(model)` does what that does.

        optimizer: adam, adagrad, rmsprop or sgd, or an instance over the model's parameters; either way l2 is part of
            what is minimised.
        loss: of clicks, as a batch mean: binary_crossentropy (or logloss), probability_crossentropy, as the releases
            have it (`training.click_loss`), mse, mae, or a function of probabilities as deepctr-torch takes it, called
            with (probabilities, labels, reduction=...). Two-tower models: in_batch, for rows that are positives alone.
        metrics: what `evaluate` returns, and what history and callbacks have under these names, with "val_" before
            those of validation rows: auc, logloss or binary_crossentropy, acc or accuracy, mse, gauc, and of two-tower
            models recall@k, ndcg@k, hit@k, as "recall@10" (`model.retrieval`), which take seconds of each epoch that
            is validated. Default: all of auc, logloss and gauc that apply.
        lr: of an optimiser by name.
        embedding_optimizer: "dense" updates all rows of the embedding tables in each step, "rowwise" those of a
            batch; by default the size of the tables decides (`docs/large_tables.md`).
        """
        self.click_loss = choose_loss(loss)
        if self.click_loss.in_batch and not self.has_two_sides:
            raise ONE_SIDE.refusal("loss='in_batch'", type(self).__name__)
        self.metrics_names = ["loss", *check_names(metrics, self.has_two_sides)]
        self.to(self.device)
        self.embedding_optimizer = choose_embedding_optimizer(self, embedding_optimizer, optimizer)
        self.optim = self.make_optimizer(optimizer, lr)
        self.optimizer_is_given = isinstance(optimizer, torch.optim.Optimizer)

    def make_optimizer(self, optimizer: str | torch.optim.Optimizer, lr: float | None) -> Optimizer:
        """What `train_on` takes its steps with."""
        tables = set_row_gradients(self, self.embedding_optimizer == "rowwise")
        return make_optimizer(self, optimizer, lr, tables)

    @takes_options(TrainOptions)
    def fit(
        self,
        x: Input,
        y: np.ndarray | None = None,
        batch_size: int | None = None,
        epochs: int = TrainOptions.epochs,
        verbose: int = TrainOptions.verbose,
        initial_epoch: int = TrainOptions.initial_epoch,
        validation_split: float = 0.0,
        validation_data: Split | tuple | None = None,
        shuffle: bool = TrainOptions.shuffle,
        callbacks: list[Callback] | None = None,
        *,
        sample_weight: np.ndarray | None = None,
        state: TrainingState | None = None,
        on_epoch: Callable[[TrainingState], None] | None = None,
        **further: Unpack[FitOptions],
    ) -> History:
        """Trains, and leaves the weights of the best validation epoch in the model.

        x: a `Split` of a data set, or arrays with labels y, as in deepctr-torch: a dict of them by feature name, or a
            list in the order of the feature columns. y: (n,) or (n, 1).
        batch_size: rows of a step, 256 unless given. initial_epoch: finished epochs, of `epochs`.
        validation_split: share of x set apart at random for validation; validation_data: a `Split` or a tuple (x, y) or
            (x, y, weights).
        sample_weight: (n,) of at least 0: by how much each row's click loss is multiplied before the mean over the
            rows of a batch, and how much it counts in metrics. Other losses of a model weigh rows alike.
        callbacks: of deepctr-torch (`EarlyStopping`, `ModelCheckpoint`, ...).
        state, on_epoch: where to continue, and what to call with the state after each epoch and every
            `checkpoint_minutes` inside one (`training.run_folder`).
        further: patience, precision, lr_schedule and the others of `TrainOptions`.
        """
        if self.optim is None:
            raise InputError("Call compile(...) before fit(...): the optimiser is not chosen yet.")
        options = TrainOptions(
            batch_size=TrainOptions.batch_size if batch_size is None else batch_size,
            epochs=epochs,
            initial_epoch=initial_epoch,
            shuffle=shuffle,
            verbose=verbose,
            **further,
        )
        train = as_source(x, y, self.columns, self.encoding, sample_weight)
        require_fitting_loss(self.click_loss, train, type(self).__name__)
        encoding = self.encoding or encoding_of(train)
        validation = validation_source(validation_data, self.columns, encoding)
        if validation is not None and validation_split:
            raise InputError("validation_split has no effect beside validation_data. Leave one of them out.")
        if validation is None and validation_split:
            train, validation = set_apart(train, validation_split, self.seed)
        if options.patience is not None and validation is None:
            raise InputError("`patience` needs validation rows. Pass validation_data or validation_split.")
        ranked = list(filter(is_rank_metric, self.metrics_names))
        if ranked and validation is not None:
            require_catalogue(validation, ranked)
        check_options(self, options, validation is not None)
        if state is None:
            torch.manual_seed(self.seed)  # of dropout: the result must not depend on what was built or drawn before
        self.history = History()
        hooks = CallbackList([*checked(callbacks), self.history])
        hooks.set_model(self)
        self.encoding, self.trained_with = encoding, self.editable
        self.train_on(train, validation, options, hooks, state, on_epoch)
        return self.history

    def train_on(
        self,
        train: BatchSource,
        validation: BatchSource | None,
        options: TrainOptions,
        callbacks: CallbackList,
        state: TrainingState | None,
        on_epoch: Callable[[TrainingState], None] | None,
    ) -> None:
        """The training itself, for `fit`, which has checked everything. A model without gradients has its own."""
        assert self.optim is not None  # `fit` has checked
        given = self.optim if self.optimizer_is_given else None
        with added_l2(self, given) if isinstance(given, torch.optim.Optimizer) else contextlib.nullcontext():
            Trainer(self, self.optim, options, on_epoch).fit(train, validation, callbacks, state)

    def predict(self, x: Input, batch_size: int | None = None) -> np.ndarray:
        """Click probabilities (n, 1) float64, as in deepctr-torch.

        x: a `Split`, arrays of encoded values as in `fit`, or a frame of raw ones (`preprocessing.known.arrays_for`).
        batch_size: rows scored at a time, 8192 unless given.
        """
        self.to(self.device)
        self.warn_if_edited()
        batch_size = _rows_at_a_time(batch_size)
        source = as_source(x, None, self.columns, self.encoding, labelled=False).to(self.device)
        logits = predict_logits(self, source, batch_size)
        return torch.sigmoid(logits.double()).cpu().numpy().reshape(-1, 1)

    def evaluate(
        self,
        x: Input,
        y: np.ndarray | None = None,
        batch_size: int | None = None,
        *,
        metrics: Sequence[str] | None = None,
        sample_weight: np.ndarray | None = None,
    ) -> dict[str, float]:
        """Metrics over all rows: these, or those named at `compile`, or all that apply.

        metrics: names as at `compile`, such as ["auc", "recall@10"].
        sample_weight: (n,) of at least 0: how much each row counts.
        """
        names = check_names(metrics, self.has_two_sides)
        self.to(self.device)
        self.warn_if_edited()
        batch_size = _rows_at_a_time(batch_size)
        source = as_source(x, y, self.columns, self.encoding, sample_weight).to(self.device)
        return score_split(self, source, batch_size=batch_size, names=names)

    @property
    def editable(self) -> dict[str, str]:
        """Functions that people edit and that the logits hang on (`fe_score`): name -> version, as they are now."""
        found: dict[str, str] = {}
        for part in self.modules():
            found |= {} if part is self else getattr(part, "editable", {})
        return found

    def warn_if_edited(self) -> None:
        """Warns where such a function is another one than the model was trained with: scores are of the new one."""
        edited = [name for name, version in self.editable.items() if self.trained_with.get(name, version) != version]
        if edited:
            warnings.warn(
                f"{' and '.join(edited)} was edited since this {type(self).__name__} was trained. The scores are those "
                "of the edited function, not of the one that it learned with. Restore it, or train again.",
                EditedWarning,
                stacklevel=3,
            )


def _rows_at_a_time(batch_size: int | None) -> int:
    return SCORED_AT_ONCE if batch_size is None else as_count("batch_size", batch_size, least=1)
