"""The ladder in numbers: a row a rung, and all models of the releases on its ends."""

from __future__ import annotations

import pandas as pd

from leaderboard.entrants import title
from leaderboard.ladder.rungs import BY_KEY, CLIMBERS, OF_THE_RELEASES, RUNGS, Rung
from leaderboard.ladder.steps import difference, reached, step_to
from leaderboard.markdown import decimal_text, difference_text, estimate_text, signed_text, table

ENDS = ("our_recipe", "holdout", "temporal")
FAR, FAR_MARK = 0.01, " (far)"  # from a paper's AUC


def ladder_table(runs: pd.DataFrame, dataset: str, metric: str = "auc") -> str:
    """A row a rung: of each model on every rung its number, the step from the rung before, and how many seeds ran.

    metric: "auc" or "logloss". Steps are bold where 0 lies outside their interval, but for the step from the paper,
    whose number has no interval. "" without a run of the ladder.
    """
    if not any(_has_runs(runs, model) for model in CLIMBERS):
        return ""
    rows = []
    for rung in RUNGS:
        found = [reached(runs, dataset, rung, model, metric) for model in CLIMBERS]
        if not any(value.count for value in found):
            continue
        cells = []
        for model, value in zip(CLIMBERS, found, strict=True):
            cells += [estimate_text(value), _step_text(runs, dataset, rung, model, metric)]
        rows.append([rung.title, *cells, _seeds([value.count for value in found]) if rung.protocol else ""])
    heads = [text for model in CLIMBERS for text in (title(model), "step")]
    return table([{"auc": "AUC"}.get(metric, metric), *heads, "seeds"], rows)


def models_on_the_ladder(runs: pd.DataFrame, dataset: str) -> str:
    """A row a model of the releases: its paper's AUC, the release's and their difference, then the ladder's end.

    `FAR_MARK` behind a difference: the release is further than `FAR` from its paper. "" without a run of a release.
    """
    release = BY_KEY["release"]
    if not any(reached(runs, dataset, release, model).count for model in OF_THE_RELEASES):
        return ""
    rows = []
    for model in OF_THE_RELEASES:
        paper, found = (reached(runs, dataset, rung, model) for rung in (BY_KEY["paper"], release))
        ends = [reached(runs, dataset, BY_KEY[key], model) for key in ENDS]
        distance = difference(runs, dataset, BY_KEY["paper"], release, model).estimate
        mark = FAR_MARK if abs(distance.mean) > FAR else ""
        cells = [decimal_text(paper.mean), estimate_text(found), signed_text(distance) + mark]
        if found.count or any(end.count for end in ends):
            rows.append(
                [title(model), *cells, *map(estimate_text, ends), _seeds([value.count for value in (found, *ends)])]
            )
    heads = ["AUC", "paper", "release", "release minus paper", *(BY_KEY[key].title for key in ENDS), "seeds"]
    return table(heads, rows)


def _has_runs(runs: pd.DataFrame, model: str) -> bool:
    variants = {rung.variant for rung in RUNGS if rung.variant}
    return bool((runs["model"].eq(model) & runs["variant"].isin(variants)).any())


def _step_text(runs: pd.DataFrame, dataset: str, rung: Rung, model: str, metric: str) -> str:
    step = step_to(runs, dataset, rung, model, metric)
    return signed_text(step.estimate) if rung == BY_KEY["release"] else difference_text(step)


def _seeds(counts: list[int]) -> str:
    """One number where all that have run agree, else each.

    >>> _seeds([5, 0, 5]), _seeds([5, 3, 0]), _seeds([0])
    ('5', '5, 3, 0', '')
    """
    some = {count for count in counts if count}
    return ", ".join(map(str, counts)) if len(some) > 1 else "".join(map(str, some))
