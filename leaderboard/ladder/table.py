"""The ladder in numbers: a row a rung, and all models of the releases on its ends."""

from __future__ import annotations

import pandas as pd

from leaderboard.entrants import title
from leaderboard.ladder.rungs import BY_KEY, CLIMBERS, OF_THE_RELEASES, RUNGS, Rung
from leaderboard.ladder.steps import difference, reached, step_to
from leaderboard.markdown import (
    JOINED,
    cells_seeds_text,
    difference_text,
    estimate_text,
    one_below_the_other,
    signed_text,
    table,
)

ENDS = ("our_recipe", "holdout", "temporal")
FAR, FAR_MARK = 0.01, f"{JOINED}(far)"  # from a paper's AUC


def ladder_table(runs: pd.DataFrame, dataset: str, metric: str = "auc") -> str:
    """A row a rung, a column a model: a table of its numbers, one of the steps from the rung before, and of how many
    seeds they are.

    metric: "auc" or "logloss". Steps are bold where 0 lies outside their interval, but for the step from the paper,
    whose number has no interval. "" without a run of the ladder.
    """
    if not any(_has_runs(runs, model) for model in CLIMBERS):
        return ""
    numbers, steps, seeds = [], [], {}
    for rung in RUNGS:
        found = {model: reached(runs, dataset, rung, model, metric) for model in CLIMBERS}
        if any(value.count for value in found.values()):
            numbers.append([rung.title, *map(estimate_text, found.values())])
            if rung.protocol:
                changes = [_step_text(runs, dataset, rung, model, metric) for model in CLIMBERS]
                steps += [[rung.title, *changes]] if any(changes) else []
                seeds[rung.title] = {title(model): value.count for model, value in found.items()}
    name, models = {"auc": "AUC"}.get(metric, metric), [title(model) for model in CLIMBERS]
    both = table([name, *models], numbers), table([f"change of {name} by", *models], steps)
    return one_below_the_other(*both, cells_seeds_text(seeds))


def models_on_the_ladder(runs: pd.DataFrame, dataset: str) -> str:
    """A row a model of the releases: how far its release is from the paper, then the ladder's end, and the seeds.

    `FAR_MARK` behind a difference: the release is further than `FAR` from its paper. "" without a run of a release.
    """
    release, ends = BY_KEY["release"], [BY_KEY[key] for key in ENDS]
    if not any(reached(runs, dataset, release, model).count for model in OF_THE_RELEASES):
        return ""
    releases, later = [], []
    seeds: dict[str, dict[str, int]] = {rung.title: {} for rung in (release, *ends)}
    for model in OF_THE_RELEASES:
        found = {rung: reached(runs, dataset, rung, model) for rung in (BY_KEY["paper"], release, *ends)}
        texts = [estimate_text(value) for value in found.values()]
        if found[release].count:
            distance = difference(runs, dataset, BY_KEY["paper"], release, model).estimate
            mark = FAR_MARK if abs(distance.mean) > FAR else ""
            releases.append([title(model), *texts[:2], signed_text(distance) + mark])
        if any(found[end].count for end in ends):
            later.append([title(model), texts[0], *texts[2:]])
        for rung in (release, *ends):
            seeds[rung.title][title(model)] = found[rung].count
    return one_below_the_other(
        table(["AUC", "paper", "release", "release minus paper"], releases),
        table(["AUC", "paper", *(end.title for end in ends)], later),
        cells_seeds_text(seeds),
    )


def _has_runs(runs: pd.DataFrame, model: str) -> bool:
    variants = {rung.variant for rung in RUNGS if rung.variant}
    return bool((runs["model"].eq(model) & runs["variant"].isin(variants)).any())


def _step_text(runs: pd.DataFrame, dataset: str, rung: Rung, model: str, metric: str) -> str:
    step = step_to(runs, dataset, rung, model, metric)
    return signed_text(step.estimate) if rung == BY_KEY["release"] else difference_text(step)
