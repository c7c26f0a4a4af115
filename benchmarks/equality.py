"""Whether two checkouts give the same numbers: weights and served scores to the bit, metrics to the last digit.

    python -m benchmarks.equality OTHER_CHECKOUT --data_path data/ml-1m --json equality.json

Each case is one short run of the training script in both checkouts, one after the other, with one thread, and for two
towers an index of it, which scores all items and some for a few users. The file keeps the cases that are done, so that
the command can be stopped and given again. Exit status 1 if a case differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from safetensors.torch import load_file

from experiment.arguments import Parser, number
from foundation.atomic import write_atomic
from leaderboard.ablations.variants import entrant_jobs
from leaderboard.data_sets import MOVIELENS
from leaderboard.provenance import common_models
from model import MODELS
from model.base import EARLIER_NAMES, TwoTower
from preprocessing.protocol import PROTOCOLS

HERE = Path(__file__).resolve().parent.parent
TIMES = ("seconds", "rows_per_second")
# Runs in each checkout, so it names what both have: prints the items and logits of a few requests, bit by bit.
SERVED = """
import json, sys
import numpy as np
from serving.ranker import PreRanker
ranker, answers = PreRanker.load(sys.argv[1]), []
for user in sorted(ranker.state.users.ids(np.arange(0, len(ranker.state.users), 97)).tolist()):
    best = ranker.rank(user, k=50)
    some = ranker.rank(user, best.items.tolist()[::3], k=10)
    for ranking in (best, some):
        answers.append([ranking.items.tolist(), [logit.hex() for logit in ranking.logits.tolist()]])
print(json.dumps(answers))
"""
MEASURED = ("test", "validation", "calibration", "rows", "parameters", "best_epoch", "data_sha256")


def main() -> None:
    options = _options()
    done: dict[str, dict] = {}
    if options.json and options.json.exists():
        done = json.loads(options.json.read_text(encoding="utf-8"))
    for name, words in cases(options).items():
        if name in done:
            continue
        done[name] = compare(options.other, words)
        print(f"{name}: {_told(done[name])}", flush=True)
        if options.json:
            write_atomic(options.json, json.dumps(done, indent=1) + "\n")
    differing = [name for name, case in done.items() if case["different"]]
    speeds = pd.Series([case["speed_ratio"] for case in done.values()])
    print(
        f"{len(done)} cases, {len(differing)} differ. Training rows a second, this checkout / the other: median "
        f"{speeds.median():.3f}, from {speeds.min():.3f} to {speeds.max():.3f}."
    )
    sys.exit(1 if differing else 0)


def compare(other: Path, words: list[str]) -> dict:
    """What differs between a run here and in the other checkout, and the ratio of their speeds."""
    with tempfile.TemporaryDirectory() as place:
        runs = {}
        for name, checkout in (("other", other), ("here", HERE)):
            runs[name] = _run(checkout, [*words, "--out", str(Path(place, name))], Path(place, name))
    here, before = runs["here"], runs["other"]
    for old, new in EARLIER_NAMES.items():
        if old in before["parts"] and old not in here["parts"] and new in here["parts"]:
            before["parts"][new] = before["parts"].pop(old)
    parts = sorted(here["parts"].keys() | before["parts"].keys())
    different = [part for part in parts if here["parts"].get(part) != before["parts"].get(part)]
    return {"parts": len(parts), "different": different, "speed_ratio": round(here["speed"] / before["speed"], 4)}


def _run(checkout: Path, words: list[str], folder: Path) -> dict:
    """Trains, and returns a checksum of each tensor, each metric and each epoch, and the speed."""
    command = [sys.executable, "train_movielens_whole_models.py", *words, "--quiet", "--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=checkout, env=environment, check=True, stdout=subprocess.DEVNULL)
    tensors = load_file(folder / "model.safetensors")
    parts = {name: hashlib.sha256(value.numpy().tobytes()).hexdigest() for name, value in tensors.items()}
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    parts |= {name: json.dumps(result[name], sort_keys=True) for name in MEASURED}
    history = pd.read_csv(folder / "history.csv")
    parts["history"] = history.drop(columns=list(TIMES)).to_csv()
    if issubclass(MODELS[result["model"]].model_class, TwoTower):
        options = {"cwd": checkout, "env": environment, "check": True, "stdout": subprocess.PIPE}
        subprocess.run([sys.executable, "prerank.py", "build", str(folder)], **options)
        answers = subprocess.run([sys.executable, "-c", SERVED, str(folder)], **options).stdout
        parts["served"] = hashlib.sha256(answers).hexdigest()
    return {"parts": parts, "speed": result["train_rows_per_second"]}


def cases(options: argparse.Namespace) -> dict[str, list[str]]:
    """Every model that both checkouts have, and every form with one head, under every protocol."""
    common = ["--data_path", str(options.data_path.resolve()), "--max_rows", str(options.max_rows)]
    common += ["--epoch", str(options.epoch)]
    models = options.models or common_models(HERE, options.other)
    jobs = entrant_jobs(MOVIELENS, models, list(options.protocols), 1)
    return {job.title: [*job.options, *common] for job in jobs}


def _told(case: dict) -> str:
    told = f"differs in {', '.join(case['different'])}" if case["different"] else "equal to the bit"
    return f"{told} ({case['parts']} parts), speed ratio {case['speed_ratio']:.3f}"


def _options() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("other", type=Path, metavar="OTHER_CHECKOUT")
    parser.add_argument("--data_path", type=Path, required=True, metavar="PATH", help="MovieLens-1M")
    parser.add_argument("--max_rows", type=number(int, 1), default=60_000, metavar="N")
    parser.add_argument("--epoch", type=number(int, 1), default=2, metavar="N")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="default: all of both")
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keeps what is done")
    return parser.parse_args()


if __name__ == "__main__":
    main()
