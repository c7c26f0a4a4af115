"""Processes rank while another one upserts: no error, no torn read, every answer that of one of two states.

python -m benchmarks.concurrent_upserts RUN [--change items] [--readers 4] [--seconds 60] [--json FILE]

RUN must have an index (prerank.py build). The writer puts a few items, or users, into state A and B in turn, as fast as
it can: in B they have the features of others. They are as before at the end.
Readers compare every answer, ids and scores, with those of A and of B. Exit status 1 if one is neither.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from pathlib import Path

import numpy as np
import torch

from experiment.script import run
from foundation.errors import InputError
from serving.entities import keys_of
from serving.ranker import PreRanker

CHANGED = 5  # items or users that differ between the states
TOP = 50
TOLERANCE = 1e-6
START_SECONDS = 120  # at most, until all readers have loaded


def raw_rows(ranker: PreRanker, side: str, ids: list) -> list[dict]:
    """Items or users as they are put in. Scaled features are left out: they stay what they are.

    side: item or user.
    """
    state = ranker.state
    table, schema, result = {"item": state.items, "user": state.users}[side], state.encoder.schema, []
    for one in ids:
        features = table.entities(table.find_keys(keys_of([one]))).features
        raw = {
            name: state.encoder.decode(name, int(value))
            for name, value in features.values.items()
            if value.dtype == torch.int32
        }
        for name, bags in features.lists.items():
            vocabulary = schema["item_id"] if name == schema["history"] else name
            raw[name] = state.encoder.decoded(vocabulary, bags.values.numpy())
        statistic = schema[f"{side}_statistic"]
        raw |= {statistic: float(features.values[statistic])} if statistic in features.values else {}
        result.append(raw | {schema[f"{side}_id"]: one})
    return result


def answers(ranker: PreRanker, users: list) -> list[tuple[tuple, np.ndarray]]:
    """What each user is shown: ids and scores."""
    return [(tuple(ranking.items.tolist()), ranking.scores) for ranking in ranker.rank(users, k=TOP)]


def same(one, other) -> bool:
    return one[0] == other[0] and bool(np.abs(one[1] - other[1]).max() <= TOLERANCE)


def read(path: Path, users: list, states: list, seconds: float, ready, results) -> None:
    """Counts answers of each state, and others; puts (of A, of B, of neither, error) into `results`."""
    torch.set_num_threads(1)
    counts, error = [0, 0, 0], None
    try:
        ranker = PreRanker.load(path)
        ready.wait(START_SECONDS)
        until = time.time() + seconds
        while time.time() < until:
            given = answers(ranker, users)
            # All users of one request are answered from one state, so they are compared as a whole.
            fits = [all(map(same, given, state)) for state in states]
            counts[fits.index(True) if any(fits) else 2] += 1
    except Exception as problem:  # whatever goes wrong in a reader is the finding
        error = repr(problem)
    results.put((*counts, error))


def measure(path: Path, change: str, readers: int, seconds: float) -> dict:
    """change: items or users."""
    ranker, side = PreRanker.load(path), change[:-1]
    counts = {"items": len(ranker.state.items), "users": len(ranker.state.users)}
    if counts[change] < 2 * CHANGED:
        raise InputError(f"The index has {counts[change]} {change}, too few to change {CHANGED}.")
    users = ranker.state.users.ids(ranker.state.users.live()[: 2 * CHANGED]).tolist()
    ids = users if change == "users" else ranker.rank(users[0], k=2 * CHANGED).items.tolist()
    users, key = users[:CHANGED], ranker.state.encoder.schema[f"{side}_id"]
    before = raw_rows(ranker, side, ids)
    # State B: the first ones have the features of the others.
    swapped = [other | {key: one[key]} for one, other in zip(before[:CHANGED], before[CHANGED:], strict=True)]
    put = ranker.upsert if change == "items" else ranker.upsert_users
    states = [answers(ranker, users)]
    put(swapped)
    states.append(answers(ranker, users))
    if all(map(same, *states)):
        raise InputError(f"The two states do not differ: these {change} get equal scores. Train the model longer.")
    context = multiprocessing.get_context("spawn")
    results, ready, writes = context.Queue(), context.Barrier(readers + 1), 0
    processes = [
        context.Process(target=read, args=(path, users, states, seconds, ready, results)) for _ in range(readers)
    ]
    for process in processes:
        process.start()
    try:
        ready.wait(START_SECONDS)
        until = time.time() + seconds
        while time.time() < until:
            put(before[:CHANGED] if writes % 2 == 0 else swapped)
            writes += 1
    finally:
        put(before[:CHANGED])
        found = [results.get(timeout=60) for _ in processes]
        for process in processes:
            process.join()
    of_a, of_b, neither, errors = zip(*found, strict=True)
    return {
        "seconds": seconds,
        "readers": readers,
        "upserts": writes,
        "answers_a": sum(of_a),
        "answers_b": sum(of_b),
        "answers_of_neither": sum(neither),
        "errors": [error for error in errors if error],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--change", choices=("items", "users"), default="items", help="what is put in")
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(options.run, options.change, options.readers, options.seconds)
    print("\n".join(f"{name}: {value}" for name, value in found.items()))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if found["errors"] or found["answers_of_neither"]:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
