"""What each row may know: the splits of a protocol, and the views that say which labels a row sees.

A protocol is a split and a list of `View`s. A view says which rows *read* a statistic or a history and which rows'
labels they see. All of the honesty of an evaluation is in that one list; what is computed from it
(`preprocessing.label_statistics`) is the same code for every protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

SPLITS = ("train", "validation", "test")
# Rows of prior that a mean label is smoothed with, where the protocol is honest. The published one does not smooth.
SMOOTHING = 10.0


@dataclass(frozen=True)
class View:
    """`readers` see the labels of `sources`; with `earlier_only`, of those with a smaller timestamp alone."""

    readers: np.ndarray
    sources: np.ndarray
    earlier_only: bool = False

    def __repr__(self) -> str:
        """
        >>> View(np.arange(2), np.arange(5), earlier_only=True)
        View: 2 rows read the earlier labels of 5
        """
        which = "earlier labels" if self.earlier_only else "labels"
        return f"View: {len(self.readers):,} rows read the {which} of {len(self.sources):,}"


@dataclass(frozen=True)
class SplitProtocol:
    """Row numbers of the splits, and the views that cover each row as a reader exactly once (none if no one reads).

    leak: how labels reach features or splits that should not know them, in words; None where they do not.
    encoded_by: rows that vocabularies and scalers are fitted on; None: the training rows.
    filled_by: rows whose mean stands for a missing number; None: those of `encoded_by`.
    scaled_by: rows whose label statistics are scaled to 0..1, those of others by their range; None: not scaled.
    dropped: how many rows are in no split, by reason.
    """

    name: str
    splits: dict[str, np.ndarray]
    views: list[View]
    smoothing: float
    leak: str | None = None
    encoded_by: np.ndarray | None = None
    filled_by: np.ndarray | None = None
    scaled_by: np.ndarray | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in self.splits.items())
        return f"SplitProtocol {self.name}: {sizes} rows; leaks {'labels' if self.leaks_labels else 'no labels'}"

    @property
    def leaks_labels(self) -> bool:
        """Whether labels reach what should not know them."""
        return self.leak is not None


def for_refit(made: SplitProtocol) -> SplitProtocol:
    """The validation rows as training rows, behind those, and one view of what both kinds read; the test
    rows and what they read stay as they are. For a protocol whose rows read the labels of their own split."""
    train, test = np.concatenate([made.splits["train"], made.splits["validation"]]), made.splits["test"]
    of_test = [bool(np.isin(view.readers, test).any()) for view in made.views]
    own = [view for view, tested in zip(made.views, of_test, strict=True) if not tested]
    rest = [view for view, tested in zip(made.views, of_test, strict=True) if tested]
    if own:
        readers, sources = (np.concatenate([getattr(view, name) for view in own]) for name in ("readers", "sources"))
        rest = [View(readers, sources), *rest]
    return replace(made, splits={"train": train, "test": test}, views=rest)


def random_split(count: int, seed: int) -> dict[str, np.ndarray]:
    """80 % train, of which 20 % are set apart for validation; 20 % test. Rows of a split are in order."""
    order = np.random.default_rng(seed).permutation(count)
    test = count - int(count * 0.8)
    validation = int((count - test) * 0.2)
    part = np.zeros(count, dtype=np.uint8)  # marking and reading off the marks is faster than sorting
    part[order[:test]] = 2
    part[order[test : test + validation]] = 1
    return {split: np.flatnonzero(part == number) for number, split in enumerate(SPLITS)}
