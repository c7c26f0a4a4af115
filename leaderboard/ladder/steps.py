"""What each rung reaches, and what each step between two rungs is worth."""

from __future__ import annotations

import math

import pandas as pd

from leaderboard.estimates import Difference, Estimate, compare, compare_apart
from leaderboard.ladder.rungs import Rung, rungs_of
from leaderboard.results import select_runs
from model import MODELS

NOTHING = Estimate(math.nan, math.nan, 0)
IN_PAPERS = ("auc", "logloss")  # what an entry of `MODELS` has of its paper, in this order


def runs_on(runs: pd.DataFrame, rung: Rung, model: str) -> pd.DataFrame:
    """The runs of a model on a rung; the paper's has none."""
    return select_runs(runs, rung.protocol, model, rung.variant)


def reached(runs: pd.DataFrame, dataset: str, rung: Rung, model: str, metric: str = "auc") -> Estimate:
    """A model's test AUC or "logloss" on a rung, over the seeds that have run; its count is 0 without a number.

    The paper's is one number without an interval.
    """
    if model not in rung.models:
        return NOTHING
    if rung.protocol:
        return Estimate.from_values(runs_on(runs, rung, model)[metric])
    score = in_paper(model, dataset, metric)
    return NOTHING if math.isnan(score) else Estimate(score, math.nan, 1)


def in_paper(model: str, dataset: str, metric: str = "auc") -> float:
    """AUC or "logloss" of a model in its paper; NaN without."""
    return MODELS[model].paper.get(dataset, (math.nan, math.nan))[IN_PAPERS.index(metric)]


def step_to(runs: pd.DataFrame, dataset: str, rung: Rung, model: str, metric: str = "auc") -> Difference:
    """A model's number on a rung minus that on the rung before; its count is 0 where one of the two is missing.

    Paired over the seeds that both have where their test rows are the same, else not (Welch); minus the paper's number
    the interval is that of the runs alone.
    """
    rungs = rungs_of(model)
    place = rungs.index(rung) if rung in rungs else 0
    return difference(runs, dataset, rungs[place - 1], rung, model, metric) if place else _none()


def difference(
    runs: pd.DataFrame, dataset: str, before: Rung, after: Rung, model: str, metric: str = "auc"
) -> Difference:
    """Of any two rungs of a model, the later one's number minus the earlier one's. Otherwise as `step_to`."""
    first, second = (reached(runs, dataset, rung, model, metric) for rung in (before, after))
    if not (first.count and second.count):
        return _none()
    if not before.protocol:
        return Difference(Estimate(second.mean - first.mean, second.half_width, second.count), math.nan)
    own = [runs_on(runs, rung, model).assign(model=rung.key) for rung in (before, after)]
    if before.protocol == after.protocol:
        return compare(pd.concat(own), after.key, before.key, metric)
    return compare_apart(own[1][metric], own[0][metric])


def _none() -> Difference:
    return Difference(NOTHING, math.nan)
