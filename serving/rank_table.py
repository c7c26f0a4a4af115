"""A ranking to read: names beside ids, and what the user liked before."""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation.deepctr import SparseFeat
from foundation.features import Bags, values_of
from foundation.shown import columns, padded, shortened, some, visible
from serving.explain import with_id
from serving.ranker import PreRanker, User
from serving.ranking import OWN, Ranking, shown_names

LIKED_SHOWN = 50  # of a user's history, the latest
LIKED_NAMED = 10  # of those in the line for people
WIDTH = 44  # of a cell, in columns of a terminal


def liked_before(ranker: PreRanker, user: User) -> list[dict[str, Any]]:
    """The latest items that a known user liked in training, latest first; those still in the index with their texts."""
    state = ranker.state
    name, row = state.encoder.schema["history"], state.find_users([_id_of(ranker, user)])
    if name is None or row[0] < 0:
        return []
    encoded, keys = state.users.features(row, [name])[name], state.users.liked(row)
    assert isinstance(encoded, Bags)
    assert keys is not None
    ids = state.encoder.decoded(state.encoder.schema["item_id"], encoded.values.numpy()[-LIKED_SHOWN:])
    rows = state.items.find_keys(keys.values.numpy()[-LIKED_SHOWN:])
    # Of an item that training has not seen only the index knows the id.
    there = dict(zip(np.flatnonzero(rows >= 0).tolist(), state.items.ids(rows[rows >= 0]).tolist(), strict=True))
    known = [there.get(place, one) for place, one in enumerate(ids)]
    return items_with_texts(ranker, [one for one in known[::-1] if one is not None])


def items_with_texts(ranker: PreRanker, ids: list) -> list[dict[str, Any]]:
    """Ids with what the index has to show of each, under the names of `shown_names`."""
    items, names = ranker.state.items, _names(ranker)
    if not len(ids):
        return []
    rows = items.find(ids)
    known = np.flatnonzero(rows >= 0)
    shown = [{names[_key(ranker)]: one} for one in np.asarray(ids, dtype=object).tolist()]
    for name in items.texts:
        for place, text in zip(known.tolist(), items.text(name, rows[known]), strict=True):
            shown[place][names[name]] = text
    return shown


def names_of(ranker: PreRanker, items: list[dict[str, Any]]) -> str:
    """Items of `liked_before` in a line: id and title of the first ones, and how many more there are."""
    names, texts = _names(ranker), ranker.state.items.texts
    key, first = names[_key(ranker)], names[texts[0]] if texts else ""
    return some([with_id(item[key], str(item.get(first) or item[key])) for item in items], LIKED_NAMED, WIDTH)


def user_line(ranker: PreRanker, user: User) -> str:
    """Who asks: the sparse features of the request as raw values."""
    state = ranker.state
    features = state.request([user])
    ids = [column.name for column in state.model.user_columns if isinstance(column, SparseFeat)]
    sparse = [name for name in ids if name in features]
    values = {name: state.encoder.decode(name, int(values_of(features, name)[0])) for name in sparse}
    values[state.encoder.schema["user_id"]] = _id_of(ranker, user)
    return ", ".join(
        f"{visible(name)} {'unknown' if value is None else shortened(value, WIDTH)}" for name, value in values.items()
    )


def rows_of(ranking: Ranking) -> list[dict[str, Any]]:
    """One dict an item: id and texts under the names of `shown_names`, and its "score" and "logit"."""
    frame = ranking.to_frame()
    names = [*frame.columns.drop([*OWN]), *OWN]
    return [dict(zip(names, row, strict=True)) for row in zip(*(frame[name].tolist() for name in names), strict=True)]


def table(ranking: Ranking, by: str = "score") -> str:
    """Rank, id, click probability and texts.

    by: "logit" shows logits instead, of a model whose scores are no probabilities.
    Control characters of ids and texts are left out: a terminal would obey them.
    """
    frame = ranking.to_frame().drop(columns=[name for name in OWN if name != by])
    frame[by] = [f"{value:.4f}" for value in frame[by]]
    lines = [["rank", *frame.columns], *([place, *row] for place, row in enumerate(frame.values.tolist(), start=1))]
    head, *rows = [[shortened(cell, WIDTH) for cell in cells] for cells in lines]
    widths = [max(map(columns, column)) for column in zip(head, *rows, strict=True)]
    ruled = [head, ["-" * width for width in widths], *rows]
    return "\n".join("  ".join(map(padded, cells, widths)).rstrip() for cells in ruled)


def _names(ranker: PreRanker) -> dict[str, str]:
    return shown_names([_key(ranker), *ranker.state.items.texts])


def _key(ranker: PreRanker) -> str:
    return ranker.state.encoder.schema["item_id"]


def _id_of(ranker: PreRanker, user: User) -> Any:
    return user.get(ranker.state.encoder.schema["user_id"]) if isinstance(user, dict) else user
