"""A ranking can show its items: texts of the moment it was made in, titles, a frame."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pandas as pd
import pytest
from helpers import random_raw
from serving_helpers import random_model, ranker_of

from preprocessing.dataset import Dataset
from serving.snapshot import Snapshot


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Every third item has no title; one text is called as a ranking calls something of its own."""
    raw = random_raw()
    ids = raw.items["movie_id"].tolist()
    texts = {"title": [f"Film {one}" if one % 3 else "" for one in ids], "score": [f"of {one}" for one in ids]}
    return Dataset.build(replace(raw, items=raw.items.assign(**texts)), "holdout", 0)


@pytest.fixture
def ranker(data, tmp_path):
    return ranker_of(tmp_path, random_model("dssm", data), data)


def test_texts_and_titles_stand_beside_the_items(ranker):
    for ranking in (ranker.rank(107, k=6), ranker.rank(107, [5000, 4994, 4997], k=2), *ranker.rank([107, 100], k=3)):
        ids = ranking.items.tolist()
        assert ranking.texts == {
            "title": [f"Film {one}" if one % 3 else "" for one in ids],
            "score": [f"of {one}" for one in ids],
        }
        assert ranking.titles == [f"Film {one}" if one % 3 else str(one) for one in ids]


def test_a_frame_has_a_row_an_item(ranker):
    ranking = ranker.rank(107, k=4)
    frame = ranking.to_frame()
    assert frame.columns.tolist() == ["movie_id", "score", "logit", "title", "item_score"]
    assert frame["movie_id"].tolist() == ranking.items.tolist()
    assert frame["score"].tolist() == ranking.scores.tolist()
    assert frame["item_score"].tolist() == ranking.texts["score"]


def test_they_are_those_of_the_moment_of_the_ranking(ranker):
    ranking = ranker.rank(107, k=2)
    first, second = ranking.items.tolist()
    ranker.upsert([{"movie_id": first, "title": "Another"}])
    ranker.delete([second])
    assert ranking.texts["score"] == [f"of {first}", f"of {second}"]
    again = ranker.rank(107, [first])
    assert (again.titles, again.texts["score"]) == (["Another"], [f"of {first}"])


def test_they_are_read_when_asked_for_and_once(ranker, monkeypatch):
    read, real = [], Snapshot.text
    monkeypatch.setattr(Snapshot, "text", lambda *given: read.append(given[1]) or real(*given))
    ranking = ranker.rank(107, k=3)
    assert read == []
    assert ranking.titles == ranking.titles
    assert ranking.texts == ranking.texts
    assert read == ["title", "score"]


def test_they_go_to_another_process(ranker):
    ranking = ranker.rank(107, [5000, 4997, 1], missing="skip")
    copy = pickle.loads(pickle.dumps(ranking))
    pd.testing.assert_frame_equal(copy.to_frame(), ranking.to_frame())
    assert (copy.titles, copy.missing.tolist()) == (ranking.titles, [1])
