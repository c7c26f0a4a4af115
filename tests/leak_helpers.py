"""A log in which users and items differ, and what a careless table may hold of its labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from preprocessing.dataset import Dataset
from preprocessing.frames import raw_from_frames
from preprocessing.leak_probe import Finding, probe
from preprocessing.protocol import make_protocol

NAMES = {"user_id": "user", "item_id": "item", "label": "click", "timestamp": "time"}


@dataclass(frozen=True)
class Shop:
    """users, items, log: frames. quality: (items,) and taste: (users,) that clicks are drawn by.

    part: (rows,) 0 for training, 1 for validation, 2 for test rows.
    """

    users: pd.DataFrame
    items: pd.DataFrame
    log: pd.DataFrame
    taste: np.ndarray
    quality: np.ndarray
    part: np.ndarray
    protocol: str

    def findings(self, users=None, items=None, log=None, **options) -> dict[str, Finding]:
        """Of the shop with these further columns: feature -> finding."""
        found = probe(self.build(users, items, log, **options))
        assert len({finding.feature for finding in found}) == len(found)
        return {finding.feature: finding for finding in found}

    def build(self, users=None, items=None, log=None, **options) -> Dataset:
        frames = (self.users.assign(**users or {}), self.items.assign(**items or {}), self.log.assign(**log or {}))
        return Dataset.build(raw_from_frames(*frames, **NAMES, **options), self.protocol, 0)

    def total(self, side: str, rows: np.ndarray | None = None) -> np.ndarray:
        """(entities,) clicks of each user or item, in these rows: (rows,) bool."""
        rows = np.ones(len(self.log), dtype=bool) if rows is None else rows
        return np.bincount(
            self.log[side][rows], weights=self.log["click"][rows], minlength=len(getattr(self, side + "s"))
        )

    def rows(self, side: str, rows: np.ndarray | None = None) -> np.ndarray:
        """(entities,) how many of these rows each user or item has."""
        rows = np.ones(len(self.log), dtype=bool) if rows is None else rows
        return np.bincount(self.log[side][rows], minlength=len(getattr(self, side + "s")))


def shop(rows: int = 6000, users: int = 300, items: int = 150, share: float = 0.3, seed: int = 0, protocol="holdout"):
    rng = np.random.default_rng(seed)
    busy, known = rng.lognormal(0, 0.5, users), rng.lognormal(0, 0.7, items)
    user, item = rng.choice(users, rows, p=busy / busy.sum()), rng.choice(items, rows, p=known / known.sum())
    taste, quality = rng.normal(0, 0.7, users), rng.normal(0, 0.9, items)
    logit = np.log(share / (1 - share)) + taste[user] + quality[item]
    click = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    log = pd.DataFrame({"user": user, "item": item, "click": click, "time": np.arange(rows)})
    frames = pd.DataFrame({"user": range(users)}), pd.DataFrame({"item": range(items)})
    splits = make_protocol(protocol, raw_from_frames(*frames, log, **NAMES), 0).splits
    part = np.empty(rows, dtype=int)
    for number, split in enumerate(("train", "validation", "test")):
        part[splits[split]] = number
    return Shop(*frames, log, taste, quality, part, protocol)
