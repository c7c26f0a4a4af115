"""Which protocols and variants say something on a data set: a run of any other would fail, or repeat another run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from experiment.options import Options, parse_options
from foundation.errors import InputError
from leaderboard.data_sets import DataSet
from leaderboard.jobs import FIRST_SEED, GRID_ARGUMENTS, Job
from model import MODELS
from model.effects import constructor_defaults
from preprocessing.protocol import PROTOCOLS, make_protocol
from preprocessing.raw import RawData


def fitting_protocols(dataset: DataSet, raw: RawData, asked: list[str]) -> list[str]:
    """Those of the protocols that the data allow, with a line on the screen for each that is left out.

    Raises `InputError` where all were not asked for, and one of them does not fit.
    """
    refusals = {protocol: refusal(dataset, raw, protocol) for protocol in asked}
    problems = [f"{protocol}: {why}" for protocol, why in refusals.items() if why]
    if problems and (set(asked) != set(PROTOCOLS) or len(problems) == len(asked)):
        raise InputError("\n".join(problems))
    for problem in problems:
        print(f"Left out: {problem}")
    return [protocol for protocol, why in refusals.items() if not why]


def refusal(dataset: DataSet, raw: RawData, protocol: str) -> str:
    """Why there is no such split of these data, "" if there is."""
    if protocol == "published" and not dataset.is_published:
        return f"{raw.name} is none of the data that the papers' releases read"
    try:
        make_protocol(protocol, raw, FIRST_SEED)
    except InputError as error:
        return str(error)
    return ""


def with_effect(jobs: Sequence[Job], raw: RawData) -> list[Job]:
    """The jobs without variants that are the default settings on these data, or that their script refuses.

    Prints a line that names those that are left out.
    """
    checked = {(job.protocol, job.model, job.variant): job for job in jobs if job.variant}
    idle = {key for key, job in checked.items() if not _has_effect(job, raw)}
    if idle:
        names = dict.fromkeys(f"{model} {variant}" for _, model, variant in checked if (_, model, variant) in idle)
        print(f"Left out, as they change nothing on {raw.name}: {', '.join(names)}")
    return [job for job in jobs if (job.protocol, job.model, job.variant) not in idle]


def _has_effect(job: Job, raw: RawData) -> bool:
    default = replace(job, variant="", arguments=GRID_ARGUMENTS.get(job.protocol, ()))
    try:
        asked, usual = (_in_force(each) for each in (job, default))
    except InputError:  # an option that the data's script does not have, or that does nothing beside its defaults
        return False
    lacking = {"statistics": not raw.schema.reads_labels, "history": not raw.schema.history}
    return any(asked[name] != usual.get(name) for name in asked if not lacking.get(name))


def _in_force(job: Job) -> dict[str, Any]:
    options: Options = parse_options(job.dataset.key, None, job.options)
    own = constructor_defaults(MODELS[options.model_name].model_class)
    return {**own, **options.config, **options.model_arguments, "dnn_dropout": options.dropout}
