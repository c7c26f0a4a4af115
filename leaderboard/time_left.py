"""How long a benchmark still takes: runs weighted by what a run of their model costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from foundation.progress import duration
from leaderboard.jobs import Job

# Rough training time of a run on MovieLens-1M with the default settings, DSSM = 1.
WEIGHTS = {
    "lr": 0.1,
    "gbdt": 0.4,
    "dssm": 1.0,
    "dat": 1.4,
    "mvke": 3.0,
    "poly_encoder": 1.5,
    "cold": 0.4,
    "wide_and_deep": 0.5,
    "deep_fm": 0.5,
    "dcn": 0.5,
    "auto_int": 0.8,
    "int_tower": 0.9,
    "hit": 1.1,
}


def costs(jobs: Sequence[Job], runs: pd.DataFrame) -> dict[Job, float]:
    """What each job is expected to take, in seconds if there is any earlier run, else in units of `WEIGHTS`.

    runs: see `load_runs`. A job costs the mean of the earlier runs of its model and variant, else of its model, else
    its model's weight times what a weight of 1 has cost the other models.
    """
    if runs.empty:
        return {job: _weight(job.model) for job in jobs}
    of_variant = runs.groupby(["model", "variant"])["train_seconds"].mean().to_dict()
    of_model = runs.groupby("model")["train_seconds"].mean().to_dict()
    unit = sum(of_model.values()) / sum(map(_weight, of_model))
    return {
        job: of_variant.get((job.model, job.variant), of_model.get(job.model, unit * _weight(job.model)))
        for job in jobs
    }


def _weight(model: str) -> float:
    return WEIGHTS.get(model, 1.0)


@dataclass
class TimeLeft:
    """The expected rest. It is corrected by how long the runs of this session really took: machines differ.

    expected: what each job to do costs, in any unit.  workers: runs at a time.
    pace: seconds a unit, until a run of this session has ended; None if not known.
    """

    expected: Mapping[Job, float]
    workers: int
    pace: float | None = None
    _done: dict[Job, float | None] = field(default_factory=dict)

    def finished(self, job: Job, seconds: float | None) -> None:
        """seconds: None for a run that failed, which says nothing of the pace."""
        self._done[job] = seconds

    @property
    def seconds(self) -> float | None:
        """Wall time, or None while the pace is not known.

        Never below what the most expensive run alone takes, which cannot be shared among workers.
        """
        rest = [cost for job, cost in self.expected.items() if job not in self._done]
        if not rest:
            return 0.0
        ended = {job: seconds for job, seconds in self._done.items() if seconds is not None}
        units = sum(self.expected[job] for job in ended)
        pace = sum(ended.values()) / units if units > 0 else self.pace
        return None if pace is None else max(max(rest), sum(rest) / self.workers) * pace

    def __str__(self) -> str:
        return "" if self.seconds is None else f"{duration(self.seconds)} left"
