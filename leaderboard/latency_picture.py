"""The picture of what a model gives and what it costs: test AUC over the time of a request."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator, NullLocator

from leaderboard.entrants import ENTRANTS, OURS, is_two_tower, model_of, title
from leaderboard.estimates import Estimate
from leaderboard.markdown import decimal_text, milliseconds
from leaderboard.point_labels import Box, Pixels, Wish, around, place
from leaderboard.results import HONEST, auc_of, runs_by_entrant
from leaderboard.speed import Speeds
from leaderboard.theme import Picture, Theme, marker_of

Found = dict[str, tuple[float, Estimate]]  # name -> milliseconds of a request, test AUC
BESIDE: dict[str, Any] = {"xytext": (0, 0), "textcoords": "offset points", "va": "bottom", "ha": "left", "zorder": 4}
LINE = 12.0  # points, of a line of text
PIECES = 60  # of a line, each of which no label may cover
MARK = 8.0  # points, across
ALONG = (0.5, 0.6, 0.4, 0.7, 0.3, 0.8)  # shares of the line between two points where its text may stand


def latency_picture(runs: pd.DataFrame, speeds: Speeds) -> dict[str, Picture]:
    """Nothing where no model has both an AUC and a time."""
    if not (found := points(runs, speeds)):
        return {}
    return {"auc_latency": Picture(5.0, partial(auc_latency, found=found, setting=speeds.setting))}


def points(runs: pd.DataFrame, speeds: Speeds) -> Found:
    """Entrants that have both an AUC and a time."""
    times = {name: speeds.request_ms[name] for name in ENTRANTS if name in speeds.request_ms}
    runs = runs_by_entrant(runs)
    pairs = {name: (time, auc_of(runs, HONEST, name)) for name, time in times.items()}
    return {name: (time, auc) for name, (time, auc) in pairs.items() if auc.count}


def ends_of_line(found: Found) -> tuple[str, ...]:
    """The two-tower model with the best AUC, and the fastest ranking model; () where one is missing."""
    two_towers = [name for name in found if is_two_tower(name)]
    ranking = [name for name in found if not is_two_tower(name)]
    if not (two_towers and ranking):
        return ()
    return max(two_towers, key=lambda name: found[name][1].mean), min(ranking, key=lambda name: found[name][0])


def auc_latency(figure: Figure, theme: Theme, found: Found, setting: str) -> None:
    """A mark a model with its name and time; a line from the best two-tower model to the fastest ranking model."""
    axis = figure.subplots()
    behind = {"facecolor": theme.paper, "edgecolor": "none", "pad": 0.5}  # no grid behind letters
    names = []
    for name, (time, auc) in found.items():
        color, bar = theme.color_of(name), np.nan_to_num(auc.half_width)
        axis.errorbar(time, auc.mean, yerr=bar, fmt=marker_of(name), color=color, ms=MARK, elinewidth=1.6, zorder=3)
        weight = "bold" if model_of(name) in OURS else "normal"
        label = f"{title(name)}\n{milliseconds(time)} ms"
        names.append(axis.annotate(label, (time, auc.mean), color=color, weight=weight, bbox=behind, **BESIDE))
    ends = ends_of_line(found)
    line = []
    if ends:
        (fast, best), (slow, other) = (found[name] for name in ends)
        axis.plot([fast, slow], [best.mean, other.mean], color=theme.ink, linestyle=":", lw=1.4, zorder=1)
        between = math.sqrt(fast * slow), (best.mean + other.mean) / 2
        line.append(axis.annotate(f"{slow / fast:.0f} times as fast", between, bbox=behind, **BESIDE))
    _style_axis(axis, setting)
    handles = theme.families()
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    _place(figure, axis, found, names, line, ends)


def _style_axis(axis: Axes, setting: str) -> None:
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(lambda value, _: decimal_text(value, 2))
    axis.set_xlabel(f"milliseconds of a request, median ({setting}): further left is faster")
    axis.set_ylabel(f"test AUC ({HONEST}): higher is better")
    axis.margins(0.17, 0.2)
    axis.grid()


def _place(
    figure: Figure, axis: Axes, found: Found, names: list[Annotation], line: list[Annotation], ends: tuple[str, ...]
) -> None:
    """Moves the texts to where they are beside their points: the layout has to be known by then."""
    figure.draw_without_rendering()
    scale = figure.dpi / 72  # pixels a point

    def pixels(time: float, auc: float) -> Pixels:
        x, y = axis.transData.transform((time, auc))
        return float(x), float(y)

    centres, marks = [], []
    for time, auc in found.values():
        bar, half = float(np.nan_to_num(auc.half_width)), MARK / 2 * scale
        (x, y), bottom, top = pixels(time, auc.mean), pixels(time, auc.mean - bar)[1], pixels(time, auc.mean + bar)[1]
        centres.append((x, y))
        marks.append((x - half, min(bottom, y - half), x + half, max(top, y + half)))
    sizes = [(box.width, box.height) for box in (text.get_window_extent() for text in (*names, *line))]
    wishes = [
        Wish(around(size, mark, LINE * scale), centre)
        for size, mark, centre in zip(sizes[: len(names)], marks, centres, strict=True)
    ]
    if line:
        start, end = (pixels(found[name][0], found[name][1].mean) for name in ends)
        wishes.append(Wish(_along(sizes[-1], start, end)))
        marks += _pieces(start, end)
    room = axis.get_window_extent()
    boxes = place(wishes, marks, centres, (room.x0, room.y0, room.x1, room.y1))
    for text, box in zip((*names, *line), boxes, strict=True):
        x, y = axis.transData.transform(text.xy)
        text.xyann = ((box[0] - x) / scale, (box[1] - y) / scale)


def _on(start: Pixels, end: Pixels, share: float) -> Pixels:
    x, y = (low + share * (high - low) for low, high in zip(start, end, strict=True))
    return x, y


def _along(size: tuple[float, float], start: Pixels, end: Pixels) -> list[Box]:
    """Boxes of this size above and below a line."""
    width, height = size
    found = []
    for shift in (height * 0.3, -height * 1.3):
        for x, y in (_on(start, end, share) for share in ALONG):
            found.append((x - width / 2, y + shift, x + width / 2, y + shift + height))
    return found


def _pieces(start: Pixels, end: Pixels) -> list[Box]:
    """A line as small boxes."""
    places = [_on(start, end, place / PIECES) for place in range(PIECES + 1)]
    return [
        (min(x, u) - 1, min(y, v) - 1, max(x, u) + 1, max(y, v) + 1) for (x, y), (u, v) in itertools.pairwise(places)
    ]
