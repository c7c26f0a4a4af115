"""Recall@k, NDCG@k and hit rate@k of ranked candidates: names and formulas (`docs/protocols.md`)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

KINDS = ("recall", "ndcg", "hit")
KNOWN = "recall@k, ndcg@k, hit@k"  # for people
_NAME = re.compile(rf"({'|'.join(KINDS)})@([1-9][0-9]{{0,8}})")


def is_rank_metric(name: str) -> bool:
    """Whether it needs a user's ranked candidates, and not the scores of single rows.

    >>> [is_rank_metric(name) for name in ("recall@10", "auc", "recall", "ndcg@0")]
    [True, False, False, False]
    """
    return _NAME.fullmatch(name) is not None


def kind_and_cutoff(name: str) -> tuple[str, int]:
    """
    >>> kind_and_cutoff("ndcg@100")
    ('ndcg', 100)
    """
    found = _NAME.fullmatch(name)
    assert found is not None  # `is_rank_metric`
    return found[1], int(found[2])


def rank_metrics(hits: np.ndarray, positives: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Means over users, by name.

    hits: (U, K) bool, whether the j-th best candidate of a user is a positive; at least the best k of each name, or
        all where there are fewer. positives: (U,) int of at least 1, how many positives are among a user's candidates.

    With P positives of a user and r_j = 1 where the candidate in place j is one of them, else 0:

        recall@k = sum_{j <= k} r_j / P
        hit@k    = 1 if any r_j = 1 for j <= k, else 0
        ndcg@k   = sum_{j <= k} r_j / log2(j + 1) over its value in the best order, sum_{j <= min(k, P)} 1 / log2(j + 1)

    NDCG: Jarvelin and Kekalainen, ACM TOIS 20(4), 2002, with gains of 0 and 1 and the discount log2(j + 1) of Burges et
    al., ICML 2005; the former leaves places 1 and 2 without discount. Recall divides by all positives, not by
    min(k, P) as Liang et al., WWW 2018, do: with P > k it cannot reach 1.

    A user with positives in places 1 and 3 of three, and another one below:

    >>> found = rank_metrics(np.array([[1, 0, 1]], bool), np.array([3]), ["recall@3", "hit@1", "ndcg@2"])
    >>> {name: round(value, 4) for name, value in found.items()}
    {'recall@3': 0.6667, 'hit@1': 1.0, 'ndcg@2': 0.6131}
    """
    cutoffs = {name: kind_and_cutoff(name) for name in names}
    discounts = 1.0 / np.log2(np.arange(max(hits.shape[1], positives.max())) + 2.0)
    ideal = np.cumsum(discounts)
    result = {}
    for name, (kind, k) in cutoffs.items():
        best = hits[:, :k]
        if kind == "recall":
            each = best.sum(1) / positives
        elif kind == "hit":
            each = best.any(1)
        else:
            each = best @ discounts[: best.shape[1]] / ideal[np.minimum(k, positives) - 1]
        result[name] = float(each.mean())
    return result
