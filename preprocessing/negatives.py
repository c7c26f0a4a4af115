"""How negatives are made for a log of positives alone (`docs/negatives.md`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from foundation.errors import InputError
from foundation.values import as_count, shown

Sampling = Literal["uniform", "popularity"]
Training = Literal["uniform", "popularity", "in_batch"]
IN_BATCH: Training = "in_batch"


@dataclass(frozen=True)
class Negatives:
    """Which negatives the rows of a log of positives get.

    train: of training rows. "uniform": items of the whole catalogue, all alike; "popularity": items in proportion to
        their number of training positives; "in_batch": none, a two-tower model learns from the other items of a batch.
    per_positive: sampled negatives of each positive.
    evaluate: of validation and test rows: "uniform" or "popularity".
    Raises `InputError` for other values.
    """

    train: Training = "uniform"
    per_positive: int = 4
    evaluate: Sampling = "uniform"

    def __post_init__(self) -> None:
        for name, kinds in (("train", get_args(Training)), ("evaluate", get_args(Sampling))):
            given = getattr(self, name)
            if given not in kinds:
                raise InputError(f"{name} of the negatives is one of {', '.join(kinds)}. Received: {shown(given)}.")
        object.__setattr__(self, "per_positive", as_count("per_positive", self.per_positive, least=1))

    @property
    def in_batch(self) -> bool:
        """Whether training rows are positives alone."""
        return self.train == IN_BATCH

    def of(self, split: str) -> Sampling | None:
        """How the negatives of a split's rows are sampled; None where they have none."""
        if split != "train":
            return self.evaluate
        return None if self.train == "in_batch" else self.train
