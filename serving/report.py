"""A ranking to read: names beside ids, and what the user liked before beside both."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.ranker import PreRanker, User
from serving.search import Ranking

LIKED_SHOWN = 50  # of a user's history, the latest
WIDTH = 44  # of a cell


def liked_before(ranker: PreRanker, user: User) -> list[dict[str, Any]]:
    """The latest items that a known user liked in training, latest first; those still in the index with their texts."""
    state = ranker.state
    name, row = state.encoder.schema["history"], state.find_users([_id_of(ranker, user)])
    if name is None or row[0] < 0:
        return []
    ids = state.encoder.history_ids(state.users.features(row, [name])[name].values.numpy()[-LIKED_SHOWN:])[::-1]
    return items_with_texts(ranker, ids)


def items_with_texts(ranker: PreRanker, ids: list) -> list[dict[str, Any]]:
    """Ids with what the index has to show of each."""
    items, key = ranker.state.items, ranker.state.encoder.schema["item_id"]
    if not len(ids):
        return []
    rows = items.find(ids)
    known = np.flatnonzero(rows >= 0)
    shown = [{key: one} for one in np.asarray(ids, dtype=object).tolist()]
    for name in items.texts:
        for place, text in zip(known.tolist(), items.text(name, rows[known]), strict=True):
            shown[place][name] = text
    return shown


def user_line(ranker: PreRanker, user: User) -> str:
    """Who asks: the sparse features of the request as raw values."""
    state = ranker.state
    features = state.request([user])
    names = [column.name for column in state.model.user_columns if column.name in features]
    sparse = [
        name for name in names if not hasattr(features[name], "offsets") and not features[name].is_floating_point()
    ]
    values = {name: state.encoder.decode(name, int(features[name][0])) for name in sparse}
    values[state.encoder.schema["user_id"]] = _id_of(ranker, user)
    return ", ".join(f"{name} {'unknown' if value is None else value}" for name, value in values.items())


def rows_of(ranker: PreRanker, ranking: Ranking) -> list[dict[str, Any]]:
    """One dict an item: id, score, logit, texts."""
    scores = [{"score": score, "logit": logit} for score, logit in zip(ranking.scores, ranking.logits, strict=True)]
    shown = items_with_texts(ranker, ranking.items.tolist())
    return [
        item | {name: float(value) for name, value in score.items()} for item, score in zip(shown, scores, strict=True)
    ]


def table(ranker: PreRanker, ranking: Ranking, liked: list[dict[str, Any]]) -> str:
    """Rank, id, click probability and texts, and in the last column what the user liked before."""
    key, texts = ranker.state.encoder.schema["item_id"], ranker.state.items.texts
    head = ["rank", key, "score", *texts, *(["liked before"] if liked else [])]
    lines = []
    for number, row in enumerate(rows_of(ranker, ranking)):
        cells = [str(number + 1), str(row[key]), f"{row['score']:.4f}", *(row.get(name, "") for name in texts)]
        if liked:
            before = liked[number] if number < len(liked) else {}
            cells.append(str(before.get(texts[0] if texts else key, before.get(key, ""))))
        lines.append([_short(cell) for cell in cells])
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    ruled = [head, ["-" * width for width in widths], *lines]
    return "\n".join("  ".join(map(str.ljust, cells, widths)).rstrip() for cells in ruled)


def _id_of(ranker: PreRanker, user: User) -> Any:
    return user.get(ranker.state.encoder.schema["user_id"]) if isinstance(user, dict) else user


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."
