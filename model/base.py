"""`CTRModel` and `TwoTower`: the only two base classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, Unpack

import torch
from torch import Tensor

from foundation.errors import InputError
from foundation.feature_columns import Column, check_columns, id_column
from foundation.features import Features
from foundation.values import shown
from model.all_pairs import pair_logits
from model.description import describe
from model.devices import device_of
from model.effects import constructor_defaults
from model.fit_interface import EditedWarning, FitInterface
from model.interaction import Interaction
from model.layers.mixed_embedding import check_one_size
from model.losses import in_batch_loss
from model.regularization import l2_part
from model.retrieval import measure
from model.signature import TowerArguments
from model.whole_file import WholeFile
from preprocessing.data_encoding import DataEncoding
from training import distributed, model_files
from training.click_loss import IN_BATCH
from training.protocols import BatchSource, Output

__all__ = ["CTRModel", "EditedWarning", "Output", "TwoTower"]

# Of tensors in folders of earlier versions -> what they are called now.
EARLIER_NAMES = {
    "bias": "interaction.bias",
    "cosine.bias": "interaction.bias",
    "cosine.log_gamma": "interaction.log_gamma",
}


class CTRModel(WholeFile, FitInterface, ABC):
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

    # Whether the loss leaves some parameters out; several processes must know (`training.distributed`).
    has_idle_parameters = False

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
    ):
        super().__init__()
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
        self.device = device_of(device, gpus, "device" in self.arguments)
        if not 0 <= seed < 2**32:  # what torch, numpy and scikit-learn all take
            raise InputError(f"seed must lie in 0..{2**32 - 1}. Received: {shown(seed)}.")
        self.seed = seed
        self.l2: dict[str, float] = {}
        self.set_l2(embedding=l2_reg_embedding, linear=l2_reg_linear, dnn=l2_reg_dnn)
        if not 0 <= unknown_rate < 1:
            raise InputError(f"unknown_rate must lie in [0, 1). Received: {unknown_rate}.")
        self.unknown_rate = unknown_rate
        torch.manual_seed(seed)

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

    @abstractmethod
    def output(self, features: Features) -> Output:
        """features: name -> (B,) or (B, k) tensors or `Bags`. Everything that `losses` needs, from one forward pass."""

    def forward(self, features: Features) -> Tensor:
        """-> logits (B,)"""
        return self.output(features).logits

    def losses(self, features: Features, labels: Tensor, output: Output) -> dict[str, Tensor]:
        """Weighted loss terms by name, each a batch mean; their sum is minimised. labels: (B,) float."""
        return {"ctr": self.click_loss(output.logits, labels, output.weights)}

    def predict_logits(self, source: BatchSource, batch_size: int) -> Tensor:
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
        """The l2 weight of a parameter: of tables, of the linear part, of other matrices (`model.regularization`)."""
        part = l2_part(self, parameter_name)
        return 0.0 if part is None else self.l2[part]

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
        known: dict[str, Any] = {"trained_with": self.trained_with or self.editable}
        known |= {"loss": IN_BATCH} if self.click_loss.in_batch else {}
        known |= {} if self.encoding is None else self.encoding.to_json()
        return known | extra | known  # in the order in which they are given, and never a part of another encoding

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> Self:
        """A model of this class as it was saved. For any class: `model.load_model`."""
        return model_files.load_model(cls, Path(folder), device)


class TwoTower(CTRModel):
    """Two encoders and one interaction: the sides meet in it alone, so that items can be encoded ahead of time.

    A subclass implements `encode_user` and `encode_item`, and sets `self.interaction` to one of `model.interaction`, or
    to its own.

    user_columns, item_columns: the first `SparseFeat` of each side is its id.
    """

    without_effect: ClassVar[dict[str, str]] = {"l2_reg_linear": "which has no linear part"}
    has_two_sides: ClassVar[bool] = True
    interaction: Interaction

    def __init__(self, user_columns: list[Column], item_columns: list[Column], **common: Unpack[TowerArguments]):
        ids = []
        for side, columns in (("user", user_columns), ("item", item_columns)):
            name = id_column(columns or [])
            if name is None:
                raise InputError(
                    f"{type(self).__name__} needs at least one SparseFeat on the {side} side. Received: {columns!r}."
                )
            ids.append(name)
        check_columns(user_columns)
        check_columns(item_columns)
        shared = {column.name for column in user_columns} & {column.name for column in item_columns}
        if shared:
            raise InputError(
                f"Two feature columns are named '{min(shared)}', one on each side. {type(self).__name__} has two "
                "towers: it takes user_feature_columns, item_feature_columns."
            )
        check_columns([*user_columns, *item_columns])
        super().__init__([*user_columns, *item_columns], **common)
        self.check_sizes(user_columns)
        self.check_sizes(item_columns)
        self.user_columns, self.item_columns = list(user_columns), list(item_columns)
        self.user_id, self.item_id = ids

    @abstractmethod
    def encode_user(self, features: Features) -> Tensor:
        """-> the R vectors of each user (B, R, d): what a request computes once, from the user's features alone."""

    @abstractmethod
    def encode_item(self, features: Features) -> Tensor:
        """-> the H vectors of each item (B, H, d): what the item index stores, from the item's features alone."""

    def field_weights(self, side: Literal["user", "item"], features: Features) -> dict[str, Tensor]:
        """How much a side weighs each of its fields, for explanations: name -> (B,), nothing where it weighs none."""
        return {}

    def rank_metrics(self, source: BatchSource, names: Sequence[str]) -> dict[str, float]:
        """`recall@k`, `ndcg@k` and `hit@k` over all items (`model.retrieval`), computed by the main process."""
        return distributed.current().once(lambda: measure(self, source, names).scores)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Also takes the weights of before the interaction was a module."""
        for old, new in EARLIER_NAMES.items():
            if prefix + old in state_dict and old not in self.state_dict():
                state_dict[prefix + new] = state_dict.pop(prefix + old)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def output(self, features: Features) -> Output:
        users, items = self.encode_user(features), self.encode_item(features)
        return Output(self.interaction(users, items), vectors=([users], items))

    def losses(self, features: Features, labels: Tensor, output: Output) -> dict[str, Tensor]:
        if output.candidates is None:
            return super().losses(features, labels, output)
        if output.vectors is None:
            raise InputError(
                f"loss='in_batch' needs the vectors of {type(self).__name__}, and its `output` does not tell them. "
                "Return Output(logits, ..., vectors=([users], items))."
            )
        users, items = output.vectors
        logits = pair_logits(self.interaction, torch.cat(list(users), dim=1), items)
        return {"ctr": in_batch_loss(logits, output.candidates)}

    def predict_logits(self, source: BatchSource, batch_size: int) -> Tensor:
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
                pairs = users.index_select(0, user_group[rows] - chunk[0]), items.index_select(0, item_group[rows])
                logits[rows] = self.interaction(*pairs).float()
            done = end
        if self._output_may_differ:
            self._require_same_output(source, logits)
        return logits

    @property
    def _output_may_differ(self) -> bool:
        """Whether a subclass changed `output` or an encoder without the other; `TwoTower.output` calls the encoders."""
        owners = {
            next(each for each in type(self).__mro__ if name in vars(each))
            for name in ("output", "encode_user", "encode_item")
        }
        return len(owners) > 1 and type(self).output is not TwoTower.output

    def _require_same_output(self, source: BatchSource, logits: Tensor) -> None:
        """Raises `InputError` for logits of the encoders and the interaction that are others than those of `output`,
        which is trained: a subclass has changed the one and not the other. Looks at a few rows.
        """
        if torch.is_autocast_enabled(self.device.type):  # too coarse to tell
            return
        rows = torch.arange(min(len(source), 16), device=self.device)
        trained = self(source.batch(rows, self.feature_names))
        if not torch.allclose(trained, logits[rows], 1e-2, 1e-2, equal_nan=True):
            raise InputError(
                f"{type(self).__name__} trains on the logits of its `output`, which are others than those of its "
                "encoders and its interaction, by which it is evaluated and served. Where you override one of them, "
                "override `output` to agree: return TwoTower.output(self, features)."
            )
