"""Every model beside the others: under each protocol, and from protocol to protocol."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from leaderboard.entrants import OURS
from leaderboard.line_labels import End, label_ends
from leaderboard.markdown import PROTOCOL_TITLES, decimal_text
from leaderboard.results import auc_of
from leaderboard.theme import Picture, Theme, marker_of
from model import MODELS
from preprocessing.protocol import PROTOCOLS


def model_pictures(runs: pd.DataFrame, dataset: str) -> dict[str, Picture]:
    """Those that these runs allow."""
    pictures = {"leaderboard": Picture(5.1, partial(leaderboard, runs=runs, dataset=dataset))}
    if len(set(runs["protocol"])) > 1:
        pictures["protocols"] = Picture(5.0, partial(protocol_steps, runs=runs))
    return pictures


def leaderboard(figure: Figure, theme: Theme, runs: pd.DataFrame, dataset: str) -> None:
    """A panel a protocol: AUC with its interval, and the paper's as a ring where the protocol is the paper's."""
    axes = figure.subplots(1, len(PROTOCOLS), sharey=True)
    figure.set_layout_engine("constrained", wspace=0.06)  # else the first and last numbers of two panels touch
    models = [name for name in MODELS if name in set(runs["model"])]
    order = sorted(models, key=lambda name: np.nan_to_num(auc_of(runs, "holdout", name).mean))
    for axis, protocol in zip(axes, PROTOCOLS, strict=True):
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


def protocol_steps(figure: Figure, theme: Theme, runs: pd.DataFrame) -> None:
    """A line a model from protocol to protocol: what the leak was worth, and what predicting the future costs."""
    axis = figure.subplots()
    last = len(PROTOCOLS) - 1
    ends = []
    for name in MODELS:
        means = [auc_of(runs, protocol, name).mean for protocol in PROTOCOLS]
        is_ours = theme.color_of(name) == theme.ours
        axis.plot(
            range(len(PROTOCOLS)),
            means,
            marker=marker_of(name),
            linestyle="--" if name == "hit" else "-",
            color=theme.color_of(name),
            lw=1.8,
            ms=6 if is_ours else 5,
            zorder=3 if is_ours else 2,
        )
        if np.isfinite(means[last]):
            ends.append(End(name, (last, means[last]), means[last]))
    low, high = axis.get_ylim()
    label_ends(axis, theme, ends, last + 0.14, 0.03, (high - low) / 24)
    labels = ["published\nthe row's own label leaks in", "holdout\nthe same split, no leak"]
    labels.append("temporal\nthe future, no leak")
    axis.set_xticks(range(len(PROTOCOLS)), labels)
    axis.set_xlim(-0.15, last + 0.75)
    axis.yaxis.set_major_formatter(lambda value, _: decimal_text(value, 2))
    axis.set_ylabel("test AUC, mean over seeds")
    axis.grid(axis="y")
    handles = theme.families()
    for handle in handles:
        handle.set_linestyle("-")
    handles[OURS.index("hit")].set_linestyle("--")
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, handlelength=3)
