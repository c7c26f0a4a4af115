"""What a tower returns, a tensor or a list of tensors (of lists, ...), each with one row an entity, as one thing."""

from __future__ import annotations

import torch
from torch import Tensor

Representation = Tensor | list


def take(representation: Representation, rows: Tensor) -> Representation:
    """Only these rows, in this order."""
    if isinstance(representation, Tensor):
        return representation[rows]
    return [take(part, rows) for part in representation]


def count(representation: Representation) -> int:
    """The number of entities."""
    return len(representation) if isinstance(representation, Tensor) else count(representation[0])


def concatenate(parts: list[Representation]) -> Representation:
    """The rows of all parts, which have one structure."""
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    return [concatenate(list(group)) for group in zip(*parts, strict=True)]
