"""All models under all protocols with several seeds: runs what is missing, and reports what there is.

python benchmark.py --quick                                                    all of it in minutes, on generated data
python benchmark.py --models all --protocols all --seeds 5 --data_path ...     runs; go on with the same command
python benchmark.py --ablations --protocols published holdout --seeds 3 ...    runs the ablations
python benchmark.py --tune --data_path ... --workers 2                         runs the trials of docs/tuning.md
python benchmark.py --audit --data_path ...                                    what the leaking features alone reach
python benchmark.py --stages --data_path ...                                   what each model lets through to the best
python benchmark.py --report                                                   tables and pictures from results/
"""

import argparse
import os
from pathlib import Path

from experiment.arguments import Parser
from experiment.main import run
from leaderboard.ablations import ABLATIONS, ablation_jobs
from leaderboard.jobs import FIRST_SEED, grid
from leaderboard.measures.audit import write_audit
from leaderboard.measures.stages import STAGES, measure_stages
from leaderboard.quick import SEEDS as QUICK_SEEDS
from leaderboard.quick import Quick
from leaderboard.report.pages import AUDIT, write_report
from leaderboard.runner import ROOT, Runner
from leaderboard.tuning import FOLDER as TUNING
from leaderboard.tuning import tune
from model import MODELS, find_model
from preprocessing.download import load_movielens
from preprocessing.errors import InputError
from preprocessing.protocol import PROTOCOLS

SCRIPT, SEEDS = "movielens", 5


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--models", nargs="+", default=["all"], metavar="NAME", help=f"all, or of {' '.join(MODELS)}")
    parser.add_argument("--protocols", nargs="+", default=["all"], choices=("all", *PROTOCOLS), metavar="NAME")
    parser.add_argument(
        "--seeds", type=int, metavar="N", help=f"seeds 1023, 1024, ...; default {SEEDS}, quick {QUICK_SEEDS}"
    )
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--ablations", action="store_true", help="run the ablations instead of the grid")
    parts.add_argument("--tune", action="store_true", help="run the trials that choose the defaults of each model")
    parts.add_argument("--audit", action="store_true", help="measure what the leaking features alone reach")
    parts.add_argument("--stages", action="store_true", help="measure the trained models of the grid as pre-rankers")
    parts.add_argument("--report", action="store_true", help="make tables and pictures from results/, run nothing")
    parts.add_argument("--quick", action="store_true", help="runs, an ablation and report, small, on generated data")
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
    if options.tune and (options.protocols != ["all"] or options.seeds is not None):
        raise InputError("--tune has its own protocols and seed (docs/tuning.md). Leave --protocols and --seeds out.")

    if options.report:
        for path in write_report(ROOT / "results", ROOT / "figure", readme=ROOT / "README.md"):
            print(path)
        return
    models = list(MODELS) if "all" in options.models else [find_model(name) for name in options.models]
    protocols = list(PROTOCOLS) if "all" in options.protocols else options.protocols
    (quick if options.quick else measure)(options, models, protocols)


def quick(options: argparse.Namespace, models: list[str], protocols: list[str]) -> None:
    if options.data_path is not None:
        raise InputError(f"--quick takes generated data. Leave --data_path out. Received: {options.data_path}.")
    folder = options.results or Quick.default_folder()
    seeds, workers = options.seeds or QUICK_SEEDS, options.workers or os.cpu_count() or 1
    report, figures = Quick(folder, models, protocols, seeds, workers).run()
    print(f"Generated data at a reduced size: no number says anything about MovieLens.\n{report}\n{figures}")


def measure(options: argparse.Namespace, models: list[str], protocols: list[str]) -> None:
    """The part that is asked for; without one, the runs of the grid."""
    raw = load_movielens(options.data_path)
    results, runs = (options.results or Path("results")) / raw.name, options.runs / raw.name
    seeds, workers = options.seeds or SEEDS, options.workers or 1
    runner = Runner(results, runs, options.data_path, workers)
    if options.audit:
        for entry in write_audit(raw, protocols, FIRST_SEED, results / AUDIT):
            print(entry["protocol"], *(f"{name} {auc:.4f}" for name, auc in entry["test_auc"].items()), sep="  ")
    elif options.tune:
        tuning = Runner(results / TUNING, runs / TUNING, options.data_path, workers)
        tune(tuning, models)
        print(f"Trials of {len(models)} models in {tuning.results}; tables: benchmark.py --report")
    elif options.stages:
        entries = measure_stages(raw, grid(SCRIPT, models, protocols, seeds), runner, results / STAGES)
        print(f"{len(entries)} entries in {results / STAGES}")
    else:
        chosen = [ablation for ablation in ABLATIONS if ablation.model in models]
        of_grid, of_ablations = grid(SCRIPT, models, protocols, seeds), ablation_jobs(SCRIPT, protocols, seeds, chosen)
        jobs = of_ablations if options.ablations else of_grid
        runner.run(jobs)
        print(f"{len(jobs)} results in {runner.results}")


if __name__ == "__main__":
    run(main)
