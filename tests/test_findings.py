"""No sentence claims more than its interval allows: by runs made by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from leaderboard.ablations import Ablation
from leaderboard.recipes import VARIANT
from leaderboard.report import ablation_section, ablation_tables, comparisons, findings, key_findings, recipe_section

SPREAD = [0.0, 0.0004, -0.0004, 0.0002, -0.0002]  # over five seeds; mean 0


def runs(protocol: str = "holdout", variant: str = "", validation: dict | None = None, **aucs) -> pd.DataFrame:
    """One row a model and seed 0, 1, ... with these test AUCs. validation: model -> AUC, else its first test AUC."""
    return pd.DataFrame(
        {
            "protocol": protocol,
            "model": model,
            "variant": variant,
            "seed": seed,
            "auc": auc,
            "logloss": 0.3 + 0.0001 * seed,
            "validation_auc": (validation or {}).get(model, values[0]),
        }
        for model, values in aucs.items()
        for seed, auc in enumerate(values)
    )


def five(mean: float, spread=SPREAD) -> list[float]:
    return [mean + part for part in spread]


class TestComparisons:
    def test_best_baselines_are_chosen_by_validation_and_not_by_test(self):
        table = runs(
            validation={"dssm": 0.7, "mvke": 0.9, "dat": 0.8, "dcn": 0.6, "lr": 0.5, "hit": 0.99},
            **{name: [0.7] for name in ("dssm", "mvke", "hit")},
            dat=[0.95],
            dcn=[0.7],
            lr=[0.99],
        )
        assert comparisons.best_baselines(table, "holdout") == {"two towers": "mvke", "ranking": "dcn"}

    def test_ours_against_dssm_and_both_best(self):
        table = runs(dssm=[0.80], mvke=[0.85], dcn=[0.90], int_tower=[0.88], hit=[0.87])
        found = [(name, other) for name, other, _, _ in comparisons.comparisons(table, "holdout")]
        assert found == [
            *[(name, other) for name in ("int_tower", "hit") for other in ("dssm", "mvke", "dcn")],
            ("int_tower", "hit"),
        ]

    def test_a_form_is_compared_with_the_baselines_and_with_its_model(self):
        table = pd.concat([runs(dssm=[0.80], dcn=[0.90], hit=[0.87]), runs(variant="heads_1", hit=[0.88], dcn=[0.99])])
        found = {(name, other): d.estimate.mean for name, other, _, d in comparisons.comparisons(table, "holdout")}
        assert found == pytest.approx(
            {("hit", "dssm"): 0.07, ("hit", "dcn"): -0.03}
            | {("hit 1 head", "dssm"): 0.08, ("hit 1 head", "dcn"): -0.02, ("hit 1 head", "hit"): 0.01}
        )
        assert [line.split(" | ")[0] for line in comparisons.summary(table).splitlines()[2:]] == [
            "| HIT, `holdout`",
            "| HIT (1 head), `holdout`",
        ]

    def test_forms_are_compared_with_each_other(self):
        one = runs(variant="heads_1", int_tower=[0.89], hit=[0.87])
        table = pd.concat([runs(dssm=[0.8], int_tower=[0.9], hit=[0.85]), one])
        found = {(name, other): d.estimate.mean for name, other, _, d in comparisons.comparisons(table, "holdout")}
        assert found[("int_tower 1 head", "hit 1 head")] == pytest.approx(0.02)
        assert "+.0200" not in comparisons.summary(table)  # which has a column of HIT, not of HIT with one head

    def test_dssm_as_the_best_baseline_is_compared_once(self):
        found = comparisons.comparisons(runs(dssm=[0.86], dat=[0.85], hit=[0.87]), "holdout")
        assert [(other, role) for _, other, role, _ in found] == [("dssm", "the best two-tower baseline by validation")]

    def test_table_by_hand(self):
        # Differences .01, .02, .03: mean .02, s = .01, t(.975, 2) = 4.303, half-width .0248, t = 3.464, p = .0742.
        table = comparisons.table(runs(dssm=[0.8, 0.8, 0.8], hit=[0.81, 0.82, 0.83]), "holdout")
        row = "| HIT | DSSM, the best two-tower baseline by validation | +.0200 ± .0248 | .074 | 3 |"
        assert table.splitlines()[2:] == [row]

    def test_other_protocols_and_variants_do_not_count(self):
        table = pd.concat(
            [
                runs(dssm=[0.8], hit=[0.9]),
                runs("temporal", dssm=[0.1, 0.1], hit=[0.1, 0.1]),
                runs("holdout", "no_target", hit=[0.1]),
            ]
        )
        ((*_, difference),) = comparisons.comparisons(table, "holdout")
        assert (difference.estimate.mean, difference.estimate.count) == (pytest.approx(0.1), 1)

    def test_overlapping_splits_undo_a_verdict_that_hangs_on_few_seeds(self):
        # Differences .01, .02, .03 + shift: half-width .0248, and with overlap .5 sqrt(1 + 3 * .5) = 1.58 times that.
        told = {}
        for shift in (0.01, 0.03):
            table = runs(dssm=[0.8, 0.8, 0.8], hit=[0.81 + shift, 0.82 + shift, 0.83 + shift]).assign(test_share=0.5)
            (told[shift],) = comparisons.caution(table, "holdout")
        assert "1.6 times as wide with 3 seeds, no longer tells apart HIT and DSSM." in told[0.01]
        assert told[0.03].endswith("changes none of these verdicts.")

    def test_one_split_for_all_seeds_is_called_that(self):
        assert comparisons.caution(runs("temporal", dssm=[0.8], hit=[0.9]), "temporal") == [comparisons.ONE_SPLIT]

    def test_without_ours_there_is_no_table(self):
        assert comparisons.table(runs(dssm=[0.8], dcn=[0.9]), "holdout") == ""


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
    def entry(self, protocol: str, membership: float) -> dict:
        return {
            "protocol": protocol,
            "seed": 0,
            "test_auc": {"two_statistics": 0.88, "membership": membership, "both": 0.9},
        }

    def test_a_bit_that_is_the_label_and_one_that_says_nothing(self):
        entries = [self.entry("published", 1.0), self.entry("holdout", 0.5), self.entry("temporal", 0.53)]
        leaking, honest, between = findings.leak(entries, runs("published", hit=[0.91]))
        assert "reach AUC .8800 (HIT .9100)" in leaking
        assert leaking.endswith("1.0000, it is the label.")
        assert honest.endswith(".5000, it says nothing.")
        assert between.endswith(".5300.")

    def test_models_without_runs_are_not_mentioned(self):
        assert "(" not in findings.leak([self.entry("holdout", 0.5)], runs("published", hit=[0.91]))[0]


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


class TestAblations:
    def sentences(self, *, sweep: bool = False, **variants) -> list[str]:
        entry = Ablation("t", "q", "hit", {name: {} for name in variants}, is_sweep=sweep)
        parts = [runs(variant=name, hit=values) for name, values in variants.items()]
        return ablation_section.sentences(pd.concat([runs(hit=five(0.88)), *parts]), entry, ["holdout", "temporal"])

    def test_variants_are_sorted_by_what_can_be_told(self):
        (sentence,) = self.sentences(
            no_a=five(0.87, SPREAD[::-1]), no_b=five(0.885, SPREAD[::-1]), no_c=five(0.8801, SPREAD[::-1])
        )
        assert sentence.startswith("Under `holdout` below the defaults: no a (-.0100")
        assert "; above the defaults: no b (+.0050" in sentence
        assert "; no difference to the defaults can be told for no c (+.0001" in sentence

    def test_one_seed_decides_nothing(self):
        (sentence,) = self.sentences(no_a=[0.5])
        assert sentence == "Under `holdout` seen with one seed, which tells nothing of the spread: no a (-.3800)."

    def test_a_sweep_names_its_ends_among_which_the_defaults_are(self):
        (sentence,) = self.sentences(sweep=True, heads_1=five(0.87), heads_8=five(0.86))
        assert sentence.endswith("; from the lowest mean, heads 8, to the highest, the defaults: +.0200 ± .0000.")

    def test_ends_that_cannot_be_told_apart_are_not_claimed(self):
        (sentence,) = self.sentences(sweep=True, heads_1=five(0.8801, SPREAD[::-1]), heads_8=five(0.88))
        assert "to the highest, heads 1: +.0001 ± " in sentence
        assert sentence.endswith(", which may be chance.")

    def test_ends_are_of_the_seeds_that_all_values_have(self):
        later = [0.99, 0.99, 0.99]  # of seeds that heads 8 has not run
        (sentence,) = self.sentences(sweep=True, heads_1=[0.87, 0.8704, *later], heads_8=[0.86, 0.8604])
        assert sentence.endswith(
            "; from the lowest mean, heads 8, to the highest, the defaults, over the 2 seeds that all have: "
            "+.0200 ± .0000."
        )

    def test_a_sweep_with_a_single_seed_in_common_has_no_ends(self):
        (sentence,) = self.sentences(sweep=True, heads_1=five(0.87), heads_8=[0.88])
        assert "lowest" not in sentence

    def test_a_sweep_with_as_many_but_other_seeds_has_no_ends(self):
        entry = Ablation("t", "q", "hit", {"heads_1": {}, "heads_8": {}}, is_sweep=True)
        early, late = runs(variant="heads_1", hit=[0.87, 0.871]), runs(variant="heads_8", hit=five(0.86))
        table = pd.concat([runs(hit=five(0.88)), early, late[late["seed"] > 2]])
        (sentence,) = ablation_section.sentences(table, entry, ["holdout"])
        assert "heads 8" in sentence
        assert "lowest" not in sentence

    def test_a_variant_can_be_what_others_are_compared_with(self):
        entry = Ablation("t", "q", "hit", {"dropout": {}, "dropout_and_defect": {}}, reference="dropout")
        parts = [runs(variant="dropout", hit=five(0.87)), runs(variant="dropout_and_defect", hit=five(0.875))]
        table = pd.concat([runs(hit=five(0.88)), *parts])
        (sentence,) = ablation_section.sentences(table, entry, ["holdout"])
        told = (
            "Under `holdout` above dropout 0.3: the defaults (+.0100 ± .0000) and dropout and defect (+.0050 ± .0000)."
        )
        assert sentence == told
        rows = ablation_tables.table(table, entry, ["holdout"]).splitlines()[2:]
        assert rows == [
            "| dropout 0.3 | .8700 ± .0004 |  |",
            "| the defaults | .8800 ± .0004 | **+.0100 ± .0000** |",
            "| dropout and defect | .8750 ± .0004 | **+.0050 ± .0000** |",
        ]

    def test_without_runs_there_is_no_sentence(self):
        entry = Ablation("t", "q", "hit", {"no_a": {}})
        assert ablation_section.sentences(runs(hit=five(0.88)), entry, ["holdout"]) == []


def test_key_findings_speak_of_the_papers_their_order_and_the_leak():
    names = {"dssm": 0.8, "mvke": 0.85, "dcn": 0.9, "int_tower": 0.88, "hit": 0.87}
    table = pd.concat(
        [runs(protocol, **{n: five(v) for n, v in names.items()}) for protocol in ("published", "temporal")]
    )
    audit = [TestLeak().entry(protocol, 1.0) for protocol in ("published", "temporal")]
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


class TestSummary:
    def test_differences_by_hand(self):
        names = {"dssm": 0.8, "mvke": 0.85, "dcn": 0.9, "int_tower": 0.88, "hit": 0.87}
        table = pd.concat([runs(hit=[0.5], dcn=[0.6]), runs("temporal", **{n: five(v) for n, v in names.items()})])
        heads, _, *lines = comparisons.summary(table).splitlines()
        assert heads == (
            "| AUC minus that of | DSSM | the best two-tower baseline by validation | the best ranking model by "
            "validation | HIT |"
        )
        assert lines == [
            "| IntTower, `temporal` | **+.0800 ± .0000** | **+.0300 ± .0000** (MVKE) | **-.0200 ± .0000** (DCN) | "
            "**+.0100 ± .0000** |",
            "| HIT, `holdout` |  |  | -.1000 (DCN) |  |",
            "| HIT, `temporal` | **+.0700 ± .0000** | **+.0200 ± .0000** (MVKE) | **-.0300 ± .0000** (DCN) |  |",
        ]

    def test_without_ours_there_is_none(self):
        assert comparisons.summary(runs(dssm=[0.8], dcn=[0.9])) == ""


class TestHeads:
    def test_over_the_seeds_that_all_have(self):
        entry = Ablation("t", "q", "hit", {"heads_1": {}, "heads_3": {}, "heads_4": {}}, default_heads=2)
        parts = [runs(variant="heads_1", hit=[0.87, 0.88]), runs(variant="heads_4", hit=[0.89, 0.90, 0.91])]
        found = ablation_tables.auc_by_heads(pd.concat([runs(hit=five(0.88)), *parts]), "holdout", entry)
        assert list(found) == [1, 2, 4]
        assert {auc.count for auc in found.values()} == {2}
        assert found[4].mean == pytest.approx(0.895)

    def test_nothing_where_no_seed_is_shared(self):
        entry = Ablation("t", "q", "hit", {"heads_1": {}}, default_heads=2)
        table = pd.concat([runs(hit=[0.88]), runs(variant="heads_1", hit=[0.87, 0.88]).tail(1)])
        assert ablation_tables.auc_by_heads(table, "holdout", entry) == {}
        assert ablation_tables.auc_by_heads(table, "temporal", entry) == {}


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
        lines = ablation_tables.parts_table(table).splitlines()
        assert lines[0] == "| AUC minus that of the defaults | `published` | `holdout` |"
        assert "| IntTower: no CIR | **-.0100 ± .0000** | +.0100 |" in lines
        assert lines[-1] == "| DSSM: gamma learned |  | **+.0300 ± .0000** |"
        assert [line for line in lines if "heads" in line] == ["| IntTower: heads 1 |  | +.0200 |"]

    def test_nothing_without_runs(self):
        assert ablation_tables.parts_table(runs(hit=[0.9])) == ""

    def test_a_protocol_of_one_variant_among_many_has_no_column(self):
        many = [runs("holdout", name, int_tower=[0.9]) for name in ("no_cir", "no_light_se", "fe_input_pre", "heads_8")]
        defaults = [runs(name, int_tower=[0.9]) for name in ("holdout", "temporal")]
        few = runs("temporal", "cir_weight_0.2", int_tower=[0.9]), runs("temporal", "heads_1", int_tower=[0.9])
        heads = ablation_tables.parts_table(pd.concat([*defaults, *many, *few])).splitlines()[0]
        assert heads == "| AUC minus that of the defaults | `holdout` |"

    def test_a_protocol_of_recipes_alone_has_no_column(self):
        parts = (runs("holdout", "no_cir", int_tower=[0.9]), runs("published", VARIANT, int_tower=[0.9]))
        assert "published" not in ablation_tables.parts_table(pd.concat([runs(int_tower=[0.9]), *parts]))


class TestRecipes:
    """By recipes whose AUC is .005 below the paper's, and defaults .01 and .02 above them."""

    @pytest.fixture
    def table(self):
        recipe = runs("published", VARIANT, int_tower=five(0.8924), dcn=five(0.8914))  # papers: .8974 and .8964
        return pd.concat([recipe, runs("published", int_tower=five(0.9024, SPREAD[::-1]), dcn=five(0.9114))])

    def test_the_recipe_stands_beside_the_paper_and_the_defaults(self, table):
        lines = recipe_section.table(table, "ml-1m").splitlines()
        assert lines[0] == "| AUC | paper | `published`: the recipe | our defaults | gain |"
        dcn, int_tower = lines[2:]
        assert dcn == "| DCN | .8964 | .8914 ± .0004 (-.0050) | .9114 ± .0004 | **+.0200 ± .0000** |"
        assert int_tower.startswith("| IntTower | .8974 | .8924 ± .0004 (-.0050) | .9024 ± .0004 | **+.0100 ± ")

    def test_sentences_tell_the_distances_and_the_order(self, table):
        dcn, int_tower, order = recipe_section.sentences(table, "ml-1m")
        assert dcn.startswith(
            "By the released recipe DCN under `published`: AUC .8914 ± .0004, .0050 below the paper's"
        )
        assert dcn.endswith("(5 seeds); our default setting is .0200 ± .0000 AUC above the recipe (5 seeds, p < .001).")
        assert "our default setting is .0100 ± " in int_tower
        assert order == (
            "The papers put IntTower .0010 AUC above DCN; by the released recipe "
            "IntTower is .0010 ± .0000 AUC above DCN (5 seeds, p < .001)."
        )

    def test_without_runs_there_is_no_section(self, table):
        assert recipe_section.recipe_sections(table[table["variant"] == ""], "ml-1m") == []


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
