"""A script warns once that a feature gives labels away, and trains on."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
from helpers import random_raw
from script_helpers import ARGV, TRAINING, script

from experiment.whole_models import train_any_model
from preprocessing.leak_probe import LeakWarning
from preprocessing.raw import RawData

pytestmark = pytest.mark.usefixtures("quick_picture")


def with_label(raw: RawData) -> RawData:
    schema = replace(raw.schema, user_sparse=(*raw.schema.user_sparse, "stars"))
    return replace(raw, schema=schema, interactions={"stars": (raw.label * 4 + 1).astype(int)})


@pytest.mark.parametrize("made", [lambda raw: raw, with_label], ids=["honest", "with the label"])
@pytest.mark.parametrize("refit", ["--refit", "--no_refit"])
def test_warning(made, refit, tmp_path):
    def main() -> None:
        train_any_model("movielens", lambda options: made(random_raw(rows=600)))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert script(main, *ARGV, *TRAINING, "--out", tmp_path, refit) == 0
    told = [str(one.message) for one in caught if issubclass(one.category, LeakWarning)]
    assert len(told) == (made is with_label)
    assert all("Feature 'stars' nearly decides the label (AUC 1.0000" in one for one in told)
