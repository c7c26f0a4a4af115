"""Calibration: whether rows that are given a probability p are positive in a share p of the cases."""

from __future__ import annotations

import numpy as np

BINS = 15


def calibration(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> dict:
    """Expected calibration error over bins of equal width, and the bins (Guo et al., ICML 2017, section 2).

        ECE = sum over bins b of  n_b / n * |share of positives in b - mean probability in b|

    labels: (n,) in {0, 1}; probabilities: (n,) in 0..1, of which 1 belongs to the last bin; n of at least 1.
    Returns {"ece": ..., "bins": {"count": [...], "mean_probability": [...], "positive_share": [...]}}, the bins by
    rising probability and without the empty ones.

    Two bins: two rows around .2, one of them positive, and one around .9, positive. 2/3 * .3 + 1/3 * .1:

    >>> result = calibration(np.array([1, 0, 1]), np.array([.1, .3, .9]), bins=2)
    >>> round(result["ece"], 4), result["bins"]["count"], result["bins"]["positive_share"]
    (0.2333, [2, 1], [0.5, 1.0])
    """
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    count = count[filled]
    mean = np.bincount(place, weights=probabilities, minlength=bins)[filled] / count
    share = np.bincount(place, weights=labels, minlength=bins)[filled] / count
    return {
        "ece": float(np.average(np.abs(share - mean), weights=count)),
        "bins": {
            "count": count.tolist(),
            "mean_probability": mean.tolist(),
            "positive_share": share.tolist(),
        },
    }
