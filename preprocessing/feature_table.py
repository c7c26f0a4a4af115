"""Encoded features: what a `Dataset` holds of its users, its items and its interactions."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from foundation.features import Bags, Lists
from foundation.shown import some


@dataclass(frozen=True)
class FeatureTable:
    """Encoded features, one row an entity or an interaction.

    values: name -> (rows,) int32 ids or float32 dense values, or (rows, k) float32 vectors.  lists: name -> one list of
        ids a row.
    """

    values: dict[str, Tensor] = field(default_factory=dict)
    lists: dict[str, Lists] = field(default_factory=dict)

    def __repr__(self) -> str:
        """
        >>> FeatureTable({"age": torch.tensor([0.5, 1.0])})
        FeatureTable: 2 rows of age
        """
        columns: dict[str, Tensor | Lists] = {**self.values, **self.lists}
        if not columns:
            return "FeatureTable without features"
        return f"FeatureTable: {len(next(iter(columns.values()))):,} rows of {some(columns)}"

    def __contains__(self, name: str) -> bool:
        return name in self.values or name in self.lists

    def batch(self, name: str, rows: Tensor) -> Tensor | Bags:
        return self.values[name][rows] if name in self.values else self.lists[name].batch(rows)

    def to(self, device: torch.device | str) -> FeatureTable:
        return FeatureTable(
            {name: value.to(device) for name, value in self.values.items()},
            {name: value.to(device) for name, value in self.lists.items()},
        )
