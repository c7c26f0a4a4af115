"""`PreRanker`: from a run folder with an item index to ranked candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foundation.errors import InputError
from foundation.shown import visible
from foundation.values import TEXTLIKE, shown
from model.interaction import Levels
from serving.follow import Follower
from serving.given import id_array, listed
from serving.raw_encoder import Raw
from serving.snapshot import ENCODE_ROWS, Snapshot
from serving.state import State
from serving.top_k import Ranking, all_logits, best_of_all, exact_logits, rankings_of, require_finite_logits
from serving.writer import delete_items, upsert_items

User = Any  # an id, or raw features by name
USER_CHUNK = 16  # users scored at once
GATHER_COST = 4  # times that of reading an item in its block


class PreRanker:
    """Answers requests from a run folder's model and item index.

    A user is an id that the index knows, or a dict of raw features ({"gender": "F", "age": 25, ...}); in a dict with a
    known id, the other features stand instead of the stored ones. A list asks for many users at once. Before each
    request the index is looked at: an upsert, a delete or a new build by any process is what the next request sees.

    One request with few candidates reads these alone, in float32. A request without candidates scores all items in the
    precision of the index and, where that is not float32, the best of them again in float32 (`serving.top_k`).
    """

    def __init__(self, state: State):
        self.state = state
        self._follower = Follower()

    @classmethod
    def load(cls, run: str | Path) -> PreRanker:
        """Raises `InputError` for a folder without a trained two-tower model, without index, or with one that is older
        than the model, cut or altered."""
        return cls(State.load(run))

    def __repr__(self) -> str:
        """Of the state that the last request was answered from."""
        state = self.state
        name, run = type(state.model).__name__, state.run
        with suppress(OSError):  # the current folder may be gone
            run = run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run
        return f"PreRanker of {visible(run)}: {name}, {len(state.users):,} users, {state.items.summary}"

    def rank(
        self, user: User | Iterable[User], candidates: Iterable | None = None, k: int = 100, levels: Levels = None
    ) -> Ranking | list[Ranking]:
        """The k best of all items, or of the candidates; all of them where there are fewer, each once.

        candidates: item ids in a list, an array, a Series, ..., the same for every user. levels: IntTower's levels:
            "all", "last" or numbers from 1.
        Raises `InputError` for an unknown user or item, no candidates, k below 1, or scores that are not finite.
        """
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
            raise InputError(f"k must be a whole number of at least 1. Received: {shown(k)}.")
        state = self._current()
        items = state.items
        if candidates is None:
            if not len(items):
                raise InputError("The index holds no items: all were deleted. Add some, or build it again.")
            rows = None
        else:
            rows = _distinct(candidate_rows(items, candidates))
        many, users = _as_list(user)
        rankings: list[Ranking] = []
        for first in range(0, len(users), USER_CHUNK):
            query = self._query(state, users[first : first + USER_CHUNK], levels)
            rankings += self._best(state, query, rows, int(k))
        return rankings if many else rankings[0]

    def score(self, user: User | Iterable[User], candidates: Iterable, levels: Levels = None) -> np.ndarray:
        """Click probabilities of the candidates in the order given, (n,) float64, or (users, n) for a list of users."""
        state = self._current()
        rows = candidate_rows(state.items, candidates, ordered=True)
        vectors = state.items.vectors(rows)
        many, users = _as_list(user)
        with torch.inference_mode():
            logits = [
                state.scorer.score_items(self._query(state, users[first : first + USER_CHUNK], levels), vectors)
                for first in range(0, len(users), USER_CHUNK)
            ]
        require_finite_logits(torch.cat(logits))
        scores = torch.sigmoid(torch.cat(logits).double()).numpy()
        return scores if many else scores[0]

    def user_vectors(self, user: User | Iterable[User], levels: Levels = None) -> np.ndarray:
        """(users, d) float32, for an index of another program: products with `item_vectors` are logits without bias.

        Raises `InputError` for an unknown user, and for a model whose logits are not such products.
        """
        state = self._current()
        _require_product(state)
        _, users = _as_list(user)
        queries = [
            self._query(state, users[first : first + ENCODE_ROWS], levels).sum(1)
            for first in range(0, len(users), ENCODE_ROWS)
        ]
        require_finite_logits(torch.cat(queries))
        return torch.cat(queries).numpy()

    def item_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """The ids of all items, (N,), and their vectors, (N, d) float32: copies, of the moment.

        Raises `InputError` as `user_vectors` does.
        """
        state = self._current()
        _require_product(state)
        rows = state.items.live()
        return state.items.ids(rows), state.items.vectors(rows).numpy()

    def upsert(self, items: Iterable[Raw]) -> int:
        """Adds items or replaces them, by raw features with their id. Returns the index's generation.

        A feature that is not given keeps its value for an item that is there; for a new one only its statistic may be
        left out. Texts to show (title, ...) may stand beside the features.
        """
        return upsert_items(self._current(), items)

    def delete(self, ids: Iterable) -> int:
        """Removes items. Returns the index's generation. Raises `InputError` for an unknown one."""
        return delete_items(self._current(), ids)

    def _current(self) -> State:
        """The state that the manifest names now. A request works on one state from start to end.

        One thread opens it and the others wait: what a thread has written, its next request sees.
        """
        if not self._follower.is_newest(self.state):
            with self._follower.turn():
                self.state = self._follower.newest(self.state)
        return self.state

    def __reduce__(self):
        """A copy, in another process or in this one, opens the run again."""
        return PreRanker.load, (str(self.state.run),)

    def _query(self, state: State, users: list[User], levels: Levels) -> torch.Tensor:
        with torch.inference_mode():
            return state.scorer.query(state.model.encode_user(state.request(users)), levels)

    def _best(self, state: State, query: torch.Tensor, rows: np.ndarray | None, k: int) -> list[Ranking]:
        with torch.inference_mode():
            if rows is None:
                return best_of_all(state, query, k)
            # Reading a block of everything is several times faster an item than gathering single ones.
            everything = state.items.blocks_exact and len(rows) * GATHER_COST >= state.items.places
            logits = all_logits(state, query)[:, rows] if everything else exact_logits(state, query, rows)
            return rankings_of(state.items, logits, rows, k)


def _require_product(state: State) -> None:
    scorer = state.scorer
    if not scorer.is_product:
        heads = f" with {scorer.heads} item heads" if scorer.heads > 1 else ""
        heads = ", of a forward alone or an edited fe_score," if scorer.is_plain else heads
        raise InputError(
            f"The score of this {type(state.model).__name__}{heads} is no product of one user vector with one item "
            "vector. Use PreRanker.rank, or scorer.onnx of prerank.py export; or train DSSM, DAT, IntTower with "
            "item_head=1 or HIT with num_heads=1."
        )


def candidate_rows(items: Snapshot, candidates: Iterable, ordered: bool = False) -> np.ndarray:
    ids = id_array("Candidates", candidates, items.base.has_text_ids, ordered)
    if len(ids) == 0:
        raise InputError("The list of candidates is empty. Leave it out to rank all items.")
    rows = items.find(ids)
    unknown = ids[rows < 0].tolist()
    if unknown:
        some = ", ".join(map(repr, unknown[:5]))
        raise InputError(f"{len(unknown)} of {len(rows)} candidates are not in the index: {some}. Leave them out.")
    return rows


def _distinct(rows: np.ndarray) -> np.ndarray:
    """As np.unique, in a tenth of its time."""
    rows = np.sort(rows)
    return rows[np.append(True, rows[1:] != rows[:-1])]


def _as_list(user: User | Iterable[User]) -> tuple[bool, list[User]]:
    if isinstance(user, (*TEXTLIKE, Mapping)) or not isinstance(user, Iterable) or getattr(user, "ndim", 1) == 0:
        return False, [user.item() if isinstance(user, np.ndarray) else user]
    users = list(listed("Users", user, ordered=True))
    if not users:
        raise InputError("The list of users is empty.")
    return True, users
