"""The best of all items for some users, by the scores of the index; where those are rounded, made exact afterwards.

Of a bfloat16 or int8 index the best by rounded scores are scored again in float32, and more of them as long as others
may be among the best k. Where that goes on, all items are scored in float32.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from foundation.errors import InputError
from serving.ranking import Ranking, Source
from serving.scorer import Scorer
from serving.snapshot import ENCODE_ROWS
from serving.state import State

OVERFETCH = 4  # times k: how many of the best by rounded scores are scored exactly at first
# Items that are read singly, as a share of all: in a large file they take as long as reading all of them in order.
MOST_FETCHED = 1 / 16
# The largest rounding error among those scored again, times this, stands for that of all others. Of normal errors the
# largest of 256 is about 2.8 standard deviations, of a million 4.9. Where all scores round to one, the best of those
# scored again are the ones with the largest errors: with the error itself they would always seem to be the best of all.
SAFETY = 2
GATHER_COST = 4  # times that of reading an item in its block


def best_of_all(state: State, query: Tensor, k: int, left_out: list[np.ndarray] | None = None) -> list[Ranking]:
    """The k best of all items for each user of a query; all of them where there are fewer.

    left_out: distinct rows of items that each user is not to get.
    """
    items = state.items
    logits = all_logits(state, query)
    counts = _leave_out(logits, left_out, len(items))
    if items.blocks_exact or state.scorer.is_plain:
        return rankings_of(state, logits, None, k, counts)
    rankings, unsure = {}, []
    for user, count in enumerate(counts):
        ranking = _rescored(state, query[user : user + 1], logits[user], k, count)
        if ranking is None:
            unsure.append(user)
        else:
            rankings[user] = ranking
    if unsure:
        exact = all_logits(state, query[unsure], exact=True)
        counts = _leave_out(exact, None if left_out is None else [left_out[user] for user in unsure], len(items))
        rankings |= zip(unsure, rankings_of(state, exact, None, k, counts), strict=True)
    return [rankings[user] for user in range(len(logits))]


def best_of(
    state: State,
    query: Tensor,
    rows: np.ndarray | list[np.ndarray],
    k: int,
    left_out: list[np.ndarray] | None = None,
) -> list[Ranking]:
    """The k best of these rows for each user of a query, in float32.

    rows: ascending and distinct, (n,) for all users or a list of such arrays, one a user. left_out: as above.
    """
    if isinstance(rows, np.ndarray):
        if not len(rows):
            return [empty_ranking(state)] * len(query)
        in_order = _read_in_order(state, rows)
        logits = all_logits(state, query)[:, rows] if in_order else exact_logits(state, query, rows)
        places = None if left_out is None else [_places(rows, part) for part in left_out]
        return rankings_of(state, logits, rows, k, _leave_out(logits, places, len(rows)))
    if left_out is not None:
        rows = [np.delete(own, _places(own, part)) for own, part in zip(rows, left_out, strict=True)]
    wide = [user for user, own in enumerate(rows) if _read_in_order(state, own)]
    logits_of = dict(zip(wide, all_logits(state, query[wide]).unbind(), strict=True)) if wide else {}
    rankings = []
    for user, own in enumerate(rows):
        if not len(own):
            rankings.append(empty_ranking(state))
            continue
        alone = logits_of[user][None, own] if user in logits_of else exact_logits(state, query[user : user + 1], own)
        rankings += rankings_of(state, alone, own, k)
    return rankings


def probabilities(state: State, query: Tensor, rows: np.ndarray, vectors: Tensor | None = None) -> np.ndarray:
    """Click probabilities (U, n) float64 of rows in any order, NaN for a row of -1. vectors: `known_vectors`."""
    scores = np.full((len(query), len(rows)), np.nan)
    if (rows >= 0).any():
        logits = state.scorer.score_items(query, known_vectors(state, rows) if vectors is None else vectors)
        require_finite_logits(logits)
        scores[:, rows >= 0] = torch.sigmoid(logits.double()).numpy()
    return scores


def known_vectors(state: State, rows: np.ndarray) -> Tensor:
    """The vectors of the rows that are not -1."""
    return state.items.vectors(rows[rows >= 0])


def _read_in_order(state: State, rows: np.ndarray) -> bool:
    """Whether all items are to be read for these: a block of them is several times faster an item than single ones."""
    return state.items.blocks_exact and len(rows) * GATHER_COST >= state.items.places


def _places(rows: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Where `some` of the ascending rows stand; those that are not among them are left out."""
    places = np.searchsorted(rows, some)
    return places[np.append(rows, -1)[places] == some]


def _leave_out(logits: Tensor, places: list[np.ndarray] | None, count: int) -> list[int]:
    """Makes these places of each user's logits (U, n) the last of all. Returns how many of `count` each has left."""
    if places is None:
        return [count] * len(logits)
    for row, part in zip(logits.unbind(), places, strict=True):
        row[torch.from_numpy(part)] = torch.finfo(logits.dtype).min  # finite: infinity is a model's mistake
    return [count - len(part) for part in places]


def _rescored(state: State, query: Tensor, logits: Tensor, k: int, left: int) -> Ranking | None:
    """The best by rounded logits (n,), scored exactly: so many that no other should be among the best k.

    left: how many there are to choose from. None where these would be more than `MOST_FETCHED` of all items.
    """
    items, k = state.items, min(k, left)
    if not k:
        return empty_ranking(state)
    fetched = max(OVERFETCH * k, k + 256)
    while True:
        count = min(fetched, left)
        rounded, places = torch.topk(logits, count, sorted=False)
        exact = exact_logits(state, query, places.numpy())  # (1, count)
        error = (exact[0] - rounded).abs().max()
        worst = torch.topk(exact[0], k).values.min()
        if count == left or worst >= rounded.min() + SAFETY * error:
            return rankings_of(state, exact, places.numpy(), k)[0]
        fetched *= 4
        if fetched > MOST_FETCHED * len(items):
            return None


def exact_logits(state: State, query: Tensor, rows: np.ndarray) -> Tensor:
    """Logits (U, n) of these rows, in float32."""
    return state.scorer.score_items(query, state.items.vectors(rows))


def all_logits(state: State, query: Tensor, exact: bool = False) -> Tensor:
    """Logits (U, places), -inf for items that are gone; in the precision of the index, or in float32 if `exact`."""
    items, scorer = state.items, state.scorer
    if exact or scorer.is_plain or (items.blocks_exact and scorer.prefers_vectors(query)):
        logits = _by_vectors(scorer, query, items.base_vectors)
    else:
        logits = scorer.score_blocks(query, items.blocks)
    if items.delta is not None:
        logits = torch.cat([logits, scorer.score_items(query, items.delta_vectors)], dim=1)
    if len(items.gone):
        logits[:, items.gone] = float("-inf")
    return logits


def _by_vectors(scorer: Scorer, query: Tensor, items: Tensor) -> Tensor:
    """Logits (U, N) by `score_items`, in parts: the products of a million items would not fit in memory."""
    parts = [scorer.score_items(query, part) for part in items.split(ENCODE_ROWS)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def rankings_of(
    state: State, logits: Tensor, rows: np.ndarray | None, k: int, counts: list[int] | None = None
) -> list[Ranking]:
    """logits (U, n) of these rows, or of all -> the k best for each user. Equal logits stand in the order of rows.

    counts: how many each user has to choose from, of all n if it is None.
    """
    items, key = state.items, state.encoder.schema["item_id"]
    best, places = torch.topk(logits, min(k, logits.shape[1] if counts is None else max(counts)), sorted=False)
    require_finite_logits(best)  # NaN is among the best: to `topk` it is the largest
    rankings = []
    for user, (values, place) in enumerate(zip(best.double().numpy(), places.numpy(), strict=True)):
        chosen = place if rows is None else rows[place]
        order = np.lexsort((chosen, -values))[: None if counts is None else counts[user]]
        values, chosen = values[order], chosen[order]
        scores = 1.0 / (1.0 + np.exp(-values))
        rankings.append(Ranking(items.ids(chosen), scores, values, key=key, source=Source(items, chosen)))
    return rankings


def empty_ranking(state: State) -> Ranking:
    """Of a request that leaves no item."""
    return rankings_of(state, torch.zeros(1, 0), np.zeros(0, dtype=np.int64), 1)[0]


def require_finite_logits(logits: Tensor) -> None:
    """Raises `InputError` for NaN and infinity."""
    if not np.isfinite(logits.numpy()).all():  # in a tenth of torch's time for the few of a request
        raise InputError(
            "The model's answer to this request is NaN or infinite: a given number far outside of those in training "
            "makes it so, or weights that are not finite. Check the request, or train again."
        )
