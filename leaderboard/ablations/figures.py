"""Pictures of the ablations: what each variant gains or loses, and AUC by number of heads."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leaderboard.ablations.tables import against_reference, auc_by_heads, label, shown_protocols
from leaderboard.ablations.variants import Ablation
from leaderboard.markdown import PROTOCOL_TITLES, decimal_text
from leaderboard.theme import Picture, Theme
from model import MODELS

# HIT's paper, figure of head counts: AUC on MovieLens-1M with 1 to 6 heads.
PAPER_HIT_HEADS = (0.8984, 0.9012, 0.8979, 0.8984, 0.8967, 0.8975)
PROTOCOL_STYLES = {"published": "s--", "holdout": "o-", "temporal": "^:"}


def ablation_pictures(runs: pd.DataFrame, ablations: list[Ablation]) -> dict[str, Picture]:
    """Those that these ablations allow."""
    pictures = {}
    groups = by_model([ablation for ablation in ablations if not ablation.sweeps_heads])
    if groups:
        height = 1.05 + sum(0.26 * rows_of(group) + 0.45 for group in groups)
        pictures["ablations"] = Picture(height, partial(ablation_bars, runs=runs, groups=groups))
    sweeps = [ablation for ablation in ablations if ablation.sweeps_heads]
    if sweeps:
        pictures["heads"] = Picture(3.9, partial(head_sweeps, runs=runs, ablations=sweeps))
    return pictures


def by_model(ablations: list[Ablation]) -> list[list[Ablation]]:
    """Those of one model together, models and ablations in the order in which they came."""
    models = dict.fromkeys(ablation.model for ablation in ablations)
    return [[ablation for ablation in ablations if ablation.model == model] for model in models]


def rows_of(group: list[Ablation]) -> int:
    """A title each, and what is compared with the reference."""
    return sum(1 + len(ablation.compared) for ablation in group)


def ablation_bars(figure: Figure, theme: Theme, runs: pd.DataFrame, groups: list[list[Ablation]]) -> None:
    """How each variant's AUC differs from the defaults': mean, seeds, and the interval of the paired difference.

    Models have scales of their own: the gamma that DSSM misses would make all other bars invisible.
    """
    protocols = shown_protocols(runs)
    heights = [rows_of(group) for group in groups]
    size = len(groups), len(protocols)
    rows = figure.subplots(*size, squeeze=False, sharex="row", sharey="row", height_ratios=heights)
    for group, axes in zip(groups, rows, strict=True):
        for axis, protocol in zip(axes, protocols, strict=True):
            _bars(axis, theme, runs, protocol, group)
    for axis, protocol in zip(rows[0], protocols, strict=True):
        axis.set_title(PROTOCOL_TITLES[protocol].replace("`", ""))
    words = "test AUC minus that of the defaults, by seed and in the mean, 95 % intervals; in colour: 0 lies outside"
    figure.supxlabel(words + ("\neach model has its own scale" if len(groups) > 1 else ""), size=10)


def _bars(axis: Axes, theme: Theme, runs: pd.DataFrame, protocol: str, group: list[Ablation]) -> None:
    labels: list[str] = []
    titles: list[int] = []
    for ablation in group:
        titles.append(len(labels))
        beside = f", against {label(ablation.reference)}" if ablation.reference else ""
        labels.append(ablation.title + beside)
        for variant in ablation.compared:
            difference = against_reference(runs, protocol, ablation, variant)
            if difference.estimate.count:
                fill = {"color": theme.ours} if difference.is_clear else {"color": theme.ranking, "alpha": 0.45}
                axis.barh(len(labels), difference.estimate.mean, height=0.62, zorder=2, **fill)
                bar = np.nan_to_num(difference.estimate.half_width)
                axis.errorbar(difference.estimate.mean, len(labels), xerr=bar, color=theme.ink, lw=1.5, zorder=3)
                rows = [len(labels)] * len(difference.by_seed)
                axis.plot(difference.by_seed, rows, "o", mfc=theme.paper, mec=theme.ink, ms=4, zorder=4)
            labels.append(label(variant))
    axis.axvline(0, color=theme.ink, lw=1)
    axis.use_sticky_edges = False  # room beside 0 where all bars are on one side
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.set_yticks(range(len(labels)), labels)
    for place, text in enumerate(axis.yaxis.get_majorticklabels()):  # one panel of a row has them
        text.set_fontweight("bold" if place in titles else "normal")
    axis.locator_params(axis="x", nbins=4)
    axis.xaxis.set_major_formatter(lambda value, _: signed_tick(value))
    axis.tick_params(left=False)
    axis.spines["left"].set_visible(False)
    axis.grid(axis="x")


def signed_tick(value: float) -> str:
    """
    >>> signed_tick(0.0025), signed_tick(-0.01), signed_tick(0.0)
    ('+0.0025', '-0.01', '0')
    """
    return f"{value:+.4f}".rstrip("0") if abs(value) > 1e-9 else "0"


def head_sweeps(figure: Figure, theme: Theme, runs: pd.DataFrame, ablations: list[Ablation]) -> None:
    """AUC by number of heads, a panel a model; for HIT the paper's curve beside it."""
    axes = figure.subplots(1, len(ablations), squeeze=False, sharey=True)[0]
    handles = {}
    for axis, ablation in zip(axes, ablations, strict=True):
        for protocol in shown_protocols(runs):
            points = auc_by_heads(runs, protocol, ablation)
            means = [auc.mean for auc in points.values()]
            bars = [np.nan_to_num(auc.half_width) for auc in points.values()]
            if len(points) > 1:
                style = {"fmt": PROTOCOL_STYLES[protocol], "color": theme.ours, "lw": 1.6, "ms": 6}
                handles[protocol] = axis.errorbar(list(points), means, yerr=bars, **style)
        if ablation.model == "hit":
            ring = {"color": theme.ink, "mfc": "none", "lw": 1}
            handles["the paper"] = axis.plot(range(1, 7), PAPER_HIT_HEADS, "o--", **ring)[0]
        _head_axis(axis, ablation)
    axes[0].set_ylabel("test AUC, 95 % intervals")
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=4, frameon=False, handlelength=3)


def _head_axis(axis: Axes, ablation: Ablation) -> None:
    counts = sorted(ablation.heads())
    axis.set_title(MODELS[ablation.model].title)
    axis.set_xlabel("heads")
    if counts[-1] > 8:
        axis.set_xscale("log", base=2)
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.minorticks_off()
    axis.yaxis.set_major_formatter(lambda value, _: decimal_text(value))
    axis.grid(axis="y")
