"""Values that no one should give: each is answered, or refused by an `InputError` of readable length."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from encoding_helpers import ITEMS, from_frames, trained

from foundation.errors import InputError
from serving.ranker import PreRanker
from serving.state import State
from serving.writer import build_index

VALUES = {
    "5000 digits": 10**5000,
    "5000 digits below 0": -(10**5000),
    "a list of 5000 digits": [10**5000],
    "400 digits": 10**400,
    "a long text": "x" * 10**6,
    "a long list": ["x"] * 10**5,
    "a surrogate": "\ud800",
    "infinity": float("inf"),
    "1e308": 1e308,
    "a large decimal": Decimal("1e999999"),
    "a signalling NaN": Decimal("sNaN"),
    "a complex number": 1j,
    "an array": np.array([[1, 2]]),
    "an array of no dimension": np.array(3),
    "a table": pd.DataFrame({"a": [1]}),
    "a time": pd.Timestamp("2020"),
    "bytes": b"a",
    "an object": object(),
}
USER = {"customer": "c1", "country": "DE", "member": True, "age": 30.0, "device": "phone", "liked_article": [1001]}
ITEM = {"article": 1001, "brand": "brand 1", "price": 7.0, "tags": ["new"], "item_mean_label": 0.4}


@pytest.fixture(scope="module")
def ranker(tmp_path_factory) -> PreRanker:
    run, data = tmp_path_factory.mktemp("run"), from_frames()
    model = trained(data)
    model.save(run)
    build_index(run, model, data)
    return PreRanker.load(run)


def answered(ask) -> None:
    message = ""
    try:
        assert np.isfinite(ask()).all()
    except InputError as refused:
        message = str(refused)
    assert len(message) < 500


@pytest.mark.parametrize("value", VALUES)
class TestEach:
    @pytest.mark.parametrize("feature", [*USER, "user_mean_label"])
    def test_as_a_feature_of_a_user(self, ranker, feature, value):
        answered(lambda: ranker.score(USER | {feature: VALUES[value]}, [1001, 1002]))

    @pytest.mark.parametrize("feature", ITEM)
    def test_as_a_feature_of_an_item(self, ranker, feature, value):
        answered(lambda: ranker.upsert([ITEM | {feature: VALUES[value]}]))
        assert np.isfinite(ranker.score(USER, [1001])).all()

    def test_as_anything_else(self, ranker, value):
        given = VALUES[value]
        for ask in (
            lambda: ranker.score(given, [1001]),
            lambda: ranker.score([given], [1001]),
            lambda: ranker.score(USER, given),
            lambda: ranker.score(USER, [given]),
            lambda: ranker.rank(USER, k=given).scores,
            lambda: ranker.rank(USER, levels=given).scores,
            lambda: ranker.upsert(given),
            lambda: ranker.upsert([given]),
            lambda: ranker.delete([given]),
        ):
            answered(ask)


def test_nothing_as_an_item(ranker):
    with pytest.raises(InputError, match=r"Items must be a list of dicts of raw features\. Received: None"):
        ranker.upsert([None])


def test_decimals_are_numbers_in_requests_as_in_frames(ranker):
    plain = ranker.score(USER, [1001])
    assert ranker.score(USER | {"age": Decimal(30), "liked_article": [Decimal(1001)]}, [1001]) == plain
    ranker.upsert([ITEMS.iloc[[1]].to_dict("records")[0] | {"article": Decimal(1001)}])
    assert ranker.state.items.find([1001])[0] >= 0


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_of_a_ranker_opens_the_run_again(ranker, copied):
    assert copied(ranker).score(USER, [1001, 1002]).tolist() == ranker.score(USER, [1001, 1002]).tolist()


def test_a_thread_sees_what_it_wrote_while_another_opens_it(ranker, monkeypatch):
    real, began = State.refreshed, threading.Event()

    def slow(state):
        began.set()
        time.sleep(0.3)
        return real(state)

    monkeypatch.setattr(State, "refreshed", slow)
    other = PreRanker.load(ranker.state.run)  # its writes are on disk, and not in `ranker`
    generation = other.upsert([ITEM | {"price": 11.0}])
    thread = threading.Thread(target=lambda: ranker.score(USER, [1001]))
    thread.start()
    assert began.wait(10)
    ranker.score(USER, [1001])
    seen = ranker.state.manifest.generation
    thread.join()
    assert seen >= generation


def test_a_file_in_the_place_of_a_run_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError):
        PreRanker.load(tmp_path / "config.json")
