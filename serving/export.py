"""ONNX: the user tower, the item tower and the scorer, each a file, each checked against torch before it counts.

    user_tower.onnx    one input a user feature (B,) or (B, length)   -> query (B, R, d)
    item_tower.onnx    one input an item feature                      -> item (N, H * d)
    scorer.onnx        query (U, R, d), item (N, H * d)               -> logit (U, N)

Lists are padded with 0, which does not count. Ids are those of the vocabularies in `config.json`. The metadata of each
file name the model by its checksum (`CHECKSUM`), so that a reader never takes files of two models together.
"""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from foundation.atomic import write_atomic
from model.base import TwoTower
from preprocessing.deepctr import DenseFeat, SparseFeat
from preprocessing.errors import InputError
from preprocessing.feature_columns import Column
from serving.scorers import PlainScorer, Scorer, make_scorer
from serving.state import read_run

FORMATS = ("onnx",)
FOLDER = "onnx"
NEEDED = ("onnx", "onnxscript", "onnxruntime")
CHECKSUM = "model_sha256"  # in the metadata of a program: `manifest.model_checksum` of the run
TOLERANCE = 1e-5  # of a click probability


class UserTower(nn.Module):
    """Features by position -> query (B, R, d)"""

    def __init__(self, model: TwoTower, scorer: Scorer):
        super().__init__()
        self.model, self.scorer = model, scorer

    def forward(self, *features: Tensor) -> Tensor:
        return self.scorer.query(self.model.encode_user(_named(self.model.user_columns, features)))


class ItemTower(nn.Module):
    """Features by position -> item vectors (N, H * d)"""

    def __init__(self, model: TwoTower):
        super().__init__()
        self.model = model

    def forward(self, *features: Tensor) -> Tensor:
        return self.model.encode_item(_named(self.model.item_columns, features))


class Score(nn.Module):
    """query (U, R, d), items (N, H * d) -> logits (U, N)"""

    def __init__(self, model: TwoTower, scorer: Scorer):
        super().__init__()
        self.model, self.scorer = model, scorer

    def forward(self, query: Tensor, items: Tensor) -> Tensor:
        return self.scorer.score_rows(query, items)


def export_onnx(run: Path) -> list[Path]:
    """Writes RUN/onnx/*.onnx. Raises `InputError` where onnx is not installed, or the files do not agree with torch.

    Files that were there before stay until all three new ones are checked.
    """
    runtime = _require_onnx()
    trained, _, checksum = read_run(run)
    model = trained.requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    users, items = (_examples(columns, 3, generator) for columns in (model.user_columns, model.item_columns))
    with torch.inference_mode():
        encoded = model.encode_user(_named(model.user_columns, users))
        vectors = model.encode_item(_named(model.item_columns, items))
        scorer = make_scorer(model, encoded, vectors)
        if isinstance(scorer, PlainScorer):
            raise InputError("This model has a score of its own (or an edited fe_score), which is not exported.")
        query = scorer.query(encoded)
    parts = {
        "user_tower": (UserTower(model, scorer), users, [c.name for c in model.user_columns], "query"),
        "item_tower": (ItemTower(model), items, [c.name for c in model.item_columns], "item"),
        "scorer": (Score(model, scorer), [query, vectors], ["query", "item"], "logit"),
    }
    programs = {name: _export(*part, {CHECKSUM: checksum}) for name, part in parts.items()}
    sessions = {
        name: runtime.InferenceSession(program, providers=["CPUExecutionProvider"])
        for name, program in programs.items()
    }
    for count in (1, 3, 7):
        _check(model, sessions, count, generator)
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    paths = {name: folder / f"{name}.onnx" for name in programs}
    for name, path in paths.items():
        write_atomic(path, programs[name])
    return list(paths.values())


def _check(model: TwoTower, sessions: dict, count: int, generator: torch.Generator) -> None:
    """The chain of the three programs against the model itself, on other batch sizes and list lengths than exported."""
    users = _examples(model.user_columns, count, generator, length=count + 1)
    items = _examples(model.item_columns, count + 2, generator, length=2)
    with torch.inference_mode():
        encoded = model.encode_user(_named(model.user_columns, users))
        expected = torch.sigmoid(model.score(encoded, model.encode_item(_named(model.item_columns, items))))
    query = _run(sessions["user_tower"], model.user_columns, users)
    vectors = _run(sessions["item_tower"], model.item_columns, items)
    logits = sessions["scorer"].run(None, {"query": query, "item": vectors})[0]
    error = np.abs(torch.sigmoid(torch.from_numpy(logits)).numpy() - expected.numpy()).max()
    if not error <= TOLERANCE:
        raise InputError(f"The exported scores differ from torch's by {error:.1e}. Nothing was written.")


def _run(session, columns: list[Column], features: list[Tensor]) -> np.ndarray:
    inputs = {column.name: feature.numpy() for column, feature in zip(columns, features, strict=True)}
    return session.run(None, inputs)[0]


def _export(module: nn.Module, inputs: list[Tensor], names: list[str], output: str, metadata: dict[str, str]) -> bytes:
    """One program; every dimension of an input that is not fixed by the model is free."""
    rows = torch.export.Dim("rows")
    if isinstance(module, Score):
        shapes = ({0: rows}, {0: torch.export.Dim("items")})
    else:
        lengths = iter(torch.export.Dim(f"length_{name}") for name in names)
        shapes = (
            tuple(
                {0: rows, 1: next(lengths)} if one.dtype == torch.int64 and one.ndim == 2 else {0: rows}
                for one in inputs
            ),
        )
    with _quiet():
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs),
            input_names=names,
            output_names=[output],
            dynamic_shapes=shapes,
            dynamo=True,
            verbose=False,
        )
        program.model.metadata_props.update(metadata)
        content = io.BytesIO()
        program.save(content)
    return content.getvalue()


def _named(columns: list[Column], features) -> dict[str, Tensor]:
    return {column.name: feature for column, feature in zip(columns, features, strict=True)}


def _examples(columns: list[Column], count: int, generator: torch.Generator, length: int = 4) -> list[Tensor]:
    """Random features, in the order of the columns: ids int64, lists padded with 0."""
    examples = []
    for column in columns:
        if isinstance(column, DenseFeat):
            shape = (count,) if column.dimension == 1 else (count, column.dimension)
            examples.append(torch.rand(shape, generator=generator))
        else:
            shape = (count,) if isinstance(column, SparseFeat) else (count, length)
            examples.append(torch.randint(column.vocabulary_size, shape, generator=generator))
    return examples


def _require_onnx():
    for name in NEEDED:
        try:
            module = importlib.import_module(name)
        except ImportError:
            raise InputError(
                f"The export needs {', '.join(NEEDED)}; {name} is missing. pip install -r requirements-dev.txt"
            ) from None
    return module


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
