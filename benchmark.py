"""All models under all protocols with several seeds: runs what is missing, and reports what there is.

A result is filed by protocol, model and seed. One that was made by another command, or of other data, is an error.
IntTower and HIT with one head run beside their defaults: their scores are plain inner products.

python benchmark.py --quick                                                    a small one, on generated data
python benchmark.py --everything --data_path ...                               all below but --tune, one after another
python benchmark.py --models all --protocols all --seeds 5 --data_path ...     runs; go on with the same command
python benchmark.py --ladder --data_path ... --workers 2                       runs from the papers' AUCs to honest ones
python benchmark.py --ablations --protocols holdout temporal --seeds 3 ...    runs ablations
python benchmark.py --tune --data_path ... --workers 2                         runs the trials of docs/tuning.md
python benchmark.py --audit --seeds 5 --data_path ...                          what the leaking features alone reach
python benchmark.py --stages --data_path ...                                   what each model lets through to the best
python benchmark.py --report                                                   tables and pictures from results/
python benchmark.py --dataset FOLDER ...                                       all of it on data of your own
python benchmark.py compare RUN RUN ...                                        differences of trained runs, tested
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from experiment.arguments import Parser, folder
from experiment.record import ROOT
from experiment.script import run
from foundation.errors import InputError
from leaderboard.ablations.variants import ABLATIONS, ablation_jobs, entrant_jobs
from leaderboard.audit import AUDIT, write_audit
from leaderboard.compare_runs import comparison_text
from leaderboard.data_sets import DATASET, MOVIELENS, PUBLISHED, DataSet, settings_origin
from leaderboard.fitting import fitting_protocols, refusal, with_effect
from leaderboard.grid.tables import leaderboard_table
from leaderboard.jobs import Job, first_seeds
from leaderboard.ladder.rungs import OF_THE_RELEASES, ladder_jobs
from leaderboard.pages import write_pages, write_report, write_tables_of
from leaderboard.provenance import read_links, standing
from leaderboard.quick import SEEDS as QUICK_SEEDS
from leaderboard.quick import Quick
from leaderboard.results import load_runs
from leaderboard.runner import Runner
from leaderboard.settings import arguments_of
from leaderboard.stages.measure import STAGES, measure_stages
from leaderboard.table_formats import Table
from leaderboard.tuning.run import TUNING, tune
from model import MODELS, find_model
from preprocessing.load import SYNTHETIC
from preprocessing.protocol import PROTOCOLS

SEEDS = 5
ABLATION_SEEDS, ABLATION_PROTOCOLS = 3, ("holdout", "temporal")  # as many as --everything has of them
CHANGED = dict.fromkeys(ablation.model for ablation in ABLATIONS)  # models with variants
# What a part does not read, and why: given, it is an error.
WITHOUT_EFFECT = {
    "ladder": (("protocols",), "has the protocol of each rung"),
    "tune": (("protocols", "seeds"), "has its own protocols and seed (docs/tuning.md)"),
    "audit": (("models", "workers", "runs"), "trains no model"),
    "stages": (("workers",), "measures one model after another"),
    "report": (
        ("dataset", "models", "protocols", "seeds", "data_path", "workers", "runs"),
        "shows all data sets that it finds results of",
    ),
    "quick": (("runs",), "has run folders of its own"),
}


def main() -> None:
    if sys.argv[1:2] == ["compare"]:
        compare()
        return
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    add = parser.add_argument
    known = ", ".join(PUBLISHED)
    add("--dataset", metavar="NAME", help=f"{known}, a folder with a dataset.toml, or one in data/; default ml-1m")
    add("--models", nargs="+", default=["all"], metavar="NAME", help=f"all, or of {' '.join(MODELS)}")
    add("--protocols", nargs="+", default=["all"], choices=("all", *PROTOCOLS), metavar="NAME")
    add("--seeds", type=int, metavar="N", help=f"seeds 1023, 1024, ...; default {SEEDS}, quick {QUICK_SEEDS}")
    add_part = parser.add_mutually_exclusive_group().add_argument
    add_part("--everything", action="store_true", help="grid, ablations, ladder, audit, stages and report")
    add_part("--ablations", action="store_true", help="run the ablations instead")
    add_part("--ladder", action="store_true", help="run every step from the papers' numbers to honest ones instead")
    add_part("--tune", action="store_true", help="run the trials that choose the defaults of each model")
    add_part("--audit", action="store_true", help="measure what the leaking features alone reach")
    add_part("--stages", action="store_true", help="measure the trained models of the grid as pre-rankers")
    add_part("--report", action="store_true", help="make tables and pictures from results, run nothing")
    add_part("--quick", action="store_true", help="runs, an ablation, audit and report, small, on few rows")
    add("--data_path", metavar="PATH", help="as the training scripts take it")
    add("--workers", type=int, metavar="N", help="runs that share the cores; default 1, quick one each")
    runs, results = here("runs", "benchmark"), f"{here('results')}, quick: a folder in {here('runs', 'quick')}"
    add("--runs", type=folder, default=runs, metavar="DIR", help=f"of run folders; default {runs}")
    add("--results", type=folder, metavar="DIR", help=f"of result files; default {results}")
    add("--tables", type=folder, metavar="DIR", help="with --report: write each table as CSV and LaTeX there as well")
    options = parser.parse_args()
    for name in ("seeds", "workers"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise InputError(f"--{name} must be at least 1. Received: {value}.")
    for part, (names, why) in WITHOUT_EFFECT.items():
        given = [f"--{name}" for name in names if getattr(options, name) != parser.get_default(name)]
        if getattr(options, part) and given:
            raise InputError(f"--{part} {why}. Leave out: {', '.join(given)}.")
    if options.tables and not options.report:
        raise InputError("--tables writes the tables of --report. Give both, or leave it out.")

    if options.report:
        report(options.results, options.tables)
        return
    models = chosen("models", options.models, MODELS, find_model)
    protocols = chosen("protocols", options.protocols, PROTOCOLS)
    dataset = MOVIELENS if options.dataset is None else DataSet.find(options.dataset)
    (quick if options.quick else measure)(options, dataset, models, protocols)


def compare() -> None:
    parser = Parser(prog="benchmark.py compare", description=comparison_text.__doc__, allow_abbrev=False)
    parser.add_argument("runs", nargs="+", type=folder, metavar="RUN", help="a run folder, or its result.json")
    print(comparison_text(parser.parse_args(sys.argv[2:]).runs))


def here(*parts: str) -> Path:
    """A place in the repository, as seen from the current folder."""
    return Path(os.path.relpath(ROOT.joinpath(*parts)))


def chosen(option: str, names: list[str], known: Iterable[str], find: Callable[[str], str] = str) -> list[str]:
    """What the names mean, each once. Raises `InputError` for `all` beside others."""
    if "all" not in names:
        return list(dict.fromkeys(find(name) for name in names))
    if len(set(names)) > 1:
        raise InputError(f"--{option} takes all or names, not both. Received: {' '.join(names)}.")
    return list(known)


def quick(options: argparse.Namespace, dataset: DataSet, models: list[str], protocols: list[str]) -> None:
    if options.dataset is None and options.data_path is not None:
        raise InputError("--quick takes generated data. Leave out: --data_path, or name the data with --dataset.")
    small = Quick(
        options.results or Quick.default_folder(),
        models,
        protocols,
        seeds=options.seeds or QUICK_SEEDS,
        workers=options.workers or os.cpu_count() or 1,
        dataset=dataset,
        data_path=SYNTHETIC if options.dataset is None else options.data_path,
    )
    what = "Generated data" if small.data_path == SYNTHETIC else f"The first {small.rows:,} rows"
    print(f"{what} at a reduced size: no number says which model is better.", *small.run(), sep="\n")


def report(results: Path | None = None, tables: Path | None = None) -> None:
    """Of these results beside them; None: of the committed ones, in the project's own pages and pictures."""
    place = results or here("results")
    is_own = place.resolve() == ROOT / "results"
    print(*(write_pages() if is_own else write_report(place)), sep="\n")
    if tables:
        print(f"{len(write_tables_of(place, tables))} files in {tables}")
    if is_own:
        runs = load_runs(place / DATASET)
        print(standing(zip(runs["protocol"], runs["sources"], strict=True), read_links(place)))


def measure(options: argparse.Namespace, dataset: DataSet, models: list[str], protocols: list[str]) -> None:
    """The part that is asked for; without one, the runs of the grid."""
    seeds, workers = options.seeds or SEEDS, options.workers or 1
    if options.ladder:
        if dataset != MOVIELENS:
            raise InputError(f"--ladder climbs from the papers' numbers on MovieLens. Received: {dataset.option}.")
        jobs = climbing(models, seeds)
    if options.ablations:
        _require_known(CHANGED, models, "ablation")
    raw = dataset.load(options.data_path)
    if not (options.ladder or options.tune):
        protocols = fitting_protocols(dataset, raw, protocols)
        jobs = with_effect((changed if options.ablations else entrant_jobs)(dataset, models, protocols, seeds), raw)
    results, runs = (options.results or here("results")) / raw.name, options.runs / raw.name
    runner = Runner(results, runs, options.data_path, workers, data_sha256=raw.fingerprint)
    if not (options.audit or options.stages):
        print(settings_origin(dataset, raw.name))
    if options.everything:
        rungs = [job for job in ladder_jobs(models, seeds) if job.protocol in protocols]
        if dataset != MOVIELENS:
            rungs = []
            print("Left out: the ladder, which climbs from the papers' numbers on MovieLens.")
        runner.run(jobs + with_effect(variants(dataset, models, protocols, seeds), raw) + rungs)
        write_audit(raw, protocols, first_seeds(seeds), results / AUDIT, runner.code, dataset=dataset)
        measure_stages(raw, jobs, runner, results / STAGES)
        report(options.results)
    elif options.audit:
        entries = write_audit(raw, protocols, first_seeds(seeds), results / AUDIT, runner.code, dataset=dataset)
        for entry in entries:
            aucs = (f"{name} {auc:.4f}" for name, auc in entry["test_auc"].items())
            print(entry["protocol"], f"seed {entry['seed']}", *aucs, sep="  ")
    elif options.tune:
        tuning = replace(runner, results=results / TUNING, runs=runs / TUNING)
        for entry in tune(tuning, models, dataset=dataset, later=not refusal(dataset, raw, "temporal")):
            print(f"{entry.model}: {' '.join(arguments_of(entry.chosen or {}))}")
        print(f"Trials of {len(models)} models in {tuning.results}; tables: benchmark.py --report")
    elif options.stages:
        entries = measure_stages(raw, jobs, runner, results / STAGES)
        print(f"{len(entries)} entries in {results / STAGES}")
    else:
        runner.run(jobs)
        print(f"{len(jobs)} results in {runner.results}")
        if not (options.ablations or options.ladder):
            show(results, raw.name, protocols)


def show(results: Path, name: str, protocols: list[str]) -> None:
    """The table of each protocol on the screen."""
    found = load_runs(results)
    for protocol in protocols:
        text = leaderboard_table(found, protocol, name)
        (table,), (_, _, seeds) = Table.read(text), text.rpartition("\n")
        print(f"\n{name}, {protocol}: test rows\n{table.as_text()}\n{seeds}")


def variants(dataset: DataSet, models: list[str], protocols: list[str], seeds: int) -> list[Job]:
    """Of `--everything`: the ablations of those of the models that have any, under `ABLATION_PROTOCOLS`."""
    own = [model for model in models if model in CHANGED]
    chosen = [protocol for protocol in protocols if protocol in ABLATION_PROTOCOLS]
    return changed(dataset, own, chosen, min(seeds, ABLATION_SEEDS))


def changed(dataset: DataSet, models: list[str], protocols: list[str], seeds: int) -> list[Job]:
    """The ablations of these models."""
    ablations = [ablation for ablation in ABLATIONS if ablation.model in models]
    return ablation_jobs(dataset, protocols, seeds, ablations)


def climbing(models: list[str], seeds: int) -> list[Job]:
    """The rungs of these models; of all models, those of the releases. Raises `InputError` that names the others."""
    _require_known(OF_THE_RELEASES, models, "release")
    return ladder_jobs(models, seeds)


def _require_known(known: Iterable[str], models: list[str], what: str) -> None:
    """Raises `InputError` for models that have none of what is asked for, unless all models are."""
    without = [model for model in models if model not in known]
    if without and models != list(MODELS):
        raise InputError(f"There is no {what} of {' '.join(without)}. Those that have one: {' '.join(known)}.")


if __name__ == "__main__":
    run(main)
