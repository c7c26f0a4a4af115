"""How well validation chooses, by runs made by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from report_helpers import runs

from leaderboard.ablations.variants import TO_CHOOSE_FROM
from leaderboard.choosing import choosing_table, correlation, runs_to_choose_from, within_models


def every_setting(model: str, aucs: list[float], validation: list[float], seeds: int = 2) -> pd.DataFrame:
    parts = []
    for variant, auc, chosen_by in zip(["", *TO_CHOOSE_FROM[model]], aucs, validation, strict=True):
        part = runs("temporal", variant, **{model: [auc] * seeds})
        parts.append(part.assign(validation_auc=chosen_by))
    return pd.concat(parts)


def test_validation_that_ranks_as_the_test_does_loses_nothing():
    table = every_setting("hit", [0.80, 0.82, 0.84, 0.86], [0.70, 0.71, 0.72, 0.73])
    assert correlation(runs_to_choose_from(table)) == pytest.approx(1.0)
    assert choosing_table(table).splitlines()[2] == "| HIT | 4 | 8 | 1.0000 | 0.0000 |"


def test_validation_that_ranks_the_other_way_loses_the_whole_span():
    table = every_setting("hit", [0.80, 0.82, 0.84, 0.86], [0.73, 0.72, 0.71, 0.70])
    assert choosing_table(table).splitlines()[2] == "| HIT | 4 | 8 | -1.0000 | 0.0600 |"


def test_models_apart_are_no_sign_that_settings_can_be_chosen():
    """Two models, in each of which validation says the opposite of the test; the better one is better in both."""
    worse = every_setting("hit", [0.70, 0.71, 0.72, 0.73], [0.63, 0.62, 0.61, 0.60])
    better = every_setting("deep_fm", [0.90, 0.91, 0.92, 0.93], [0.83, 0.82, 0.81, 0.80])
    own = runs_to_choose_from(pd.concat([worse, better]))
    assert correlation(own) > 0.9
    assert within_models(own) == pytest.approx(-1.0)


def test_a_seed_that_some_settings_lack_does_not_count():
    table = every_setting("hit", [0.80, 0.82, 0.84, 0.86], [0.70, 0.71, 0.72, 0.73])
    more = runs("temporal", "", hit=[0.5, 0.5, 0.5]).assign(validation_auc=0.9).tail(1)
    assert len(runs_to_choose_from(pd.concat([table, more]))) == 8


def test_nothing_without_runs():
    assert choosing_table(runs("holdout", hit=[0.9])) == ""
    assert math.isnan(correlation(runs("temporal", hit=[0.9]).assign(validation_auc=0.9)))
