"""The known users at one moment: those of the last build, and those that were added or replaced since."""

from __future__ import annotations

import numpy as np
import torch

from foundation.features import Bags, Features
from serving.entities import EntityTable, as_lists, join_lists
from serving.layered import Layered


class Users(Layered):
    """A user that was replaced stands in the delta."""

    @property
    def names(self) -> set[str]:
        """Of all features."""
        return self.base.names

    def features(self, rows: np.ndarray, names: list[str]) -> Features:
        """(n,) rows -> name -> (n,) ids or values, or `Bags`; only of the names that are there."""
        parts, order = self._parts(rows)
        found = [table.features(part, names) for table, part in parts]
        if len(found) == 1:
            return found[0]
        return {name: _joined([features[name] for features in found], order) for name in found[0]}

    def liked(self, rows: np.ndarray) -> Bags | None:
        """The keys of the items in the histories of these users, None where the data have no history."""
        parts, order = self._parts(rows)
        found = [bags for table, part in parts if (bags := table.liked(part)) is not None]
        return _bags(found, order) if len(found) > 1 else next(iter(found), None)

    def _parts(self, rows: np.ndarray) -> tuple[list[tuple[EntityTable, np.ndarray]], torch.Tensor]:
        """The tables to read with their rows, and where what is read end to end stands for each row asked for."""
        newer = rows >= self.size
        if self.delta is None or not newer.any():
            return [(self.base, rows)], torch.arange(len(rows))
        order = np.argsort(np.argsort(newer, kind="stable"), kind="stable")
        return [(self.base, rows[~newer]), (self.delta, rows[newer] - self.size)], torch.from_numpy(order)


def _joined(parts: list[torch.Tensor | Bags], order: torch.Tensor) -> torch.Tensor | Bags:
    bags = [part for part in parts if isinstance(part, Bags)]
    return _bags(bags, order) if bags else torch.cat([part for part in parts if not isinstance(part, Bags)])[order]


def _bags(parts: list[Bags], order: torch.Tensor) -> Bags:
    return join_lists([as_lists(part) for part in parts]).batch(order)
