"""The three ONNX programs of a two-tower model, and the names in them.

    user_tower.onnx    one input a user feature (rows,) or (rows, length)    -> query (rows, Q, d)
    item_tower.onnx    one input an item feature                             -> item (rows, H * d)
    scorer.onnx        query (rows, Q, d), item (items, H * d)               -> logit (rows, items)

An input has the name of its feature as it stands in the data, whatever that is; only a name that no program can have
(`_can_stand`) is replaced. The dimension of a list belongs to its feature, so that lists may differ in length. An
output gives way to an input of its name (`free_name`).
"""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from collections.abc import Iterable, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foundation.deepctr import DenseFeat
from foundation.errors import InputError
from foundation.feature_columns import Column, kind_of
from foundation.features import Features
from model.base import TwoTower
from model.scorer import Scorer

NEEDED = ("onnx", "onnxscript", "onnxruntime")
CHECKSUM = "model_sha256"  # in the metadata of a program: `training.model_files.model_checksum` of the run
LARGEST = (1 << 31) - (1 << 20)  # bytes of weights: a program is one protobuf message, which has at most 2 GiB
ROWS, ITEMS = "rows", "items"  # names of dimensions


@dataclass(frozen=True)
class Input:
    """name: in the program. column: the feature, None for an input of the scorer. shape: numbers, or names."""

    name: str
    column: Column | None
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Program:
    """content: the file. output: its name. output_shape: as those of inputs."""

    content: bytes
    inputs: tuple[Input, ...]
    output: str
    output_shape: tuple[int | str, ...]


class UserTower(nn.Module):
    """Features by position -> query (B, Q, d)"""

    def __init__(self, model: TwoTower, scorer: Scorer):
        super().__init__()
        self.model, self.scorer = model, scorer

    def forward(self, *features: Tensor) -> Tensor:
        return self.scorer.query(self.model.encode_user(named(self.model.user_columns, features)))


class ItemTower(nn.Module):
    """Features by position -> item vectors (N, H * d)"""

    def __init__(self, model: TwoTower):
        super().__init__()
        self.model = model

    def forward(self, *features: Tensor) -> Tensor:
        return self.model.encode_item(named(self.model.item_columns, features)).flatten(1)


class Score(nn.Module):
    """query (U, Q, d), items (N, H * d) -> logits (U, N)"""

    def __init__(self, scorer: Scorer):
        super().__init__()
        self.scorer, self.interaction = scorer, scorer.interaction

    def forward(self, query: Tensor, items: Tensor) -> Tensor:
        return self.scorer.score_vectors(query, items)


def tower_program(module: nn.Module, columns: list[Column], examples: list[Tensor], output: str, sha: str) -> Program:
    """A tower as a program. examples: its features, in the order of the columns; at least 2 rows and lists of 2."""
    names = input_names([column.name for column in columns])
    inputs = [
        Input(name, column, "float32" if isinstance(column, DenseFeat) else "int64", _shape(name, column))
        for name, column in zip(names, columns, strict=True)
    ]
    return _program(module, inputs, examples, free_name(output, names), sha)


def score_program(module: nn.Module, query: Tensor, items: Tensor, sha: str) -> Program:
    inputs = [
        Input("query", None, "float32", (ROWS, *query.shape[1:])),
        Input("item", None, "float32", (ITEMS, *items.shape[1:])),
    ]
    return _program(module, inputs, [query, items], "logit", sha)


def input_names(features: list[str]) -> list[str]:
    """Of the inputs that take these features, distinct.

    >>> input_names(["item id", "", "input 1"])
    ['item id', 'input 1_', 'input 1']
    """
    names: list[str] = []
    for place, feature in enumerate(features):
        stands = _can_stand(feature)
        names.append(feature if stands else free_name(f"input {place}", [*features, *names]))
    return names


def free_name(name: str, taken: Iterable[str]) -> str:
    """The name, with as many underscores behind it as make it no taken one.

    >>> free_name("query", ["age"]), free_name("query", ["query", "query_"])
    ('query', 'query__')
    """
    taken = set(taken)
    while name in taken:
        name += "_"
    return name


def named(columns: list[Column], features: Sequence[Tensor]) -> Features:
    return {column.name: feature for column, feature in zip(columns, features, strict=True)}


def require_onnx():
    """The module onnxruntime. Raises `InputError` where a package is missing."""
    for name in NEEDED:
        try:
            module = importlib.import_module(name)
        except ImportError:
            raise InputError(
                f"The export needs {', '.join(NEEDED)}; {name} is missing. pip install -r requirements-dev.txt"
            ) from None
    return module


def _can_stand(name: str) -> bool:
    """Whether ONNX has such a name: text that is not empty, without a zero character, which ends it in C."""
    try:
        return bool(name.encode()) and "\0" not in name
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _shape(name: str, column: Column) -> tuple[int | str, ...]:
    if kind_of(column) == "list":
        return ROWS, f"length of {name}"
    size = getattr(column, "dimension", 1)
    return (ROWS,) if size == 1 else (ROWS, size)


def _program(module: nn.Module, inputs: list[Input], examples: list[Tensor], output: str, checksum: str) -> Program:
    # torch wants identifiers as names of dimensions: they get their names afterwards, as the inputs do.
    free = list(dict.fromkeys(size for one in inputs for size in one.shape if isinstance(size, str)))
    dimensions = {name: torch.export.Dim(f"free_{place}") for place, name in enumerate(free)}
    shapes = tuple(
        {axis: dimensions[size] for axis, size in enumerate(one.shape) if isinstance(size, str)} for one in inputs
    )
    with _quiet():
        try:
            program = torch.onnx.export(
                module.eval(),
                tuple(examples),
                dynamic_shapes=shapes if isinstance(module, Score) else (shapes,),
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise InputError(
                f"torch cannot write the {type(module).__name__} as ONNX; nothing was written. An activation may have "
                "no form there, as torch.nn.RReLU has none: train with another one."
            ) from error
        assert program is not None  # as always with `dynamo`
        model = program.model
        _rename(model.graph, [one.name for one in inputs], output)
        _name_dimensions(model.graph, {f"free_{place}": name for place, name in enumerate(free)})
        _strip(model.graph)
        model.metadata_props.update({CHECKSUM: checksum})
        size = sum(one.const_value.nbytes for one in model.graph.initializers.values() if one.const_value is not None)
        if size > LARGEST:
            raise InputError(
                f"The {type(module).__name__} has {size / 2**30:.1f} GiB of weights, and an ONNX program at most 2 GiB."
            )
        content = program.model_proto.SerializeToString()
    (result,) = model.graph.outputs
    shape = tuple(size if isinstance(size, int) else str(size.value) for size in result.shape or ())
    return Program(content, tuple(inputs), output, shape)


def _rename(graph, inputs: list[str], output: str) -> None:
    """Inputs by place. What else has one of their names, such as a feature 'relu' or 'cat', gets another."""
    ends = [*zip(graph.inputs, inputs, strict=True), *zip(graph.outputs, [output], strict=True)]
    outer = {id(value) for value, _ in ends}
    inner = [value for node in graph for value in node.outputs] + list(graph.initializers.values())
    inner = [value for value in inner if id(value) not in outer]
    taken = {*inputs, output}
    for value in inner:
        if value.name in taken:
            value.name = free_name(value.name, taken | {other.name for other in inner})
    for value, name in ends:
        value.name = name


def _name_dimensions(graph, names: dict[str, str]) -> None:
    """names: of free dimensions, as torch has them -> as they are to be. Values in between forget their shapes, which
    onnxruntime finds itself: they hold sums and products of these names."""
    ends = {id(value): value for value in (*graph.inputs, *graph.outputs)}
    for value in ends.values():
        for axis, size in enumerate(value.shape):
            name = getattr(size, "value", None)
            if name in names:
                value.shape[axis] = names[name]
    for node in graph:
        for value in node.outputs:
            if id(value) not in ends:
                value.shape = None


def _strip(graph) -> None:
    """What the exporter notes of where each operation stands in the code: paths on this machine."""
    graph.metadata_props.clear()
    for node in graph:
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*graph.inputs, *graph.initializers.values()):
        value.metadata_props.clear()


@contextmanager
def _quiet():
    """Without the exporter's own progress report and its warnings about itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
