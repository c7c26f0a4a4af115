"""Runs the trials of `leaderboard.tuning.trials`, several models at a time, and reads what came of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from experiment.script import Interrupted
from foundation.errors import InputError
from foundation.progress import progress_bar
from leaderboard.data_sets import MOVIELENS, DataSet
from leaderboard.results import filed_result
from leaderboard.runner import INTERRUPTED, Runner
from leaderboard.settings import Settings
from leaderboard.tuning.trials import EARLIER, SEARCHES, TRIALS, Trial, chain
from model import MODELS

TUNING = "tuning"  # beside a data set's protocols


@dataclass(frozen=True)
class Outcome:
    """What a trial's result file says. auc: of validation.  sources: version of the code."""

    auc: float
    sources: str


@dataclass(frozen=True)
class Tuned:
    """A model's trials so far. chosen: its settings once all have run."""

    model: str
    trials: list[tuple[Trial, Outcome]]
    chosen: Settings | None = None


def follow(
    model: str, outcome_of: Callable[[Trial], Outcome | None], dataset: DataSet = MOVIELENS, later: bool = True
) -> Tuned:
    """Goes through a model's trials as far as there are outcomes, each sent to `chain`, which decides what is next."""
    trials: list[tuple[Trial, Outcome]] = []
    steps = chain(model, dataset, later)
    try:
        trial = next(steps)
        while (outcome := outcome_of(trial)) is not None:
            trials.append((trial, outcome))
            trial = steps.send(outcome.auc)
    except StopIteration as end:
        return Tuned(model, trials, end.value)
    return Tuned(model, trials)


def read(folder: Path, trial: Trial) -> Outcome | None:
    """What lies in a folder of results, None for nothing. Raises `InputError` for the result of another command.

    A trial of a protocol as it was before counts: it is what the defaults were chosen by.
    """
    result = filed_result(folder / trial.job.file, trial.job, of_today=False)
    return None if result is None else Outcome(result["validation"]["auc"], result["code"]["sources_sha256"])


def load_tuned(folder: Path, dataset: DataSet = MOVIELENS, later: bool = True) -> list[Tuned]:
    """All models of which a trial has run, in the order of the table of models. later: as of `chain`."""

    def outcome_of(trial: Trial) -> Outcome | None:
        return read(folder, trial)

    tuned = [follow(model, outcome_of, dataset, later) for model in MODELS if model in SEARCHES]
    return [entry for entry in tuned if entry.trials]


def tune(
    runner: Runner, models: list[str], quiet: bool = False, dataset: DataSet = MOVIELENS, later: bool = True
) -> list[Tuned]:
    """Runs what is missing: models beside each other, the slowest first; each model's trials one after another.

    later: as of `chain`. A model whose trial fails stops there; `InputError` names all that did at the end. On Ctrl-C
    the running trials end at their last checkpoints, and the next call goes on from there.
    """
    unknown = [model for model in models if model not in SEARCHES]
    if unknown:
        raise InputError(
            f"No trials are defined for {', '.join(unknown)}. Name other --models, or add to "
            "leaderboard/tuning/trials.py."
        )
    ordered = [model for model in SEARCHES if model in models]
    tuned, failures = [], []
    bar = progress_bar(quiet=quiet, total=(TRIALS if later else EARLIER) * len(ordered), unit="trial", smoothing=0.1)

    stopping = threading.Event()

    def run_and_read(trial: Trial) -> Outcome | None:
        if stopping.is_set():
            return None
        bar.set_postfix_str(f"{trial.model} {trial.protocol} {trial.name}")
        runner.run([trial.job], quiet=True)
        bar.update()
        return read(runner.results, trial)

    with bar, ThreadPoolExecutor(runner.workers) as pool:
        running = [pool.submit(follow, model, run_and_read, dataset, later) for model in ordered]
        try:
            for done in as_completed(running):
                try:
                    tuned.append(done.result())
                except InputError as error:
                    failures.append(str(error))
        except KeyboardInterrupt:
            stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)  # children that run had the same signal
            raise Interrupted(INTERRUPTED.format(results=runner.results)) from None
    if failures:
        raise InputError(f"The tuning of {len(failures)} of {len(ordered)} models stopped.\n" + "\n".join(failures))
    return sorted(tuned, key=lambda entry: list(MODELS).index(entry.model))
