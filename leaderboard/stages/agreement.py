"""How far two models agree on each user's candidates: what one keeps of the other's best, and their rank correlation.

    survivors@k = mean over users of |top 100 of the ranker  and  top k of the pre-ranker| / 100
    spearman    = mean over users of the rank correlation of both models' scores over all candidates

A random choice of k of n candidates keeps k / n, with a correlation of 0. Of equal scores the item that comes first in
the catalogue ranks higher in a top k; in a correlation equal scores share the mean of their ranks.
"""

from __future__ import annotations

import numpy as np
from scipy import stats  # which scikit-learn brings

TOP, CUTS = 100, (200, 400, 800)


def survivors(ranker: np.ndarray, model: np.ndarray, top: int = TOP, cuts: tuple[int, ...] = CUTS) -> dict[str, float]:
    """The share of the ranker's best `top` that is among the model's best k, for each k of `cuts`: mean over users.

    ranker, model: (U, N) scores. Where there are fewer than `top` candidates, all of them are the ranker's best.

    >>> survivors(np.array([[4., 3., 2., 1.]]), np.array([[4., 1., 2., 3.]]), top=2, cuts=(2, 4))
    {'2': 0.5, '4': 1.0}
    """
    best = _order(ranker)[:, :top]  # (U, top)
    order = _order(model)
    place = np.empty_like(order)  # (U, N), of each item in the model's order
    np.put_along_axis(place, order, np.arange(order.shape[1])[None], axis=1)
    reached = np.take_along_axis(place, best, axis=1)  # (U, top)
    return {str(cut): float((reached < cut).mean()) for cut in cuts}


def _order(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")


def rank_correlation(left: np.ndarray, right: np.ndarray) -> float:
    """Spearman's rho of each user's scores (U, N), mean over users; 0 for a user whose scores are all equal in one."""
    ranks = [stats.rankdata(scores, axis=1) for scores in (left, right)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    product = (centred[0] * centred[1]).sum(axis=1)
    norm = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
    return float(np.divide(product, norm, out=np.zeros(len(norm)), where=norm > 0).mean())
