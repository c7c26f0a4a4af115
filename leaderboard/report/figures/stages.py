"""Pictures of models as pre-rankers and of their calibration."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from leaderboard.families import BASELINE, OURS, is_two_tower, title
from leaderboard.measures.agreement import CUTS, TOP
from leaderboard.report.figures.learning import HONEST, curves, learning
from leaderboard.report.figures.theme import Picture, Theme
from leaderboard.report.stage_tables import random_shares, stage_frame
from leaderboard.report.tables import PROTOCOL_TITLES, number
from leaderboard.statistics import Estimate
from preprocessing.protocol import PROTOCOLS
from training.calibration import BINS

SIZES = (5, 7, 9)  # of the marks of the three cuts


def stage_pictures(runs: pd.DataFrame, entries: list[dict]) -> dict[str, Picture]:
    """Those that the runs and the entries of `stages.json` allow."""
    pictures = {}
    frame = stage_frame(entries, runs)
    frame = frame[[is_two_tower(name) for name in frame["model"]]]
    if len(frame):
        pictures["survivors"] = Picture(1.7 + 0.3 * frame["model"].nunique(), partial(survival, frame=frame))
    own = runs[(runs["protocol"] == HONEST) & (runs["variant"] == "")]
    if reliability_models(own):
        pictures["reliability"] = Picture(2.45, partial(reliability, runs=own))
    if curves(own):
        pictures["learning"] = Picture(4.6, partial(learning, runs=own))
    return pictures


def survival(figure: Figure, theme: Theme, frame: pd.DataFrame) -> None:
    """A panel a protocol, a row a two-tower model: the share of the ranker's top 100 among its best 200, 400, 800."""
    protocols = [protocol for protocol in PROTOCOLS if protocol in set(frame["protocol"])]
    axes = figure.subplots(1, len(protocols), sharey=True, squeeze=False)[0]
    first = protocols[-1] if HONEST not in protocols else HONEST
    shares = frame[frame["protocol"] == first].groupby("model")[str(CUTS[0])].mean()
    order = sorted(set(frame["model"]), key=lambda name: shares.get(name, 0.0))
    for axis, protocol in zip(axes, protocols, strict=True):
        own = frame[frame["protocol"] == protocol]
        rows = {"": {cut: Estimate(share, float("nan"), 1) for cut, share in random_shares(own).items()}}
        for name in order:
            of_model = own[own["model"] == name]
            rows[name] = {cut: Estimate.of(of_model[str(cut)]) for cut in CUTS} if len(of_model) else {}
        for place, (name, points) in enumerate(rows.items()):
            _dots(axis, theme, place, points, theme.color_of(name) if name else theme.ink)
        axis.set_title(PROTOCOL_TITLES[protocol].replace("`", ""))
        axis.set_xlim(0, 1.04)
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
        axis.grid(axis="x")
        axis.set_ylim(-0.5, len(order) + 0.5)
        axis.set_yticks(range(len(order) + 1), ["random choice", *(title(name) for name in order)])
        axis.tick_params(left=False)
        axis.spines["left"].set_visible(False)
    handles = [
        Line2D([], [], marker="o", ms=size, linestyle="", color=theme.ink, label=f"top {cut}")
        for size, cut in zip(SIZES, CUTS, strict=True)
    ]
    share = f"share of the ranker's top {TOP} that is among the model's own"
    figure.legend(handles=handles, title=share, loc="outside lower center", ncols=len(handles), frameon=False)


def _dots(axis: Axes, theme: Theme, place: int, points: dict[int, Estimate], color: str) -> None:
    axis.plot([point.mean for point in points.values()], [place] * len(points), color=theme.faint, lw=2, zorder=1)
    for size, point in zip(SIZES, points.values(), strict=False):
        bar = np.nan_to_num(point.half_width)
        axis.errorbar(point.mean, place, xerr=bar, fmt="o", ms=size, color=color, elinewidth=1.5, zorder=3)


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
        axis.text(0.96, 0.05, f"ECE {number(own['ece'].mean())}", ha="right", transform=axis.transAxes, size=9)
        axis.set_title(title(name))
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
        axis.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
        axis.grid()
    axes[0].set_ylabel("share of positives")
    figure.get_layout_engine().set(wspace=0.06)
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
