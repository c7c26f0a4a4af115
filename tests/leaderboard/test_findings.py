"""No sentence claims more than its interval allows: by runs made by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from report_helpers import SPREAD, audit_entry, five, runs

from leaderboard.report import findings


class TestComparisonSentences:
    def test_clear(self):
        table = runs(poly_encoder=five(0.88), int_tower=[v + d for v, d in zip(five(0.8841), SPREAD, strict=True)])
        # Differences .0041 + SPREAD: s = .000316, half-width 2.776 s / sqrt(5) = .0004.
        assert findings.against_opponents(table, "holdout") == [
            "IntTower is .0041 ± .0004 AUC above Poly-Encoder, the best two-tower baseline by validation (5 seeds, "
            "p < .001)."
        ]

    def test_within_the_interval_no_direction_is_claimed(self):
        table = runs(dcn=five(0.88), hit=five(0.8801, [-0.001, 0.002, -0.001, 0.001, -0.001]))
        (sentence,) = findings.against_opponents(table, "holdout")
        assert sentence.startswith("HIT and DCN, the best ranking model by validation, cannot be told apart: +.0001 ± ")
        assert "above" not in sentence
        assert "below" not in sentence

    def test_one_seed_is_called_that(self):
        table = runs(dcn=[0.88], hit=[0.87])
        assert findings.against_opponents(table, "holdout") == [
            "HIT is .0100 AUC below DCN, the best ranking model by validation (one seed)."
        ]
        (sentence,) = findings.spread(table)
        assert sentence.startswith("Every result is of one seed, which tells nothing of the spread")

    def test_several_seeds_need_no_such_word(self):
        assert findings.spread(runs(dcn=[0.88, 0.881], hit=[0.87, 0.871])) == []

    def test_some_rows_of_one_seed_are_counted(self):
        assert findings.spread(runs(dcn=five(0.88), hit=[0.87]))[0].startswith("1 of 2 results")

    def test_equal_models_are_not_told_apart(self):
        (sentence,) = findings.against_opponents(runs(dcn=five(0.88), hit=five(0.88)), "holdout")
        assert sentence.startswith("HIT and DCN, the best ranking model by validation, cannot be told apart: +.0000 ± ")

    def test_the_leader_of_one_seed_is_called_that(self):
        assert findings.highest(runs(dcn=[0.88], hit=[0.87]), "holdout") == [
            "With default settings DCN has the highest test AUC, .8800 (one seed)."
        ]

    def test_the_leader_and_who_may_be_as_good(self):
        table = runs(dcn=five(0.88), deep_fm=five(0.8799, SPREAD[::-1]), lr=five(0.80, SPREAD[::-1]))
        (sentence,) = findings.highest(table, "holdout")
        start = (
            "With default settings DCN has the highest mean test AUC, .8800 ± .0004; no difference to it can be told"
        )
        assert sentence.startswith(start)
        assert "for DeepFM (5 seeds)" in sentence
        assert "LR" not in sentence

    def test_a_seed_that_others_miss_makes_no_leader(self):
        table = runs(dcn=[0.89, 0.8901, 0.8902, 0.999], deep_fm=[0.895, 0.8951, 0.8953])
        (sentence,) = findings.highest(table, "holdout")
        assert sentence == "With default settings DeepFM has the highest mean test AUC, .8951 ± .0004 (3 seeds)."

    def test_without_a_seed_of_all_there_is_no_leader(self):
        early, late = runs(dcn=[0.89]), runs(hit=[0.5, 0.88]).query("seed == 1")
        assert findings.highest(pd.concat([early, late]), "holdout") == []


class TestPaper:
    def test_beyond_the_interval(self):
        (sentence,) = findings.against_paper(runs("published", hit=five(0.9148)), "hit", "ml-1m")
        assert "AUC .9148 ± .0004, .0100 above the paper's .9048" in sentence
        assert "logloss .3002 ± .0002, .0024 below the paper's .3026" in sentence
        assert sentence.endswith("(5 seeds).")

    def test_within_the_interval(self):
        (sentence,) = findings.against_paper(runs("published", hit=five(0.9049)), "hit", "ml-1m")
        assert "AUC .9049 ± .0004, whose interval holds the paper's .9048" in sentence

    @pytest.mark.parametrize(("protocol", "dataset"), [("holdout", "ml-1m"), ("published", "synthetic-movielens")])
    def test_nothing_under_another_protocol_or_on_other_data(self, protocol, dataset):
        assert findings.against_paper(runs(protocol, hit=[0.9]), "hit", dataset) == []


class TestAbovePapers:
    def test_only_gains_beyond_the_interval_count(self):
        # Papers: DSSM .8697, LR .8501, HIT .9048; GBDT is in none.
        table = runs("published", dssm=five(0.8797), lr=five(0.8503), hit=five(0.9), gbdt=five(0.99))
        assert findings.above_papers(table, "ml-1m") == [
            "Under `published` 1 of the 3 models that a paper gives an AUC and that have run are above it by more than "
            "the interval; the differences go from -.0048 for HIT to +.0100 for DSSM."
        ]

    def test_among_several_seeds_a_single_one_is_above_nothing(self):
        table = runs("published", dssm=five(0.8797), lr=[0.9])
        assert findings.above_papers(table, "ml-1m")[0].startswith("Under `published` 1 of the 2 models")

    def test_one_seed(self):
        (sentence,) = findings.above_papers(runs("published", dssm=[0.8797], lr=[0.8503]), "ml-1m")
        assert "2 of the 2 models that a paper gives an AUC and that have run are above it (one seed)" in sentence

    @pytest.mark.parametrize(("protocol", "dataset"), [("holdout", "ml-1m"), ("published", "synthetic-movielens")])
    def test_nothing_under_another_protocol_or_on_other_data(self, protocol, dataset):
        assert findings.above_papers(runs(protocol, hit=[0.9], dssm=[0.9]), dataset) == []


class TestLeak:
    def test_a_bit_that_is_the_label_and_one_that_says_nothing(self):
        entries = [audit_entry("published", 1.0), audit_entry("holdout", 0.5), audit_entry("temporal", 0.53)]
        leaking, honest, between = findings.leak(entries, runs("published", hit=[0.91]))
        assert "reach AUC .8800 (HIT .9100)" in leaking
        assert leaking.endswith("1.0000, it is the label.")
        assert honest.endswith(".5000, it says nothing.")
        assert between.endswith(".5300.")

    def test_models_without_runs_are_not_mentioned(self):
        assert "(" not in findings.leak([audit_entry("holdout", 0.5)], runs("published", hit=[0.91]))[0]


class TestSteps:
    def test_only_falls_beyond_the_interval_count(self):
        before = runs("published", dssm=five(0.88), hit=five(0.90), lr=five(0.8501))
        after = runs("holdout", dssm=five(0.86), hit=five(0.89), lr=five(0.85, [0.002, -0.002, 0.003, -0.003, 0.0]))
        assert findings.steps(pd.concat([before, after])) == [
            "From `published` to `holdout`, without the leak, AUC falls for 2 of 3 models by more than the interval, "
            "least for HIT (.0100), most for DSSM (.0200)."
        ]

    def test_one_seed(self):
        table = pd.concat([runs("published", hit=[0.9]), runs("holdout", hit=[0.89])])
        assert findings.steps(table)[0].endswith("(one seed).")

    def test_no_fall(self):
        table = pd.concat([runs("published", hit=[0.89]), runs("holdout", hit=[0.9])])
        assert "falls for 0 of 1 models (one seed)" in findings.steps(table)[0]
