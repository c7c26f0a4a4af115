"""The shop of `frame_helpers` with a vector of three numbers a user and one of two numbers an item."""

from __future__ import annotations

import numpy as np
import pandas as pd
from frame_helpers import ITEMS, USERS, build

from preprocessing.dataset import Dataset

RNG = np.random.default_rng(7)
TASTE, PICTURE = RNG.normal(size=(len(USERS), 3)), RNG.normal(size=(len(ITEMS), 2))
TASTE[4] = 0  # of a user without one
VECTOR_USERS = USERS.assign(taste=[*TASTE[:4], None, *TASTE[5:].tolist()])
VECTOR_ITEMS = ITEMS.assign(picture=[*PICTURE])


def apart(frame: pd.DataFrame, name: str, values: np.ndarray) -> pd.DataFrame:
    """The frame with a column for each number of a vector."""
    return frame.assign(**{f"{name}_{place}": column for place, column in enumerate(values.T)})


def vector_data(protocol: str = "holdout", **changes) -> Dataset:
    return build(protocol, **{"users": VECTOR_USERS, "items": VECTOR_ITEMS, **changes})
