"""`encoding.json`: how raw values become the inputs of the programs. docs/onnx.md is for its reader, in any language.

Written from what `config.json` knows of the data; `encode` reads it back, as another program would, for the check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foundation.deepctr import DenseFeat
from foundation.errors import InputError
from foundation.feature_columns import kind_of
from model.base import TwoTower
from preprocessing.encoding import UNKNOWN
from serving.onnx_programs import Input, Program

FORMAT, VERSION = "prerank-onnx", 1
SIDES = {"user_tower": "user", "item_tower": "item"}


class Rules:
    """What a run's `config.json` says of its features; nothing, where the model was saved without its data.

    defaults: statistic -> that of new users or items, encoded, as the index has it; otherwise the mean label of
        training.
    """

    def __init__(self, config: dict, defaults: dict[str, float]):
        self.known = {"columns", "vocabularies", "scalers"} <= config.keys()
        self.schema: dict = config["columns"]["schema"] if self.known else {}
        self.vocabularies: dict[str, list] = config["vocabularies"] if self.known else {}
        self.scalers: dict[str, dict] = config["scalers"] if self.known else {}
        self.vectors: dict[str, int] = config.get("vectors", {})
        self.statistics = {self.schema.get("user_statistic"), self.schema.get("item_statistic")} - {None}
        self.history = self.schema.get("history")
        raw = {name: _unscaled(value, self.scalers.get(name)) for name, value in defaults.items()}
        self.defaults = dict.fromkeys(self.statistics, config.get("mean_label")) | raw

    def covers(self, model: TwoTower) -> bool:
        """Whether raw values of all features of the model can be encoded."""
        columns = [*model.user_columns, *model.item_columns]
        return self.known and all(
            column.dimension == self.vectors.get(column.name, 1)
            if isinstance(column, DenseFeat)
            else self._vocabulary_of(column.name) is not None
            for column in columns
        )

    def document(self, model: TwoTower, checksum: str, programs: Mapping[str, Program], more: dict) -> dict:
        """more: further entries: the files and the tables beside it."""
        towers: dict[str, dict[str, Any]] = {
            name: {
                "file": f"{name}.onnx",
                "inputs": [self._input(one) for one in program.inputs],
                "output": {"name": program.output, "dtype": "float32", "shape": list(program.output_shape)},
            }
            for name, program in programs.items()
        }
        inputs = [self._input(one) for program in programs.values() for one in program.inputs]
        used = dict.fromkeys(one["vocabulary"] for one in inputs if one.get("vocabulary") is not None)
        return {
            "format": FORMAT,
            "version": VERSION,
            "model_sha256": checksum,
            "model": type(model).__name__,
            **more,
            "programs": towers,
            "vocabularies": {name: _vocabulary(self.vocabularies[name]) for name in used},
        }

    def _input(self, one: Input) -> dict[str, Any]:
        entry: dict[str, Any] = {"input": one.name, "dtype": one.dtype, "shape": list(one.shape)}
        if one.column is None:
            return entry
        name = one.column.name
        kind = "vector" if name in self.vectors else kind_of(one.column)
        entry |= {"feature": name, "kind": kind}
        if kind == "dense":
            entry["source"] = "statistic" if name in self.statistics else "raw"
            bounds = self.scalers.get(name)
            entry["scale"] = None if bounds is None else {"low": bounds["low"], "high": bounds["high"]}
            entry["missing"] = None if bounds is None else bounds.get("fill")
            entry["default"] = self.defaults.get(name)
        elif kind == "vector":
            entry |= {"source": "raw", "length": self.vectors[name], "missing": [0.0] * self.vectors[name]}
        else:
            entry["source"] = "history" if name == self.history else "raw"
            entry["vocabulary"] = self._vocabulary_of(name)
            entry["missing"] = UNKNOWN if kind == "sparse" else []
            entry["default"] = [] if name == self.history else None
        return entry

    def _vocabulary_of(self, name: str) -> str | None:
        """The name of the vocabulary of a sparse or list feature, None where the run has none."""
        own = self.schema.get("item_id") if name == self.history else name
        return own if own in self.vocabularies else None


def _unscaled(value: float, bounds: dict | None) -> float:
    return value if bounds is None else bounds["low"] + value * (bounds["high"] - bounds["low"])


def encode(document: dict, program: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Raw features by name, a mapping an entity -> the inputs of a tower, by the document alone."""
    inputs: dict[str, np.ndarray] = {}
    for one in document["programs"][program]["inputs"]:
        values = [row[one["feature"]] for row in rows]
        if one["kind"] == "dense":
            inputs[one["input"]] = np.array([_number(one, value) for value in values], dtype=np.float32)
            continue
        if one["kind"] == "vector":
            given = [one["missing"] if value is None else value for value in values]
            inputs[one["input"]] = np.array(given, dtype=np.float32).reshape(len(rows), *one["shape"][1:])
            continue
        ids = _ids(document["vocabularies"][one["vocabulary"]])
        if one["kind"] == "sparse":
            inputs[one["input"]] = np.array([ids.get(value, UNKNOWN) for value in values], dtype=np.int64)
            continue
        padded = np.zeros((len(rows), max(map(len, values))), dtype=np.int64)
        for row, entries in zip(padded, values, strict=True):
            row[: len(entries)] = [ids.get(value, UNKNOWN) for value in entries]
        inputs[one["input"]] = padded
    return inputs


def _number(one: dict, value: float | None) -> float:
    value = one["missing"] if value is None else value
    if one["scale"] is None:
        return value
    low, high = one["scale"]["low"], one["scale"]["high"]
    return (value - low) / (high - low) if high > low else 0.0


def _ids(vocabulary: dict) -> dict[Any, int]:
    return {value: place for place, value in enumerate(vocabulary["values"], start=1)}


def _vocabulary(values: list) -> dict[str, Any]:
    kinds = {type(value) for value in values}
    if not kinds <= {str, int, float, bool} or len(kinds) > 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InputError(f"A vocabulary in config.json of this run holds values of types {names}. Train again.")
    return {"type": next((kind.__name__ for kind in kinds), None), "values": values}
