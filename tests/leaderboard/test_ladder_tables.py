"""The ladder's tables, numbers in prose and picture, by runs made by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from report_helpers import SPREAD, five, rows_of, runs, typed

from foundation.errors import InputError
from leaderboard.board import Results
from leaderboard.ladder.picture import Bar, bars, ladder_picture
from leaderboard.ladder.rungs import BY_KEY, RUNGS
from leaderboard.ladder.steps import reached, step_to
from leaderboard.ladder.table import ladder_table, models_on_the_ladder
from leaderboard.prose import Numbers
from leaderboard.theme import DARK, LIGHT

NAME = "ml-1m"
# Papers: IntTower 0.8974 / 0.3128, DSSM 0.8697 / 0.4559, DCN 0.8964, MVKE 0.8720.
CLIMB = {"release": 0.8954, "heads_4": 0.8950, "random_validation": 0.8960, "tower_start": 0.9090}
CLIMB |= {"training_mode": 0.9090, "paper_model": 0.9100, "our_recipe": 0.9160, "holdout": 0.8967, "temporal": 0.8480}


def on(key: str, **aucs: list[float]) -> pd.DataFrame:
    """Runs on a rung, seeds 0, 1, ..."""
    return runs(BY_KEY[key].protocol, BY_KEY[key].variant, **aucs)


def whole() -> pd.DataFrame:
    """IntTower on every rung, with seeds that move together; DCN on the ends."""
    parts = [on(key, int_tower=five(auc)) for key, auc in CLIMB.items()]
    return pd.concat([*parts, *(on(key, dcn=five(CLIMB[key])[:3]) for key in ("release", "our_recipe", "holdout"))])


class TestTable:
    def test_a_row_a_rung_and_the_step_from_the_one_before(self):
        numbers, steps, seeds = typed(ladder_table(whole(), NAME)).split("\n\n")
        lines = numbers.splitlines()
        assert lines[0] == "| AUC | IntTower | HIT | DSSM | DeepFM |"
        assert lines[2:4] == [
            "| the paper | 0.8974 | 0.9048 | 0.8697 | 0.8920 |",
            "| its release | 0.8954 ± 0.0004 |  |  |  |",
        ]
        assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {rung.title}" for rung in RUNGS]
        lines = steps.splitlines()
        assert lines[0] == "| change of AUC by | IntTower |"
        # Minus the paper's number, which has no interval: that of the runs, t(0.975, 4) sqrt(1e-7 / 5), and no bold.
        assert lines[2] == "| its release | -0.0020 ± 0.0004 |"
        assert lines[3] == "| 4 heads | **-0.0004 ± 0.0000** |"  # paired: all seeds differ by the same
        assert lines[6] == "| dropout in every epoch | +0.0000 ± 0.0000 |"
        # Other test rows: not paired, t(0.975, 8) sqrt(2 * 1e-7 / 5) = 2.306 * 0.0002.
        assert lines[9] == "| holdout: no label leak | **-0.0193 ± 0.0005** |"
        assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {rung.title}" for rung in RUNGS[1:]]
        assert seeds == "Seeds: 5."

    def test_logloss_is_that_of_the_papers_and_runs(self):
        numbers, steps, _ = typed(ladder_table(whole(), NAME, "logloss")).split("\n\n")
        lines = numbers.splitlines()
        assert lines[0].startswith("| logloss | IntTower |")
        assert lines[2].startswith("| the paper | 0.3128 |")
        assert lines[3].startswith("| its release | 0.3002 ± 0.0002 |")
        assert steps.splitlines()[2] == "| its release | -0.0126 ± 0.0002 |"

    def test_of_partial_results(self):
        table = pd.concat([on("release", dssm=[0.86], int_tower=five(0.895)), on("tower_start", int_tower=[0.909])])
        found = typed(ladder_table(table, NAME))
        assert rows_of(found) == [
            "| the paper | 0.8974 | 0.9048 | 0.8697 | 0.8920 |",
            "| its release | 0.8950 ± 0.0004 |  | 0.8600 |  |",
            "| towers start as usual | 0.9090 |  |  |  |",
            "| its release | -0.0024 ± 0.0004 | -0.0097 |",
        ]
        assert found.endswith("Seeds: 1, but 5 for its release (IntTower).")
        assert ladder_table(runs(int_tower=five(0.9)), NAME) == ""

    def test_seeds_that_one_rung_lacks_are_left_out_of_a_paired_step(self):
        release, fewer = [0.8, 0.9, 0.7], [0.81, 0.93]  # differences 0.01 and 0.03 of the first two
        table = pd.concat([on("release", int_tower=release), on("heads_4", int_tower=fewer)])
        step = step_to(table, NAME, BY_KEY["heads_4"], "int_tower")
        assert (step.estimate.count, step.estimate.mean) == (2, pytest.approx(0.02))
        apart = pd.concat([on("our_recipe", int_tower=release), on("holdout", int_tower=fewer)])
        step = step_to(apart, NAME, BY_KEY["holdout"], "int_tower")
        assert (step.estimate.count, step.estimate.mean) == (2, pytest.approx(0.87 - 0.8))
        assert not step.is_clear

    def test_a_rung_that_a_model_does_not_have_is_passed_over(self):
        table = pd.concat([on("release", hit=five(0.89)), on("random_validation", hit=five(0.90, SPREAD))])
        assert reached(table, NAME, BY_KEY["heads_4"], "hit").count == 0
        assert step_to(table, NAME, BY_KEY["random_validation"], "hit").estimate.mean == pytest.approx(0.01)


class TestModels:
    def test_all_of_the_releases_with_their_distance_from_the_paper(self):
        far = on("release", mvke=[0.8619, 0.8619])  # 0.0101 below
        releases, ends, seeds = typed(models_on_the_ladder(pd.concat([whole(), far]), NAME)).split("\n\n")
        assert releases.splitlines()[0] == "| AUC | paper | release | release minus paper |"
        assert rows_of(releases) == [
            "| MVKE | 0.8720 | 0.8619 | -0.0101 (far) |",
            "| DCN | 0.8964 | 0.8954 ± 0.0010 | -0.0010 ± 0.0010 |",
            "| IntTower | 0.8974 | 0.8954 ± 0.0004 | -0.0020 ± 0.0004 |",
        ]
        assert ends.splitlines()[0] == "| AUC | paper | our training | holdout: no label leak | temporal: later data |"
        assert rows_of(ends) == [
            "| DCN | 0.8964 | 0.9160 ± 0.0010 | 0.8967 ± 0.0010 |  |",
            "| IntTower | 0.8974 | 0.9160 ± 0.0004 | 0.8967 ± 0.0004 | 0.8480 ± 0.0004 |",
        ]
        assert seeds == (
            "Seeds: 5, but 3 for its release (DCN), our training (DCN), holdout: no label leak (DCN); "
            "2 for its release (MVKE)."
        )

    def test_nothing_without_a_release(self):
        assert models_on_the_ladder(on("holdout", dcn=five(0.9)), NAME) == ""


class TestNumbers:
    @pytest.mark.parametrize(
        ("marker", "text"),
        [
            ("rung int_tower paper", "0.8974"),
            ("rung int_tower tower_start", "0.9090 ± 0.0004"),
            ("rung int_tower holdout logloss", "0.3002 ± 0.0002"),
            ("step int_tower release", "-0.0020 ± 0.0004"),
            ("step int_tower tower_start", "+0.0130 ± 0.0000"),
            ("step int_tower temporal", "-0.0487 ± 0.0005"),
        ],
    )
    def test_a_marker_means(self, marker, text):
        assert typed(Numbers(Results(NAME, whole()))(marker)) == text

    @pytest.mark.parametrize(
        "marker", ["rung dcn tower_start", "rung hit release", "rung int_tower top", "step int_tower paper"]
    )
    def test_a_marker_that_nothing_fills_is_named(self, marker):
        with pytest.raises(InputError, match=marker):
            Numbers(Results(NAME, whole()))(marker)


class TestPicture:
    def test_bars_go_from_value_to_value_over_what_is_missing(self):
        table = pd.concat([on("release", hit=[0.90]), on("tower_start", hit=[0.92]), on("holdout", hit=[0.89])])
        rungs = [rung for rung in RUNGS if rung.key != "heads_4"]
        assert bars(table, NAME, rungs, "hit") == [
            Bar(0, 0.9048, 0.9048),
            Bar(1, 0.9048, 0.90),
            Bar(3, 0.90, 0.92),
            Bar(7, 0.92, 0.89),
        ]

    @pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
    def test_bars_rise_in_one_colour_and_fall_in_another_beside_their_values(self, theme):
        figure = ladder_picture(whole(), NAME)["ladder"].on(theme)
        FigureCanvasAgg(figure).draw()
        (axis,) = figure.axes  # of IntTower, the only one with runs
        drawn = [patch for patch in axis.patches if math.isclose(patch.get_height(), 0.62)]
        steps = [patch for patch in drawn if patch.get_width()]
        rises, falls = (
            {patch.get_facecolor() for patch in steps if (patch.get_width() > 0) == up} for up in (True, False)
        )
        assert len(rises) == len(falls) == 1
        assert rises != falls
        values = [text.get_text() for text in axis.texts]
        assert values == ["0.8974", *(f"{auc:.4f}" for auc in CLIMB.values())]

    def test_there_is_none_without_two_rungs(self):
        assert ladder_picture(whole(), "generated") == {}
        assert ladder_picture(on("holdout", int_tower=five(0.9)), NAME) == {}
        assert "ladder" in ladder_picture(pd.concat([on("release", hit=[0.89]), on("holdout", hit=[0.88])]), NAME)
