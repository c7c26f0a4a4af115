"""The ladder as a picture: a waterfall a model, from the paper's AUC down to that on later data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from leaderboard.entrants import title
from leaderboard.ladder.rungs import CLIMBERS, RUNGS, Rung
from leaderboard.ladder.steps import reached
from leaderboard.markdown import decimal_text
from leaderboard.theme import Picture, Theme

ROW, MARGINS = 0.33, 1.25  # inches: of a rung, and of titles and legend
BAR = 0.62  # height of a bar, in rows
LABEL_ROOM = 0.62  # of a panel's width beside the bars, for the values


@dataclass(frozen=True)
class Bar:
    """A rung that a model has reached: from the value of the rung before that it has, to its own."""

    row: int
    start: float
    end: float


def ladder_picture(runs: pd.DataFrame, dataset: str) -> dict[str, Picture]:
    """Of the models that have a paper's number and runs on at least two rungs; {} without any."""
    rungs = [rung for rung in RUNGS if any(reached(runs, dataset, rung, model).count for model in CLIMBERS)]
    found = {model: bars(runs, dataset, rungs, model) for model in CLIMBERS}
    climbs = {model: own for model, own in found.items() if len(own) > 2 and own[0].row == 0}
    if not climbs or not any(rung.key == "release" for rung in rungs):
        return {}
    return {"ladder": Picture(MARGINS + ROW * len(rungs), partial(waterfalls, rungs=rungs, climbs=climbs))}


def bars(runs: pd.DataFrame, dataset: str, rungs: list[Rung], model: str) -> list[Bar]:
    """Those of a model, in the rows of these rungs; the first starts where it ends."""
    found: list[Bar] = []
    for row, rung in enumerate(rungs):
        value = reached(runs, dataset, rung, model)
        if value.count:
            found.append(Bar(row, found[-1].end if found else value.mean, value.mean))
    return found


def waterfalls(figure: Figure, theme: Theme, rungs: list[Rung], climbs: dict[str, list[Bar]]) -> None:
    """A panel a model, all on one scale, with a row a rung: a bar from the value before to the new one, and that."""
    axes = figure.subplots(1, len(climbs), sharex=True, sharey=True, squeeze=False)[0]
    values = [bar.end for own in climbs.values() for bar in own]
    low, high = min(values), max(values)
    for axis, (model, own) in zip(axes, climbs.items(), strict=True):
        _waterfall(axis, theme, own, high + 0.12 * (high - low))
        axis.set_title(title(model))
        honest = [row for row, rung in enumerate(rungs) if rung.protocol not in ("", "published")]
        if honest:
            axis.axhspan(honest[0] - 0.5, honest[-1] + 0.5, color=theme.fill, zorder=0)
    axes[0].set_xlim(low - 0.06 * (high - low), high + LABEL_ROOM * (high - low))
    axes[0].set_ylim(len(rungs) - 0.5, -0.5)
    axes[0].set_yticks(range(len(rungs)), [rung.title for rung in rungs])
    kinds = {"the AUC rises": theme.two_towers, "it falls": theme.ours}
    handles: list = [theme.ring("the paper's number"), *(Patch(color=color, label=name) for name, color in kinds.items())]
    handles.append(Patch(color=theme.fill, label="honest protocols"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def _waterfall(axis: Axes, theme: Theme, own: list[Bar], label_place: float) -> None:
    for bar, following in zip(own, [*own[1:], None], strict=True):
        color = theme.two_towers if bar.end > bar.start else theme.ours
        if bar is own[0]:
            axis.plot(bar.end, bar.row, "o", mfc="none", mec=theme.ink, zorder=3)
        else:
            axis.barh(bar.row, bar.end - bar.start, left=bar.start, height=BAR, color=color, zorder=2)
        if following:
            axis.plot([bar.end] * 2, [bar.row, following.row], color=theme.ink, lw=0.8, zorder=1)
        weight = "bold" if bar is own[0] or following is None else "normal"
        axis.text(label_place, bar.row, decimal_text(bar.end), va="center", weight=weight)
    axis.xaxis.set_major_formatter(lambda value, _: decimal_text(value, 2))
    axis.tick_params(left=False)
    axis.spines["left"].set_visible(False)
    axis.grid(axis="x")
