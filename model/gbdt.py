"""Gradient-boosted decision trees, grown by scikit-learn's `HistGradientBoostingClassifier`.

y = sigmoid(baseline + sum over trees t of leaf_t(x))
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import ClassVar, Unpack

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor

from foundation.deepctr import CallbackList, VarLenSparseFeat
from foundation.errors import InputError
from foundation.feature_columns import Column
from foundation.features import Bags, Features, values_of
from kernels.row_optimizers import Together
from model.base import CTRModel, Output
from model.layers.forest import Forest
from model.signature import CommonArguments
from training.epoch_lines import EpochLines
from training.metrics import metrics, of_training
from training.monitors import figures_for_callbacks, require_figures
from training.optim import learning_rate
from training.options import TrainOptions
from training.protocols import BatchSource, labels_of
from training.training_state import TrainingState

INDICATOR_LIMIT = 256  # list features with more values than this are counted, not split into one column a value
ROWS = 65536  # read at a time
# A whole source as one matrix (n, columns) float64, its labels (n,), and the weights of its rows (n,) or None.
Rows = tuple[np.ndarray, np.ndarray, np.ndarray | None]
SAMPLE = 50_000  # training rows at most that the training metrics of a round are measured on
LINES = 10  # shown of a run


class Boosting(Together):
    """An optimiser of no parameters. lr: shrinkage of each tree."""

    def __init__(self, lr: float):
        super().__init__()
        self.lr = lr


torch.serialization.add_safe_globals([Boosting])  # `model.whole_file`


class GBDT(CTRModel):
    """Trees behind the interface of the other models: an epoch is one tree, `lr` shrinks it, `patience` counts trees.

    Ids go in as ordered numbers: scikit-learn's categorical splits end at 255 values, which users and items exceed, and
    a tree that splits a small feature several times reaches any subset anyway. What there is to learn about a single
    user or item reaches the trees through the label statistics. Lists become one 0/1 column a value, or, with more than
    256 values, their length.

    max_leaf_nodes, min_samples_leaf: size of a tree, and rows that each of its leaves needs.
    l2_reg_leaf: weight of the squared leaf values.
    """

    without_effect: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("l2_reg_embedding", "embedding_dim", "embedding_optimizer"), "which has no embeddings"),
        "l2_reg_linear": "which has no linear part",
        "l2_reg_dnn": "which has no towers",
        "unknown_rate": "which reads every id as it is",
    }
    optim: Boosting | None = None
    learns_by_gradients: ClassVar[bool] = False
    epochs_before_patience = 0  # scikit-learn compares with the score of no tree

    def __init__(
        self,
        feature_columns: list[Column],
        *,
        max_leaf_nodes: int = 31,
        min_samples_leaf: int = 20,
        l2_reg_leaf: float = 0.0,
        **common: Unpack[CommonArguments],
    ):
        super().__init__(feature_columns, **common)
        if max_leaf_nodes < 2 or min_samples_leaf < 1 or l2_reg_leaf < 0:
            raise InputError(
                "GBDT needs max_leaf_nodes >= 2, min_samples_leaf >= 1 and l2_reg_leaf >= 0. Received: "
                f"{max_leaf_nodes}, {min_samples_leaf}, {l2_reg_leaf}."
            )
        self.tree = {
            "max_leaf_nodes": max_leaf_nodes,
            "min_samples_leaf": min_samples_leaf,
            "l2_regularization": l2_reg_leaf,
        }
        self.forest = Forest()
        self.to(self.device)

    def output(self, features: Features) -> Output:
        return Output(self.forest(self._matrix(features)).float())

    @property
    def num_parameters(self) -> int:
        """Thresholds and leaf values."""
        return self.forest.num_parameters

    def make_optimizer(self, optimizer: str | torch.optim.Optimizer, lr: float | None) -> Boosting:
        if self.click_loss.function is not None:
            raise InputError("GBDT learns from the logloss alone. Leave `loss` out, or use 'binary_crossentropy'.")
        if not isinstance(optimizer, str) or optimizer != "adam":  # the name that `compile` has by default
            raise InputError(f"optimizer={optimizer!r} has no effect on GBDT, which has none. Leave it out.")
        return Boosting(0.1 if lr is None else learning_rate(lr))

    def train_on(
        self,
        train: BatchSource,
        validation: BatchSource | None,
        options: TrainOptions,
        callbacks: CallbackList,
        state: TrainingState | None,
        on_epoch: Callable[[TrainingState], None] | None,
    ) -> None:
        """Grows all trees, then keeps the number with the best validation AUC, under the same rule as other models.

        scikit-learn stops growing on validation logloss with the same patience. Batch size and order do not matter.
        """
        if state is not None and state.epoch:  # trees are checkpointed once, when all have grown
            callbacks.on_train_begin()
            self.load_state_dict(state.best_weights or state.weights)
            callbacks.on_train_end()
            return
        assert self.optim is not None  # `fit` has checked
        start = time.perf_counter()
        rows = {"": self._read(train)} | ({} if validation is None else {"val_": self._read(validation)})
        forest = self._grow(rows, self.optim.lr, options)
        seconds = (time.perf_counter() - start) / forest.num_trees
        speed = {"seconds": seconds, "rows_per_second": len(train) / seconds}
        sample = np.random.default_rng(self.seed).permutation(len(train))[:SAMPLE]
        matrix, labels, weights = rows[""]
        rows[""] = matrix[sample], labels[sample], None if weights is None else weights[sample]
        state = self._replay(forest, rows, speed, self.optim, options, callbacks)
        if on_epoch is not None:
            on_epoch(state)

    def _grow(self, rows: dict[str, Rows], lr: float, options: TrainOptions) -> Forest:
        """All trees. rows: "" -> those to train on, "val_" -> validation, if any."""
        early = "val_" in rows and options.patience is not None
        grower = HistGradientBoostingClassifier(
            learning_rate=lr,
            max_iter=options.last_epoch,
            early_stopping=early,
            n_iter_no_change=options.patience or 1,
            tol=0.0,
            random_state=self.seed,
            **self.tree,
        )
        held_out = dict(zip(("X_val", "y_val", "sample_weight_val"), rows["val_"], strict=True)) if early else {}
        return Forest.from_sklearn(grower.fit(*rows[""], **held_out))

    def _replay(
        self,
        forest: Forest,
        rows: dict[str, Rows],
        speed: dict[str, float],
        optimizer: Boosting,
        options: TrainOptions,
        callbacks: CallbackList,
    ) -> TrainingState:
        """Adds one tree after another, with the records and callbacks that an epoch has elsewhere; keeps the best."""
        state = TrainingState()
        every = math.ceil(forest.num_trees / LINES)
        lines = EpochLines(options.verbose, forest.num_trees, options.patience, SAMPLE, state, every=every)
        callbacks.on_train_begin()
        self.stop_training = False
        staged = {prefix: forest.per_tree(torch.from_numpy(x)) for prefix, (x, _, _) in rows.items()}
        names = of_training(self.metrics_names[1:])  # of validation rows as well, whose users are not read
        for trees in range(1, forest.num_trees + 1):
            callbacks.on_epoch_begin(state.epoch)
            self.forest.load(forest.first(trees))
            scores = {
                prefix: metrics(y, next(staged[prefix]).numpy(), None, weights, names)
                for prefix, (_, y, weights) in rows.items()
            }
            logs = {f"{prefix}{name}": value for prefix, values in scores.items() for name, value in values.items()}
            logs = {"loss": logs["logloss"]} | logs | speed
            state.record(logs, self, optimizer)
            lines.show(state, logs)
            figures = figures_for_callbacks(logs)
            callbacks.on_epoch_end(state.epoch - 1, figures)
            require_figures(callbacks.callbacks, figures)
            if self.stop_training or state.exhausted(options.patience):
                break
        callbacks.on_train_end()
        if state.best_weights is not None:
            self.load_state_dict(state.best_weights)
        return state

    def _read(self, source: BatchSource) -> Rows:
        source = source.to("cpu")
        parts = [self._matrix(source.batch(rows, self.feature_names)) for rows in torch.arange(len(source)).split(ROWS)]
        weights = None if source.weights is None else source.weights.numpy()
        return torch.cat(parts).numpy(), labels_of(source).numpy(), weights

    def _matrix(self, features: Features) -> Tensor:
        """What the trees read: (B, columns) float64."""
        parts = [self._columns(column, features) for column in self.columns]
        return torch.cat([part.double() for part in parts], dim=1)

    def _columns(self, column: Column, features: Features) -> Tensor:
        """One feature -> (B, 1) or, for small lists, (B, vocabulary_size - 1)."""
        if not isinstance(column, VarLenSparseFeat):
            numbers = values_of(features, column.name)
            return numbers.reshape(len(numbers), -1)
        values = features[column.name]
        # On the device of the values: what is read for growing lies on the CPU, wherever the model is.
        if isinstance(values, Bags):
            ids = values.values
            row = torch.repeat_interleave(torch.arange(len(values), device=ids.device), values.offsets.diff())
        else:
            ids = values.flatten()
            row = torch.arange(len(values), device=ids.device).repeat_interleave(values.shape[1])
        row, ids = row[ids > 0], ids[ids > 0]  # 0 is padding, or unknown
        if column.vocabulary_size > INDICATOR_LIMIT:
            return torch.bincount(row, minlength=len(values)).unsqueeze(1)
        indicators = torch.zeros(len(values), column.vocabulary_size - 1, device=ids.device)
        indicators[row, ids.long() - 1] = 1.0
        return indicators
