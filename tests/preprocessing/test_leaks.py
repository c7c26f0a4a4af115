"""A column that the label was made from is told of; what decides labels by accident, or by one's own word, is not."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from frame_helpers import LOG, build

from preprocessing.leaks import LeakWarning

RNG = np.random.default_rng(1)
LABEL = LOG["y"].to_numpy()
UNIQUE = RNG.permutation(240)


def warned(**changes) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        build(**changes)
    return [str(one.message) for one in caught if issubclass(one.category, LeakWarning)]


DECIDES = {
    "stars": RNG.integers(1, 4, 240) + 3 * LABEL,
    "stars, two values of five": np.where(LABEL, RNG.choice([2, 4], 240), RNG.choice([1, 3, 5], 240)),
    "floats of stars": np.where(LABEL, RNG.choice([2.0, 4.0], 240), RNG.choice([1.0, 3.0, 5.0], 240)),
    "texts": np.where(LABEL, "bought", "seen"),
    "truth": LABEL == 1,
    "nullable": pd.array(LABEL, "Int64"),
    "categorical": pd.Categorical(np.where(LABEL, "yes", None)),
    "missing where negative": np.where(LABEL, 1.0, np.nan),
    "missing where positive": pd.Series(np.where(LABEL, None, "left"), dtype=object),
    "seconds watched, above a threshold": RNG.random(240) + LABEL,
    "below a threshold": UNIQUE - 1000 * LABEL,
    "above a threshold, or missing": np.where(RNG.random(240) < 0.1, np.nan, RNG.random(240) + LABEL),
}
DECIDES["above a threshold, or missing"][LABEL == 1] = (RNG.random(240) + 1)[LABEL == 1]
NO_LEAKS = {
    "a number for each row": UNIQUE,
    "a text for each row": [f"r{number}" for number in UNIQUE],
    "noise": RNG.random(240),
    "few values": RNG.integers(0, 5, 240),
    "all but one row": np.where(np.arange(240) == 7, 1 - LABEL, LABEL),
    "a threshold but for one row": np.where(np.arange(240) == 7, 1.5 - 2 * LABEL, RNG.random(240) + LABEL),
    "constant": 1.0,
    "nothing": None,
    "pairs of rows, some of one label": np.arange(240) // 2,
}


@pytest.mark.parametrize("name", DECIDES)
def test_a_feature_that_decides_is_told_of(name):
    told = warned(interactions=LOG.assign(stars=DECIDES[name]))
    assert len(told) == 1
    assert "Feature 'stars'" in told[0]
    assert "kinds={'stars': 'ignore'}" in told[0]


@pytest.mark.parametrize("name", NO_LEAKS)
def test_others_are_not(name):
    assert warned(interactions=LOG.assign(stars=NO_LEAKS[name])) == []


@pytest.mark.parametrize("kind", ["sparse", "ignore"])
def test_a_feature_whose_kind_is_given_is_not(kind):
    assert warned(interactions=LOG.assign(stars=DECIDES["stars"]), kinds={"stars": kind}) == []


@pytest.mark.parametrize("rows", [20, 40])
def test_few_rows_are_told_apart_by_accident(rows):
    label = np.arange(rows) % 2
    log = LOG[:rows].assign(y=label, code=np.arange(rows) // 4 * 2 + label)
    # Each of the codes occurs twice: once in two to the power of their number by accident.
    assert warned(interactions=log) == []


def test_what_data_say_of_themselves_names_the_features():
    log = LOG.assign(stars=DECIDES["stars"], bought=DECIDES["texts"])
    with pytest.warns(LeakWarning):
        data = build(interactions=log)
    assert "leaks no labels, but the labels are decided by stars, bought\n" in repr(data)
    ignored = build(interactions=log, kinds={"stars": "ignore", "bought": "ignore"})
    assert "leaks no labels\n" in repr(ignored)


def test_the_warning_names_the_caller():
    with pytest.warns(LeakWarning) as caught:
        build(interactions=LOG.assign(stars=DECIDES["stars"]))
    assert caught[0].filename.endswith("frame_helpers.py")
