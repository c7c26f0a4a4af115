"""Lists of numbers as one padded array, as the published scripts get it of Keras."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foundation.errors import one_of

SIDES = ("pre", "post")


def pad_sequences(
    sequences: Sequence[Sequence[float] | np.ndarray],
    maxlen: int | None = None,
    dtype: str | np.dtype = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: float = 0.0,
) -> np.ndarray:
    """n lists -> (n, maxlen), with Keras' arguments, defaults and results.

    maxlen: default: length of the longest list.  padding, truncating: the end, "pre" or "post", where short lists are
    filled with `value`, and where long ones lose what is too much.

    >>> pad_sequences([[1, 2, 3], [4]], maxlen=2, padding="post").tolist()
    [[2, 3], [4, 0]]
    """
    one_of("padding", padding, SIDES)
    one_of("truncating", truncating, SIDES)
    width = max(map(len, sequences), default=0) if maxlen is None else maxlen
    padded = np.full((len(sequences), width), value, dtype=dtype)
    for row, sequence in zip(padded, sequences, strict=True):
        kept = sequence[:width] if truncating == "post" else sequence[max(len(sequence) - width, 0) :]
        start = width - len(kept) if padding == "pre" else 0
        row[start : start + len(kept)] = kept
    return padded
