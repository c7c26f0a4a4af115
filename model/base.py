"""`CTRModel` and `TwoTower`: the only two base classes."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from foundation.deepctr import Callback, CallbackList, History
from foundation.errors import InputError, InputWarning
from foundation.feature_columns import Column, check_columns, id_column
from foundation.features import Features
from foundation.values import as_count, shown
from model.description import describe
from model.devices import device_of
from model.effects import Idle, check_arguments, check_options, constructor_defaults, effective
from model.interaction import Interaction
from model.layers.embedding_optimizer import choose_embedding_optimizer, set_row_gradients
from model.layers.mixed_embedding import check_one_size
from model.signature import ConstructorSignature, TowerArguments
from model.sources import Input, Source, as_source, encoding_of, set_apart, validation_source
from model.whole_file import WholeFile
from preprocessing.data_encoding import DataEncoding
from preprocessing.dataset import Split
from training import model_files
from training.click_loss import ClickLoss, choose_loss
from training.metrics import check_names
from training.monitors import checked
from training.optim import added_l2, make_optimizer
from training.trainer import Trainer, TrainOptions, predict_logits, score_split
from training.training_state import TrainingState

SCORED_AT_ONCE = 8192  # rows


@dataclass(frozen=True)
class Output:
    """What one forward pass hands to the losses.

    logits: (B,). latent: whatever else a model's losses need, by name. weights: (B,) of the rows in the click loss,
    which training adds; None: all alike.
    """

    logits: Tensor
    latent: dict[str, Any] = field(default_factory=dict)
    weights: Tensor | None = None


class EditedWarning(InputWarning):
    """A function that belongs to a trained model was edited afterwards."""


def _editable(part: nn.Module) -> Iterable[tuple[str, str]]:
    return getattr(part, "editable", {}).items()


class CTRModel(WholeFile, nn.Module, ABC):
    """A model of the click probability, with deepctr-torch's compile / fit / predict / evaluate.

    A subclass implements `output`, and `losses` if it learns from more than clicks.

    columns: every feature column that the model reads.
    task: "binary" alone; kept because the published scripts pass it.
    device, gpus: where it trains; gpus=[1] is device="cuda:1". Several GPUs are the business of torchrun, one process
        each (`docs/large_tables.md`).
    seed: of the initial weights and of the order of training rows.
    l2_reg_embedding, l2_reg_linear, l2_reg_dnn: weights of the squared parameters in the loss (embedding tables, linear
        part, weight matrices).
    unknown_rate: share of sparse ids that training replaces by the reserved id 0 (`training.unknown_ids`). It teaches
        the model what to do with an unknown user or item, and not to lean on ids alone; without it the row of id 0 is
        trained by missing and rare values alone, if there are any. Losses that compare ids read the true ones.
    """

    # Settings that do nothing for a model, and why (`model.effects`), as clauses: "which has no linear part".
    without_effect: ClassVar[dict[str, str]] = {}
    __signature__ = ConstructorSignature()
    arguments: dict[str, Any]  # of the constructor, as given
    # How many epochs pass before one can be without improvement: the first is the best so far.
    epochs_before_patience = 1
    # Whether the loss leaves some parameters out; several processes must know (`training.distributed`).
    has_idle_parameters = False
    # What `compile` chooses; what stands here serves a model that is not compiled.
    click_loss = ClickLoss()
    metrics_names: Sequence[str] = ("loss",)
    optimizer_is_given = False  # as an instance, which knows nothing of l2

    def __init__(
        self,
        columns: list[Column],
        *,
        task: str = "binary",
        device: str | torch.device = "cpu",
        gpus: list[int | str | torch.device] | None = None,
        seed: int = 1024,
        l2_reg_embedding: float = 1e-5,
        l2_reg_linear: float = 1e-5,
        l2_reg_dnn: float = 0.0,
        unknown_rate: float = 0.0,
        **unknown,
    ):
        super().__init__()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no argument {', '.join(unknown)}. Known: {_known(type(self))}.")
        if task != "binary":
            raise InputError(
                "Only task='binary' is supported: labels are clicks, 0 or 1, and losses, metrics and serving are those "
                f"of click probabilities. Received: {task!r}."
            )
        columns = [column for i, column in enumerate(columns) if column not in columns[:i]]  # often twice
        if not columns:
            raise InputError(f"{type(self).__name__} needs at least one feature column. Received none.")
        check_columns(columns)
        self.columns = columns
        self.feature_names = [column.name for column in columns]
        self.device = device_of(torch.device(device), gpus, "device" in self.arguments)
        self.seed = seed
        self.l2: dict[str, float] = {}
        self.set_l2(embedding=l2_reg_embedding, linear=l2_reg_linear, dnn=l2_reg_dnn)
        if not 0 <= unknown_rate < 1:
            raise InputError(f"unknown_rate must lie in [0, 1). Received: {unknown_rate}.")
        self.unknown_rate = unknown_rate
        self.stop_training = False  # set by callbacks
        self.history: History | None = None
        self.encoding: DataEncoding | None = None  # of the data that it was trained on; arrays bring none
        self.trained_with: dict[str, str] = {}  # versions of the functions of `editable`
        torch.manual_seed(seed)

    def __new__(cls, *args, **kwargs):
        """Remembers the constructor's arguments, so that `save` knows them and no subclass repeats them."""
        self = super().__new__(cls)
        if args or kwargs:  # copying and unpickling pass none
            try:
                bound = inspect.signature(cls.__init__).bind(self, *args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{cls.__name__}: {error}.") from None
            arguments = dict(list(bound.arguments.items())[1:])
            for parameter in inspect.signature(cls.__init__).parameters.values():
                if parameter.kind is parameter.VAR_KEYWORD:
                    arguments |= arguments.pop(parameter.name, {})
            self.__dict__["arguments"] = arguments
            check_arguments(cls, arguments)
        return self

    @classmethod
    def without_effect_beside(cls, settings: Mapping[str, Any]) -> dict[str, Idle]:
        """Arguments of this class's constructor that do nothing beside these settings, and why (`model.effects`).

        settings: every keyword argument of the constructor, checked or not, by name.
        """
        return {}

    @classmethod
    def effective(cls, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor's arguments without those that do nothing, which older folders may hold."""
        return effective(cls, arguments)

    @classmethod
    def takes_several_sizes(cls, settings: Mapping[str, Any]) -> bool:
        """Whether the model reads its fields as one vector alone, so that their embedding sizes may differ.

        settings: every keyword argument of the constructor.
        """
        return False

    def check_sizes(self, columns: list[Column]) -> None:
        """Raises `InputError` for several embedding sizes, where the model cannot have them."""
        if not self.takes_several_sizes({**constructor_defaults(type(self)), **self.arguments}):
            check_one_size(columns, type(self).__name__)

    # -- what a model is ----------------------------------------------------------------------------------------------

    @abstractmethod
    def output(self, features: Features) -> Output:
        """features: name -> (B,) or (B, k) tensors or `Bags`. Everything that `losses` needs, from one forward pass."""

    def forward(self, features: Features) -> Tensor:
        """-> logits (B,)"""
        return self.output(features).logits

    def losses(self, features: Features, labels: Tensor, output: Output) -> dict[str, Tensor]:
        """Weighted loss terms by name, each a batch mean; their sum is minimised. labels: (B,) float."""
        return {"ctr": self.click_loss(output.logits, labels, output.weights)}

    def predict_logits(self, source: Source, batch_size: int) -> Tensor:
        """(n,) logits of all rows of a source."""
        rows = torch.arange(len(source), device=self.device)
        return torch.cat([self(source.batch(part, self.feature_names)) for part in rows.split(batch_size)])

    def set_l2(self, **weights: float) -> None:
        """What `l2_of` chooses from, by part. Raises `InputError` for a weight that is none."""
        for part, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise InputError(f"l2_reg_{part} must be a number of at least 0. Received: {weight}.")
        self.l2 |= weights

    def l2_of(self, parameter_name: str) -> float:
        """The l2 weight of a parameter, by its name: tables, linear part, other matrices; none for biases and norms.

        The slopes of "prelu" have l2_reg_dnn, as in deepctr-torch.
        """
        if "embedding" in parameter_name:
            return self.l2["embedding"]
        if parameter_name.startswith("linear"):
            return self.l2["linear"]
        is_slope = isinstance(self.get_submodule(parameter_name.rpartition(".")[0]), nn.PReLU)
        return self.l2["dnn"] if is_slope or self.get_parameter(parameter_name).ndim > 1 else 0.0

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as given that shape the model: not feature columns, device or seed."""
        apart = ("task", "device", "gpus", "seed")
        return {
            name: value
            for name, value in self.arguments.items()
            if name not in apart and not name.endswith("feature_columns")
        }

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def __repr__(self) -> str:
        """A line of what it is, then torch's tree of modules."""
        return f"{describe(self)}\n{super().__repr__()}"

    # -- training and evaluation, as in deepctr-torch -----------------------------------------------------------------

    def compile(
        self,
        optimizer: str | torch.optim.Optimizer = "adam",
        loss: str | Callable[..., Tensor] | None = "binary_crossentropy",
        metrics: Sequence[str] | None = None,
        lr: float | None = None,
        *,
        embedding_optimizer: str | None = None,
    ) -> None:
        """Chooses optimiser, loss and metrics.

        optimizer: adam, adagrad, rmsprop or sgd, or an instance over the model's parameters; either way l2 is part of
            what is minimised.
        loss: of clicks, as a batch mean: binary_crossentropy (or logloss), mse, mae, or a function of probabilities as
            deepctr-torch takes it, called with (probabilities, labels, reduction=...); see `training.click_loss`.
        metrics: what `evaluate` returns, and what history and callbacks have under these names, with "val_" before
            those of validation rows: auc, logloss or binary_crossentropy, acc or accuracy, mse, gauc. Default: all of
            auc, logloss and gauc that apply.
        lr: of an optimiser by name.
        embedding_optimizer: "dense" updates all rows of the embedding tables in each step, "rowwise" those of a
            batch; by default the size of the tables decides (`docs/large_tables.md`).
        """
        self.click_loss = choose_loss(loss)
        self.metrics_names = ["loss", *check_names(metrics)]
        self.to(self.device)
        self.embedding_optimizer = choose_embedding_optimizer(self, embedding_optimizer, optimizer)
        self.optim = self.make_optimizer(optimizer, lr)
        self.optimizer_is_given = isinstance(optimizer, torch.optim.Optimizer)

    def make_optimizer(self, optimizer: str | torch.optim.Optimizer, lr: float | None):
        """What `train_on` takes its steps with."""
        tables = set_row_gradients(self, self.embedding_optimizer == "rowwise")
        return make_optimizer(self, optimizer, lr, tables)

    def fit(
        self,
        x: Input,
        y: np.ndarray | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        initial_epoch: int = 0,
        validation_split: float = 0.0,
        validation_data: Split | tuple | None = None,
        shuffle: bool = True,
        callbacks: list[Callback] | None = None,
        *,
        sample_weight: np.ndarray | None = None,
        patience: int | None = None,
        precision: str = "fp32",
        published_eval_mode: bool = False,
        lr_schedule: str = "constant",
        checkpoint_minutes: float = 5.0,
        state: TrainingState | None = None,
        on_epoch=None,
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
        patience, precision, published_eval_mode, lr_schedule, checkpoint_minutes: see `TrainOptions`.
        state, on_epoch: where to continue, and what to call with the state after each epoch and every
            `checkpoint_minutes` inside one (`training.run_folder`).
        """
        self._require_compiled("fit")
        options = TrainOptions(
            batch_size=TrainOptions.batch_size if batch_size is None else batch_size,
            epochs=epochs,
            initial_epoch=initial_epoch,
            patience=patience,
            precision=precision,
            shuffle=shuffle,
            published_eval_mode=published_eval_mode,
            lr_schedule=lr_schedule,
            checkpoint_minutes=checkpoint_minutes,
            verbose=verbose,
        )
        train = as_source(x, y, self.columns, self.encoding, sample_weight)
        encoding = self.encoding or encoding_of(train)
        validation = validation_source(validation_data, self.columns, encoding)
        if validation is not None and validation_split:
            raise InputError("validation_split has no effect beside validation_data. Leave one of them out.")
        if validation is None and validation_split:
            train, validation = set_apart(train, validation_split, self.seed)
        if patience is not None and validation is None:
            raise InputError("`patience` needs validation rows. Pass validation_data or validation_split.")
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
        train: Source,
        validation: Source | None,
        options: TrainOptions,
        callbacks: CallbackList,
        state: TrainingState | None,
        on_epoch,
    ) -> None:
        """The training itself, for `fit`, which has checked everything. A model without gradients has its own."""
        with added_l2(self, self.optim) if self.optimizer_is_given else contextlib.nullcontext():
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
        sample_weight: np.ndarray | None = None,
    ) -> dict[str, float]:
        """Metrics over all rows; those named at `compile`, or all that apply.

        sample_weight: (n,) of at least 0: how much each row counts.
        """
        self.to(self.device)
        self.warn_if_edited()
        batch_size = _rows_at_a_time(batch_size)
        source = as_source(x, y, self.columns, self.encoding, sample_weight).to(self.device)
        return score_split(self, source, batch_size=batch_size)

    @property
    def editable(self) -> dict[str, str]:
        """Functions that people edit and that the logits hang on (`fe_score`): name -> version, as they are now."""
        return {name: version for part in self.modules() if part is not self for name, version in _editable(part)}

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

    def _require_compiled(self, action: str) -> None:
        if not hasattr(self, "optim"):
            raise InputError(f"Call compile(...) before {action}(...): the optimiser is not chosen yet.")

    # -- files --------------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path, extra: dict | None = None, *, overwrite: bool = False) -> None:
        """Writes `model.safetensors` and `config.json` into a folder, both or nothing: class, arguments, and the
        encoding of the data that it was trained on, so that it can read raw values and refuses rows that are encoded
        otherwise.

        extra: further entries of `config.json`. overwrite: replace a finished run, whose result is deleted.
        Raises `InputError` for an encoding that is not the model's, and for a finished run without `overwrite`.
        """
        model_files.save_model(self, Path(folder), self.known_with(extra or {}), overwrite)

    def known_with(self, extra: dict) -> dict:
        """What `config.json` says beside class and arguments."""
        if not isinstance(extra, Mapping):
            raise InputError(f"`extra` must be a dict of further entries of config.json. Received: {shown(extra)}.")
        given = DataEncoding.from_json(extra)
        if self.encoding is not None and given is not None:
            self.encoding.require_same(given, self.feature_names, "`extra`")
        known = {"trained_with": self.trained_with or self.editable}
        known |= {} if self.encoding is None else self.encoding.to_json()
        return known | extra | known  # in the order in which they are given, and never a part of another encoding

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> CTRModel:
        """A model of this class as it was saved. For any class: `model.load_model`."""
        return model_files.load_model(cls, Path(folder), device)


class TwoTower(CTRModel):
    """Two encoders and one interaction: the sides meet in it alone, so that items can be encoded ahead of time.

    A subclass implements `encode_user` and `encode_item`, and sets `self.interaction` to one of `model.interaction`, or
    to its own.

    user_columns, item_columns: the first `SparseFeat` of each side is its id.
    """

    without_effect: ClassVar[dict[str, str]] = {"l2_reg_linear": "which has no linear part"}
    interaction: Interaction

    def __init__(self, user_columns: list[Column], item_columns: list[Column], **common: Unpack[TowerArguments]):
        for side, columns in (("user", user_columns), ("item", item_columns)):
            if id_column(columns or []) is None:
                raise InputError(
                    f"{type(self).__name__} needs at least one SparseFeat on the {side} side. Received: {columns!r}."
                )
        check_columns([*user_columns, *item_columns])  # no feature on both sides
        super().__init__([*user_columns, *item_columns], **common)
        self.check_sizes(user_columns)
        self.check_sizes(item_columns)
        self.user_columns, self.item_columns = list(user_columns), list(item_columns)
        self.user_id, self.item_id = id_column(user_columns), id_column(item_columns)

    @abstractmethod
    def encode_user(self, features: Features) -> Tensor:
        """-> the R vectors of each user (B, R, d): what a request computes once, from the user's features alone."""

    @abstractmethod
    def encode_item(self, features: Features) -> Tensor:
        """-> the H vectors of each item (B, H, d): what the item index stores, from the item's features alone."""

    def field_weights(self, side: Literal["user", "item"], features: Features) -> dict[str, Tensor]:
        """How much a side weighs each of its fields, for explanations: name -> (B,), nothing where it weighs none."""
        return {}

    def output(self, features: Features) -> Output:
        return Output(self.interaction(self.encode_user(features), self.encode_item(features)))

    def predict_logits(self, source: Source, batch_size: int) -> Tensor:
        """As `CTRModel.predict_logits`, but each distinct user and item goes through its tower once."""
        user_names = [column.name for column in self.user_columns]
        item_names = [column.name for column in self.item_columns]
        user_first, user_group = (part.to(self.device) for part in source.distinct(user_names))
        item_first, item_group = (part.to(self.device) for part in source.distinct(item_names))
        items = torch.cat([self.encode_item(source.batch(part, item_names)) for part in item_first.split(batch_size)])
        logits = torch.empty(len(source), device=self.device)
        # Users in chunks, in the order of their group: their vectors may be many times larger than the items'.
        order = torch.argsort(user_group, stable=True)
        ends = torch.searchsorted(user_group[order], torch.arange(len(user_first), device=self.device), right=True)
        done = 0
        for chunk in torch.arange(len(user_first), device=self.device).split(1024):
            users = self.encode_user(source.batch(user_first[chunk], user_names))
            end = int(ends[chunk[-1]])
            for rows in order[done:end].split(batch_size):
                pairs = users[user_group[rows] - chunk[0]], items[item_group[rows]]
                logits[rows] = self.interaction(*pairs).float()
            done = end
        return logits


def _rows_at_a_time(batch_size: int | None) -> int:
    return SCORED_AT_ONCE if batch_size is None else as_count("batch_size", batch_size, least=1)


def _known(model_class: type[CTRModel]) -> str:
    return ", ".join(sorted(constructor_defaults(model_class).keys() - model_class.without_effect.keys()))
