"""All models under all protocols with several seeds: runs what is missing, and reports what there is.

python benchmark.py --quick                                                    all of it in minutes, on generated data
python benchmark.py --models all --protocols all --seeds 5 --data_path ...     runs; go on with the same command
python benchmark.py --ablations --protocols published holdout --seeds 3        runs the ablations
python benchmark.py --report                                                   tables and pictures from results/
"""

import argparse
import os
from pathlib import Path

from experiment.arguments import Parser
from experiment.main import run
from leaderboard.ablations import ABLATIONS, ablation_jobs
from leaderboard.audit import write_audit
from leaderboard.jobs import FIRST_SEED, grid
from leaderboard.quick import SEEDS as QUICK_SEEDS
from leaderboard.quick import Quick
from leaderboard.report import AUDIT, write_report
from leaderboard.runner import ROOT, Runner
from model import MODELS, find_model
from preprocessing.download import load_movielens
from preprocessing.errors import InputError
from preprocessing.protocol import PROTOCOLS


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--models", nargs="+", default=["all"], metavar="NAME", help=f"all, or of {' '.join(MODELS)}")
    parser.add_argument("--protocols", nargs="+", default=["all"], choices=("all", *PROTOCOLS), metavar="NAME")
    parser.add_argument("--seeds", type=int, metavar="N", help=f"seeds 1023, 1024, ...; default 5, quick {QUICK_SEEDS}")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--ablations", action="store_true", help="run the ablations instead of the grid")
    parts.add_argument("--audit", action="store_true", help="measure what the leaking features alone reach")
    parts.add_argument("--report", action="store_true", help="make tables and pictures from results/, run nothing")
    parts.add_argument("--quick", action="store_true", help="all of these, small, on generated data")
    parser.add_argument("--data_path", metavar="PATH", help="as the training scripts take it")
    parser.add_argument("--workers", type=int, metavar="N", help="runs that share the cores; default 1, quick one each")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/benchmark"), metavar="DIR", help="of run folders; quick has its own"
    )
    parser.add_argument("--results", type=Path, metavar="DIR", help="of the result files; quick: runs/quick")
    options = parser.parse_args()
    for name in ("seeds", "workers"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise InputError(f"--{name} must be at least 1. Received: {value}.")

    if options.report:
        for path in write_report(ROOT / "results", ROOT / "figure", readme=ROOT / "README.md"):
            print(path)
        return
    protocols = list(PROTOCOLS) if "all" in options.protocols else options.protocols
    models = list(MODELS) if "all" in options.models else [find_model(name) for name in options.models]
    if options.quick:
        quick(options, models, protocols)
        return
    raw = load_movielens(options.data_path)
    seeds = options.seeds or 5
    results = (options.results or Path("results")) / raw.name
    if options.audit:
        for entry in write_audit(raw, protocols, FIRST_SEED, results / AUDIT):
            print(entry["protocol"], *(f"{name} {auc:.4f}" for name, auc in entry["test_auc"].items()), sep="  ")
        return
    if options.ablations:
        chosen = [ablation for ablation in ABLATIONS if ablation.model in models]
        jobs = ablation_jobs("movielens", protocols, seeds, chosen)
    else:
        jobs = grid("movielens", models, protocols, seeds)
    runner = Runner(results, options.runs / raw.name, options.data_path, options.workers or 1)
    runner.run(jobs)
    print(f"{len(jobs)} results in {runner.results}")


def quick(options: argparse.Namespace, models: list[str], protocols: list[str]) -> None:
    if options.data_path is not None:
        raise InputError(f"--quick takes generated data. Leave --data_path out. Received: {options.data_path}.")
    folder = options.results or Quick.default_folder()
    seeds, workers = options.seeds or QUICK_SEEDS, options.workers or os.cpu_count() or 1
    report, figures = Quick(folder, models, protocols, seeds, workers).run()
    print(f"Generated data at a reduced size: no number says anything about MovieLens.\n{report}\n{figures}")


if __name__ == "__main__":
    run(main)
