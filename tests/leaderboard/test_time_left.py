"""The time that a benchmark still takes, by hand."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from leaderboard.data_sets import MOVIELENS
from leaderboard.jobs import Job, grid
from leaderboard.time_left import WEIGHTS, TimeLeft, costs
from model import MODELS

NO_RUNS = pd.DataFrame()


def earlier(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["model", "variant", "train_seconds"])


def jobs(*models: str) -> list[Job]:
    return grid(MOVIELENS, list(models), ["holdout"], 1)


class TestCosts:
    def test_weights_are_of_models(self):
        assert set(WEIGHTS) <= set(MODELS)  # of another model the weight is 1

    def test_without_earlier_runs_they_are_the_weights(self):
        hit, lr = jobs("hit", "lr")
        assert costs([hit, lr], NO_RUNS) == {hit: WEIGHTS["hit"], lr: WEIGHTS["lr"]}

    def test_mean_of_the_same_model(self):
        (job,) = jobs("hit")
        assert costs([job], earlier(("hit", "", 100.0), ("hit", "", 140.0), ("lr", "", 5.0))) == {job: 120.0}

    def test_a_variant_has_its_own_cost_or_that_of_its_model(self):
        wide = replace(jobs("hit")[0], variant="heads_6")
        other = replace(wide, variant="no_target")
        runs = earlier(("hit", "", 100.0), ("hit", "heads_6", 300.0))
        assert costs([wide, other], runs) == {wide: 300.0, other: 200.0}

    def test_a_model_that_never_ran_is_weighed_against_those_that_did(self):
        (job,) = jobs("mvke")  # dssm: 50 s a unit of weight
        assert costs([job], earlier(("dssm", "", 50 * WEIGHTS["dssm"]))) == {job: pytest.approx(50 * WEIGHTS["mvke"])}

    def test_a_model_that_nobody_weighed_costs_one(self):
        (job,) = jobs("own")
        assert costs([job], NO_RUNS) == {job: 1.0}


class TestTimeLeft:
    def test_unknown_without_a_pace_until_a_run_has_ended(self):
        a, b, c = jobs("lr", "dssm", "hit")
        left = TimeLeft({a: 1.0, b: 2.0, c: 3.0}, workers=1)
        assert (left.seconds, str(left)) == (None, "")
        left.finished(a, 10.0)  # 10 s a unit, 5 units to do
        assert (left.seconds, str(left)) == (50.0, "50 s left")

    def test_shared_among_workers_but_not_within_a_run(self):
        a, b, c = jobs("lr", "dssm", "hit")
        assert TimeLeft({a: 20.0, b: 30.0, c: 30.0}, workers=2, pace=1.0).seconds == 40.0
        assert TimeLeft({a: 20.0, b: 30.0, c: 90.0}, workers=2, pace=1.0).seconds == 90.0

    def test_this_machine_counts_more_than_the_one_of_earlier_runs(self):
        a, b = jobs("lr", "dssm")
        left = TimeLeft({a: 20.0, b: 30.0}, workers=1, pace=1.0)
        left.finished(a, 40.0)
        assert left.seconds == 60.0

    def test_a_run_that_only_needed_filing_says_nothing_of_the_pace(self):
        a, b = jobs("lr", "dssm")
        left = TimeLeft({a: 0.0, b: 30.0}, workers=1, pace=1.0)
        left.finished(a, 0.01)
        assert left.seconds == 30.0

    def test_a_failed_run_says_nothing_of_the_pace(self):
        a, b = jobs("lr", "dssm")
        left = TimeLeft({a: 20.0, b: 30.0}, workers=1, pace=1.0)
        left.finished(a, None)
        assert left.seconds == 30.0

    def test_nothing_is_left_in_the_end(self):
        (a,) = jobs("lr")
        left = TimeLeft({a: 1.0}, workers=4)
        left.finished(a, 3.0)
        assert left.seconds == 0.0
