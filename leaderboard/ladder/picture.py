"""The ladder as a picture: a waterfall a model, from the paper's AUC down to that on later data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from leaderboard.entrants import title
from leaderboard.ladder.rungs import CLIMBERS, RUNGS, Rung
from leaderboard.ladder.steps import reached
from leaderboard.markdown import decimal_text
from leaderboard.theme import Picture, Theme

ROW, MARGINS = 0.3, 1.4  # inches: of a rung, and of titles and legend
BAR = 0.62  # height of a bar, in rows
BAND = 0.5  # opacity of what marks the protocols without the leak


@dataclass(frozen=True)
class Bar:
    """A rung that a model has reached: from the value of the rung before that it has, to its own."""

    row: int
    start: float
    end: float


def ladder_picture(runs: pd.DataFrame, dataset: str) -> dict[str, Picture]:
    """Of the models with a paper's number and runs between it and the honest protocols; {} without any."""
    rungs = [rung for rung in RUNGS if any(reached(runs, dataset, rung, model).count for model in CLIMBERS)]
    found = {model: bars(runs, dataset, rungs, model) for model in CLIMBERS}
    climbs = {model: own for model, own in found.items() if _is_climb([rungs[bar.row] for bar in own])}
    if not climbs:
        return {}
    return {"ladder": Picture(MARGINS + ROW * len(rungs), partial(waterfalls, rungs=rungs, climbs=climbs))}


def _is_climb(rungs: list[Rung]) -> bool:
    return bool(rungs) and not rungs[0].protocol and any(rung.variant for rung in rungs)


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
    room = 0.05 * (max(values) - min(values))
    honest = [row for row, rung in enumerate(rungs) if rung.protocol not in ("", "published")]
    for axis, (model, own) in zip(axes, climbs.items(), strict=True):
        axis.set_title(title(model))
        if honest:
            axis.axhspan(honest[0] - 0.5, honest[-1] + 0.5, color=theme.faint, alpha=BAND, lw=0, zorder=0)
        _waterfall(axis, theme, own)
    axes[0].set_xlim(min(values) - room, max(values) + room)
    axes[0].set_ylim(len(rungs) - 0.5, -0.5)
    axes[0].set_yticks(range(len(rungs)), [rung.title for rung in rungs])
    paper = Line2D([], [], linestyle=":", color=theme.ink, label="the paper's AUC")
    handles = [paper, Patch(color=theme.two_towers, label="a rise"), Patch(color=theme.ours, label="a fall")]
    if honest:
        handles.append(Patch(color=theme.faint, alpha=BAND, lw=0, label="protocols without the leak"))
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    legend.set_title("test AUC: from the paper's number, one step after another")


def _waterfall(axis: Axes, theme: Theme, own: list[Bar]) -> None:
    axis.axvline(own[0].end, linestyle=":", color=theme.ink, lw=1, zorder=1)
    for bar, following in zip(own, [*own[1:], None], strict=True):
        color = theme.two_towers if bar.end > bar.start else theme.ours
        axis.barh(bar.row, bar.end - bar.start, left=bar.start, height=BAR, color=color, zorder=3)
        if following:
            axis.plot([bar.end] * 2, [bar.row, following.row], color=theme.ink, lw=1, zorder=2)
        weight = "bold" if bar is own[0] or following is None else "normal"
        beside = axis.get_yaxis_transform()  # x in widths of the panel
        axis.text(1.02, bar.row, decimal_text(bar.end), weight=weight, va="center", transform=beside)
    axis.locator_params(axis="x", nbins=3)
    axis.xaxis.set_major_formatter(lambda value, _: decimal_text(value, 2))
    axis.tick_params(left=False)
    axis.spines["left"].set_visible(False)
    axis.grid(axis="x")
