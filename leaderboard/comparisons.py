"""The papers' models against the best of what they are compared with, tested over the seeds that both have."""

from __future__ import annotations

import math

import pandas as pd

from leaderboard.statistics import Difference, compare
from leaderboard.tables import BASELINE, markdown, signed
from model import MODELS
from model.base import TwoTower

OURS = ("int_tower", "hit")
ROLES = {"two_towers": "the best two-tower baseline", "ranking": "the best ranking model"}
NOTE = (
    "Paired t-tests over seeds: difference of test AUC with its 95 % interval, in bold where 0 lies outside of it. The "
    "best baselines are those of the best mean validation AUC. No p is corrected for the number of tests."
)


def defaults(runs: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """The runs of all models with default settings under one protocol."""
    return runs[(runs["protocol"] == protocol) & (runs["variant"] == "")]


def best_baselines(runs: pd.DataFrame, protocol: str) -> dict[str, str]:
    """ "two_towers" and "ranking" -> the model of the best mean validation AUC; the papers' own models do not count.

    Chosen by validation, since the best of several test scores is too good.
    """
    own = defaults(runs, protocol)
    means = own[~own["model"].isin(OURS)].groupby("model")["validation_auc"].mean()
    best: dict[str, str] = {}
    for name in means.sort_values(ascending=False, kind="stable").index:
        kind = "two_towers" if issubclass(MODELS[name].model_class, TwoTower) else "ranking"
        best.setdefault(kind, name)
    return best


def opponents(runs: pd.DataFrame, protocol: str) -> dict[str, str]:
    """Whom IntTower and HIT are compared with -> in which role, "" for DSSM as such."""
    best = best_baselines(runs, protocol)
    roles = {best[kind]: role for kind, role in ROLES.items() if kind in best}
    return {BASELINE: ""} | roles if BASELINE in set(defaults(runs, protocol)["model"]) else roles


def tests(runs: pd.DataFrame, protocol: str) -> list[tuple[str, str, str, Difference]]:
    """(model, opponent, role, difference of AUC) where both have a seed in common."""
    own = defaults(runs, protocol)
    pairs = [(name, other, role) for name in OURS for other, role in opponents(runs, protocol).items()]
    found = [(name, other, role, compare(own, name, other)) for name, other, role in pairs]
    return [entry for entry in found if entry[-1].estimate.count]


def table(runs: pd.DataFrame, protocol: str) -> str:
    """One row a comparison; "" without any."""
    rows = [
        [
            MODELS[name].title,
            f"{MODELS[other].title}{f', {role}' if role else ''}",
            signed(difference),
            p_text(difference.p_value),
            str(difference.estimate.count),
        ]
        for name, other, role, difference in tests(runs, protocol)
    ]
    return markdown(["model", "against", "difference of AUC", "p", "seeds"], rows) if rows else ""


def p_text(p_value: float) -> str:
    """Three decimals; "" for a single seed.

    >>> [p_text(value) for value in (0.0004, 0.0023, 0.0437, 0.5, float("nan"))]
    ['< .001', '.002', '.044', '.500', '']
    """
    if math.isnan(p_value):
        return ""
    return "< .001" if p_value < 0.001 else f"{p_value:.3f}".removeprefix("0")
