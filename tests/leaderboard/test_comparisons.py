"""IntTower, HIT and their variants against the best of the others: by runs made by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from report_helpers import five, rows_of, runs, typed

from leaderboard.grid.comparisons import best_baselines, comparisons, comparisons_table, summary_table


def means(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    return {(entry.entrant, entry.opponent): entry.difference.estimate.mean for entry in comparisons(table, "holdout")}


class TestComparisons:
    def test_best_baselines_are_chosen_by_validation_and_not_by_test(self):
        table = runs(
            validation={"dssm": 0.7, "mvke": 0.9, "dat": 0.8, "dcn": 0.6, "lr": 0.5, "hit": 0.99},
            **{name: [0.7] for name in ("dssm", "mvke", "hit")},
            dat=[0.95],
            dcn=[0.7],
            lr=[0.99],
        )
        assert best_baselines(table, "holdout") == {"two towers": "mvke", "ranking": "dcn"}

    def test_ours_against_dssm_and_both_best(self):
        table = runs(dssm=[0.80], mvke=[0.85], dcn=[0.90], int_tower=[0.88], hit=[0.87])
        found = [(entry.entrant, entry.opponent) for entry in comparisons(table, "holdout")]
        assert found == [
            *[(name, other) for name in ("int_tower", "hit") for other in ("dssm", "mvke", "dcn")],
            ("int_tower", "hit"),
        ]

    def test_a_shown_variant_is_compared_with_the_baselines_and_with_its_model(self):
        table = pd.concat([runs(dssm=[0.80], dcn=[0.90], hit=[0.87]), runs(variant="heads_1", hit=[0.88], dcn=[0.99])])
        found = means(table)
        assert found == pytest.approx(
            {("hit", "dssm"): 0.07, ("hit", "dcn"): -0.03}
            | {("hit 1 head", "dssm"): 0.08, ("hit 1 head", "dcn"): -0.02, ("hit 1 head", "hit"): 0.01}
        )
        assert [line.split(" | ")[0] for line in rows_of(summary_table(table))] == ["| HIT", "| HIT (1 head)"]

    def test_shown_variants_are_compared_with_each_other(self):
        one = runs(variant="heads_1", int_tower=[0.89], hit=[0.87])
        table = pd.concat([runs(dssm=[0.8], int_tower=[0.9], hit=[0.85]), one])
        found = means(table)
        assert found[("int_tower 1 head", "hit 1 head")] == pytest.approx(0.02)
        assert "+0.0200" not in summary_table(table)  # which has a column of HIT, not of HIT with one head

    def test_dssm_as_the_best_baseline_is_compared_once(self):
        found = comparisons(runs(dssm=[0.86], dat=[0.85], hit=[0.87]), "holdout")
        assert [(entry.opponent, entry.role) for entry in found] == [("dssm", "the best two-tower baseline")]

    def test_table_by_hand(self):
        # Differences .01, .02, .03: mean .02, s = .01, t(.975, 2) = 4.303, half-width .0248, t = 3.464, p = .0742.
        table = typed(comparisons_table(runs(dssm=[0.8, 0.8, 0.8], hit=[0.81, 0.82, 0.83]), "holdout"))
        assert table.splitlines()[2:] == [
            "| HIT | DSSM | +0.0200 ± 0.0248 | 0.074 | 3 |",
            "",
            "By validation AUC the best two-tower baseline is DSSM.",
        ]

    def test_other_protocols_and_variants_do_not_count(self):
        table = pd.concat(
            [
                runs(dssm=[0.8], hit=[0.9]),
                runs("temporal", dssm=[0.1, 0.1], hit=[0.1, 0.1]),
                runs("holdout", "no_target", hit=[0.1]),
            ]
        )
        (entry,) = comparisons(table, "holdout")
        assert (entry.difference.estimate.mean, entry.difference.estimate.count) == (pytest.approx(0.1), 1)

    def test_overlapping_splits_undo_a_verdict_that_hangs_on_few_seeds(self):
        # Differences .01, .02, .03 + shift: half-width .0248, and with overlap .5 sqrt(1 + 3 * .5) = 1.58 times that.
        for shift, stays in ((0.01, False), (0.03, True)):
            table = runs(dssm=[0.8, 0.8, 0.8], hit=[0.81 + shift, 0.82 + shift, 0.83 + shift]).assign(test_share=0.5)
            (entry,) = comparisons(table, "holdout")
            assert entry.difference.is_clear
            assert entry.corrected.is_clear == stays
            assert entry.corrected.estimate.half_width == pytest.approx(
                1.581 * entry.difference.estimate.half_width, 1e-3
            )

    def test_one_split_for_all_seeds_needs_no_correction(self):
        (entry,) = comparisons(runs("temporal", dssm=[0.8], hit=[0.9]).assign(test_share=0.5), "temporal")
        assert entry.corrected is None

    def test_without_ours_there_is_no_table(self):
        assert comparisons_table(runs(dssm=[0.8], dcn=[0.9]), "holdout") == ""


class TestSummary:
    def test_differences_by_hand(self):
        names = {"dssm": 0.8, "mvke": 0.85, "dcn": 0.9, "int_tower": 0.88, "hit": 0.87}
        table = pd.concat([runs(hit=[0.5], dcn=[0.6]), runs("temporal", **{n: five(v) for n, v in names.items()})])
        heads = "DSSM | MVKE (best two-tower baseline) | DCN (best ranking model) | HIT"
        better = "**+0.0800 ± 0.0000** | **+0.0300 ± 0.0000** | **-0.0200 ± 0.0000** | **+0.0100 ± 0.0000**"
        assert typed(summary_table(table)).splitlines() == [
            "| `holdout`: AUC minus that of | DCN (best ranking model) |",
            "| --- | --: |",
            "| HIT | -0.1000 |",
            "",
            f"| `temporal`: AUC minus that of | {heads} |",
            "| --- | --: | --: | --: | --: |",
            f"| IntTower | {better} |",
            "| HIT | **+0.0700 ± 0.0000** | **+0.0200 ± 0.0000** | **-0.0300 ± 0.0000** |  |",
        ]

    def test_without_ours_there_is_none(self):
        assert summary_table(runs(dssm=[0.8], dcn=[0.9])) == ""
