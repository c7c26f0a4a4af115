"""Names of lines beside their ends, moved apart where they would overlap."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes

from leaderboard.markdown import decimal_text
from leaderboard.theme import Theme
from model import MODELS


@dataclass(frozen=True)
class End:
    """The end of a model's line, and the value that is printed there."""

    model: str
    place: tuple[float, float]
    value: float


def label_ends(axis: Axes, theme: Theme, ends: list[End], x: float, gap: float, distance: float) -> None:
    """Labels from x on in the order of the lines' ends, and a line to each that starts and ends `gap` from what it
    connects: so no two of these cross."""
    ordered = sorted(ends, key=lambda end: (end.place[1], end.value))
    heights = spread([end.place[1] for end in ordered], distance)
    for end, height in zip(ordered, heights, strict=True):
        color = theme.color_of(end.model)
        axis.plot([end.place[0] + gap, x - gap], [end.place[1], height], color=theme.faint, lw=1, zorder=1)
        behind = {"facecolor": theme.paper, "edgecolor": "none", "pad": 1}  # no grid behind letters
        label = f"{MODELS[end.model].title}  {decimal_text(end.value)}"
        axis.text(x, height, label, color=color, va="center", bbox=behind)


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
