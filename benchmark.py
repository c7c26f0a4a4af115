"""All models under all protocols with several seeds: runs what is missing, and reports what there is.

python benchmark.py --models all --protocols all --seeds 5 --data_path ...     runs; go on with the same command
python benchmark.py --ablations --protocols published holdout --seeds 3        runs the ablations
python benchmark.py --report                                                   tables and pictures from results/
"""

import argparse
from pathlib import Path

from experiment.arguments import Parser
from experiment.main import run
from leaderboard.ablations import ABLATIONS, ablation_jobs
from leaderboard.audit import write_audit
from leaderboard.jobs import FIRST_SEED, grid
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
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds 1023, 1024, ...")
    parser.add_argument("--ablations", action="store_true", help="run the ablations instead of the grid")
    parser.add_argument("--audit", action="store_true", help="measure what the leaking features alone reach")
    parser.add_argument("--report", action="store_true", help="make tables and pictures from results/, run nothing")
    parser.add_argument("--data_path", metavar="PATH", help="as the training scripts take it")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="runs at a time, which share the cores")
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmark"), metavar="DIR", help="of the run folders")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="of the result files")
    options = parser.parse_args()
    for name in ("seeds", "workers"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} must be at least 1. Received: {getattr(options, name)}.")

    if options.report:
        for path in write_report(ROOT / "results", ROOT / "figure", readme=ROOT / "README.md"):
            print(path)
        return
    raw = load_movielens(options.data_path)
    protocols = list(PROTOCOLS) if "all" in options.protocols else options.protocols
    results = options.results / raw.name
    if options.audit:
        for entry in write_audit(raw, protocols, FIRST_SEED, results / AUDIT):
            print(entry["protocol"], *(f"{name} {auc:.4f}" for name, auc in entry["test_auc"].items()), sep="  ")
        return
    models = list(MODELS) if "all" in options.models else [find_model(name) for name in options.models]
    if options.ablations:
        chosen = [ablation for ablation in ABLATIONS if ablation.model in models]
        jobs = ablation_jobs("movielens", protocols, options.seeds, chosen)
    else:
        jobs = grid("movielens", models, protocols, options.seeds)
    runner = Runner(results, options.runs / raw.name, options.data_path, options.workers)
    runner.run(jobs)
    print(f"{len(jobs)} results in {runner.results}")


if __name__ == "__main__":
    run(main)
