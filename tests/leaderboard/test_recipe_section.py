"""What is said of the released recipes: by runs made by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from report_helpers import SPREAD, five, runs

from leaderboard.recipes import VARIANT
from leaderboard.report import recipe_section


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
