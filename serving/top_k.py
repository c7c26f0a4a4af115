"""The best of all items for some users, by the scores of the index; where those are rounded, made exact afterwards.

Of a bfloat16 or int8 index the best by rounded scores are scored again in float32, and more of them as long as others
may be among the best k. Where that goes on, all items are scored in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foundation.errors import InputError
from model.scorer import Scorer
from serving.snapshot import ENCODE_ROWS, Snapshot
from serving.state import State

OVERFETCH = 4  # times k: how many of the best by rounded scores are scored exactly at first
# Items that are read singly, as a share of all: in a large file they take as long as reading all of them in order.
MOST_FETCHED = 1 / 16
# The largest rounding error among those scored again, times this, stands for that of all others. Of normal errors the
# largest of 256 is about 2.8 standard deviations, of a million 4.9. Where all scores round to one, the best of those
# scored again are the ones with the largest errors: with the error itself they would always seem to be the best of all.
SAFETY = 2


@dataclass(frozen=True)
class Ranking:
    """The best items of one request, best first.

    items: ids. scores: click probabilities, as `predict` gives them. logits: what they were ranked by.
    """

    items: np.ndarray
    scores: np.ndarray
    logits: np.ndarray

    def __len__(self) -> int:
        return len(self.items)


def best_of_all(state: State, query: Tensor, k: int) -> list[Ranking]:
    """The k best of all items for each user of a query; all of them where there are fewer."""
    items, k = state.items, min(k, len(state.items))
    logits = all_logits(state, query)
    if items.blocks_exact or state.scorer.is_plain:
        return rankings_of(items, logits, None, k)
    rankings, unsure = {}, []
    for user in range(len(logits)):
        ranking = _rescored(state, query[user : user + 1], logits[user], k)
        if ranking is None:
            unsure.append(user)
        else:
            rankings[user] = ranking
    if unsure:
        exact = rankings_of(items, all_logits(state, query[unsure], exact=True), None, k)
        rankings |= zip(unsure, exact, strict=True)
    return [rankings[user] for user in range(len(logits))]


def _rescored(state: State, query: Tensor, logits: Tensor, k: int) -> Ranking | None:
    """The best by rounded logits (n,), scored exactly: so many that no other should be among the best k.

    None where these would be more than `MOST_FETCHED` of all items.
    """
    items, fetched = state.items, max(OVERFETCH * k, k + 256)
    while True:
        count = min(fetched, len(items))
        rounded, places = torch.topk(logits, count, sorted=False)
        exact = exact_logits(state, query, places.numpy())  # (1, count)
        error = (exact[0] - rounded).abs().max()
        worst = torch.topk(exact[0], k).values.min()
        if count == len(items) or worst >= rounded.min() + SAFETY * error:
            return rankings_of(items, exact, places.numpy(), k)[0]
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
        logits = items.blocks.score(scorer, query)
    if items.delta is not None:
        logits = torch.cat([logits, scorer.score_items(query, items.delta_vectors)], dim=1)
    if len(items.gone):
        logits[:, items.gone] = float("-inf")
    return logits


def _by_vectors(scorer: Scorer, query: Tensor, items: Tensor) -> Tensor:
    """Logits (U, N) by `score_items`, in parts: the products of a million items would not fit in memory."""
    parts = [scorer.score_items(query, part) for part in items.split(ENCODE_ROWS)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def rankings_of(items: Snapshot, logits: Tensor, rows: np.ndarray | None, k: int) -> list[Ranking]:
    """logits (U, n) of these rows, or of all -> the k best for each user. Equal logits stand in the order of rows."""
    best, places = torch.topk(logits, min(k, logits.shape[1]), sorted=False)
    require_finite_logits(best)  # NaN is among the best: to `topk` it is the largest
    rankings = []
    for values, place in zip(best.double().numpy(), places.numpy(), strict=True):
        chosen = place if rows is None else rows[place]
        order = np.lexsort((chosen, -values))
        values, chosen = values[order], chosen[order]
        rankings.append(Ranking(items.ids(chosen), 1.0 / (1.0 + np.exp(-values)), values))
    return rankings


def require_finite_logits(logits: Tensor) -> None:
    """Raises `InputError` for NaN and infinity."""
    if not np.isfinite(logits.numpy()).all():  # in a tenth of torch's time for the few of a request
        raise InputError(
            "The model's answer to this request is NaN or infinite: a given number far outside of those in training "
            "makes it so, or weights that are not finite. Check the request, or train again."
        )
