"""What the README says first: by runs made by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from report_helpers import SPREAD, audit_entry, five, runs

from leaderboard.report import key_findings


def test_key_findings_speak_of_the_papers_their_order_and_the_leak():
    names = {"dssm": 0.8, "mvke": 0.85, "dcn": 0.9, "int_tower": 0.88, "hit": 0.87}
    table = pd.concat(
        [runs(protocol, **{n: five(v) for n, v in names.items()}) for protocol in ("published", "temporal")]
    )
    audit = [audit_entry(protocol, 1.0) for protocol in ("published", "temporal")]
    found = key_findings.key_findings(table, audit, [], "ml-1m")
    assert [sentence[: sentence.index(".**")] for sentence in found if "**" in sentence] == [
        "**The papers' numbers",
        "**Their order",
        "**What the leak is worth",  # of published alone; no stages, so nothing on pre-rankers
    ]
    assert sum("the paper's" in sentence for sentence in found) == 2
    assert sum("liked items" in sentence for sentence in found) == 1


def test_one_head_is_compared_with_the_default_number_under_every_protocol_that_has_it():
    one = [runs("holdout", "heads_1", int_tower=five(0.8801, SPREAD[::-1]), hit=[0.86])]
    table = pd.concat([*(runs(name, int_tower=five(0.88), hit=five(0.87)) for name in ("published", "holdout")), *one])
    (sentence,) = key_findings.one_head(table)
    assert sentence.startswith(
        "With one head a score is a plain inner product; under `holdout` IntTower with one head and its default number "
        "cannot be told apart: +.0001 ± "
    )
    assert sentence.endswith("; HIT with one head is .0100 AUC below its default number (one seed).")
    assert key_findings.one_head(table[table["variant"] == ""]) == []


class TestWeightOfCir:
    """Weights of which .5 tests best and .2 validates best."""

    @pytest.fixture
    def table(self):
        spread = {"": (0.88, 0.9), "cir_weight_0.2": (0.89, 0.92), "cir_weight_0.5": (0.90, 0.91)}
        own = [runs(variant=name, validation={"int_tower": v}, int_tower=five(t)) for name, (t, v) in spread.items()]
        return pd.concat([*own, runs(validation={"dcn": 0.93, "lr": 0.8}, dcn=five(0.885), lr=five(0.99))])

    def test_the_weight_is_chosen_by_validation_and_so_is_the_ranking_model(self, table):
        assert key_findings.weight_of_cir(table) == [
            "Under `holdout` IntTower with CIR weight 0.2 is .0100 ± .0000 AUC above its defaults (5 seeds, p < .001); "
            "IntTower with CIR weight 0.2 is .0050 ± .0000 AUC above DCN, the best ranking model by validation "
            "(5 seeds, p < .001)."
        ]

    def test_a_weight_with_other_seeds_does_not_choose(self, table):
        later = runs(variant="cir_weight_0.01", validation={"int_tower": 0.99}, int_tower=[0.7]).assign(seed=9)
        assert key_findings.weight_of_cir(pd.concat([table, later])) == []

    def test_nothing_where_the_default_validates_best(self, table):
        is_default = (table["model"] == "int_tower") & (table["variant"] == "")
        better = table.assign(validation_auc=table["validation_auc"].where(~is_default, 0.95))
        assert key_findings.weight_of_cir(better) == []

    def test_without_ranking_models_the_defaults_alone(self, table):
        (sentence,) = key_findings.weight_of_cir(table[table["model"] == "int_tower"])
        assert sentence.endswith("above its defaults (5 seeds, p < .001).")


class TestOrderOfPapers:
    def test_beside_what_is_seen(self):
        # Papers: DCN .8964, IntTower .8974, HIT .9048.
        table = runs("published", dcn=[0.92], int_tower=[0.91], hit=[0.93], mvke=[0.9])
        assert key_findings.order_of_papers(table, "ml-1m") == [
            "The papers put IntTower .0010 AUC above DCN, HIT .0084 AUC above DCN and IntTower .0074 AUC below HIT; "
            "under `published` here IntTower is .0100 AUC below DCN (one seed); HIT is .0100 AUC above DCN (one seed); "
            "IntTower is .0200 AUC below HIT (one seed)."
        ]

    def test_the_two_among_themselves_without_a_baseline(self):
        (sentence,) = key_findings.order_of_papers(runs("published", int_tower=[0.91], hit=[0.93]), "ml-1m")
        assert sentence == (
            "The papers put IntTower .0074 AUC below HIT; under `published` here IntTower is .0200 AUC below HIT (one "
            "seed)."
        )

    def test_nothing_without_a_paper_or_under_another_protocol(self):
        table = runs("published", gbdt=[0.92], int_tower=[0.91])  # no paper has GBDT
        assert key_findings.order_of_papers(table, "ml-1m") == []
        assert key_findings.order_of_papers(runs("holdout", dcn=[0.92], hit=[0.91]), "ml-1m") == []


class TestSurvivors:
    def test_of_the_models_that_were_measured(self):
        table = runs(validation={"dcn": 0.95}, dcn=[0.9], hit=[0.89], int_tower=[0.88])
        entry = {
            "protocol": "holdout",
            "seed": 0,
            "ranker": "dcn",
            "ranker_test_auc": 0.9,
            "items": 3883,
            "spearman": 0.8,
        }
        entry |= {"survivors": {"200": 0.5, "400": 0.75, "800": 0.9}}
        stages = [{**entry, "model": "hit", "test_auc": 0.89}]
        assert key_findings.survivors_of(stages, table) == [
            "Of the top 100 of the best ranking model by validation, a pre-ranker that keeps 400 of 3,883 items keeps "
            "this share under `holdout`: .750 in HIT (one seed)."
        ]
        assert key_findings.survivors_of([], table) == []
