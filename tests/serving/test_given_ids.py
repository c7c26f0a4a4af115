"""Candidates, ids to delete and users may come in whatever holds a list; statistics and scores are within bounds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from serving_helpers import random_model, ranker_of, text_ids

from foundation.errors import InputError
from serving.ranker import PreRanker

WHOLE = {
    "list": [4997, 5000],
    "tuple": (4997, 5000),
    "set": {4997, 5000},
    "range": range(4997, 5001, 3),
    "generator": (one for one in (4997, 5000)),
    "keys": {4997: "a", 5000: "b"}.keys(),
    "int64": np.array([4997, 5000]),
    "uint16": np.array([4997, 5000], dtype=np.uint16),
    "uint64": np.array([4997, 5000], dtype=np.uint64),
    "float32": np.array([4997, 5000], dtype=np.float32),
    "objects": np.array([np.int16(4997), 5000.0], dtype=object),
    "numpy scalars": [np.int8(0) + np.int64(4997), np.uint32(5000)],
    "whole floats": [4997.0, 5000],
    "Series": pd.Series([5000, 4997], index=[20, 21]),
    "Series, index reversed": pd.Series([4997, 5000], index=[1, 0]),
    "nullable": pd.Series([4997, 5000], dtype="Int64"),
    "arrow-backed": pd.Series([4997, 5000], dtype="int64[pyarrow]"),
    "Index": pd.Index([4997, 5000]),
    "categorical": pd.Series(pd.Categorical([4997, 5000])),
    "pandas array": pd.array([4997, 5000], dtype="UInt16"),
    "arrow": pa.array([4997, 5000]),
    "arrow chunks": pa.chunked_array([[4997], [5000]]),
    "tensor": torch.tensor([4997, 5000]),
}
TEXT = {
    "list": ["m4997", "m5000"],
    "numpy": np.array(["m4997", "m5000"]),
    "numpy scalars": [np.str_("m4997"), "m5000"],
    "Series": pd.Series(["m4997", "m5000"], index=[7, 8]),
    "string": pd.Series(["m4997", "m5000"], dtype="string"),
    "arrow": pd.array(["m4997", "m5000"], dtype="string[pyarrow]"),
    "set": {"m4997", "m5000"},
    "generator": (one for one in ("m4997", "m5000")),
}
NO_LISTS = ["m5000", b"m5000", {"m5000": 1}, 5000, 5000.0, np.int64(5000), np.array(5000), np.ones((2, 2))]


@pytest.fixture(scope="module")
def text_ranker(data, tmp_path_factory) -> PreRanker:
    data = text_ids(data)
    return ranker_of(tmp_path_factory.mktemp("run"), random_model("dssm", data), data)


class TestCandidates:
    @pytest.mark.parametrize("kind", WHOLE)
    def test_whole_numbers(self, kind, ranker):
        assert sorted(ranker.rank(107, WHOLE[kind]).items.tolist()) == [4997, 5000]

    @pytest.mark.parametrize("kind", TEXT)
    def test_texts(self, kind, text_ranker):
        assert sorted(text_ranker.rank("u107", TEXT[kind]).items.tolist()) == ["m4997", "m5000"]

    def test_a_masked_id_is_a_missing_one(self, ranker):
        given = np.ma.array([5000, 4997], mask=[False, True])
        for ask in (ranker.rank, ranker.score):
            with pytest.raises(InputError, match=r"must be a list of whole numbers\. Received: None"):
                ask(107, given)
        with pytest.raises(InputError, match=r"must be a list of whole numbers\. Received: None"):
            ranker.delete(given)

    def test_scores_are_in_the_order_of_a_series(self, ranker):
        given = pd.Series([5000, 4997, 5000], index=[2, 0, 1])
        assert ranker.score(107, given).tolist() == ranker.score(107, [5000, 4997, 5000]).tolist()
        with pytest.raises(InputError, match=r"Candidates must be a list, in an order. Received: set"):
            ranker.score(107, {5000, 4997})

    @pytest.mark.parametrize("index", [[20, 21, 22], [2, 1, 0], ["a", "b", "c"], [0, 0, 0]])
    def test_the_unknown_one_of_a_series_is_named(self, index, ranker):
        given = pd.Series([5000, 5, 4997], index=index)
        for ask in (lambda: ranker.rank(107, given), lambda: ranker.score(107, given)):
            with pytest.raises(InputError, match=r"1 of 3 candidates are not in the index: 5. Leave"):
                ask()
        with pytest.raises(InputError, match=r"1 items to delete are not in the index: \[5\]"):
            ranker.delete(given)

    @pytest.mark.parametrize("given", NO_LISTS, ids=lambda given: f"{type(given).__name__}")
    def test_no_lists(self, given, ranker):
        for ask in (lambda: ranker.rank(107, given), lambda: ranker.score(107, given)):
            with pytest.raises(InputError, match="Candidates must be a list"):
                ask()
        with pytest.raises(InputError, match="Ids to delete must be a list"):
            ranker.delete(given)

    @pytest.mark.parametrize(
        "wrong",
        [
            "5000",
            5000.5,
            float(2**53),
            2**63,
            2**70,
            -(2**63) - 1,
            True,
            None,
            np.nan,
            pd.NA,
            [5000],
            b"5000",
            1j,
        ],
    )
    def test_no_whole_numbers(self, wrong, ranker):
        for given in ([5000, wrong], pd.Series([5000, wrong], dtype=object)):
            for ask in (lambda given=given: ranker.rank(107, given), lambda given=given: ranker.delete(given)):
                with pytest.raises(InputError, match="must be a list of whole numbers"):
                    ask()

    @pytest.mark.parametrize("wrong", [5000, None, np.nan, b"m5000", ["m5000"]])
    def test_no_texts(self, wrong, text_ranker):
        with pytest.raises(InputError, match="must be a list of strings"):
            text_ranker.rank("u107", ["m5000", wrong])

    @pytest.mark.parametrize("empty", [[], (), set(), range(0), pd.Series([], dtype=int), pd.Series([]), iter([])])
    def test_empty(self, empty, ranker):
        with pytest.raises(InputError, match="list of candidates is empty"):
            ranker.rank(107, empty)


class TestUsers:
    @pytest.mark.parametrize(
        "users",
        [
            (100, 107),
            range(100, 108, 7),
            iter([100, 107]),
            np.array([100, 107], dtype=np.uint8),
            np.array([100.0, 107.0]),
            pd.Series([100, 107], index=[1, 0]),
            pd.Series([100, 107], dtype="Int64"),
            pd.Index([100, 107]),
            pa.array([100, 107]),
            [np.int16(100), {"user_id": 107.0}],
        ],
        ids=lambda given: f"{type(given).__name__}",
    )
    def test_many(self, users, ranker):
        expected = [ranker.rank(user, k=3).items.tolist() for user in (100, 107)]
        assert [ranking.items.tolist() for ranking in ranker.rank(users, k=3)] == expected

    @pytest.mark.parametrize("user", [107.0, np.uint8(107), np.float32(107), np.array(107)])
    def test_one(self, user, ranker):
        assert ranker.rank(user, k=3).items.tolist() == ranker.rank(107, k=3).items.tolist()

    def test_one_text(self, text_ranker):
        assert len(text_ranker.rank(np.str_("u107"), k=3)) == 3

    @pytest.mark.parametrize("user", [2**63, 2**70, -(2**70), 107.5, float(2**53), np.nan, pd.NA, b"107", 1j])
    def test_unknown(self, user, ranker):
        for ask in (user, [107, user]):
            with pytest.raises(InputError, match="Unknown user"):
                ranker.rank(ask)

    @pytest.mark.parametrize(
        "users",
        [{107, 100}, np.array([[107]])],
        ids=lambda given: f"{type(given).__name__}",
    )
    def test_no_lists(self, users, ranker):
        with pytest.raises(InputError, match="Users must be a list, in an order"):
            ranker.rank(users)


class TestUpserts:
    @pytest.mark.parametrize(
        "rows",
        ["x", 5, [5000], [[1]], None],
        ids=lambda given: f"{type(given).__name__}",
    )
    def test_no_rows(self, rows, ranker):
        with pytest.raises(InputError, match="Items must be a list"):
            ranker.upsert(rows)

    @pytest.mark.parametrize("one", [None, np.nan, pd.NA])
    def test_without_an_id(self, one, ranker):
        with pytest.raises(InputError, match="An item lacks its id 'movie_id'"):
            ranker.upsert([{"movie_id": one}])

    @pytest.mark.parametrize("one", ["5000", 5000.5, True, 2**63])
    def test_ids_of_another_kind(self, one, ranker):
        with pytest.raises(InputError, match="'movie_id' of items must be a list of whole numbers"):
            ranker.upsert([{"movie_id": one}])

    def test_whole_floats_are_the_item(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        count = len(ranker.state.items)
        ranker.upsert(row for row in [{"movie_id": 5000.0, "price": 3}, {"movie_id": np.uint16(4997)}])
        assert len(ranker._current().items) == count


class TestBounds:
    @pytest.mark.parametrize("share", [4.2, -0.01, 1.0001, np.float32(2), 10**400, None, np.nan, True])
    def test_a_statistic_is_a_share(self, share, ranker):
        message = "'(user|item)_mean_rating' (is a mean of labels, and must lie in 0..1|must be a (finite )?number)"
        for ask in (
            lambda: ranker.rank({"user_id": 107, "user_mean_rating": share}),
            lambda: ranker.upsert([{"movie_id": 5000, "item_mean_rating": share}]),
        ):
            with pytest.raises(InputError, match=message):
                ask()

    @pytest.mark.parametrize("share", [0, 1, 0.25, np.float32(0.5)])
    def test_a_share_is_taken(self, share, ranker):
        assert len(ranker.rank({"user_id": 107, "user_mean_rating": share}, k=2)) == 2

    @pytest.mark.parametrize("name", ["int_tower", "dssm", "mvke"])
    @pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
    def test_scores_that_are_not_finite_are_not_served(self, name, precision, data, tmp_path, monkeypatch):
        ranker = ranker_of(tmp_path, random_model(name, data), data, precision)
        for bad in (float("nan"), float("inf")):
            monkeypatch.setattr(ranker, "_query", lambda *given, bad=bad: PreRanker._query(ranker, *given) * bad)
            asks = (
                lambda: ranker.rank(107),
                lambda: ranker.rank(107, [5000, 4997]),
                lambda: ranker.rank([107, 100], k=1),
                lambda: ranker.score(107, [5000]),
            )
            for ask in asks:
                with pytest.raises(InputError, match="NaN or infinite"):
                    ask()
