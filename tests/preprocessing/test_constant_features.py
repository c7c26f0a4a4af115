"""A number that is the same in all training rows is 0 for every value, in training, in requests and in upserts."""

from __future__ import annotations

import numpy as np
import pytest
from frame_helpers import ITEMS, LOG, USERS, build
from hypothesis import given
from hypothesis import strategies as st
from serving_helpers import random_model, ranker_of

from foundation.errors import InputError
from preprocessing.encoding import MinMaxScaler

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(seen=FINITE, later=st.lists(FINITE, min_size=1, max_size=3), count=st.integers(0, 3), fill=st.booleans())
def test_any_constant_and_any_later_value(seen, later, count, fill):
    """count: of training rows; of none, nothing is known, either."""
    scaler = MinMaxScaler.fit("x", np.full(count, seen), fill=fill)
    assert scaler.transform("x", np.array(later)).tolist() == [0.0] * len(later)
    assert MinMaxScaler(**scaler.to_json()) == scaler


@pytest.mark.parametrize(("wrong", "called"), [(np.inf, "infinity"), (-np.inf, "infinity"), (np.nan, "NaN,")])
def test_no_number_is_still_refused(wrong, called):
    with pytest.raises(InputError, match=f"Feature 'x' holds 1 rows with {called}"):
        MinMaxScaler(5.0, 5.0).transform("x", np.array([1.0, wrong]))


def test_values_further_apart_than_floats_reach():
    with pytest.raises(InputError, match="Feature 'x' spans"):
        MinMaxScaler(-1.7e308, 1.7e308).transform("x", np.array([1.0]))


@pytest.mark.parametrize("seen", [7.0, None])
def test_from_the_log_to_the_index(seen, tmp_path):
    late = np.argsort(LOG["t"].to_numpy())[200:]  # beyond the training rows
    hour = np.full(240, np.nan if seen is None else seen)
    hour[late] = 1e6
    items, users = ITEMS.assign(price=seen), USERS.assign(income=seen)
    items["price"] = items["price"].astype(float)
    users["income"] = users["income"].astype(float)
    data = build("temporal", items=items, users=users, interactions=LOG.assign(hour=hour))
    assert not data.per_row.values["hour"].any()
    ranker = ranker_of(tmp_path, random_model("dssm", data), data)
    scores = [ranker.score({"u": "u1", "device": "tv", "hour": hour}, [0, 10]) for hour in (7.0, -3e7, 0, None)]
    assert all(one.tolist() == scores[0].tolist() for one in scores)
    ranker.upsert([{"i": 10, "price": 1e9}])
    again = ranker.score({"u": "u1", "device": "tv", "hour": 0}, [0, 10])
    assert again.tolist() == pytest.approx(scores[0].tolist(), abs=1e-6)  # one item alone is rounded otherwise
