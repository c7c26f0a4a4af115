"""How well validation rows choose: the correlation of validation and test AUC over settings, models and seeds.

An epoch and the settings of a model are chosen by validation AUC. That is worth as much as it agrees with test AUC.
"""

from __future__ import annotations

import math

import pandas as pd

from leaderboard.ablations.variants import TO_CHOOSE_FROM
from leaderboard.entrants import title
from leaderboard.markdown import decimal_text, table
from leaderboard.results import select_runs

PROTOCOL = "temporal"


def runs_to_choose_from(runs: pd.DataFrame) -> pd.DataFrame:
    """Those of `TO_CHOOSE_FROM` and of the default settings of its models, over the seeds that all settings of a model
    have."""
    parts = []
    for model, settings in TO_CHOOSE_FROM.items():
        own = pd.concat([select_runs(runs, PROTOCOL, model, variant) for variant in ("", *settings)])
        complete = own.groupby("seed")["variant"].nunique() == 1 + len(settings)
        parts.append(own[own["seed"].isin(complete[complete].index)])
    return pd.concat(parts)


def correlation(runs: pd.DataFrame) -> float:
    """Pearson's, of validation and test AUC; NaN for fewer than three runs.

    >>> round(correlation(pd.DataFrame({"validation_auc": [0.1, 0.2, 0.3], "auc": [0.5, 0.9, 0.7]})), 4)
    0.5
    """
    return float(runs["validation_auc"].corr(runs["auc"])) if len(runs) > 2 else math.nan


def within_models(runs: pd.DataFrame) -> float:
    """The same after each model's means are taken off: how well settings and seeds of one model are told apart."""
    centred = runs[["validation_auc", "auc"]] - runs.groupby("model")[["validation_auc", "auc"]].transform("mean")
    return correlation(centred)


def choosing_table(runs: pd.DataFrame) -> str:
    """A row a model, then all of them, and what choosing by validation loses of test AUC; "" without runs."""
    own = runs_to_choose_from(runs)
    if own.empty:
        return ""
    rows = []
    for model in own["model"].unique():
        part = own[own["model"] == model]
        rows.append([title(model), *_counts(part), decimal_text(correlation(part)), decimal_text(_lost(part))])
    rows.append(["all", *_counts(own), decimal_text(correlation(own)), ""])
    rows.append(["all, less each model's mean", *_counts(own), decimal_text(within_models(own)), ""])
    heads = ["`temporal`", "settings", "runs", "correlation of validation and test AUC", "test AUC lost by choosing"]
    return table(heads, rows)


def _counts(runs: pd.DataFrame) -> list[str]:
    return [str(len(runs.groupby(["model", "variant"]))), str(len(runs))]


def _lost(runs: pd.DataFrame) -> float:
    """The best setting's mean test AUC minus that of the setting with the best mean validation AUC."""
    means = runs.groupby("variant")[["validation_auc", "auc"]].mean()
    return float(means["auc"].max() - means.loc[means["validation_auc"].idxmax(), "auc"])
