"""Small real runs to be damaged: trained by the script in a process of its own, with an index that was changed."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch._dynamo  # noqa: F401 (every optimiser imports it, for seconds)

import prerank  # noqa: F401 (forks find it loaded)
import serving.from_run
import train_movielens_whole_models
from experiment.script import run
from preprocessing.dataset import Dataset
from preprocessing.load import load_movielens
from preprocessing.raw import RawData
from preprocessing.synthetic import synthetic_movielens
from serving.rank_table import items_with_texts, liked_before
from serving.ranker import PreRanker
from serving.state import load_two_tower
from serving.writer import build_index
from training.result_file import read_result, split_of

ITEM = {"movie_id": 99_001, "title": "Added", "genres": ["Comedy"]}
CHANGED = [{"movie_id": number, "title": f"Changed {number}"} for number in (1, 260, 1196)]
DELETED = [2, 3]
TOP = 20


def data_of(path: str | None) -> RawData:
    """MovieLens-1M in a folder, else generated data of its kind."""
    return load_movielens(path, quiet=True) if path else synthetic_movielens()


@dataclass(frozen=True)
class Ended:
    """A process that has ended. said: on both streams."""

    status: int
    said: str


def script(name: str, *words: str | Path, raw: RawData, before: Callable[[], None] = lambda: None) -> Ended:
    """A script of the project in a fork of this process, so that imports are not paid for each time.

    raw: what it takes for the data on the disk. before: called in the process first.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for stream in (1, 2):
                    os.dup2(log.fileno(), stream)
                sys.stdout = sys.stderr = os.fdopen(1, "w", encoding="utf-8")
                train_movielens_whole_models.load_movielens = serving.from_run.load_movielens = lambda *_, **__: raw
                sys.argv = [name, *map(str, words)]
                before()
                run(importlib.import_module(name).main)
                status = 0
            except SystemExit as end:
                status = end.code
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        log.seek(0)
        return Ended(status, log.read())


def training(out: Path, model: str, rows: int, seed: int = 1) -> list[str]:
    """The words of a command that trains into `out`."""
    words = ["--model_name", model, "--max_rows", str(rows), "--epoch", "1", "--seed", str(seed), "--quiet"]
    return ["train_movielens_whole_models", *words, "--out", str(out)]


def train(out: Path, model: str, raw: RawData, rows: int, seed: int = 1) -> Path:
    """The run folder. Raises `RuntimeError` where training fails."""
    done = script(*training(out, model, rows, seed), raw=raw)
    if done.status:
        raise RuntimeError(done.said)
    return out


def index(folder: Path, raw: RawData, rows: int, precision: str = "float32") -> Dataset:
    """Builds the index of a run, then adds, changes and deletes items. Returns the data set of the run."""
    result = read_result(folder)
    data = Dataset.build(raw.first(rows), **split_of(result))
    build_index(folder, load_two_tower(folder), data, precision)
    ranker = PreRanker.load(folder)
    ranker.upsert([ITEM, *CHANGED])
    ranker.delete(DELETED)
    return data


def ranked(ranker: PreRanker) -> list:
    """What `prerank.py rank` shows a few users: ids, scores, texts, what they liked."""
    users = ranker.state.users.ids(np.arange(4)).tolist()
    shown = []
    for user, one in zip(users, ranker.rank(users, k=TOP), strict=True):
        texts = items_with_texts(ranker, one.items.tolist())
        shown.append([one.items.tolist(), one.scores.tolist(), texts, liked_before(ranker, user)])
    return shown


def whole(ranker: PreRanker) -> list:
    """Everything that an index holds, deleted items too: what is ranked, vectors, ids, texts, features."""
    state = ranker.state
    rows = np.arange(state.items.places)
    tables = (state.items.entities(rows), state.users.entities(np.arange(len(state.users))))
    values = [value.tolist() for one in tables for value in one.features.values.values()]
    lists = [
        (one.values.tolist(), one.start.tolist(), one.end.tolist())
        for each in tables
        for one in each.features.lists.values()
    ]
    texts = [(one.ids.tolist(), one.texts) for one in tables]
    state.items.base.file.verify()  # sections that this scorer does not read, too
    return [ranked(ranker), state.items.vectors(rows).numpy().tobytes(), texts, values, lists]
