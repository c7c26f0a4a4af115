"""Raw values of a user or item -> the features that its tower reads, by the vocabularies and scalers of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from foundation.deepctr import DenseFeat, SparseFeat
from foundation.errors import InputError
from foundation.feature_columns import Column
from foundation.features import Bags, Features, Lists, values_of
from foundation.nearest import did_you_mean
from foundation.values import entries, exact_below, is_list, is_missing, number, plain, shown, undecimal, vector, whole
from model.base import TwoTower
from preprocessing.dataset import FeatureTable
from preprocessing.encoding import UNKNOWN, MinMaxScaler, of_length
from serving.entities import Entities, as_lists

Raw = Mapping[str, Any]


class RawEncoder:
    """config: `config.json` of a run of the training scripts. Raises `InputError` where it lacks the encodings."""

    def __init__(self, model: TwoTower, config: dict):
        try:
            self.schema: dict = config["columns"]["schema"]
            self._values: dict[str, list] = config["vocabularies"]
            self._scalers = {name: MinMaxScaler(**bounds) for name, bounds in config["scalers"].items()}
        except (KeyError, TypeError):
            raise InputError(
                "config.json of this run lacks columns, vocabularies or scalers. Train with one of the scripts."
            ) from None
        self._lengths: dict[str, int] = config.get("vectors", {})
        self.user_columns, self.item_columns = model.user_columns, model.item_columns
        self._ids: dict[str, dict] = {}
        self._shares = (self.schema["user_statistic"], self.schema["item_statistic"])

    def user(self, raw: Raw, stored: Features) -> Features:
        """One user. stored: features that stand in for those that `raw` does not name."""
        self._check_names("user", raw, self.user_columns, ())
        return self._encode("user", raw, stored, self.user_columns, empty=self.schema["history"])

    def known_user(self, raw: Raw, stored: Features, names: Collection[str]) -> Features:
        """One user as an index keeps it. names: of what it keeps of users, the history among them whether or not the
        model reads it."""
        history = self.schema["history"]
        columns = [column for column in self.user_columns if column.name in names]
        self._check_names("user", raw, columns, [history] if history else [], "An index of this model keeps")
        features = self._encode("user", raw, stored, columns, empty=history)
        if history and history not in features:
            given = history in raw or history not in stored
            features[history] = self._list(history, raw.get(history)) if given else stored[history]
        return features

    def item(self, raw: Raw, stored: Features, texts: list[str]) -> Features:
        """One item. texts: names that may stand beside the features, to be shown."""
        self._check_names("item", raw, self.item_columns, texts)
        return self._encode("item", raw, stored, self.item_columns)

    def values(self, name: str) -> list:
        """The raw values of a sparse feature or a list that training has seen."""
        return self._values[name]

    def decoded(self, name: str, numbers: np.ndarray) -> list:
        """The raw values of a sparse feature, None for unknown ones."""
        return [self.decode(name, number) for number in numbers.tolist()]

    def decode(self, name: str, number: int) -> Any:
        """The raw value of a sparse feature, None for an unknown one."""
        return None if number == UNKNOWN else self._values[name][number - 1]

    def _check_names(
        self, side: str, raw: Raw, columns: list[Column], others: Iterable[str], who: str = "This model reads"
    ) -> None:
        known = [column.name for column in columns]
        allowed = [*known, *(name for name in others if name not in known)]
        # A row of a table has these, too.
        skipped = (*self.schema.get("ignored", ()), *self.schema.get("display", ()))
        unknown = [name for name in raw if name not in allowed and name not in skipped]
        if unknown:
            raise InputError(
                f"Unknown {side} feature {', '.join(map(repr, unknown))}. {who}: {', '.join(allowed)}."
                f"{did_you_mean(unknown[0], allowed) or ' Leave the others out.'}"
            )

    def _encode(
        self, side: str, raw: Raw, stored: Features, columns: list[Column], empty: str | None = None
    ) -> dict[str, torch.Tensor | Bags]:
        features: dict[str, torch.Tensor | Bags] = {}
        for column in columns:
            if column.name in raw:
                features[column.name] = self._feature(column, raw[column.name])
            elif column.name in stored:
                features[column.name] = stored[column.name]
            elif column.name == empty:
                features[column.name] = self._feature(column, [])
            else:
                raise self._missing(side, raw, [one.name for one in columns if one.name not in stored], empty)
        return features

    def _missing(self, side: str, raw: Raw, needed: list[str], empty: str | None) -> InputError:
        missing = [name for name in needed if name not in raw and name != empty]
        names = ", ".join(map(repr, missing))
        what = f"features {names} are" if len(missing) > 1 else f"feature {names} is"
        return InputError(
            f"The {side} {what} missing. Received: {', '.join(map(repr, raw)) or 'none'}. null stands for an unknown "
            "value, an empty list, a vector of zeros, or a missing number where training had some."
        )

    def _feature(self, column: Column, value: Any) -> torch.Tensor | Bags:
        """-> (1,) id or value, (1, k) vector, or one bag"""
        if column.name in self._lengths:
            return torch.from_numpy(self._vector(column.name, value))
        if isinstance(column, DenseFeat):
            return torch.from_numpy(self._number(column.name, value))
        if isinstance(column, SparseFeat):
            return torch.tensor([self._id(column.name, column.name, value)], dtype=torch.int32)
        return self._list(column.name, value)

    def _list(self, name: str, value: Any) -> Bags:
        if not is_list(value) and not is_missing(value):
            raise InputError(f"Feature '{name}' must be a list. Received: {shown(value)}.")
        vocabulary = self.schema["item_id"] if name == self.schema["history"] else name
        ids = [self._id(name, vocabulary, one) for one in ([] if is_missing(value) else entries(value))]
        return Bags(torch.tensor(ids, dtype=torch.int32), torch.tensor([0, len(ids)], dtype=torch.int32))

    def _vector(self, name: str, value: Any) -> np.ndarray:
        """(1, k) float32, (1,) for k = 1; zeros for a missing vector, and for an empty one, as in training."""
        length = self._lengths[name]
        found = np.zeros(0) if is_missing(value) else vector(value)
        if found is None or len(found) not in (0, length):
            raise InputError(f"Feature '{name}' must be a vector of {length} numbers. Received: {shown(value)}.")
        with np.errstate(over="ignore"):
            given = found[None].astype(np.float32)
        if not np.isfinite(given).all():
            raise InputError(f"Feature '{name}' must be a vector of finite numbers. Received: {shown(value)}.")
        return of_length(name, given, length)

    def _number(self, name: str, value: Any) -> np.ndarray:
        """(1,) float32, scaled. A missing number is the training mean, and refused where training had none missing."""
        scaler = self._scalers.get(name)
        fill = None if scaler is None else scaler.fill
        missing = is_missing(value) and fill is not None
        try:
            given = fill if missing else number(value)
        except OverflowError:  # and Python prints no such number, either
            raise InputError(
                f"Feature '{name}' must be a finite number. Received: a whole number of {value.bit_length()} bits."
            ) from None
        # A truth value is a number where training's were all 0 and 1.
        truth = scaler is None or not {scaler.low, scaler.high} <= {0.0, 1.0}
        if isinstance(value, (float, np.floating)) and not np.isfinite(value) and not missing:
            raise InputError(f"Feature '{name}' must be a finite number. Received: {shown(value)}.")
        if given is None or (isinstance(value, (bool, np.bool_)) and truth):
            raise InputError(f"Feature '{name}' must be a number. Received: {shown(value)}.")
        if name in self._shares and not 0 <= given <= 1:
            raise InputError(f"Feature '{name}' is a mean of labels, and must lie in 0..1. Received: {shown(value)}.")
        scaled = np.array([given], dtype=np.float64)
        if scaler is not None:
            try:
                scaled = scaler.transform(name, scaled)
            except InputError:
                raise InputError(
                    f"Feature '{name}' must be a finite number, scaled by those in training: {scaler.low} to "
                    f"{scaler.high}. Received: {shown(value)}."
                ) from None
        with np.errstate(over="ignore"):
            scaled = scaled.astype(np.float32)
        if not np.isfinite(scaled[0]):
            raise InputError(f"Feature '{name}' must be a finite number. Received: {shown(value)}.")
        return scaled

    def _id(self, name: str, vocabulary: str, value: Any) -> int:
        """The id of a value, `UNKNOWN` for one that training has not seen, or for a missing one."""
        if vocabulary not in self._ids:
            self._ids[vocabulary] = {known: place for place, known in enumerate(self._values[vocabulary], start=1)}
        ids = self._ids[vocabulary]
        if is_missing(value):
            return UNKNOWN
        given = undecimal(plain(value))
        expected = type(next(iter(ids), given))
        if expected is int and type(given) is float:  # 3.0, where it is exactly 3
            given = given if whole(value) is None else whole(value)
        elif expected is float and type(given) is int and abs(given) < exact_below(float):
            given = float(given)
        if type(given) is not expected or expected not in (str, int, float, bool):
            raise InputError(
                f"Feature '{name}' must be of type {expected.__name__}, as in training. Received: {shown(value)}."
            )
        return ids.get(given, UNKNOWN)


def stack(
    ids: list | np.ndarray, rows: list[Features], texts: dict[str, list[str]], liked: Sequence[torch.Tensor] = ()
) -> Entities:
    """Features of one entity each -> entities. ids: all whole numbers, or all strings. liked: as in `Entities`, of each
    user; empty where there is no history."""
    values: dict[str, torch.Tensor] = {}
    lists: dict[str, Lists] = {}
    for name in rows[0]:
        bags = [bag.values for row in rows if isinstance(bag := row[name], Bags)]
        if bags:
            lists[name] = _lists(bags)
        else:
            values[name] = torch.cat([values_of(row, name) for row in rows])
    # Strings as objects: an array of numpy's own strings loses any zero characters at their ends.
    kept = np.array(ids, dtype=object if isinstance(ids[0], str) else None)
    return Entities(kept, FeatureTable(values, lists), texts, _lists(liked) if liked else None)


def _lists(rows: Sequence[torch.Tensor]) -> Lists:
    """Values of one entity each -> a list a row."""
    lengths = torch.tensor([0, *map(len, rows)])
    return as_lists(Bags(torch.cat(list(rows)), lengths.cumsum(0).int()))


def concatenate(rows: list[Features]) -> Features:
    """Features of one user each -> one batch."""
    if len(rows) == 1:
        return rows[0]
    table = stack(list(range(len(rows))), rows, {}).features
    everyone = torch.arange(len(rows))
    return {name: table.batch(name, everyone) for name in rows[0]}
