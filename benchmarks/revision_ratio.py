"""Is this checkout as fast as another one? Training, prediction and requests of both, timed in turn.

    python -m benchmarks.revision_ratio OTHER_CHECKOUT --data_path data/ml-1m --json revision_ratio.json

Each checkout trains a short run of a model and, for two towers, builds its index. Then one process of each answers the
same calls in turn, in short bursts, so that whatever else the machine does hits both. What is timed is the processor's
time of one thread, which waits for nothing. Printed are medians, and the median of the ratios of neighbouring bursts:
the speed of this checkout over that of the other. The file keeps the models that are done, so that the command can be
stopped and given again.
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
from foundation.atomic import write_atomic
from model import MODELS
from model.base import TwoTower

HERE = Path(__file__).resolve().parent.parent
EPOCHS = {"gbdt": 20}  # of a burst of training, where an epoch is a tree; 1 elsewhere
# Runs in each checkout, so it names what both have: times every call once for each line that it reads.
WORKER = """
import json, sys, time
name, data, run, epochs = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
try:
    from preprocessing.load import load_movielens
except ImportError:
    from preprocessing.download import load_movielens
from model import MODELS, TRAINING_DEFAULTS, build_model, default_settings
from preprocessing.dataset import Dataset
data = Dataset.build(load_movielens(data, quiet=True).first(60_000), "holdout", 1023)
settings = default_settings(name, "movielens")
columns = data.feature_columns(settings["embedding_dim"], history=MODELS[name].history)
training = TRAINING_DEFAULTS["movielens"].keys()
model = build_model(name, columns, **{key: value for key, value in settings.items() if key not in training})
model.compile("adam", "binary_crossentropy", lr=settings["lr"])
size = {} if name == "gbdt" else {"batch_size": settings["batch_size"]}

def repeated(call, count=30):
    def ask():
        for _ in range(count):
            call()
    return ask

calls = {
    "training": lambda: model.fit(data.train, epochs=epochs, verbose=0, **size),
    "prediction": repeated(lambda: model.predict(data.train), 3),
}
if run:
    from serving.ranker import PreRanker
    ranker = PreRanker.load(run)
    ids = ranker.rank(42, k=1000).items.tolist()
    raw = {"user_id": None, "gender": "F", "age": 25, "occupation": 3}
    raw |= {"liked_movies": [1193, 1]} if MODELS[name].history else {}
    calls |= {
        "known user, all items": repeated(lambda: ranker.rank(42, k=100)),
        "raw features, all items": repeated(lambda: ranker.rank(raw, k=100)),
        "known user, 1,000 candidates": repeated(lambda: ranker.rank(42, ids, k=100)),
        "scores of 1,000 candidates": repeated(lambda: ranker.score(42, ids)),
    }
for line in sys.stdin:
    times = {}
    for call, ask in calls.items():
        start = time.process_time()
        ask()
        times[call] = time.process_time() - start
    print(json.dumps(times), flush=True)
"""
Pairs = list[tuple[float, float]]  # seconds here, seconds in the other checkout, of neighbouring bursts


def main() -> None:
    options = _options()
    done: dict[str, dict[str, float]] = {}
    if options.json and options.json.exists():
        done = json.loads(options.json.read_text(encoding="utf-8"))
    print(f"{'model':<15}{'call':<32}{'here, ms':>10}{'other, ms':>11}{'speed ratio':>13}")
    for model in options.models:
        if model in done:
            continue
        ratios = {}
        for call, pairs in measure(model, options).items():
            here, other = (1e3 * statistics.median(side) for side in zip(*pairs, strict=True))
            ratios[call] = round(statistics.median(b / a for a, b in pairs), 4)
            print(f"{model:<15}{call:<32}{here:>10.2f}{other:>11.2f}{ratios[call]:>13.3f}", flush=True)
        done[model] = ratios
        if options.json:
            write_atomic(options.json, json.dumps(done, indent=1) + "\n")


def measure(model: str, options: argparse.Namespace) -> dict[str, Pairs]:
    """Call -> the pairs of bursts."""
    data = str(options.data_path.resolve())
    found: dict[str, Pairs] = {}
    with tempfile.TemporaryDirectory() as place:
        checkouts = {"here": HERE, "other": options.other}
        workers = [_worker(checkout, Path(place, name), model, data) for name, checkout in checkouts.items()]
        for burst in range(options.bursts + 1):
            times: dict[int, dict[str, float]] = {}
            for which in (0, 1) if burst % 2 else (1, 0):
                times[which] = _ask(workers[which])
            for call in times[0] if burst else ():  # the first burst warms up
                found.setdefault(call, []).append((times[0][call], times[1][call]))
        for worker in workers:
            worker.communicate()
    return found


def _worker(checkout: Path, run: Path, model: str, data: str) -> subprocess.Popen:
    """Trains, builds, and starts the process that answers."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    served = issubclass(MODELS[model].model_class, TwoTower)
    if served:
        words = ["--model_name", model, "--data_path", data, "--max_rows", "60000", "--epoch", "1"]
        words += ["--protocol", "holdout", "--quiet", "--out", str(run)]
        for command in (["train_movielens_whole_models.py", *words], ["prerank.py", "build", str(run)]):
            subprocess.run(
                [sys.executable, *command], cwd=checkout, env=environment, stdout=subprocess.DEVNULL, check=True
            )
    command = [sys.executable, "-c", WORKER, model, data, str(run) if served else "", str(EPOCHS.get(model, 1))]
    return subprocess.Popen(
        command,
        cwd=checkout,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def _ask(worker: subprocess.Popen) -> dict[str, float]:
    print(file=worker.stdin, flush=True)
    return json.loads(worker.stdout.readline())


def _options() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("other", type=Path, metavar="OTHER_CHECKOUT")
    parser.add_argument("--data_path", type=Path, required=True, metavar="PATH", help="MovieLens-1M")
    parser.add_argument("--bursts", type=number(int, 2), default=15, metavar="N", help="pairs of each model")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keeps what is done")
    return parser.parse_args()


if __name__ == "__main__":
    main()
