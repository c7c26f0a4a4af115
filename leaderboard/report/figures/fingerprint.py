"""Tells whether a picture is that of its data, on any machine: fonts and the layout they lead to do not matter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection, LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Annotation, Text

DIGITS = 8  # behind the point: sums in another order differ in the 16th


def fingerprint(figure: Figure) -> str:
    """sha256 of what was drawn on a figure, its words, numbers and colours, before it is laid out.

    It changes with what the picture shows and with how its painter shows it, not with data it does not show.
    """
    shown = [_numbers(figure.get_size_inches()), _texts(figure.texts)]
    for legend in figure.legends:
        shown += [_texts([legend.get_title(), *legend.get_texts()]), [_line(line) for line in legend.get_lines()]]
    shown += [_axes(axes) for axes in figure.axes]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()


def _axes(axes: Axes) -> list:
    ticks = [[text.get_text() for text in axis.get_ticklabels()] for axis in (axes.xaxis, axes.yaxis)]
    titles = [axes.get_title(loc=place) for place in ("left", "center", "right")]
    return [
        [*titles, axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale(), axes.get_yscale()],
        ticks,
        _numbers([axes.get_xlim(), axes.get_ylim()]),
        _texts(axes.texts),
        [_line(line) for line in axes.lines],
        [_patch(patch) for patch in axes.patches],
        [_collection(collection) for collection in axes.collections],
    ]


def _texts(texts: Iterable[Text]) -> list:
    return [
        [
            text.get_text(),
            _numbers(text.get_position()),
            to_hex(text.get_color()),
            [_numbers(text.xy), str(text.arrowprops)] if isinstance(text, Annotation) else [],
        ]
        for text in texts
    ]


def _line(line: Line2D) -> list:
    return [_numbers(line.get_xydata()), to_hex(line.get_color()), str(line.get_marker()), line.get_linestyle()]


def _patch(patch: Patch) -> list:
    corners = patch.get_patch_transform().transform(patch.get_path().vertices)
    return [_numbers(corners), to_hex(patch.get_facecolor()), to_hex(patch.get_edgecolor())]


def _collection(collection: Collection) -> list:
    """Bars of intervals, or dots."""
    if isinstance(collection, LineCollection):
        return [[_numbers(segment) for segment in collection.get_segments()], _colors(collection.get_colors())]
    places = [_numbers(collection.get_offsets()), _numbers(collection.get_sizes())]
    return [*places, _colors(collection.get_facecolors())]


def _numbers(values: Iterable) -> list:
    return (np.round(np.asarray(values, dtype=float), DIGITS) + 0.0).tolist()  # + 0.0: no -0.0


def _colors(colors: np.ndarray) -> list[str]:
    return [to_hex(color) for color in colors]
