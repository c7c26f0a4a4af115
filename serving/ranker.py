"""`PreRanker`: from a run folder with an item index to ranked candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from preprocessing.errors import InputError
from serving.features import Raw
from serving.index import Snapshot
from serving.manifest import signature
from serving.scorers import Levels
from serving.state import State
from serving.update import delete_items, upsert_items

User = Any  # an id, or raw features by name
USER_CHUNK = 16  # users scored at once
GATHER_COST = 4  # times that of reading an item in its block
OVERFETCH, MOST_FETCHED = 4, 256  # times k: how many of the best by rounded scores are scored exactly, and at most


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


class PreRanker:
    """Answers requests from a run folder's model and item index.

    A user is an id that the index knows, or a dict of raw features ({"gender": "F", "age": 25, ...}); in a dict with a
    known id, the other features stand instead of the stored ones. A list asks for many users at once. Before each
    request the index is looked at: an upsert, a delete or a new build by any process is what the next request sees.

    One request with few candidates reads these alone, in float32. A request without candidates scores all items in the
    precision of the index and, where that is not float32, the best of them again in float32.
    """

    def __init__(self, state: State):
        self.state = state

    @classmethod
    def load(cls, run: str | Path) -> PreRanker:
        """Raises `InputError` for a folder without a trained two-tower model, without index, or with one that is older
        than the model, cut or altered."""
        return cls(State.load(Path(run)))

    def rank(
        self, user: User | Sequence[User], candidates: Sequence | None = None, k: int = 100, levels: Levels = None
    ) -> Ranking | list[Ranking]:
        """The k best of all items, or of the candidates; all of them where there are fewer, each once.

        candidates: item ids, the same for every user. levels: IntTower's levels: "all", "last" or numbers from 1.
        Raises `InputError` for an unknown user or item, no candidates, or k below 1.
        """
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
            raise InputError(f"k must be a whole number of at least 1. Received: {k!r}.")
        state = self._current()
        items = state.items
        if candidates is None:
            if not len(items):
                raise InputError("The index holds no items: all were deleted. Add some, or build it again.")
            rows = None
        else:
            rows = _distinct(_candidate_rows(items, candidates))
        many, users = _as_list(user)
        rankings: list[Ranking] = []
        for first in range(0, len(users), USER_CHUNK):
            query = self._query(state, users[first : first + USER_CHUNK], levels)
            rankings += self._best(state, query, rows, int(k))
        return rankings if many else rankings[0]

    def score(self, user: User | Sequence[User], candidates: Sequence, levels: Levels = None) -> np.ndarray:
        """Click probabilities of the candidates in the order given, (n,) float64, or (users, n) for a list of users."""
        state = self._current()
        rows = _candidate_rows(state.items, candidates)
        vectors = state.items.vectors(rows)
        many, users = _as_list(user)
        with torch.inference_mode():
            logits = [
                state.scorer.score_items(self._query(state, users[first : first + USER_CHUNK], levels), vectors)
                for first in range(0, len(users), USER_CHUNK)
            ]
        scores = torch.sigmoid(torch.cat(logits).double()).numpy()
        return scores if many else scores[0]

    def upsert(self, items: Sequence[Raw]) -> int:
        """Adds items or replaces them, by raw features with their id. Returns the index's generation.

        A feature that is not given keeps its value for an item that is there; for a new one only its statistic may be
        left out. Texts to show (title, ...) may stand beside the features.
        """
        return upsert_items(self._current(), items)

    def delete(self, ids: Sequence) -> int:
        """Removes items. Returns the index's generation. Raises `InputError` for an unknown one."""
        return delete_items(self._current(), ids)

    def _current(self) -> State:
        """The state that the manifest names now. A request works on one state from start to end."""
        state = self.state
        if signature(state.run) != state.signature:
            state = self.state = state.refreshed()
        return state

    def _query(self, state: State, users: list[User], levels: Levels) -> Any:
        with torch.inference_mode():
            return state.scorer.query(state.model.encode_user(state.request(users)), levels)

    def _best(self, state: State, query: Any, rows: np.ndarray | None, k: int) -> list[Ranking]:
        items, scorer = state.items, state.scorer
        with torch.inference_mode():
            if rows is not None:
                # Reading a block of everything is several times faster an item than gathering single ones.
                everything = items.columns_exact and len(rows) * GATHER_COST >= items.places
                logits = _all_logits(state, query)[:, rows] if everything else _exact(state, query, rows)
                return _rankings(items, logits, rows, k)
            k = min(k, len(items))
            logits = _all_logits(state, query)
            if items.columns_exact or scorer.reads_rows:
                return _rankings(items, logits, None, k)
            return [_rescored(state, query[one : one + 1], logits[one], k) for one in range(len(logits))]


def _exact(state: State, query: Any, rows: np.ndarray) -> Tensor:
    """Logits (U, n) of these rows, in float32."""
    return state.scorer.score_items(query, state.items.vectors(rows))


def _rescored(state: State, query: Tensor, logits: Tensor, k: int) -> Ranking:
    """The best by rounded logits (n,), scored exactly: so many that no other can be among the best k.

    The largest error among those that were fetched stands for the error of all others.
    """
    fetched = max(OVERFETCH * k, k + 256)
    while True:
        count = min(fetched, len(state.items))
        rounded, places = torch.topk(logits, count, sorted=False)
        exact = _exact(state, query, places.numpy())  # (1, count)
        error = (exact[0] - rounded).abs().max()
        worst = torch.topk(exact[0], k).values.min()
        if count < fetched or fetched >= MOST_FETCHED * k or worst >= rounded.min() + error:
            return _rankings(state.items, exact, places.numpy(), k)[0]
        fetched *= 4


def _all_logits(state: State, query: Any) -> Tensor:
    """Logits (U, places) in the precision of the index, -inf for items that are gone."""
    items, scorer = state.items, state.scorer
    if scorer.reads_rows or (items.columns_exact and scorer.prefers_rows(query)):
        logits = scorer.score_items(query, items.base_vectors)
    else:
        logits = scorer.score_all(query, items.columns)
    if items.delta is not None:
        logits = torch.cat([logits, scorer.score_items(query, items.delta_vectors)], dim=1)
    if len(items.gone):
        logits[:, items.gone] = float("-inf")
    return logits


def _rankings(items: Snapshot, logits: Tensor, rows: np.ndarray | None, k: int) -> list[Ranking]:
    """logits (U, n) of these rows, or of all. Equal logits stand in the order of rows."""
    best, places = torch.topk(logits, min(k, logits.shape[1]), sorted=False)
    rankings = []
    for values, place in zip(best.double().numpy(), places.numpy(), strict=True):
        chosen = place if rows is None else rows[place]
        order = np.lexsort((chosen, -values))
        values, chosen = values[order], chosen[order]
        rankings.append(Ranking(items.ids(chosen), 1.0 / (1.0 + np.exp(-values)), values))
    return rankings


def _candidate_rows(items: Snapshot, candidates: Sequence) -> np.ndarray:
    if len(candidates) == 0:
        raise InputError("The list of candidates is empty. Leave it out to rank all items.")
    rows = items.find(candidates)
    unknown = np.flatnonzero(rows < 0)
    if len(unknown):
        some = ", ".join(repr(candidates[place]) for place in unknown[:5].tolist())
        raise InputError(f"{len(unknown)} of {len(rows)} candidates are not in the index: {some}. Leave them out.")
    return rows


def _distinct(rows: np.ndarray) -> np.ndarray:
    """As np.unique, in a tenth of its time."""
    rows = np.sort(rows)
    return rows[np.append(True, rows[1:] != rows[:-1])]


def _as_list(user: User | Sequence[User]) -> tuple[bool, list[User]]:
    many = isinstance(user, (list, tuple, np.ndarray))
    users = list(user) if many else [user]
    if not users:
        raise InputError("The list of users is empty.")
    return many, users
