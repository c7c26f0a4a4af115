"""A feature may have any name, that of something else in an answer or in the index's files included."""

from __future__ import annotations

import numpy as np
import pytest
from frame_helpers import ITEMS, LOG, build
from serving_helpers import random_model, ranker_of

from serving.ranker import PreRanker

NAMES = ["score", "logit", "rank", "items", "id", "keys", "key", "rows", "training", "a.b", "kind.offsets", "%69d", ""]


def assert_shown(ranker: PreRanker, ids: list, name: str, texts: list[str], tags: list[list[int]]) -> None:
    state = ranker._current()
    found = state.items.entities(state.items.find(np.array(ids, dtype=object if isinstance(ids[0], str) else None)))
    place = {one: row for row, one in enumerate(found.ids.tolist())}
    assert [found.texts[name][place[one]] for one in ids] == texts
    bags = [found.features.lists["tags"].batch(state.items.live()[:1] * 0 + place[one]) for one in ids]
    known = state.encoder._values["tags"]
    assert [[known[number - 1] for number in bag.values.tolist()] for bag in bags] == tags


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", [False, True], ids=["whole numbers", "texts"])
def test_a_text_of_an_item(name, text, tmp_path):
    item = (lambda number: f"i{number}") if text else int
    items = ITEMS.assign(**{name: [f"x{n % 4}" for n in range(15)], "i": ITEMS["i"].map(item)})
    data = build(items=items, interactions=LOG.assign(i=LOG["i"].map(item)))
    ranker = ranker_of(tmp_path, random_model("dssm", data), data)
    ids = items["i"].tolist()
    shown, tags = items[name].tolist(), [list(map(int, entry)) for entry in items["tags"]]
    assert_shown(ranker, ids, name, shown, tags)
    ranker.upsert([{"i": ids[1], name: "x0"}, {"i": item(999), name: "x3", "kind": "a", "price": 1.0, "tags": [7]}])
    ranker.delete(ids[:1])
    assert_shown(ranker, [*ids[1:], item(999)], name, ["x0", *shown[2:], "x3"], [*tags[1:], [7]])
    best = ranker.rank({"u": "u1", "device": "tv", "hour": 1.0})
    assert set(best.items.tolist()) == {*ids[1:], item(999)}


@pytest.mark.parametrize("name", ["tags.offsets", "id", "score"])
def test_a_list_of_an_item(name, tmp_path):
    data = build(items=ITEMS.assign(**{name: [["p", "q"][: n % 3] for n in range(15)]}))
    ranker = ranker_of(tmp_path, random_model("dssm", data), data)
    found = ranker.state.items.entities(ranker.state.items.live())
    for place in range(15):
        for one in (name, "tags"):
            stored = found.features.lists[one].batch(data.user[:1] * 0 + place)
            assert stored.values.tolist() == data.items.lists[one].batch(data.user[:1] * 0 + place).values.tolist()
