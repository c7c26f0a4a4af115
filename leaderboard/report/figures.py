"""The pictures of the benchmark, each from the table of runs alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leaderboard.ablations import Ablation
from leaderboard.report.ablation_tables import against_reference, label, protocols_of
from leaderboard.report.tables import PROTOCOL_TITLES, of
from leaderboard.report.theme import Theme, draw
from leaderboard.statistics import Estimate
from model import MODELS
from preprocessing.protocol import PROTOCOLS

# HIT's paper, figure of head counts: AUC on MovieLens-1M with 1 to 6 heads.
PAPER_HIT_HEADS = (0.8984, 0.9012, 0.8979, 0.8984, 0.8967, 0.8975)


def draw_all(runs: pd.DataFrame, ablations: list[Ablation], dataset: str, folder: Path) -> list[Path]:
    """Every picture that these runs allow."""
    paths = draw(folder, "leaderboard", 4.8, partial(leaderboard, runs=runs, dataset=dataset))
    if len(set(runs["protocol"])) > 1:
        paths += draw(folder, "protocols", 5.0, partial(protocol_steps, runs=runs))
    bars = [ablation for ablation in ablations if not ablation.sweeps_heads]
    if bars:
        rows = sum(len(ablation.compared) + 1 for ablation in bars)
        paths += draw(folder, "ablations", 1.0 + 0.3 * rows, partial(ablation_bars, runs=runs, ablations=bars))
    sweeps = [ablation for ablation in ablations if ablation.sweeps_heads]
    if sweeps:
        paths += draw(folder, "heads", 3.6, partial(head_sweeps, runs=runs, ablations=sweeps))
    return paths


def leaderboard(figure: Figure, theme: Theme, runs: pd.DataFrame, dataset: str) -> None:
    """A panel a protocol: AUC with its interval, and the paper's as a ring where the protocol is the paper's."""
    axes = figure.subplots(1, len(PROTOCOLS), sharey=True)
    figure.get_layout_engine().set(wspace=0.06)  # else the first and last numbers of two panels touch
    models = [name for name in MODELS if name in set(runs["model"])]
    order = sorted(models, key=lambda name: np.nan_to_num(_auc(runs, "holdout", name).mean))
    for axis, protocol in zip(axes, PROTOCOLS, strict=True):
        for place, name in enumerate(order):
            auc = _auc(runs, protocol, name)
            if auc.count:
                bar = np.nan_to_num(auc.half_width)
                axis.errorbar(auc.mean, place, xerr=bar, fmt="o", color=theme.color_of(name), elinewidth=2, zorder=3)
            if protocol == "published" and dataset in MODELS[name].paper:
                axis.plot(MODELS[name].paper[dataset][0], place, "o", mfc="none", mec=theme.ink, zorder=2)
        axis.set_title(PROTOCOL_TITLES[protocol].replace("`", ""))
        axis.set_xlabel("test AUC")
        axis.grid(axis="x")
        axis.set_yticks(range(len(order)), [MODELS[name].title for name in order])
        axis.tick_params(left=False)
        axis.spines["left"].set_visible(False)
    handles = [*theme.families(), theme.ring("the paper's number")]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def protocol_steps(figure: Figure, theme: Theme, runs: pd.DataFrame) -> None:
    """A line a model from protocol to protocol: what the leak was worth, and what predicting the future costs."""
    axis = figure.subplots()
    last = len(PROTOCOLS) - 1
    ends: list[tuple[float, str]] = []
    for name in MODELS:
        means = [_auc(runs, protocol, name).mean for protocol in PROTOCOLS]
        axis.plot(range(len(PROTOCOLS)), means, "o-", color=theme.color_of(name), lw=1.8, ms=5)
        if np.isfinite(means[last]):
            ends.append((means[last], name))
    low, high = axis.get_ylim()
    heights = spread([value for value, _ in sorted(ends)], (high - low) / 24)
    for (value, name), height in zip(sorted(ends), heights, strict=True):
        axis.plot([last + 0.03, last + 0.1], [value, height], color=theme.faint, lw=1)
        label = f"{MODELS[name].title}  {value:.4f}"
        axis.text(last + 0.12, height, label, color=theme.color_of(name), va="center")
    labels = ["published\nthe row's own label leaks in", "holdout\nthe same split, no leak"]
    labels.append("temporal\nthe future, no leak")
    axis.set_xticks(range(len(PROTOCOLS)), labels)
    axis.set_xlim(-0.15, last + 0.75)
    axis.set_ylabel("test AUC")
    axis.grid(axis="y")
    figure.legend(handles=theme.families(), loc="outside lower center", ncols=3, frameon=False)


def ablation_bars(figure: Figure, theme: Theme, runs: pd.DataFrame, ablations: list[Ablation]) -> None:
    """How each variant's AUC differs from the defaults', with the interval of the paired difference."""
    protocols = protocols_of(runs)
    axes = figure.subplots(1, len(protocols), sharey=True, squeeze=False)[0]
    for axis, protocol in zip(axes, protocols, strict=True):
        place, places, labels = 0, [], []
        for ablation in ablations:
            if axis is axes[0]:
                axis.text(0.0, place, ablation.title, weight="bold", va="center", transform=axis.get_yaxis_transform())
            place += 1
            for variant in ablation.compared:
                difference = against_reference(runs, protocol, ablation, variant)
                if difference.estimate.count:
                    color = theme.ours if difference.is_clear else theme.faint
                    axis.barh(place, difference.estimate.mean, color=color, height=0.62, zorder=2)
                    bar = np.nan_to_num(difference.estimate.half_width)
                    axis.errorbar(difference.estimate.mean, place, xerr=bar, color=theme.ink, lw=1.2, zorder=3)
                places.append(place)
                labels.append(label(variant))
                place += 1
        axis.axvline(0, color=theme.ink, lw=1)
        axis.set_yticks(places, labels)
        axis.set_ylim(place - 0.4, -0.6)
        axis.tick_params(left=False)
        axis.spines["left"].set_visible(False)
        axis.grid(axis="x")
        axis.set_title(PROTOCOL_TITLES[protocol].replace("`", ""))
    figure.supxlabel("test AUC minus that of the default settings; in colour: 0 lies outside the 95 % interval", size=9)


def head_sweeps(figure: Figure, theme: Theme, runs: pd.DataFrame, ablations: list[Ablation]) -> None:
    """AUC by number of heads, a panel a model; for HIT the paper's curve beside it."""
    axes = figure.subplots(1, len(ablations), squeeze=False)[0]
    colors = {"published": theme.ranking, "holdout": theme.ours, "temporal": theme.two_towers}
    for axis, ablation in zip(axes, ablations, strict=True):
        for protocol, color in colors.items():
            points = {
                heads: _auc(runs, protocol, ablation.model, variant) for heads, variant in ablation.heads().items()
            }
            points = {heads: auc for heads, auc in sorted(points.items()) if auc.count}
            means = [auc.mean for auc in points.values()]
            bars = [np.nan_to_num(auc.half_width) for auc in points.values()]
            if len(points) > 1:
                axis.errorbar(list(points), means, yerr=bars, fmt="o-", color=color, label=protocol, lw=1.8)
        if ablation.model == "hit":
            axis.plot(range(1, 7), PAPER_HIT_HEADS, "o--", color=theme.ink, mfc="none", lw=1, label="the paper")
        _head_axis(axis, ablation)


def _head_axis(axis: Axes, ablation: Ablation) -> None:
    counts = sorted(ablation.heads())
    axis.set_title(MODELS[ablation.model].title)
    axis.set_xlabel("heads")
    axis.set_ylabel("test AUC")
    if counts[-1] > 8:
        axis.set_xscale("log", base=2)
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.grid(axis="y")
    axis.legend(frameon=False)


def _auc(runs: pd.DataFrame, protocol: str, model: str, variant: str = "") -> Estimate:
    return Estimate.of(of(runs, protocol, model, variant)["auc"])


def spread(values: list[float], distance: float) -> list[float]:
    """Ascending values, moved as little as keeps them this far apart.

    >>> spread([1.0, 1.1, 5.0], 1.0)
    [0.55, 1.55, 5.0]
    """
    groups: list[list[float]] = []  # neighbours that touch: their values
    for value in values:
        groups.append([value])
        while len(groups) > 1 and _bounds(groups[-2], distance)[1] + distance > _bounds(groups[-1], distance)[0]:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_bounds(group, distance)[0] + place * distance for group in groups for place in range(len(group))]


def _bounds(group: list[float], distance: float) -> tuple[float, float]:
    half = distance * (len(group) - 1) / 2
    middle = sum(group) / len(group)
    return middle - half, middle + half
