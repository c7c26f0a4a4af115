"""Forked workers, threads that write, and a process that changes its folder."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from serving_helpers import dataset, random_model, ranker_of

from foundation.errors import InputError
from serving.ranker import PreRanker
from serving.writer import build_index

ROOT = Path(__file__).resolve().parents[2]
# The child's alarm ends it where it hangs. 800 x 800 and 10**6 numbers: enough for torch to use its threads.
FORK = """
import os, signal, sys
import torch
from serving.ranker import PreRanker
torch.set_num_threads(2)
square = torch.randn(800, 800)
def compute():
    square @ square, torch.sigmoid(torch.randn(10**6)), torch.nn.functional.linear(square, square).softmax(1)
    return ranker.rank(107, k=5).items.tolist(), ranker.score([107, 100], [5000, 4997])
def as_expected():
    items, scores = compute()
    return items == expected[0] and abs(scores - expected[1]).max() < 1e-5
ranker = PreRanker.load(sys.argv[1])
expected = compute()
children = []
for _ in range(3):
    children.append(os.fork())
    if children[-1] == 0:
        signal.alarm(60)
        same = as_expected()
        ranker.upsert([{"movie_id": 5000}])
        ranker.upsert_users([{"user_id": 107}])
        os._exit(0 if same and torch.get_num_threads() == 1 else 3)
print([os.waitpid(child, 0)[1] for child in children], torch.get_num_threads(), as_expected())
"""


@pytest.fixture(scope="module")
def data():
    return dataset()


def test_forked_workers_answer_as_their_parent_does(data, tmp_path):
    ranker_of(tmp_path, random_model("int_tower", data), data)
    done = subprocess.run(
        [sys.executable, "-c", FORK, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.stdout == "[0, 0, 0] 2 True\n", done.stderr


def test_a_ranker_stays_with_its_run_when_the_process_changes_its_folder(data, tmp_path, monkeypatch):
    model = random_model("dssm", data)
    ranker_of(tmp_path / "runs" / "mine", model, data)
    monkeypatch.chdir(tmp_path)
    for run in ("runs/mine", Path("runs/mine")):
        monkeypatch.chdir(tmp_path)
        ranker = PreRanker.load(run)
        build_index(run, model, data)
        generation = ranker.rank(107) and ranker.state.manifest.generation
        monkeypatch.chdir("/")
        assert len(ranker.rank(107)) == len(data.raw.items)
        assert ranker.upsert([{"movie_id": 5000, "price": 1.0}]) == generation + 1
        ranker.delete([4997])
        assert 4997 not in ranker.rank(107, k=99).items


def test_threads_that_write_take_turns(data, tmp_path):
    run, errors = tmp_path, []
    ranker_of(run, random_model("dssm", data), data)

    def write(first: int) -> None:
        try:
            ranker = PreRanker.load(run)
            for new in range(first, first + 5):
                ranker.upsert([{"movie_id": new, "price": 1.0, "genres": []}])
        except InputError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(9000 + 10 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    added = {9000 + 10 * number + new for number in range(4) for new in range(5)}
    ranker = PreRanker.load(run)
    assert {one for one in ranker.rank(107, k=99).items.tolist() if one >= 9000} == added
    assert ranker.state.manifest.generation == 21
