"""Texts beside points, placed so that none stands on another or on a mark, or nearer to another point than to its own.

Places are in pixels; y grows upwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Pixels = tuple[float, float]
Box = tuple[float, float, float, float]  # left, bottom, right, top
CLEARLY = 1.3  # as near to its own point has a label to be as to any other
SWEEPS = 20  # of moving every label to its best place among the others
GAPS = (0.4, 0.9, 1.6, 2.6)  # between a mark and its label, in heights of a line of text
SLIDES = (0.0, 0.25, -0.25, 0.5, -0.5)  # of a label's height, up or down beside its mark
OVERLAP, OUTSIDE, MISLEADING = 100.0, 200.0, 50.0  # what a place is charged; a later wish costs 1


@dataclass(frozen=True)
class Wish:
    """A label's possible boxes, the best first. point: what it names; None for one that names no point."""

    boxes: list[Box]
    point: Pixels | None = None


def place(wishes: list[Wish], marks: list[Box], points: list[Pixels], room: Box) -> list[Box]:
    """One box of each wish. marks: what no label may cover. points: those that labels name. room: for all labels.

    Every label in turn takes the cheapest of its boxes among the others, until none moves.
    """
    fixed = [[_charge(box, wish, marks, points, room) for box in wish.boxes] for wish in wishes]
    chosen: list[int | None] = [None] * len(wishes)
    order = sorted(range(len(wishes)), key=lambda label: fixed[label].count(0.0))  # those with the least choice first
    for _ in range(SWEEPS):
        before = list(chosen)
        for label in order:
            others = [wishes[other].boxes[at] for other, at in enumerate(chosen) if at is not None and other != label]
            costs = [
                charge + number + OVERLAP * sum(overlap(box, other) for other in others)
                for number, (box, charge) in enumerate(zip(wishes[label].boxes, fixed[label], strict=True))
            ]
            chosen[label] = costs.index(min(costs))
        if chosen == before:
            break
    return [wish.boxes[at or 0] for wish, at in zip(wishes, chosen, strict=True)]


def overlap(box: Box, other: Box) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]


def distance(box: Box, point: Pixels) -> float:
    """From the nearest place of a box.

    >>> distance((0.0, 0.0, 10.0, 10.0), (13.0, 14.0)), distance((0.0, 0.0, 10.0, 10.0), (5.0, 5.0))
    (5.0, 0.0)
    """
    return math.hypot(*(max(low - at, at - high, 0.0) for low, high, at in zip(box[:2], box[2:], point, strict=True)))


def _charge(box: Box, wish: Wish, marks: list[Box], points: list[Pixels], room: Box) -> float:
    """0 for a box that is free but for other labels."""
    inside = room[0] <= box[0] and room[1] <= box[1] and box[2] <= room[2] and box[3] <= room[3]
    cost = OVERLAP * sum(overlap(box, mark) for mark in marks) + (0 if inside else OUTSIDE)
    if wish.point is not None:
        own = distance(box, wish.point)
        cost += MISLEADING * sum(distance(box, point) <= CLEARLY * own for point in points if point != wish.point)
    return cost


def around(size: tuple[float, float], mark: Box, line: float) -> list[Box]:
    """Boxes of this size beside, above, below and at the corners of a mark, the nearest first.

    line: height of a line of text.
    """
    (width, height), (left, bottom, right, top) = size, mark
    found = []
    for gap in (line * factor for factor in GAPS):
        beside = {"right": right + gap, "left": left - gap - width}
        middle, centre = (bottom + top - height) / 2, (left + right - width) / 2
        corners = [(beside[side], middle + slide * height) for slide in SLIDES for side in beside]
        corners += [(centre, top + gap), (centre, bottom - gap - height)]
        near = {"right": right + gap / 2, "left": left - gap / 2 - width}
        corners += [(near[side], y) for y in (top + gap / 2, bottom - gap / 2 - height) for side in near]
        found += [(x, y, x + width, y + height) for x, y in corners]
    return found
