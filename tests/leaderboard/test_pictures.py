"""The pictures: the committed ones are those of the committed results, and what they show can be read."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from leaderboard.ablations.variants import ABLATIONS
from leaderboard.drawings import ARCHITECTURES
from leaderboard.ladder.rungs import RUNGS
from leaderboard.pages import PAGES, Results
from leaderboard.speed import Speeds, latency_picture, points
from leaderboard.theme import LIGHT, THEMES, draw

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Results.load(ROOT / "results" / "ml-1m")
COMMITTED = ARCHITECTURES | RESULTS.pictures()


def with_ablations(runs: pd.DataFrame) -> pd.DataFrame:
    """The committed runs, and made-up ones of all ablations: some better than the defaults, most worse, one by far."""
    defaults = runs[(runs["variant"] == "") & (runs["protocol"] != "temporal") & (runs["seed"] < 1026)]
    rows = [defaults]
    for ablation in ABLATIONS:
        for place, variant in enumerate(ablation.variants):
            own = defaults[defaults["model"] == ablation.model]
            change = 0.02 if ablation.model == "dssm" else 0.0004 - 0.001 * place
            rows.append(own.assign(variant=variant, auc=own["auc"] + change + own["seed"] % 3 * 0.0004))
    return pd.concat([*rows, runs[runs["variant"] == ""]]).drop_duplicates(["protocol", "model", "seed", "variant"])


def on_the_ladder(runs: pd.DataFrame) -> pd.DataFrame:
    """Made-up runs of every rung: its models' defaults, each a little better than on the rung before."""
    defaults = runs[(runs["variant"] == "") & (runs["protocol"] == "published")]
    rungs = [rung for rung in RUNGS if rung.variant]
    parts = [(place, rung, defaults[defaults["model"].isin(rung.models)]) for place, rung in enumerate(rungs)]
    return pd.concat(own.assign(variant=rung.variant, auc=own["auc"] + 0.001 * place) for place, rung, own in parts)


RUNS = pd.concat([with_ablations(RESULTS.runs), on_the_ladder(RESULTS.runs)])
PICTURES = ARCHITECTURES | replace(RESULTS, runs=RUNS).pictures()


def words_of(figure: Figure) -> list[Text]:
    """All that is drawn: an axis also keeps labels of ticks beyond its limits."""
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


class TestLegible:
    @pytest.mark.parametrize("name", PICTURES)
    def test_no_words_overlap_or_leave_the_picture(self, name):
        figure = PICTURES[name].on(LIGHT)
        FigureCanvasAgg(figure).draw()
        boxes = [(text.get_text(), text.get_window_extent().padded(-1)) for text in words_of(figure)]
        assert boxes
        for text, box in boxes:
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
            assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text
        for (text, box), (other, other_box) in itertools.combinations(boxes, 2):
            assert not box.overlaps(other_box), (text, other)


def test_labels_of_learning_curves_stand_in_the_order_of_their_numbers():
    for axis in PICTURES["learning"].on(LIGHT).axes:
        labels = sorted(axis.texts, key=lambda text: text.get_position()[1])
        numbers = [text.get_text().split()[-1] for text in labels]
        assert len(numbers) > 1
        assert numbers == sorted(numbers)


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
