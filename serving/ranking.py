"""What a request is answered with: items, their scores, and what the index has to show of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from serving.snapshot import Snapshot

OWN = ("score", "logit")  # what a ranking says of an item beside what the data do


@dataclass(frozen=True)
class Source:
    """Where the texts of a ranking are: rows of the items that it was made from."""

    items: Snapshot
    rows: np.ndarray


@dataclass(frozen=True)
class Ranking:
    """The best items of one request, best first.

    items: ids. scores: click probabilities, as `predict` gives them. logits: what they were ranked by.
    missing: ids of candidates that the index does not hold, in the order given, each once; with missing="skip" alone.
    key: the name of the item id in the data. source: None in a copy from another process, which has the texts with it.
    """

    items: np.ndarray
    scores: np.ndarray
    logits: np.ndarray
    missing: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    key: str = "item"
    source: Source | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def texts(self) -> dict[str, list[str]]:
        """What the index has to show of the items (title, genres, ...), by name: one text an item, "" for none.

        Read at the first use, from the items that the ranking was made from: an item that was deleted since has them.
        """
        if self.source is None:
            return {}
        return {name: self.source.items.text(name, self.source.rows) for name in self.source.items.texts}

    @cached_property
    def titles(self) -> list[str]:
        """One name an item: the first of its `texts`, or its id where this is empty."""
        first = next(iter(self.texts.values()), [""] * len(self))
        return [text or str(one) for text, one in zip(first, self.items.tolist(), strict=True)]

    def to_frame(self) -> pd.DataFrame:
        """A row an item: its id under the name that it has in the data, "score", "logit", and its texts.

        A column of the data called "score" or "logit" is "item_score" or "item_logit" here (`shown_names`).
        """
        names = shown_names([self.key, *self.texts])
        own = {names[self.key]: self.items, "score": self.scores, "logit": self.logits}
        return pd.DataFrame(own | {names[name]: texts for name, texts in self.texts.items()})

    def __getstate__(self) -> dict:
        """For another process: with the texts, without the files that they come from."""
        return vars(self) | {"texts": self.texts, "source": None}


def shown_names(names: Iterable[str]) -> dict[str, str]:
    """The name under which the id and each text of an item are shown: its own, but for those of `OWN`.

    >>> shown_names(["movie_id", "score", "item_score"])
    {'movie_id': 'movie_id', 'item_score': 'item_score', 'score': 'item_item_score'}
    """
    names = list(names)
    shown = {name: name for name in names if name not in OWN}
    for name in names:
        if name in OWN:
            new = f"item_{name}"
            while new in shown.values():
                new = f"item_{new}"
            shown[name] = new
    return shown
