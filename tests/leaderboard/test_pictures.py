"""The pictures: the committed ones are those of the committed results, and what they show can be read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_results import made_up
from PIL import Image

from leaderboard.drawings import ARCHITECTURES
from leaderboard.latency_picture import latency_picture, points
from leaderboard.pages import PAGES, Results
from leaderboard.speed import Speeds
from leaderboard.theme import LIGHT, THEMES, draw

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Results.load(ROOT / "results" / "ml-1m")
COMMITTED = ARCHITECTURES | RESULTS.pictures()


PICTURES = ARCHITECTURES | made_up(RESULTS).pictures()


class TestCommitted:
    @pytest.mark.parametrize("name", COMMITTED)
    def test_each_is_that_of_the_results(self, name, tmp_path):
        """Pixel by pixel: matplotlib, which brings its fonts, is pinned."""
        for path in draw(tmp_path, name, COMMITTED[name]):
            with Image.open(path) as drawn, Image.open(ROOT / "figure" / path.name) as committed:
                assert np.array_equal(np.asarray(drawn), np.asarray(committed)), "run: python benchmark.py --report"

    def test_none_is_left_over_and_every_one_is_shown(self):
        names = [*COMMITTED, "house"]  # `benchmarks.house` draws that one
        expected = {f"{name}-{theme.name}.png" for name in names for theme in THEMES}
        assert {path.name for path in (ROOT / "figure").iterdir()} == expected
        texts = [(ROOT / name).read_text(encoding="utf-8") for name in (*PAGES, "docs/architecture.md")]
        assert {name for text in texts for name in re.findall(r'figure/([\w-]+\.png)"', text)} == expected


def test_labels_of_learning_curves_stand_in_the_order_of_the_ends_of_their_lines():
    """So that the lines which lead to them do not cross."""
    for axis in PICTURES["learning"].on(LIGHT).axes:
        leads = [line.get_xydata() for line in axis.lines if line.get_color() == LIGHT.faint]
        starts, ends = ([tuple(lead[place]) for lead in leads] for place in (0, 1))
        assert len(leads) == len(axis.texts) > 1
        assert [end[1] for end in ends] == [text.get_position()[1] for text in axis.texts]
        order = sorted(range(len(leads)), key=lambda place: ends[place][1])
        assert [starts[place][1] for place in order] == sorted(start[1] for start in starts)


@pytest.mark.parametrize("name", ["leaderboard", "auc_latency", "learning"])
def test_hit_and_int_tower_have_marks_of_their_own(name):
    figure = PICTURES[name].on(LIGHT)
    ours = [line for axis in figure.axes for line in axis.lines if line.get_color() == LIGHT.ours]
    assert {line.get_marker() for line in ours} == {"o", "D"}
    for legend in figure.legends:
        marks = {text.get_text(): line.get_marker() for text, line in zip(legend.get_texts(), legend.get_lines())}  # noqa: B905
        assert (marks["IntTower"], marks["HIT"]) == ("o", "D")


class TestLatency:
    def test_points_are_of_the_default_settings_under_holdout(self):
        rows = [("dcn", "holdout", "", 0.8), ("dcn", "holdout", "", 0.7), ("dcn", "holdout", "no_x", 0.1)]
        rows += [("dcn", "published", "", 0.99), ("lr", "published", "", 0.9), ("hit", "holdout", "", 0.85)]
        runs = pd.DataFrame(rows, columns=["model", "protocol", "variant", "auc"])
        found = points(runs, Speeds(10_000, 1, request_ms={"dcn": 9.0, "lr": 1.0, "int_tower 32 heads": 50.0}))
        assert list(found) == ["dcn"]
        time, auc = found["dcn"]
        assert (time, auc.mean, auc.count) == (9.0, pytest.approx(0.75), 2)

    def test_a_shown_variant_is_a_point_of_its_own(self):
        rows = [("hit", "holdout", variant, auc) for variant, auc in (("", 0.8), ("heads_1", 0.9), ("heads_3", 0.7))]
        runs = pd.DataFrame(rows, columns=["model", "protocol", "variant", "auc"])
        found = points(runs, Speeds(10_000, 1, request_ms={"hit": 0.6, "hit 1 head": 0.5}))
        assert list(found) == ["hit", "hit 1 head"]
        assert [(time, auc.mean) for time, auc in found.values()] == [(0.6, 0.8), (0.5, 0.9)]

    def test_there_is_none_without_times(self):
        assert latency_picture(RESULTS.runs, Speeds()) == {}
        assert set(latency_picture(RESULTS.runs, Speeds(10_000, 1, request_ms={"hit": 0.6}))) == {"auc_latency"}
