"""Frames with every kind of column under any names, their run with an index, and docs/onnx.md as a program."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from page_blocks import blocks_of, read
from serving_helpers import random_model, save_run

from preprocessing.dataset import Dataset
from serving.writer import build_index

# Names of inputs and outputs, of what torch and its exporter name so, of no language's grammar, and of no text at all.
AWKWARD = {
    "customer": "query",
    "country": "class",
    "member": "1st\nx",
    "level": "",
    "age": "größe in/m²",
    "same": "rows",
    "hobbies": "length x",
    "article": "item id",
    "brand": "relu",
    "price": 'it\'s a "price"',
    "tags": "length_x",
    "device": "logit",
    "hour": "a\0b",
}
# The same idea once more: names that the first set leaves free, and halves of what is one character elsewhere.
OTHERS = {
    "customer": "id",
    "article": "item",
    "country": "input_0",
    "level": "items",
    "age": "embedding",
    "hobbies": "length of tags",
    "member": "True",
    "tags": "tags",
    "price": "cat",
    "brand": "parent.asin",
    "device": "model.bias",
    "hour": "e\u0301",
    "same": "\u00e9",
}


def frames_dataset(names: dict[str, str], rows: int = 400) -> Dataset:
    """50 users and 15 items with every kind of feature; `names` says what each column is called."""
    rng = np.random.default_rng(0)
    users = pd.DataFrame(
        {
            "customer": [f"c{n}" for n in range(50)],
            "country": ["DE", "FR", None, "PL", "CZ"] * 10,
            "member": [True, False] * 25,
            "level": np.arange(50) % 4 + 2**53,
            "age": [1.5, np.nan, 3.0, 2.0, 7.0] * 10,
            "same": [4.0] * 50,
            "hobbies": [["chess", "go"], [], None, ["go"], ["chess"] * 9] * 10,
        }
    )
    items = pd.DataFrame(
        {
            "article": np.arange(15) * 10 + 1000,
            "brand": ["a", "b", None] * 5,
            "price": np.where(np.arange(15) % 4 == 0, np.nan, np.arange(15) / 2),
            "tags": [[n % 3, 7] for n in range(15)],
        }
    )
    log = pd.DataFrame(
        {
            "customer": [f"c{n}" for n in rng.integers(0, 49, rows)],  # one user is in no row
            "article": rng.integers(0, 15, rows) * 10 + 1000,
            "clicked": rng.integers(0, 2, rows),
            "when": rng.permutation(rows),
            "device": ["phone", "desktop"] * (rows // 2),
            "hour": rng.random(rows) * 24,
        }
    )
    return Dataset.from_frames(
        *(frame.rename(columns=names) for frame in (users, items, log)),
        user_id=names["customer"],
        item_id=names["article"],
        label="clicked",
        timestamp="when",
        kinds={names["price"]: "sparse"},
    )


def indexed_run(run: Path, model: str, data: Dataset):
    """-> the model, in a run folder with an index"""
    made = random_model(model, data)
    save_run(run, made, data)
    build_index(run, made, data)
    return made


def programs_of(page: str) -> list[str]:
    return [block.code for block in blocks_of(read(f"docs/{page}")) if block.runs and block.language == "python"]


def page_blocks() -> list[str]:
    blocks = programs_of("onnx.md")
    assert len(blocks) == 5
    return blocks


def page_dataset() -> Dataset:
    """That of docs/frames.md, on whose run the last block of docs/onnx.md asks."""
    scope: dict = {}
    for block in programs_of("frames.md")[:2]:
        exec(compile(block, "frames.md", "exec"), scope)
    return scope["data"]


def run_page(folder: Path, code: list[str], given: str = "") -> subprocess.CompletedProcess:
    """The page's code in a process that cannot import this project. folder: with `my-run/onnx`."""
    script = folder / "page.py"
    script.write_text("\n".join(code), encoding="utf-8")
    command = [sys.executable, "-I", str(script)]
    return subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True)


def scores_by_page(folder: Path, requests: list[dict], new_item: dict, blocks: list[str]) -> tuple[list[dict], list]:
    """For each request the scores by item id, and for each that of a new item."""
    end = """
import importlib.util, pickle, sys
assert not any(importlib.util.find_spec(name) for name in ("serving", "preprocessing", "model", "training"))
assert "torch" not in sys.modules
asked, new_item = pickle.loads(bytes.fromhex(sys.stdin.read()))
answers = [dict(zip(items, scores(raw).tolist(), strict=True)) for raw in asked]
vectors = run("item_tower", [encoded("item_tower", new_item, {})])
pickle.dump((answers, [float(scores(raw)[0]) for raw in asked]), open("answers.pickle", "wb"))
"""
    done = run_page(folder, [*blocks, end], pickle.dumps((requests, new_item)).hex())
    assert done.returncode == 0, done.stderr
    return pickle.loads((folder / "answers.pickle").read_bytes())
