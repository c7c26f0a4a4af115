"""Two processes write to one run folder at the same time, again and again, while others read it.

    python -m benchmarks.concurrent_writers --data_path data/ml-1m [--rounds 20]

In every round both writers begin at once: each finishes a run of one of two models there, saves one without a result,
builds the index, or upserts an item, as drawn. Readers load the model, the result and the index, and one ranks with an
index that it opened at the beginning. Whatever they get must be wholly of one of the states that were written; a
refusal must say that the folder is busy, or which part of it is not there or older than the model at that moment.
Exit status 1 if one is anything else.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.sections import table
from benchmarks.small_runs import ITEM, data_of, train
from experiment.arguments import Parser, number
from experiment.script import run as run_script
from foundation.errors import InputError
from foundation.run_files import CARD, WEIGHTS_SHA256, committed, read_config
from model import load_model
from preprocessing.dataset import Dataset
from serving.ranker import PreRanker
from serving.state import load_two_tower
from serving.writer import build_index
from training import run_folder
from training.model_files import save_model
from training.result_file import FILES, identity_of, read_result, split_of

ITEMS = [ITEM, ITEM | {"genres": ["War", "Drama"]}]
EXPECTED = re.compile(
    "is in use by|were? replaced again and again|of another model than the run|has no item index|is no finished run"
    "|another one than that which is to encode|of another model than this reader"
)
ACTIONS = ("finish", "save", "build", "upsert")
WAIT = 300  # seconds at most for the other writer


def write(run: Path, models: list[Path], data: Dataset, number: int, rounds: int, seed: int, meet, results) -> None:
    """A writer: counts what each action came to."""
    torch.set_num_threads(1)
    run_folder.curves_png = lambda *_: b"picture"
    draw, found = random.Random(f"{seed} {number}"), Counter()
    for _ in range(rounds):
        meet.wait(WAIT)
        for action in (draw.choice(ACTIONS), draw.choice(ACTIONS)):
            found[
                action, told(lambda action=action: act(action, run, draw.choice(models), data, draw.choice(ITEMS)))
            ] += 1
    results.put(found)


def act(action: str, run: Path, model: Path, data: Dataset, item: dict) -> None:
    """One action of a writer. model: the run that is written there."""
    if action == "build":
        build_index(run, load_two_tower(run), data)
    elif action == "upsert":
        PreRanker.load(run).upsert([item])
    elif action == "save":
        save_model(load_model(model), run, extra(model), overwrite=True)
    else:
        result = {name: value for name, value in read_result(model).items() if name != FILES}
        with run_folder.RunFolder(run, identity_of(result), overwrite=True) as folder:
            folder.finish(
                load_model(model), result, [], extra(model), committed(model, CARD).read_text(encoding="utf-8")
            )


def extra(run: Path) -> dict:
    """Of `config.json`."""
    own = ("class", "arguments", WEIGHTS_SHA256)
    return {name: value for name, value in read_config(run).items() if name not in own}


def told(action: Callable[[], object]) -> str:
    """ "done", the reason of an expected refusal, or what went wrong."""
    try:
        return action() or "done"
    except InputError as error:
        reason = EXPECTED.search(str(error))
        return f"refused: {reason[0]}" if reason else f"WRONG: {error}"
    except Exception as error:  # whatever goes wrong is the finding
        return f"WRONG: {error!r}"


def read(run: Path, states: dict[str, list], stop, results) -> None:
    """A reader: counts what it was given."""
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    found, live = Counter(), PreRanker.load(run)
    readers = {
        "live": lambda: shown(live),
        "index": lambda: shown(PreRanker.load(run)),
        "model": lambda: weights(run),
        "result": lambda: measured(run),
    }
    while not stop.is_set():
        for name, reader in readers.items():
            found[name, told(lambda name=name, reader=reader: known(reader(), states[name]))] += 1
    results.put(found)


def known(found: object, states: list) -> str:
    return "" if found in states else "WRONG: of no state that was written"


def shown(ranker: PreRanker) -> list:
    """The ranking of a few users, all of one request."""
    users = ranker.state.users.ids(np.arange(4)).tolist()
    return [(one.items.tolist(), np.round(one.scores, 5).tolist()) for one in ranker.rank(users, k=30)]


def weights(run: Path) -> dict:
    return {name: value.tolist() for name, value in load_model(run).state_dict().items()}


def measured(run: Path) -> dict:
    return {name: value for name, value in read_result(run).items() if name != FILES}


def possible(models: list[Path], data: Dataset, folder: Path) -> dict[str, list]:
    """All that a reader may be given."""
    states = {"index": [], "model": [weights(run) for run in models], "result": [measured(run) for run in models]}
    for run in models:
        place = shutil.copytree(run, folder / f"of-{run.name}")
        build_index(place, load_two_tower(place), data)
        ranker = PreRanker.load(place)
        states["index"].append(shown(ranker))
        for item in ITEMS:
            ranker.upsert([item])
            states["index"].append(shown(ranker))
    return states | {"live": states["index"]}


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", metavar="PATH", help="default: generated data")
    parser.add_argument("--max_rows", type=number(int, 1), default=3000)
    parser.add_argument("--rounds", type=number(int, 1), default=20)
    parser.add_argument("--readers", type=number(int, 1), default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options)
    rows = [{"process": name, "came to": what, "times": count} for (name, what), count in sorted(found.items())]
    print(table(rows))
    if any(row["came to"].startswith("WRONG") for row in rows):
        sys.exit(1)


def measure(folder: Path, options: argparse.Namespace) -> Counter:
    rows, raw = options.max_rows, data_of(options.data_path)
    # Of one seed: the seed draws the split, and so what the encoding of the data and the index are.
    models = [train(folder / name, name, raw, rows) for name in ("int_tower", "dssm")]
    data = Dataset.build(raw.first(rows), **split_of(read_result(models[0])))
    states = possible(models, data, folder)
    run = shutil.copytree(folder / f"of-{models[0].name}", folder / "run")
    context = multiprocessing.get_context("spawn")
    results, stop, meet = context.Queue(), context.Event(), context.Barrier(2)
    writers = [
        context.Process(target=write, args=(run, models, data, one, options.rounds, options.seed, meet, results))
        for one in range(2)
    ]
    readers = [context.Process(target=read, args=(run, states, stop, results)) for _ in range(options.readers)]
    for process in (*readers, *writers):
        process.start()
    for process in writers:
        process.join()
    stop.set()
    found = Counter()
    for process in (*readers, *writers):
        found += results.get(timeout=60)
        process.join()
    return found


if __name__ == "__main__":
    run_script(main)
