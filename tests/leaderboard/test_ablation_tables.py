"""The tables of ablations, by runs made by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from report_helpers import five, rows_of, runs, typed

from leaderboard.ablations.tables import ablation_table, ablations_with_runs, auc_by_heads, group_table, parts_table
from leaderboard.ablations.variants import HISTORY, Ablation


def test_a_variant_can_be_what_others_are_compared_with():
    entry = Ablation("t", "hit", {"dropout": {}, "dropout_published_eval_mode": {}}, reference="dropout")
    parts = [runs(variant="dropout", hit=five(0.87)), runs(variant="dropout_published_eval_mode", hit=five(0.875))]
    assert rows_of(ablation_table(pd.concat([runs(hit=five(0.88)), *parts]), entry)) == [
        "| dropout 0.3 | 0.8700 ± 0.0004 |  |",
        "| the defaults | 0.8800 ± 0.0004 | **+0.0100 ± 0.0000** |",
        "| dropout 0.3, first epoch alone | 0.8750 ± 0.0004 | **+0.0050 ± 0.0000** |",
    ]


class TestHeads:
    def test_over_the_seeds_that_all_have(self):
        entry = Ablation("t", "hit", {"heads_1": {}, "heads_3": {}, "heads_4": {}}, default_heads=2)
        parts = [runs(variant="heads_1", hit=[0.87, 0.88]), runs(variant="heads_4", hit=[0.89, 0.90, 0.91])]
        found = auc_by_heads(pd.concat([runs(hit=five(0.88)), *parts]), "holdout", entry)
        assert list(found) == [1, 2, 4]
        assert {auc.count for auc in found.values()} == {2}
        assert found[4].mean == pytest.approx(0.895)

    def test_nothing_where_no_seed_is_shared(self):
        entry = Ablation("t", "hit", {"heads_1": {}}, default_heads=2)
        table = pd.concat([runs(hit=[0.88]), runs(variant="heads_1", hit=[0.87, 0.88]).tail(1)])
        assert auc_by_heads(table, "holdout", entry) == {}
        assert auc_by_heads(table, "temporal", entry) == {}


class TestPartsTable:
    def test_changes_of_parts_under_every_protocol_that_has_them_and_of_heads_one_alone(self):
        table = pd.concat(
            [
                *[runs(name, int_tower=five(0.9), dssm=five(0.8)) for name in ("published", "holdout")],
                runs("published", "no_cir", int_tower=five(0.89)),
                runs("holdout", "no_cir", int_tower=[0.91]),
                runs("holdout", "heads_1", int_tower=[0.92]),
                runs("holdout", "heads_8", int_tower=[0.91]),
                runs("holdout", "gamma_learned", dssm=five(0.83)),
            ]
        )
        lines = typed(parts_table(table)).splitlines()
        assert lines[0] == "| AUC minus that of the defaults | `published` | `holdout` |"
        assert "| IntTower: no CIR | **-0.0100 ± 0.0000** | +0.0100 |" in lines
        assert lines[-1] == "| DSSM: gamma learned |  | **+0.0300 ± 0.0000** |"
        assert [line for line in lines if "heads" in line] == ["| IntTower: heads 1 |  | +0.0200 |"]

    def test_nothing_without_runs(self):
        assert parts_table(runs(hit=[0.9])) == ""

    def test_a_protocol_of_one_variant_among_many_has_no_column(self):
        many = [runs("holdout", name, int_tower=[0.9]) for name in ("no_cir", "no_light_se", "fe_input_pre", "heads_8")]
        defaults = [runs(name, int_tower=[0.9]) for name in ("holdout", "temporal")]
        few = runs("temporal", "cir_weight_0.2", int_tower=[0.9]), runs("temporal", "heads_1", int_tower=[0.9])
        heads = parts_table(pd.concat([*defaults, *many, *few])).splitlines()[0]
        assert heads == "| AUC minus that of the defaults | `holdout` |"

    def test_a_protocol_of_the_ladder_alone_has_no_column(self):
        parts = (runs("holdout", "no_cir", int_tower=[0.9]), runs("published", "ladder_heads_4", int_tower=[0.9]))
        assert "published" not in parts_table(pd.concat([runs(int_tower=[0.9]), *parts]))


class TestGroups:
    def test_a_row_a_model_that_has_run(self):
        history = [runs("holdout", "no_history", hit=five(0.89)), runs("temporal", "history", dcn=[0.86])]
        defaults = [runs("holdout", hit=five(0.88)), runs("temporal", dcn=[0.85], hit=[0.84])]
        assert typed(group_table(pd.concat([*history, *defaults]), HISTORY)).splitlines() == [
            "| AUC, `holdout` | variant | the defaults | the variant | difference |",
            "| --- | --: | --: | --: | --: |",
            "| HIT | no history | 0.8800 ± 0.0004 | 0.8900 ± 0.0004 | **+0.0100 ± 0.0000** |",
            "",
            "| AUC, `temporal` | variant | the defaults | the variant | difference |",
            "| --- | --: | --: | --: | --: |",
            "| DCN | with the history | 0.8500 | 0.8600 | +0.0100 |",
        ]

    def test_have_no_table_of_their_own(self):
        assert ablations_with_runs(runs("holdout", "no_history", hit=[0.9])) == []

    def test_nothing_without_runs(self):
        assert group_table(runs(hit=[0.9]), HISTORY) == ""
