"""Picture of how models learn: validation AUC by epoch."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from leaderboard.entrants import is_two_tower
from leaderboard.line_labels import End, label_ends
from leaderboard.markdown import decimal_text
from leaderboard.results import HONEST, default_runs
from leaderboard.theme import Picture, Theme, marker_of
from model import MODELS


def curves(runs: pd.DataFrame) -> dict[str, np.ndarray]:
    """Model -> validation AUC by epoch, mean over the seeds, as far as all of them came.

    GBDT is left out: what it counts are trees.
    """
    found = {}
    for name in MODELS:
        own = [part for part in runs[runs["model"] == name].get("epoch_auc", []) if len(part) > 1]
        if own and name != "gbdt":
            last = min(map(len, own))
            found[name] = np.mean([part[:last] for part in own], axis=0)
    return found


def learning_picture(runs: pd.DataFrame) -> dict[str, Picture]:
    """Nothing where no run has a curve."""
    own = default_runs(runs, HONEST)
    return {"learning": Picture(4.6, partial(learning, runs=own))} if curves(own) else {}


def learning(figure: Figure, theme: Theme, runs: pd.DataFrame) -> None:
    """A panel a family: validation AUC by epoch, a line a model; beside the ends the best values."""
    every = curves(runs)
    families: dict[str, list[str]] = {"two-tower models": [], "ranking models": []}
    for name in every:
        families["two-tower models" if is_two_tower(name) else "ranking models"].append(name)
    shown = {title: names for title, names in families.items() if names}
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axis, (title, names) in zip(axes, shown.items(), strict=True):
        for name in names:
            epochs = np.arange(1, len(every[name]) + 1)
            mark = {"marker": marker_of(name), "color": theme.color_of(name)}
            axis.plot(epochs, every[name], lw=1.4, ms=3, **mark)
            best = int(np.argmax(every[name]))
            axis.plot(best + 1, every[name][best], linestyle="", ms=7, **mark)
        axis.set_title(title)
        axis.yaxis.set_major_formatter(lambda value, _: decimal_text(value, 2))
        axis.grid(axis="y")
    figure.supxlabel("epoch; large mark and number: the best of the mean over seeds", size=10)
    axes[0].set_ylabel(f"validation AUC ({HONEST})")
    low, high = axes[0].get_ylim()
    for axis, names in zip(axes, shown.values(), strict=True):
        last = max(len(every[name]) for name in names)
        ends = [End(name, (len(every[name]), every[name][-1]), every[name].max()) for name in names]
        label_ends(axis, theme, ends, last + 0.55, 0.1, (high - low) / 18)
        axis.set_xticks(range(1, last + 1))
        axis.set_xlim(0.7, 1.6 * last + 0.5)
