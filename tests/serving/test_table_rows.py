"""Rows of tables as they are, ignored and displayed columns among them, are requests and upserts; frames are rows."""

from __future__ import annotations

import numpy as np
import pytest
from frame_helpers import ITEMS, LOG, USERS, build, frames
from serving_helpers import random_model, ranker_of

from foundation.errors import InputError
from preprocessing.dataset import Dataset

PEOPLE = USERS.assign(signup_date="2020-01-01", nick=[f"nick {number}" for number in range(20)])
GOODS = ITEMS.assign(ean=[str(number) for number in range(15)], title=[None, *(f"Title {n}" for n in range(1, 15))])
KINDS = {"signup_date": "ignore", "nick": "display", "ean": "ignore", "title": "display"}
STATISTIC = {"device": "tv", "hour": 1.0}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return build(users=PEOPLE, items=GOODS, kinds=KINDS)


@pytest.fixture(scope="module")
def ranker(data, tmp_path_factory):
    return ranker_of(tmp_path_factory.mktemp("run"), random_model("dssm", data), data)


def test_displayed_columns_are_shown_and_trained_on_by_nobody(data, ranker):
    names = [column.name for column in data.feature_columns(history=True).all]
    assert not {*KINDS} & {*names}
    assert data.raw.users["nick"].tolist() == PEOPLE["nick"].tolist()
    assert data.raw.items["title"].tolist() == ["", *GOODS["title"][1:]]
    ranking = ranker.rank({"u": "u3", **STATISTIC}, k=15)
    assert next(iter(ranking.texts)) == "title"  # before the text that is a feature
    assert dict(zip(ranking.items.tolist(), ranking.titles, strict=True)) == {
        one: f"Title {one // 10}" if one else "0" for one in range(0, 150, 10)
    }


def test_a_row_of_the_users_is_a_request(ranker):
    rows = PEOPLE.to_dict("records")
    requests = [row | STATISTIC for row in rows]
    without = [{name: value for name, value in row.items() if name not in KINDS} for row in requests]
    candidates = [0, 10, 20]
    assert np.array_equal(ranker.score(requests, candidates), ranker.score(without, candidates))
    frame = PEOPLE.assign(**STATISTIC)
    assert np.array_equal(ranker.score(frame, candidates), ranker.score(without, candidates))
    assert [one.items.tolist() for one in ranker.rank(frame, k=3)] == [
        one.items.tolist() for one in ranker.rank(without, k=3)
    ]


def test_a_frame_of_items_is_an_upsert(data, tmp_path):
    ranker = ranker_of(tmp_path, random_model("dssm", data), data)
    new = GOODS[:2].assign(i=[901, 902], title=["New", None])
    ranker.upsert(new)
    assert ranker.rank({"u": "u3", **STATISTIC}, [901, 902], k=2).titles in (["New", "902"], ["902", "New"])
    with pytest.raises(InputError, match="Items have several columns named 'price'"):
        ranker.upsert(new.set_axis(["i", "kind", "price", "price", "ean", "title"], axis=1))


def test_other_columns_are_still_unknown(ranker):
    with pytest.raises(InputError, match=r"Unknown user feature 'devise'\..* Did you mean 'device'\?"):
        ranker.score({"u": "u3", "devise": "tv", "hour": 1.0}, [10])


def test_what_a_new_user_lacks_is_named_without_what_may_be_left_out(ranker):
    message = "user features 'country', 'member', 'hour', 'hobbies', 'income' are missing"
    with pytest.raises(InputError) as refused:
        ranker.score({"u": "nobody", "device": "tv"}, [10])
    missing = str(refused.value).partition(" are missing")[0]
    assert sorted(missing.split("'")[1::2]) == sorted(message.split("'")[1::2])


def test_new_frames_for_a_model_keep_what_is_displayed(data):
    again = Dataset.from_frames(PEOPLE, GOODS, LOG, label="y", timestamp="t", encoding=data)
    assert again.raw.items["title"].tolist() == data.raw.items["title"].tolist()
    assert "ean" not in again.raw.items
    other = build(encoding=build(), items=GOODS, kinds={"title": "display"}, user_id=None, item_id=None)
    assert "title" in other.raw.items


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"interactions": LOG.assign(x="a"), "kinds": {"x": "display"}},
            "Only columns of users and items .* 'display'",
        ),
        ({"items": ITEMS.assign(country="a"), "kinds": {"country": "display"}}, None),
        ({"items": ITEMS.assign(device="a"), "kinds": {"kind": "display"}}, "Two features are named 'device'"),
        ({"items": ITEMS.rename(columns={"kind": "hour"}), "kinds": {"tags": "display"}}, "features are named 'hour'"),
    ],
    ids=["of the log", "of both tables", "beside a feature of the log", "beside a number of the log"],
)
def test_columns_that_cannot_be_displayed(changes, message):
    if message is None:
        assert build(**changes).raw.items["country"].tolist() == ["a"] * 15
        return
    with pytest.raises(InputError, match=message):
        build(**{**frames(), **changes})
