"""Results in files: read whole, told from those of other commands, settings and data, and as one table of runs."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from experiment.defaults import without_new_options
from experiment.options import parse_options
from foundation.errors import InputError
from foundation.json_files import read_json
from foundation.run_files import RESULT
from leaderboard.entrants import entrant
from leaderboard.estimates import Estimate
from leaderboard.jobs import Job
from model import MODELS
from model.effects import constructor_defaults
from preprocessing.protocol import PROTOCOLS
from training.options import settings_of_before
from training.result_file import read_result

HONEST = "holdout"  # the protocol of pictures that show one: without the leak, and in every grid
RESULT_FILES = "*/**/seed*.json"  # below a protocol: tuning has a folder beside them
# Settings that decide which rows a model sees. A result that does not say them is of before they were settings.
ROWS = ("validation_rows", "statistics", "refit")
# Settings that a run has even if no one gave them: `compile` chooses, and `build_model` takes from the data set.
FILLED_IN = ("embedding_optimizer", "user_static", "item_static")


def read_if_there(path: Path, kind: type = list):
    """The content of a JSON file of this kind, None without the file. Raises `InputError` for a damaged one."""
    return read_json(path, kind) if path.exists() else None


def filed_result(path: Path, job: Job, data_sha256: str | None = None, of_today: bool = True) -> dict | None:
    """What is filed as the result of a job, None for nothing. data_sha256: of the data at hand, None if not known.

    of_today: refuse one of a protocol as it was before, too, though it has the same command.
    Raises `InputError` for a damaged file, and for the result of another command, of other rows or of other data.
    """
    if not path.exists():
        return None
    result = read_json(path)
    held, wanted = arguments_held(result), job.command(None)[1:]
    if held != wanted:
        raise InputError(
            f"{path} is the result of another command. Move it away and run again, or give another --results.\n"
            f"  it holds: python {' '.join(held)}\n  wanted:   python {' '.join(wanted)}"
        )
    other = contradictions(job, result, ROWS) if of_today else []
    if other:
        raise InputError(
            f"{path} is of other rows than its command means today ({'; '.join(other)}). "
            "Move it away and run again, or give another --results."
        )
    require_data(path, result, data_sha256)
    return result


def arguments_held(result: dict) -> list[str]:
    """The script and its arguments behind a result. Older results have them in the text of their command alone.

    >>> arguments_held({"command": "OMP_NUM_THREADS=1 python train.py --seed 1"})
    ['train.py', '--seed', '1']
    """
    words = result.get("command", "an unknown command").split()
    start = words.index("python") + 1 if "python" in words else 0
    return result.get("arguments", words[start:])


def finished_run(folder: Path, job: Job, data_sha256: str | None = None) -> dict:
    """The result of a job's run folder, which another job may have left there: it is named by place alone.

    Raises `InputError` for a damaged file, and for a run with other settings or on other data.
    """
    path = folder / RESULT
    result = read_result(folder)
    different = contradictions(job, result)
    if different:
        raise InputError(
            f"{folder} holds a finished run with other settings ({'; '.join(different)}). "
            "Move it away and run again, or give another --runs."
        )
    require_data(path, result, data_sha256)
    return result


def contradictions(job: Job, result: dict, names: Collection[str] | None = None) -> list[str]:
    """In which settings a finished run is not what a job's command asks for, each as "name: value, wanted value".

    Compared is what the run says of itself, not how it was called: equal settings give equal results. Nothing is known
    of a script of someone's own, nor of a result without settings. names: of what is compared, None for all.
    """
    if not job.dataset.key or "config" not in result:
        return []
    options = parse_options(job.dataset.key, None, job.options)
    arguments = options.model_arguments | ({} if options.dropout is None else {"dnn_dropout": options.dropout})
    wanted = _flat(json.loads(json.dumps(options.config | {"model_arguments": arguments})))  # tuples as lists
    held = without_new_options(settings_of_before(_flat(result["config"]), wanted))
    wanted = without_new_options(wanted)
    usual = constructor_defaults(MODELS[options.model_name].model_class)  # older runs hold what was asked for as well
    if held.get("model_name") == wanted["model_name"]:  # of older runs, which hold what did nothing
        held, wanted = (MODELS[options.model_name].model_class.effective(each) for each in (held, wanted))
    ignored = {"device"} | {name for name in FILLED_IN if wanted.get(name) is None}
    return [
        f"{name}: {_shown(held, name)}, wanted {_shown(wanted, name)}"
        for name in wanted | held
        if name not in ignored
        and (names is None or name in names)
        and held.get(name, usual.get(name)) != wanted.get(name, usual.get(name))
    ]


def _shown(settings: dict, name: str) -> str:
    return repr(settings[name]) if name in settings else "as it was before" if name in ROWS else "the default"


def _flat(config: dict) -> dict:
    return {name: value for name, value in config.items() if name != "model_arguments"} | config["model_arguments"]


def require_data(path: Path, result: dict, data_sha256: str | None) -> None:
    """Raises `InputError` where a result is about other data than these, or does not say. None: not known."""
    held = result.get("data_sha256", "unknown")
    if data_sha256 is not None and held != data_sha256:
        raise InputError(
            f"{path} is about other data (sha256 {held[:12]}) than those at hand ({data_sha256[:12]}). "
            "Give its data with --data_path, or move it away and run again."
        )


def load_runs(folder: Path) -> pd.DataFrame:
    """One row a result file of one data set: what it ran, test and validation scores, sizes, seconds, the code.

    ece, bins: calibration of the test rows.  test_share: test rows / training rows.  NaN and None in files without.
    epoch_auc: validation AUC by epoch (GBDT: by tree).
    Raises `InputError` for a damaged file, and for one that is no result.
    """
    rows = []
    for path in sorted(path for protocol in PROTOCOLS for path in (folder / protocol).glob(RESULT_FILES)):
        try:
            rows.append(_row(read_json(path)))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is no result of a run ({error!r}). Move it away and run again.") from None
    return pd.DataFrame(rows)


def _row(result: dict) -> dict:
    calibration, split = result.get("calibration") or {}, result.get("rows", {})
    return {
        **{name: result[name] for name in ("protocol", "model", "seed", "parameters", "best_epoch")},
        "variant": result.get("variant", ""),
        **{name: _number(value) for name, value in result["test"].items()},
        **{f"validation_{name}": _number(value) for name, value in result["validation"].items()},
        "ece": calibration.get("ece", float("nan")),
        "bins": calibration.get("bins"),
        "epoch_auc": result.get("history", {}).get("val_auc", []),
        "test_share": split["test"] / split["train"] if split else float("nan"),
        "best_possible_auc": _number(result.get("best_possible_auc")),
        "train_seconds": result["seconds"]["train"],
        "sources": result.get("code", {}).get("sources_sha256", "unknown"),
        "arguments": arguments_held(result),
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def select_runs(runs: pd.DataFrame, protocol: str, model: str, variant: str = "") -> pd.DataFrame:
    """The runs of one protocol, model and variant ("": default settings)."""
    return runs[(runs["protocol"] == protocol) & (runs["model"] == model) & (runs["variant"] == variant)]


def auc_of(runs: pd.DataFrame, protocol: str, model: str, variant: str = "", metric: str = "auc") -> Estimate:
    """Of the test rows, over the seeds; its count is 0 without runs. metric: "auc", "logloss", ..."""
    return Estimate.from_values(select_runs(runs, protocol, model, variant)[metric])


def default_runs(runs: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """The runs of all models with default settings under one protocol."""
    return runs[(runs["protocol"] == protocol) & (runs["variant"] == "")]


def overlap_of(runs: pd.DataFrame, protocol: str) -> float:
    """Test rows / training rows where seeds have splits of their own (`estimates.error_of_mean`); NaN if not known.

    0 where they share one: under `temporal`.
    """
    if protocol == "temporal":
        return 0.0
    return float(runs["test_share"].mean()) if "test_share" in runs else float("nan")


def protocols_with_runs(runs: pd.DataFrame) -> list[str]:
    """Those under which a model has run with default settings."""
    return [protocol for protocol in PROTOCOLS if len(default_runs(runs, protocol))]


def runs_by_entrant(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of default settings, and those of shown variants under their names (`leaderboard.entrants`)."""
    names = pd.Series(map(entrant, runs["model"], runs["variant"]), runs.index, dtype=object)
    return runs.assign(model=names, variant="")[names.notna()]
