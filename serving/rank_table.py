"""A ranking to read: names beside ids, and what the user liked before."""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation.deepctr import SparseFeat
from foundation.features import Bags, values_of
from foundation.shown import columns, padded, shortened, some, visible
from serving.ranker import PreRanker, User
from serving.ranking import Ranking

LIKED_SHOWN = 50  # of a user's history, the latest
LIKED_NAMED = 10  # of those in the line for people
WIDTH = 44  # of a cell, in columns of a terminal
OWN = ("score", "logit")  # what a ranking says of an item beside what the data do


def liked_before(ranker: PreRanker, user: User) -> list[dict[str, Any]]:
    """The latest items that a known user liked in training, latest first; those still in the index with their texts."""
    state = ranker.state
    name, row = state.encoder.schema["history"], state.find_users([_id_of(ranker, user)])
    if name is None or row[0] < 0:
        return []
    liked = state.users.features(row, [name])[name]
    assert isinstance(liked, Bags)
    ids = state.encoder.history_ids(liked.values.numpy()[-LIKED_SHOWN:])[::-1]
    return items_with_texts(ranker, ids)


def items_with_texts(ranker: PreRanker, ids: list) -> list[dict[str, Any]]:
    """Ids with what the index has to show of each, under the names of `shown_names`."""
    items, names = ranker.state.items, shown_names(ranker)
    if not len(ids):
        return []
    rows = items.find(ids)
    known = np.flatnonzero(rows >= 0)
    shown = [{names[_key(ranker)]: one} for one in np.asarray(ids, dtype=object).tolist()]
    for name in items.texts:
        for place, text in zip(known.tolist(), items.text(name, rows[known]), strict=True):
            shown[place][names[name]] = text
    return shown


def shown_names(ranker: PreRanker) -> dict[str, str]:
    """The name under which the id and each text of an item are shown: its own, but for those of `OWN`.

    A column of the data called "score" is shown as "item_score" ("item_item_score" where that is another one).
    """
    names = [_key(ranker), *ranker.state.items.texts]
    shown = {name: name for name in names if name not in OWN}
    for name in names:
        if name in OWN:
            new = f"item_{name}"
            while new in shown.values():
                new = f"item_{new}"
            shown[name] = new
    return shown


def labels(ranker: PreRanker, ids: list) -> list[str]:
    """One text an item: the first that the index has of it, else its id."""
    return _labels(ranker, items_with_texts(ranker, ids))


def names_of(ranker: PreRanker, items: list[dict[str, Any]]) -> str:
    """Items of `liked_before` in a line: the first ones, as `labels` calls them, and how many more there are."""
    return some(_labels(ranker, items), LIKED_NAMED, WIDTH)


def _labels(ranker: PreRanker, items: list[dict[str, Any]]) -> list[str]:
    names, texts = shown_names(ranker), ranker.state.items.texts
    key, first = names[_key(ranker)], names[texts[0]] if texts else ""
    return [str(item.get(first) or item[key]) for item in items]


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


def rows_of(ranker: PreRanker, ranking: Ranking) -> list[dict[str, Any]]:
    """One dict an item: id and texts under the names of `shown_names`, and its "score" and "logit"."""
    scores = [{"score": score, "logit": logit} for score, logit in zip(ranking.scores, ranking.logits, strict=True)]
    shown = items_with_texts(ranker, ranking.items.tolist())
    return [
        item | {name: float(value) for name, value in score.items()} for item, score in zip(shown, scores, strict=True)
    ]


def table(ranker: PreRanker, ranking: Ranking) -> str:
    """Rank, id, click probability and texts.

    Control characters of ids and texts are left out: a terminal would obey them.
    """
    names = shown_names(ranker)
    key, *texts = (names[name] for name in (_key(ranker), *ranker.state.items.texts))
    head = ["rank", key, "score", *texts]
    lines = [head]
    for number, row in enumerate(rows_of(ranker, ranking)):
        cells = [number + 1, row[key], f"{row['score']:.4f}", *(row.get(name, "") for name in texts)]
        lines.append(cells)
    head, *rows = [[shortened(cell, WIDTH) for cell in cells] for cells in lines]
    widths = [max(map(columns, column)) for column in zip(head, *rows, strict=True)]
    ruled = [head, ["-" * width for width in widths], *rows]
    return "\n".join("  ".join(map(padded, cells, widths)).rstrip() for cells in ruled)


def _key(ranker: PreRanker) -> str:
    return ranker.state.encoder.schema["item_id"]


def _id_of(ranker: PreRanker, user: User) -> Any:
    return user.get(ranker.state.encoder.schema["user_id"]) if isinstance(user, dict) else user
