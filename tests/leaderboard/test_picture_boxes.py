"""Pictures can be read at the width of a README, on light and on dark: boxes, sizes and contrast of all texts."""

from __future__ import annotations

import itertools
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from made_up_results import made_up
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from leaderboard.drawings import ARCHITECTURES
from leaderboard.latency_picture import MARK
from leaderboard.pages import Results
from leaderboard.point_labels import Wish, around, distance, overlap, place
from leaderboard.theme import LIGHT, THEMES, Theme

RESULTS = Results.load(Path(__file__).resolve().parents[2] / "results" / "ml-1m")
PICTURES = {
    "committed": ARCHITECTURES | RESULTS.pictures(),
    "with all that is still to run": made_up(RESULTS).pictures(),
}
CASES = [pytest.param(which, name, id=f"{name}, {which}") for which, found in PICTURES.items() for name in found]
README, LEAST_SIZE, LEAST_CONTRAST = 838, 9.0, 4.5  # pixels, pixels, as WCAG 2 has it for small text
COARSE = 80  # dots per inch are enough to see what is behind a text
SMALL = 0.7  # of a text's size, that of an index in a formula


@cache
def drawn(which: str, name: str, theme: Theme = LIGHT) -> Figure:
    figure = PICTURES[which][name].on(theme)
    figure.draw_without_rendering()  # which places everything
    return figure


def texts_of(figure: Figure) -> list[Text]:
    """All that are drawn: an axis also keeps labels of ticks beyond its limits."""
    texts = [*figure.texts]
    for legend in figure.legends:
        texts += [legend.get_title(), *legend.get_texts()]
    for axes in figure.axes:
        if axes.axison:
            texts += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
            for place, axis in enumerate((axes.xaxis, axes.yaxis)):
                low, high = sorted(axis.get_view_interval())
                texts += [text for text in axis.get_ticklabels() if low <= text.get_position()[place] <= high]
        texts += axes.texts
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize(("which", "name"), CASES)
def test_no_text_overlaps_another_or_leaves_the_picture(which, name):
    figure = drawn(which, name)
    boxes = [(text.get_text(), text.get_window_extent().padded(-1)) for text in texts_of(figure)]
    assert boxes
    for text, box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text
    for (text, box), (other, other_box) in itertools.combinations(boxes, 2):
        assert not box.overlaps(other_box), (text, other)


@pytest.mark.parametrize(("which", "name"), CASES)
def test_letters_are_large_enough_at_the_width_of_a_readme(which, name):
    figure = drawn(which, name)
    for text in texts_of(figure):
        pixels = text.get_fontsize() / 72 * README / figure.get_figwidth()
        smallest = pixels * (SMALL if re.search(r"\$.*[\^_]", text.get_text()) else 1)
        assert smallest >= LEAST_SIZE, (text.get_text(), smallest)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", PICTURES["committed"])
def test_letters_stand_out_from_what_is_behind_them(name, theme):
    figure = PICTURES["committed"][name].on(theme)
    figure.set_dpi(COARSE)
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    texts = texts_of(figure)
    boxes = [text.get_window_extent() for text in texts]
    for text in texts:
        text.set_alpha(0.0)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1, :, :3] / 255
    for text, box in zip(texts, boxes, strict=True):
        behind = pixels[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1].reshape(-1, 3)
        found = contrast(to_rgb(text.get_color()), np.median(behind, axis=0))
        assert found >= LEAST_CONTRAST, (text.get_text(), found)


def contrast(color, other) -> float:
    """Of WCAG 2: 1 for equal colours, 21 for black and white.

    >>> contrast((0, 0, 0), (1, 1, 1)), contrast((0.2, 0.2, 0.2), (0.2, 0.2, 0.2))
    (21.0, 1.0)
    """
    low, high = sorted(map(_luminance, (color, other)))
    return float(round((high + 0.05) / (low + 0.05), 6))


def _luminance(color) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


class TestLabelsOfPoints:
    @pytest.mark.parametrize("which", PICTURES)
    def test_each_is_nearest_to_its_own_point(self, which):
        (axis,) = drawn(which, "auc_latency").axes
        labels = [text for text in axis.texts if isinstance(text, Annotation) and text.get_text().endswith(" ms")]
        points = [tuple(axis.transData.transform(text.xy)) for text in labels]
        assert len(labels) > 5
        for text, own in zip(labels, points, strict=True):
            box = text.get_window_extent().extents
            nearest = min(points, key=lambda point: distance(box, point))
            assert nearest == own, text.get_text()

    @pytest.mark.parametrize("which", PICTURES)
    def test_none_stands_on_a_mark(self, which):
        figure = drawn(which, "auc_latency")
        (axis,) = figure.axes
        half = MARK / 2 * figure.dpi / 72
        points = [axis.transData.transform(text.xy) for text in axis.texts if text.get_text().endswith(" ms")]
        for text, (x, y) in itertools.product(axis.texts, points):
            assert not overlap(tuple(text.get_window_extent().extents), (x - half, y - half, x + half, y + half))

    @pytest.mark.parametrize("seed", range(5))
    def test_of_ten_points_at_random_none_overlap_and_all_are_inside(self, seed):
        rng = np.random.default_rng(seed)
        points = [tuple(point) for point in rng.uniform((100, 60), (900, 340), (10, 2)).tolist()]
        marks = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
        wishes = [Wish(around((90, 30), mark, 14), point) for mark, point in zip(marks, points, strict=True)]
        boxes = place(wishes, marks, points, (0, 0, 1000, 400))
        assert all(box[0] >= 0 and box[1] >= 0 and box[2] <= 1000 and box[3] <= 400 for box in boxes)
        assert not any(overlap(box, other) for box, other in itertools.combinations(boxes, 2))
        assert not any(overlap(box, mark) for box, mark in itertools.product(boxes, marks))

    def alone(self, mark, room):
        return place([Wish(around((40, 10), mark, 10), (100, 100))], [mark], [(100, 100)], room)

    def test_a_label_alone_stands_to_the_right_of_its_mark(self):
        mark = (94.0, 94.0, 106.0, 106.0)
        ((left, bottom, right, top),) = self.alone(mark, (0, 0, 300, 300))
        assert left > 106
        assert (right - left, top - bottom) == (40, 10)
        assert (bottom + top) / 2 == 100

    def test_at_the_right_edge_it_stands_to_the_left(self):
        mark = (94.0, 94.0, 106.0, 106.0)
        ((_, _, right, _),) = self.alone(mark, (0, 0, 120, 300))
        assert right < 94


class TestTheTest:
    """What it is for, it finds."""

    def test_grey_letters_on_white(self):
        assert contrast((0.6, 0.6, 0.6), (1, 1, 1)) < LEAST_CONTRAST < contrast((0.4, 0.4, 0.4), (1, 1, 1))

    def test_texts_of_every_part_of_a_picture(self):
        found = {text.get_text() for text in texts_of(drawn("committed", "ladder"))}
        assert {"IntTower", "the paper", "0.8974", "a rise", "0.85"} <= found
