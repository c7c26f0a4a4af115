"""What is said and shown of ablations: by runs made by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from report_helpers import SPREAD, five, runs

from leaderboard.ablations import Ablation
from leaderboard.recipes import VARIANT
from leaderboard.report import ablation_section, ablation_tables


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
