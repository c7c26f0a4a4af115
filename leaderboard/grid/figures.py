"""Every model beside the others, under each protocol."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from leaderboard.markdown import PROTOCOL_TITLES, decimal_text
from leaderboard.results import auc_of, protocols_with_runs
from leaderboard.theme import Picture, Theme, marker_of
from model import MODELS


def model_pictures(runs: pd.DataFrame, dataset: str) -> dict[str, Picture]:
    return {"leaderboard": Picture(5.1, partial(leaderboard, runs=runs, dataset=dataset))}


def leaderboard(figure: Figure, theme: Theme, runs: pd.DataFrame, dataset: str) -> None:
    """A panel each protocol with runs: AUC with its interval, and the paper's as a ring where the protocol is the
    paper's."""
    protocols = protocols_with_runs(runs)
    axes = figure.subplots(1, len(protocols), sharey=True, squeeze=False)[0]
    figure.set_layout_engine("constrained", wspace=0.06)  # else the first and last numbers of two panels touch
    models = [name for name in MODELS if name in set(runs["model"])]
    order = sorted(models, key=lambda name: np.nan_to_num(auc_of(runs, "holdout", name).mean))
    for axis, protocol in zip(axes, protocols, strict=True):
        for place, name in enumerate(order):
            auc = auc_of(runs, protocol, name)
            if auc.count:
                bar = np.nan_to_num(auc.half_width)
                mark = {"fmt": marker_of(name), "color": theme.color_of(name)}
                axis.errorbar(auc.mean, place, xerr=bar, elinewidth=2, zorder=3, **mark)
            if protocol == "published" and dataset in MODELS[name].paper:
                axis.plot(MODELS[name].paper[dataset][0], place, "o", mfc="none", mec=theme.ink, zorder=2)
        axis.set_title(PROTOCOL_TITLES[protocol].replace("`", ""))
        axis.grid(axis="x")
        axis.xaxis.set_major_formatter(lambda value, _: decimal_text(value, 2))
        axis.set_yticks(range(len(order)), [MODELS[name].title for name in order])
        axis.tick_params(left=False)
        axis.spines["left"].set_visible(False)
    handles = [*theme.families(), theme.ring("the paper's number")]
    words = "test AUC; bars: 95 % intervals over seeds; sorted by holdout; each panel has its own scale"
    columns = len(handles)
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, columnspacing=1.4)
    legend.set_title(words)
