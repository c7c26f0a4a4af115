"""Picture of what each two-tower model lets through of a ranking model's best."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from leaderboard.entrants import ENTRANTS, is_two_tower, title
from leaderboard.estimates import Estimate
from leaderboard.grid.learning import HONEST
from leaderboard.markdown import PROTOCOL_TITLES
from leaderboard.stages.agreement import CUTS, TOP
from leaderboard.stages.tables import random_shares, stage_frame
from leaderboard.theme import Picture, Theme
from preprocessing.protocol import PROTOCOLS

SIZES = (5, 7, 9)  # of the marks of the three cuts


def survivors_picture(runs: pd.DataFrame, entries: list[dict]) -> dict[str, Picture]:
    """Nothing without a two-tower model among the entries of `stages.json`."""
    frame = stage_frame(entries, runs)
    frame = frame[frame["model"].isin([name for name in ENTRANTS if is_two_tower(name)])]
    height = 1.7 + 0.3 * frame["model"].nunique()
    return {"survivors": Picture(height, partial(survival, frame=frame))} if len(frame) else {}


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
            rows[name] = {cut: Estimate.from_values(of_model[str(cut)]) for cut in CUTS} if len(of_model) else {}
        for place, (name, points) in enumerate(rows.items()):
            _dots(axis, theme, place, points, theme.color_of(name) if name else theme.ink)
        axis.set_title(PROTOCOL_TITLES[protocol].replace("`", ""))
        axis.set_xlim(0, 1.04)
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
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
