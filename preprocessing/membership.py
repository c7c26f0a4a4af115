"""Whether a row's item is among its user's liked items: one bit, which is the label where a history holds the row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from foundation.features import Bags

if TYPE_CHECKING:
    from preprocessing.split import Split

CHUNK = 20_000  # rows whose histories are looked through together


def membership(split: Split) -> np.ndarray:
    """(n,) 1 where a row's item is in the row's history, 0 elsewhere. The data must have a history."""
    item_id, history_name = split.dataset.schema.item_id, split.dataset.schema.history
    assert history_name is not None
    found = []
    for rows in torch.arange(len(split)).split(CHUNK):
        batch = split.batch(rows, [item_id, history_name])
        items, history = batch[item_id], batch[history_name]
        assert isinstance(items, torch.Tensor)
        assert isinstance(history, Bags)
        lengths = history.offsets.diff().long()
        hits = history.values == items.repeat_interleave(lengths)
        owner = torch.arange(len(rows)).repeat_interleave(lengths)
        found.append(torch.bincount(owner[hits], minlength=len(rows)) > 0)
    return torch.cat(found).numpy().astype(np.float64)
