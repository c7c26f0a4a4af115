"""Requests of two checkouts, timed in turn: is a request as fast as it was?

    python -m benchmarks.request_ratio OTHER_CHECKOUT --data_path data/ml-1m

Each checkout trains a short run and builds its index; then one process of each answers the same requests in turn, in
short bursts, so that whatever else the machine does hits both. Printed are medians, and the median of the ratios of
neighbouring bursts: the speed of this checkout over that of the other.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from experiment.arguments import Parser, number

HERE = Path(__file__).resolve().parent.parent
MODELS = ("dssm", "int_tower", "hit")
BURST = 30
# Runs in each checkout: answers a burst of requests for every line it reads.
WORKER = """
import json, sys, time
from serving.ranker import PreRanker
ranker = PreRanker.load(sys.argv[1])
ids = ranker.rank(42, k=1000).items.tolist()
raw = {"user_id": None, "gender": "F", "age": 25, "occupation": 3, "liked_movies": [1193, 1]}
raw = {name: value for name, value in raw.items() if name != "liked_movies" or sys.argv[2] == "hit"}
requests = {
    "known user, all items": lambda: ranker.rank(42, k=100),
    "raw features, all items": lambda: ranker.rank(raw, k=100),
    "known user, 1,000 candidates": lambda: ranker.rank(42, ids, k=100),
    "scores of 1,000 candidates": lambda: ranker.score(42, ids),
}
for line in sys.stdin:
    times = {}
    for name, ask in requests.items():
        ask()
        start = time.perf_counter()
        for _ in range(int(line)):
            ask()
        times[name] = (time.perf_counter() - start) / int(line)
    print(json.dumps(times), flush=True)
"""


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("other", type=Path, metavar="OTHER_CHECKOUT")
    parser.add_argument("--data_path", type=Path, required=True, metavar="PATH", help="MovieLens-1M")
    parser.add_argument("--bursts", type=number(int, 2), default=60, metavar="N")
    options = parser.parse_args()
    print(f"{'model':<12}{'request':<32}{'here, ms':>10}{'other, ms':>11}{'speed ratio':>13}")
    for model in MODELS:
        for request, times in measure(model, options).items():
            here, other = zip(*times, strict=True)
            ratio = statistics.median(b / a for a, b in times)
            medians = [1e3 * statistics.median(side) for side in (here, other)]
            print(f"{model:<12}{request:<32}{medians[0]:>10.3f}{medians[1]:>11.3f}{ratio:>13.3f}", flush=True)


def measure(model: str, options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Request -> (seconds here, seconds in the other checkout) of each pair of bursts."""
    data = str(options.data_path.resolve())
    with tempfile.TemporaryDirectory() as place:
        workers = [_worker(checkout, Path(place, name), model, data) for name, checkout in _places(options)]
        found: dict[str, list[tuple[float, float]]] = {}
        for burst in range(options.bursts + 1):
            order = workers if burst % 2 else workers[::-1]
            times = {id(worker): _ask(worker) for worker in order}
            for request in times[id(workers[0])] if burst else ():  # the first one warms up
                pair = tuple(times[id(worker)][request] for worker in workers)
                found.setdefault(request, []).append(pair)
        for worker in workers:
            worker.communicate()
    return found


def _places(options: argparse.Namespace) -> tuple[tuple[str, Path], ...]:
    return ("here", HERE), ("other", options.other)


def _worker(checkout: Path, run: Path, model: str, data: str) -> subprocess.Popen:
    """Trains, builds, and starts the process that answers."""
    words = ["--model_name", model, "--data_path", data, "--max_rows", "60000", "--epoch", "1", "--protocol", "holdout"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    kept = {"cwd": checkout, "env": environment, "stdout": subprocess.DEVNULL, "check": True}
    subprocess.run([sys.executable, "train_movielens_whole_models.py", *words, "--quiet", "--out", str(run)], **kept)
    subprocess.run([sys.executable, "prerank.py", "build", str(run), "--data_path", data], **kept)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    command = [sys.executable, "-c", WORKER, str(run), model]
    return subprocess.Popen(command, cwd=checkout, env=environment, **pipes)


def _ask(worker: subprocess.Popen) -> dict[str, float]:
    print(BURST, file=worker.stdin, flush=True)
    return json.loads(worker.stdout.readline())


if __name__ == "__main__":
    main()
