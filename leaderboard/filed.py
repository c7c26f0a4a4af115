"""Results as they lie in files: read whole, and told from those of other commands, other settings and other data."""

from __future__ import annotations

import json
from pathlib import Path

from experiment.options import parse_options
from foundation.errors import InputError
from foundation.json_files import read_json
from foundation.run_files import RESULT
from leaderboard.jobs import SCRIPTS, Job
from model import MODELS
from model.effects import constructor_defaults, effective
from training.options import settings_of_before
from training.result_file import read_result

# Settings that a run has even if no one gave them: `compile` chooses, and `build_model` takes from the data set.
FILLED_IN = ("embedding_optimizer", "user_static", "item_static")


def read_if_there(path: Path, kind: type = list):
    """The same, None without the file."""
    return read_json(path, kind) if path.exists() else None


def filed_result(path: Path, job: Job, data_sha256: str | None = None) -> dict | None:
    """What is filed as the result of a job, None for nothing. data_sha256: of the data at hand, None if not known.

    Raises `InputError` for a damaged file, and for the result of another command or of other data.
    """
    if not path.exists():
        return None
    result = read_json(path)
    held, wanted = result.get("command", "an unknown command"), " ".join(job.command(None))
    if not f" {held}".endswith(f" {wanted}"):
        raise InputError(
            f"{path} is the result of another command. Move it away and run again, or give another --results.\n"
            f"  it holds: {held}\n  wanted:   {wanted}"
        )
    require_data(path, result, data_sha256)
    return result


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


def contradictions(job: Job, result: dict) -> list[str]:
    """In which settings a finished run is not what a job's command asks for, each as "name: value, wanted value".

    Compared is what the run says of itself, not how it was called: equal settings give equal results. Nothing is known
    of a script of someone's own, nor of a result without settings.
    """
    dataset = next((name for name, script in SCRIPTS.items() if script == job.script), None)
    if dataset is None or "config" not in result:
        return []
    options = parse_options(dataset, None, job.command(None)[2:])
    arguments = options.model_arguments | ({} if options.dropout is None else {"dnn_dropout": options.dropout})
    wanted = _flat(json.loads(json.dumps(options.config | {"model_arguments": arguments})))  # tuples as lists
    held = settings_of_before(_flat(result["config"]), wanted)
    usual = constructor_defaults(MODELS[options.model_name].model_class)  # older runs hold what was asked for as well
    if held.get("model_name") == wanted["model_name"]:  # of older runs, which hold what did nothing
        held, wanted = (effective(MODELS[options.model_name].model_class, each) for each in (held, wanted))
    apart = {"device"} | {name for name in FILLED_IN if wanted.get(name) is None}
    return [
        f"{name}: {_said(held, name)}, wanted {_said(wanted, name)}"
        for name in wanted | held
        if name not in apart and held.get(name, usual.get(name)) != wanted.get(name, usual.get(name))
    ]


def _said(settings: dict, name: str) -> str:
    return repr(settings[name]) if name in settings else "the default"


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
