"""`PreRanker`: from a run folder with an item index to ranked candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foundation.errors import InputError, one_of
from foundation.shown import visible
from foundation.values import TEXTLIKE, shown
from model.interaction import Levels
from serving.candidates import MISSING, find_candidates, known_rows
from serving.follow import Follower
from serving.given import records
from serving.ranking import Ranking
from serving.raw_encoder import Raw
from serving.seen import SEEN, require_history, seen_rows
from serving.snapshot import ENCODE_ROWS
from serving.state import State
from serving.top_k import best_of, best_of_all, known_vectors, probabilities, require_finite_logits
from serving.user_writer import upsert_users
from serving.writer import delete_items, upsert_items

User = Any  # an id, or raw features by name
USER_CHUNK = 16  # users scored at once


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
        """Raises `InputError` for a folder without a trained two-tower model, without index, or with one that is of
        another model, cut or altered."""
        return cls(State.load(run))

    def __repr__(self) -> str:
        """Of the state that the next request is answered from."""
        state = self._current()
        name, run = type(state.model).__name__, state.run
        with suppress(OSError):  # the current folder may be gone
            run = run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run
        return f"PreRanker of {visible(run)}: {name}, {len(state.users):,} users, {state.items.summary}"

    def rank(
        self,
        user: User | Iterable[User],
        candidates: Iterable | None = None,
        k: int = 100,
        levels: Levels = None,
        *,
        missing: str = "error",
        exclude: Iterable | str | None = None,
    ) -> Ranking | list[Ranking]:
        """The k best of all items, or of the candidates; all of them where there are fewer, each once.

        candidates: item ids in a list, an array, a Series, ..., the same for every user; or, for a list of users, a
            list of such lists, one a user. levels: IntTower's levels: "all", "last" or numbers from 1.
        missing: what becomes of candidates that the index does not hold: "error", or "skip", which leaves them out and
            names them in `Ranking.missing`. Where none is left the ranking is empty.
        exclude: items that are not to be shown: ids, or lists of ids, as candidates are; ids that the index does not
            hold count for nothing. "seen": what the user has liked, by the history of the request, or else of the
            index, which has that of training and what `upsert_users` put in its place.
        Raises `InputError` for an unknown user or item, no candidates, k below 1, or scores that are not finite.
        """
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
            raise InputError(f"k must be a whole number of at least 1. Received: {shown(k)}.")
        state = self._current()
        many, users = _as_list(user)
        asked = len(users) if many else None
        chosen = None if candidates is None else find_candidates(state.items, candidates, asked, missing).distinct()
        if chosen is None and missing != "error":
            one_of("missing", missing, MISSING)
            raise InputError('missing="skip" is for candidates, and all items are ranked. Leave it out.')
        if chosen is None and not len(state.items):
            raise InputError("The index holds no items: all were deleted. Add some, or build it again.")
        unwanted = None if exclude is None else _unwanted(state, exclude, asked)
        rankings: list[Ranking] = []
        for first in range(0, len(users), USER_CHUNK):
            last = min(first + USER_CHUNK, len(users))
            query = self._query(state, users[first:last], levels)
            left_out = None if unwanted is None else unwanted[first:last] or seen_rows(state, users[first:last])
            with torch.inference_mode():
                if chosen is None:
                    rankings += best_of_all(state, query, int(k), left_out)
                else:
                    part = chosen.part(first, last)
                    best = best_of(state, query, part.rows, int(k), left_out)
                    rankings += [replace(one, missing=part.missing_of(place)) for place, one in enumerate(best)]
        return rankings if many else rankings[0]

    def score(
        self, user: User | Iterable[User], candidates: Iterable, levels: Levels = None, *, missing: str = "error"
    ) -> np.ndarray | list[np.ndarray]:
        """Click probabilities of the candidates in the order given, (n,) float64, or (users, n) for a list of users.

        candidates: as in `rank`; with a list of them a user the answer is a list of arrays. missing: "skip" gives NaN
            for a candidate that the index does not hold.
        """
        state = self._current()
        many, users = _as_list(user)
        chosen = find_candidates(state.items, candidates, len(users) if many else None, missing, ordered=True)
        shared = None if isinstance(chosen.rows, list) else known_vectors(state, chosen.rows)
        scores: list[np.ndarray] = []
        for first in range(0, len(users), USER_CHUNK):
            query = self._query(state, users[first : first + USER_CHUNK], levels)
            rows = chosen.part(first, first + USER_CHUNK).rows
            with torch.inference_mode():
                if isinstance(rows, list):
                    scores += [probabilities(state, query[at : at + 1], own)[0] for at, own in enumerate(rows)]
                else:
                    scores += [*probabilities(state, query, rows, shared)]
        if not many:
            return scores[0]
        return scores if isinstance(chosen.rows, list) else np.stack(scores)

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

    def item_ids(self) -> np.ndarray:
        """The ids of all items at this moment, (N,): whole numbers, or strings as objects."""
        items = self._current().items
        return items.ids(items.live())

    def item_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """The ids of all items, (N,), and their vectors, (N, d) float32: copies, of the moment.

        Raises `InputError` as `user_vectors` does.
        """
        state = self._current()
        _require_product(state)
        rows = state.items.live()
        return state.items.ids(rows), state.items.vectors(rows).numpy()

    def upsert(self, items: Raw | Iterable[Raw]) -> int:
        """Adds items or replaces them, by raw features with their id. Returns the index's generation.

        A feature that is not given keeps its value for an item that is there; for a new one only its statistic may be
        left out. Texts to show (title, ...) may stand beside the features. Warns of values that training has not seen.
        """
        return upsert_items(self._current(), items)

    def upsert_users(self, users: Raw | Iterable[Raw]) -> int:
        """Adds users or replaces them, by raw features with their id. Returns the index's generation.

        A feature that is not given keeps its value for a user that is there: its statistic and its history, too, are
        what they were until others are given. For a new one these two may be left out. A history is the whole list of
        liked items, the latest last. Warns as `upsert` does.
        """
        return upsert_users(self._current(), users)

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


def _unwanted(state: State, exclude: Iterable | str, users: int | None) -> list[np.ndarray]:
    """Rows that each user is not to get; an empty list where they are what each has seen.

    users: as in `find_candidates`.
    """
    if not isinstance(exclude, str):
        return known_rows("Items to exclude", state.items, exclude, users)
    one_of("exclude", exclude, (SEEN, "a list of ids"))
    require_history(state)
    return []


def _as_list(user: User | Iterable[User]) -> tuple[bool, list[User]]:
    if isinstance(user, (*TEXTLIKE, Mapping)) or not isinstance(user, Iterable) or getattr(user, "ndim", 1) == 0:
        return False, [user.item() if isinstance(user, np.ndarray) else user]
    users = records("Users", user)
    if not users:
        raise InputError("The list of users is empty.")
    return True, users
