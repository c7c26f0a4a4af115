"""How one data set's raw values became numbers, as a whole: kept with a model, and compared with the rows it is given.

An id means a value only together with the vocabulary that numbered it. Two data sets of the same shape number their
values differently, and a model that takes the one for the other answers without an error, and wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any

from foundation.errors import InputError
from foundation.shown import some
from preprocessing.encoding import MinMaxScaler, Vocabulary
from preprocessing.raw import Schema


@dataclass(frozen=True)
class DataEncoding:
    """vocabularies, scalers: by feature name. mean_label: of the training rows; a statistic that nobody knows is this.

    The history of a user has the vocabulary of the items' ids. Statistics are mean labels, scaled where they have a
    scaler: under the published protocol. vectors: feature -> how many numbers each of its vectors has; they are not
    scaled.
    """

    schema: Schema
    vocabularies: dict[str, Vocabulary]
    scalers: dict[str, MinMaxScaler]
    mean_label: float
    vectors: dict[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        sizes = some(f"{name} {len(known):,}" for name, known in self.vocabularies.items())
        return f"DataEncoding: ids of {sizes}; scaled numbers: {some(self.scalers) or 'none'}"

    @cached_property
    def identity(self) -> dict[str, str]:
        """feature -> checksum of what its numbers mean. Equal ones are interchangeable."""
        schema = self.schema
        meaning: dict[str, Any] = {name: ["ids", _values(known)] for name, known in self.vocabularies.items()}
        meaning |= {name: ["scaled", *_scale(scaler)] for name, scaler in self.scalers.items()}
        meaning |= {name: ["vector", length] for name, length in self.vectors.items()}
        if schema.history:
            meaning[schema.history] = ["liked", meaning[schema.item_id]]
        for side, statistic in (("user", schema.user_statistic), ("item", schema.item_statistic)):
            if statistic:
                meaning[statistic] = ["mean label", side, *meaning.get(statistic, ())[1:]]
        return {name: hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16] for name, what in meaning.items()}

    def require_same(self, other: DataEncoding, features: Iterable[str], what: str) -> None:
        """Raises `InputError` if `other` numbers the values of one of these features otherwise. what: that has it.

        Features that only one of them has are left to other checks.
        """
        if other is self:
            return
        mine, others = self.identity, other.identity
        different = [name for name in features if name in mine and name in others and mine[name] != others[name]]
        if different:
            raise InputError(
                f"{what} numbers the values of {', '.join(different)} otherwise than the data that the model was "
                "trained on: one id would mean two values. Encode it as the model does: Dataset.from_frames(..., "
                "encoding=<the model's run folder>), or use the data, protocol and seed of its training."
            )

    def vocabulary_of(self, feature: str) -> Vocabulary | None:
        """None for a feature that is no category."""
        return self.vocabularies.get(self.schema.item_id if feature == self.schema.history else feature)

    def to_json(self) -> dict[str, Any]:
        """Entries of `config.json`: what another program needs to encode raw values, and the identity."""
        return {
            "columns": {"schema": asdict(self.schema)},
            "vocabularies": {name: vocabulary.tolist() for name, vocabulary in self.vocabularies.items()},
            "scalers": {name: scaler.to_json() for name, scaler in self.scalers.items()},
            "mean_label": self.mean_label,
            **({"vectors": self.vectors} if self.vectors else {}),
            "encoding": self.identity,
        }

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> DataEncoding | None:
        """None for a `config.json` without an encoding, as of a model that was trained on arrays of ids.

        Raises `InputError` for a part of one.
        """
        if "vocabularies" not in config:
            return None
        try:
            return cls(
                schema=_schema(config["columns"]["schema"]),
                vocabularies={name: Vocabulary(values) for name, values in config["vocabularies"].items()},
                scalers={name: MinMaxScaler(**bounds) for name, bounds in config["scalers"].items()},
                mean_label=config["mean_label"],
                vectors=dict(config.get("vectors", {})),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(
                f"An encoding has schema, vocabularies, scalers and mean_label, as encoding_json() gives them. "
                f"Received a part of one ({error!r})."
            ) from None

    def __deepcopy__(self, _) -> DataEncoding:
        return self  # never changes, and may hold millions of values


def _values(known: Vocabulary) -> list:
    """The values of ids 1..n. A whole number is the same value as a float, which a gap in a column makes of it."""
    return [int(value) if isinstance(value, float) and value.is_integer() else value for value in known.tolist()]


def _scale(scaler: MinMaxScaler) -> tuple[float, float, float | None]:
    """What the numbers of a scaled feature mean. The mean that missing ones have is rounded: the last bits of a sum
    hang on the order of its rows."""
    span = scaler.high - scaler.low
    fill = None if scaler.fill is None else round((scaler.fill - scaler.low) / span, 9) if span else 0.0
    return scaler.low, scaler.high, fill


def _schema(entries: Mapping[str, Any]) -> Schema:
    """JSON has lists where a schema has tuples."""
    known = {one.name for one in fields(Schema)}
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entries.items() if k in known}
    return Schema(**given)
