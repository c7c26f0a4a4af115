"""`benchmark.py compare RUN RUN ...`: runs grouped by model and settings, and every two groups paired by seed."""

from __future__ import annotations

import itertools
import json
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from experiment.defaults import without_new_options
from experiment.model_arguments import without_defaults
from foundation.errors import InputError
from foundation.json_files import read_json
from foundation.options import options_of
from foundation.run_files import RESULT
from foundation.shown import shortened
from leaderboard.estimates import FEWEST_SEEDS, Difference, Estimate, compare, holm
from leaderboard.markdown import decimal_text, estimate_text, p_text, signed_text, table
from leaderboard.results import overlap_of
from leaderboard.table_formats import Table
from model import MODELS
from training.options import TrainOptions, settings_of_before
from training.result_file import read_result

METRICS = {"auc": "AUC", "logloss": "logloss"}
NO_SETTINGS = ("model_name", "protocol", "seed", "device", "max_rows", "sample_rate")  # what is compared beside them
LONGEST, WIDTH = 80, 120  # of a group's name, of a line of prose


def comparison_text(paths: Sequence[Path]) -> str:
    """What to print: a table of the groups, one of every difference between two, and what they mean.

    paths: run folders, `result.json` and filed results, or folders of those.
    Raises `InputError` for fewer than two groups, for runs of different data or protocol, and for no common seed.
    """
    runs = read_runs(paths)
    groups = list(dict.fromkeys(runs["model"]))
    if len(groups) < 2:
        raise InputError(f"There is one model with one kind of settings, {groups[0]}: nothing to compare it with.")
    overlap = overlap_of(runs, runs["protocol"][0])
    pairs = list(itertools.combinations(groups, 2))
    found = {(pair, name): compare(runs, *pair, name, overlap) for pair in pairs for name in METRICS}
    for first, second in pairs:
        if not found[(first, second), "auc"].estimate.count:
            raise InputError(f"{first} and {second} have no seed in common. {_seeds(runs, first, second)}")
    corrected = dict(zip(found, holm([each.p_value for each in found.values()]), strict=True))
    rows = [[first, second, *_cells(found, corrected, (first, second))] for first, second in pairs]
    heads = ["model", "minus", *(head for name in METRICS.values() for head in (name, "p", "Holm p")), "seeds"]
    tests = sum(each.p_value == each.p_value for each in found.values())
    return "\n\n".join([_groups_text(runs, groups), _on_screen(heads, rows), _meaning(tests, overlap)])


def read_runs(paths: Sequence[Path]) -> pd.DataFrame:
    """One row a run; under "model" the group: the model, and what tells its settings from those of its first run.

    Raises `InputError` for a file that is no result, and for runs of different data, protocol or test rows.
    """
    results = {path: _read(path) for given in paths for path in _files(given)}
    settings = {path: _settings(result) for path, result in results.items()}
    rows = []
    for path, result in results.items():
        own = settings[path]
        first = next(each for each in settings.values() if each["model_name"] == own["model_name"])
        row = {name: result[name] for name in ("protocol", "seed", "data_sha256", "dataset")}
        row |= {"model": _name(own, first), "test_rows": result["rows"]["test"], "path": str(path)}
        rows.append(row | result["test"] | {"test_share": result["rows"]["test"] / result["rows"]["train"]})
    runs = pd.DataFrame(rows).drop_duplicates(["model", "seed", *METRICS], ignore_index=True)
    _require_one(runs, "data_sha256", "other data", "dataset")
    _require_one(runs, "protocol", "another protocol", "protocol")
    for seed, own in runs.groupby("seed"):
        _require_one(own.reset_index(drop=True), "test_rows", f"other test rows of seed {seed}", "test_rows")
    twice = runs[runs.duplicated(["model", "seed"], keep=False)]
    if len(twice):
        raise InputError(
            f"{twice['path'].iloc[0]} and {twice['path'].iloc[1]} are two runs of {twice['model'].iloc[0]} with seed "
            f"{twice['seed'].iloc[0]} and different results. Leave one out."
        )
    return runs


def _files(given: Path) -> list[Path]:
    if not given.is_dir() or (given / RESULT).exists():
        return [given]
    return sorted(given.glob("seed*.json")) or [given]


def _read(path: Path) -> dict:
    """Raises `InputError` for what is no result of a training script."""
    if not path.exists():
        raise InputError(f"There is no {path}. Give run folders, or {RESULT} files.")
    result = read_result(path) if path.is_dir() else read_json(path)
    needed = {"dataset", "data_sha256", "protocol", "seed", "rows", "test", "config"}
    if not result.keys() >= needed or not result["test"].keys() >= METRICS.keys():
        raise InputError(f"{path} is no result of a training script. Give run folders, or {RESULT} files.")
    return result


def _settings(result: dict) -> dict:
    """What decides a result but data, protocol and seed, as today's runs say it."""
    config, name = result["config"], result["config"]["model_name"]
    flat = {key: value for key, value in config.items() if key != "model_arguments"}
    flat = without_new_options(
        settings_of_before(flat, dict.fromkeys(options_of(TrainOptions))) | {"protocol": result["protocol"]}
    )
    arguments = config["model_arguments"]
    if name in MODELS:
        arguments = without_defaults(name, (), MODELS[name].model_class.effective(arguments))
    kept = {key: value for key, value in flat.items() if key not in NO_SETTINGS and value is not None}
    return {"model_name": name} | kept | arguments


def _name(own: dict, first: dict) -> str:
    """A model, and in which settings it differs from the first run of it.

    >>> first = {"model_name": "hit", "lr": 0.1}
    >>> _name(first, first), _name(first | {"lr": 0.2}, first), _name({"model_name": "hit"}, first)
    ('HIT', 'HIT lr=0.2', 'HIT lr=default')
    """
    title = MODELS[own["model_name"]].title if own["model_name"] in MODELS else own["model_name"]
    differing = [name for name in dict.fromkeys([*first, *own]) if first.get(name) != own.get(name)]
    words = (f"{name}={json.dumps(own[name]) if name in own else 'default'}" for name in differing)
    return shortened(" ".join([title, *words]), LONGEST)


def _require_one(runs: pd.DataFrame, column: str, what: str, shown: str) -> None:
    other = runs[runs[column] != runs[column][0]]
    if len(other):
        held, first = other.iloc[0], runs.iloc[0]
        raise InputError(
            f"{held['path']} is of {what} ({held[shown]}, {str(held[column])[:12]}) than {first['path']} "
            f"({first[shown]}, {str(first[column])[:12]}). Only runs of the same rows can be compared."
        )


def _cells(found: dict, corrected: dict, pair: tuple[str, str]) -> list[str]:
    cells: list[str] = []
    for name in METRICS:
        difference: Difference = found[pair, name]
        cells += [signed_text(difference.estimate), p_text(difference.p_value), p_text(corrected[pair, name])]
    return [*cells, str(found[pair, "auc"].estimate.count)]


def _groups_text(runs: pd.DataFrame, groups: Sequence[str]) -> str:
    order = sorted(groups, key=lambda name: -runs[runs["model"] == name]["auc"].mean())
    rows = []
    for name in order:
        own = runs[runs["model"] == name]
        means = (estimate_text(Estimate.from_values(own[metric])) for metric in METRICS)
        rows.append([name, *means, str(len(own))])
    title = f"{runs['dataset'][0]}, protocol {runs['protocol'][0]}: test rows"
    return f"{title}\n\n{_on_screen(['model', *METRICS.values(), 'seeds'], rows)}"


def _on_screen(heads: list[str], rows: list[list[str]]) -> str:
    return Table.read(table(heads, rows))[0].as_text()


def _meaning(tests: int, overlap: float) -> str:
    if not tests:
        return f"No interval and no test: they need {FEWEST_SEEDS} seeds that two groups have in common."
    splits = f", corrected for splits that overlap (test rows / training rows {decimal_text(overlap, 2)})"
    text = (
        f"±: 95 % interval, paired by seed{splits if overlap else ''}. p: of the paired t-test with the same error. "
        f"Holm p: corrected for all {tests} tests of this table. Fewer than {FEWEST_SEEDS} seeds give none of them."
    )
    return textwrap.fill(text, WIDTH)


def _seeds(runs: pd.DataFrame, *groups: str) -> str:
    seeds = {name: ", ".join(map(str, sorted(runs[runs["model"] == name]["seed"]))) for name in groups}
    return "Seeds: " + "; ".join(f"{own} of {name}" for name, own in seeds.items()) + "."
