"""AUC against the time of a whole request, one point a model."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from leaderboard.entrants import ENTRANTS, title
from leaderboard.estimates import Estimate
from leaderboard.markdown import decimal_text
from leaderboard.results import auc_of, runs_by_entrant
from leaderboard.speed.speeds import Speeds
from leaderboard.theme import Picture, Theme, marker_of

PROTOCOL = "holdout"  # without the leak, and in every grid
LABELS = {"below": ((9, -5), "top"), "above": ((9, 4), "bottom")}  # where a name stands beside its point, in points


def latency_picture(runs: pd.DataFrame, speeds: Speeds) -> dict[str, Picture]:
    """Nothing where no model has both an AUC and a time."""
    if not (found := points(runs, speeds)):
        return {}
    return {"auc_latency": Picture(4.4, partial(auc_latency, found=found, setting=speeds.setting))}


def points(runs: pd.DataFrame, speeds: Speeds) -> dict[str, tuple[float, Estimate]]:
    """Name -> milliseconds of a request and test AUC of entrants, for those that have both."""
    times = {name: speeds.request_ms[name] for name in ENTRANTS if name in speeds.request_ms}
    runs = runs_by_entrant(runs)
    pairs = {name: (time, auc_of(runs, PROTOCOL, name)) for name, time in times.items()}
    return {name: (time, auc) for name, (time, auc) in pairs.items() if auc.count}


def auc_latency(figure: Figure, theme: Theme, found: dict[str, tuple[float, Estimate]], setting: str) -> None:
    axis = figure.subplots()
    ordered = sorted(found.items(), key=lambda entry: entry[1][1].mean)
    for place, (name, (time, auc)) in enumerate(ordered):
        color, bar = theme.color_of(name), np.nan_to_num(auc.half_width)
        axis.errorbar(time, auc.mean, yerr=bar, fmt=marker_of(name), color=color, ms=8, elinewidth=1.6, zorder=3)
        offset, align = LABELS["above" if place % 2 else "below"]  # in turn, so that neighbours' names stay apart
        axis.annotate(title(name), (time, auc.mean), offset, textcoords="offset points", color=color, va=align)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(lambda value, _: decimal_text(value, 2))
    axis.set_xlabel(f"median of a whole request in ms: {setting}")
    axis.set_ylabel(f"test AUC ({PROTOCOL}), 95 % intervals")
    axis.margins(0.15)
    axis.grid()
    handles = theme.families()
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
