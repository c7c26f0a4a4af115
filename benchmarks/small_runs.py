"""Small real runs to be damaged: trained by the scripts in processes of their own, with an index that was changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from preprocessing.dataset import Dataset
from preprocessing.raw import RawData
from serving.ranker import PreRanker
from serving.report import items_with_texts, liked_before
from serving.state import load_two_tower
from serving.update import build_index
from training.result_file import read_result

PROJECT = Path(__file__).resolve().parent.parent
ITEM = {"movie_id": 99_001, "title": "Added", "genres": ["Comedy"]}
CHANGED = [{"movie_id": number, "title": f"Changed {number}"} for number in (1, 260, 1196)]
DELETED = [2, 3]
TOP = 20


def script(name: str, *words: str | Path, **keywords) -> subprocess.CompletedProcess:
    """A script of the project to its end. keywords: of `subprocess.run`."""
    command = [sys.executable, PROJECT / f"{name}.py", *words]
    return subprocess.run(list(map(str, command)), cwd=PROJECT, capture_output=True, text=True, check=False, **keywords)


def training(out: Path, model: str, data_path: str | None, rows: int, seed: int = 1) -> list[str]:
    """The words of a command that trains into `out`."""
    words = ["--model_name", model, "--max_rows", str(rows), "--epoch", "1", "--seed", str(seed), "--quiet"]
    return ["train_movielens_whole_models", *words, "--data_path", data_path or "synthetic", "--out", str(out)]


def train(out: Path, model: str, data_path: str | None, rows: int, seed: int = 1) -> Path:
    """The run folder, trained unless it is there. Raises `RuntimeError` where that fails."""
    if not out.exists():
        done = script(*training(out, model, data_path, rows, seed))
        if done.returncode:
            raise RuntimeError(done.stderr)
    return out


def index(run: Path, raw: RawData, precision: str = "float32") -> Dataset:
    """Builds the index of a run, then adds, changes and deletes items. Returns the data set of the run."""
    result = read_result(run)
    data = Dataset.build(raw, result["protocol"], result["seed"])
    build_index(run, load_two_tower(run), data, precision)
    ranker = PreRanker.load(run)
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


def scored(ranker: PreRanker) -> list:
    """Everything that an index holds: scores of all items by their float32 rows, and all texts."""
    items = ranker.state.items.ids(ranker.state.items.live()).tolist()
    user = ranker.state.users.ids(np.arange(1)).tolist()[0]
    return [items, ranker.score(user, items).tolist(), items_with_texts(ranker, items)]
