"""`Pairs`: a set of pairs of a user and an item, such as what users liked, looked up in blocks of users and items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pairs:
    """keys: (n,) int64, user * items + item, ascending and distinct. items: how many there are."""

    keys: np.ndarray
    items: int

    @classmethod
    def of(cls, user: np.ndarray, item: np.ndarray, items: int) -> Pairs:
        """Each pair once, however often it is given. user, item: (n,) whole numbers.

        >>> pairs = Pairs.of(np.array([1, 0, 1]), np.array([2, 1, 2]), items=4)
        >>> pairs.keys.tolist(), pairs.users.tolist()
        ([1, 6], [0, 1])
        """
        keys = np.sort(user.astype(np.int64) * items + item)  # `np.unique` takes ten times as long
        return cls(keys[np.diff(keys, prepend=-1) > 0], items)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def users(self) -> np.ndarray:
        """(n,) the user of each pair, ascending."""
        return self.keys // self.items

    def without(self, others: Pairs) -> Pairs:
        return Pairs(np.setdiff1d(self.keys, others.keys, assume_unique=True), self.items)

    def among(self, others: Pairs) -> Pairs:
        return Pairs(np.intersect1d(self.keys, others.keys, assume_unique=True), self.items)

    def of_users(self, users: np.ndarray) -> Pairs:
        """Those of these users (U,)."""
        return Pairs(self.keys[np.isin(self.users, users)], self.items)

    def has(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """users (U,), items (U, K) -> (U, K) bool, whether a user's pair with the item is among these."""
        wanted = users[:, None] * self.items + items
        places = np.searchsorted(self.keys, wanted)
        return np.append(self.keys, -1)[places] == wanted

    def block(self, users: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Those of users (U,) with items first..last-1, as places (row, column) of a block (U, last - first).

        >>> Pairs(np.array([1, 6, 7]), items=4).block(np.array([0, 1]), 2, 4)
        (array([1, 1]), array([0, 1]))
        """
        begins, ends = (np.searchsorted(self.keys, users * self.items + item) for item in (first, last))
        count = ends - begins
        row = np.repeat(np.arange(len(users)), count)
        place = np.arange(len(row)) + np.repeat(begins - np.cumsum(count) + count, count)
        return row, self.keys[place] - (users[row] * self.items + first)
