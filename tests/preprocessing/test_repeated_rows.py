"""Copies of rows are counted, and told of where a random split puts them into training and test."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from frame_helpers import LOG, build
from helpers import raws
from hypothesis import given
from sklearn.metrics import roc_auc_score

from preprocessing.leak_probe import LeakWarning
from preprocessing.repeated_rows import repeated_rows

TWICE = pd.concat([LOG, LOG])
NO_TIMES = {"timestamp": None, "kinds": {"t": "ignore"}}
COPIES = "rows of the log repeat another one"


def told(**changes) -> tuple[list[str], str]:
    """-> the warnings of copies, and what the data say of their log"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        summary = build(**changes).summary()
    assert all(one.filename.endswith("frame_helpers.py") for one in caught)  # where `from_frames` is called
    lines = [line.strip() for line in summary.splitlines() if line.strip().startswith("interactions:")]
    messages = [str(one.message) for one in caught if issubclass(one.category, LeakWarning)]
    return [message for message in messages if COPIES in message], lines[0]


@given(raws())
def test_a_row_repeats_another_if_a_slow_search_finds_one_before_it(raw):
    keys = list(zip(raw.user.tolist(), raw.item.tolist(), raw.timestamp.tolist(), strict=True))
    if not raw.timestamp.any():
        keys = list(zip(keys, raw.label.tolist(), strict=True))
    assert repeated_rows(raw).tolist() == [key in keys[:row] for row, key in enumerate(keys)]


@pytest.mark.parametrize("protocol", ["holdout", "published"])
def test_a_log_twice_is_told_of(protocol):
    messages, line = told(interactions=TWICE, protocol=protocol)
    assert len(messages) == 1
    assert messages[0].startswith(f"240 of 480 {COPIES}. {protocol} splits at random")
    assert line == "interactions: 480 rows read, 480 kept, 240 of them repeat another one"


def test_the_advice_works():
    messages, _ = told(interactions=TWICE)
    scope = {"log": TWICE}
    exec(re.search(r"log = .*?(?=\.$)", messages[0])[0], scope)
    assert told(interactions=scope["log"]) == ([], "interactions: 240 rows read, 240 kept")


def test_under_temporal_they_are_counted_alone():
    messages, line = told(interactions=TWICE, protocol="temporal")
    assert messages == []
    assert "240 of them repeat another one" in line


def test_a_few_are_counted_alone():
    messages, line = told(interactions=pd.concat([LOG, LOG[:2]]))
    assert messages == []
    assert "2 of them repeat another one" in line


def test_without_times_a_row_with_another_feature_is_no_copy():
    assert told(interactions=LOG, **NO_TIMES)[0] == []
    same = LOG.assign(u="u1", i=0, y=np.arange(240) % 2, device="tv")
    assert told(interactions=same, **NO_TIMES)[0] == []  # other hours
    messages, _ = told(interactions=same.assign(hour=1.0), **NO_TIMES)
    assert messages[0].startswith(f"238 of 240 {COPIES}")
    assert "Name the column of times" in messages[0]


def test_copies_in_training_would_tell_the_labels_of_the_test():
    """Why it matters: whoever remembers training rows knows the labels of their copies."""
    with pytest.warns(LeakWarning):
        data = build(interactions=TWICE)
    keys = list(zip(data.raw.user.tolist(), data.raw.item.tolist(), data.raw.timestamp.tolist(), strict=True))
    train, test = data.protocol.splits["train"], data.protocol.splits["test"]
    remembered = {keys[row]: data.raw.label[row] for row in train}
    assert roc_auc_score(data.raw.label[test], [remembered.get(keys[row], 0.5) for row in test]) > 0.8
