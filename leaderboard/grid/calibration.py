"""Whether predicted probabilities are right: expected calibration error, and reliability diagrams."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from leaderboard.entrants import BASELINE, OURS, is_two_tower, title
from leaderboard.markdown import PROTOCOL_TITLES, decimal_text, group_mean_text, table
from leaderboard.results import HONEST, default_runs
from leaderboard.theme import Picture, Theme
from model import MODELS
from preprocessing.protocol import PROTOCOLS
from training.calibration import BINS


def calibration_table(runs: pd.DataFrame) -> str:
    """One row a model: its expected calibration error under each protocol, default settings; "" where none has one."""
    if "ece" not in runs:
        return ""
    measured = runs[(runs["variant"] == "") & runs["ece"].notna()]
    errors = {protocol: measured[measured["protocol"] == protocol].groupby("model")["ece"] for protocol in PROTOCOLS}
    rows = [
        [title(name), *(group_mean_text(grouped, name) for grouped in errors.values())]
        for name in MODELS
        if name in set(measured["model"])
    ]
    return table(["ECE", *PROTOCOL_TITLES.values()], rows)


def calibration_picture(runs: pd.DataFrame) -> dict[str, Picture]:
    """Nothing where no run has bins."""
    own = default_runs(runs, HONEST)
    return {"reliability": Picture(2.45, partial(reliability, runs=own))} if reliability_models(own) else {}


def reliability_models(runs: pd.DataFrame) -> list[str]:
    """DSSM, the best other two-tower baseline, IntTower, HIT, the best ranking model, as far as they have bins.

    The best: by mean validation AUC. runs: of one protocol, default settings.
    """
    if "bins" not in runs or "validation_auc" not in runs:
        return []
    auc = runs[runs["bins"].notna()].groupby("model")["validation_auc"].mean()
    fixed = (BASELINE, *OURS)
    baselines = [name for name in auc.index if is_two_tower(name) and name not in fixed]
    ranking = [name for name in auc.index if not is_two_tower(name)]
    best = [max(group, key=auc.get, default="") for group in (baselines, ranking)]
    return [name for name in (BASELINE, best[0], *OURS, best[1]) if name in auc.index]


def reliability(figure: Figure, theme: Theme, runs: pd.DataFrame) -> None:
    """A panel a model: the share of positives against the mean probability of each bin, all seeds together."""
    models = reliability_models(runs)
    axes = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for axis, name in zip(axes, models, strict=True):
        own = runs[runs["model"] == name]
        bins = pooled_bins(own["bins"].dropna().tolist())
        color = theme.color_of(name)
        axis.plot([0, 1], [0, 1], color=theme.faint, lw=1.5, zorder=1)
        axis.plot(bins["mean_probability"], bins["positive_share"], "-", color=color, lw=1.5, zorder=2)
        area = 4 + 60 * bins["count"] / bins["count"].sum()
        axis.scatter(
            bins["mean_probability"], bins["positive_share"], s=area, color=color, zorder=3, linewidths=0, clip_on=False
        )
        axis.text(0.96, 0.05, f"ECE {decimal_text(own['ece'].mean())}", ha="right", transform=axis.transAxes, size=9)
        axis.set_title(title(name))
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axis.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        axis.grid()
    axes[0].set_ylabel("share of positives")
    figure.set_layout_engine("constrained", wspace=0.06)
    figure.supxlabel(f"predicted probability ({HONEST}, test rows; area of a dot: rows)", size=10)


def pooled_bins(parts: list[dict[str, list[float]]]) -> pd.DataFrame:
    """The bins of several seeds as one: rows added up, means weighted by them.

    >>> bin = {"count": [1], "mean_probability": [0.5], "positive_share": [1.0]}
    >>> pooled_bins([bin, bin | {"count": [3], "positive_share": [0.0]}]).to_dict("list")
    {'count': [4], 'mean_probability': [0.5], 'positive_share': [0.25]}
    """
    every = pd.concat([pd.DataFrame(part) for part in parts])
    place = np.minimum((every["mean_probability"] * BINS).astype(int), BINS - 1)
    means = ["mean_probability", "positive_share"]
    sums = every[means].mul(every["count"], axis=0).assign(count=every["count"]).groupby(place.to_numpy()).sum()
    return pd.DataFrame({"count": sums["count"]} | {name: sums[name] / sums["count"] for name in means})
