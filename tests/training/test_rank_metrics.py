"""Recall, NDCG and hit rate from hits by place, and their names."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InputError
from training.metrics import check_names
from training.rank_metrics import is_rank_metric, kind_and_cutoff, rank_metrics

NAMES = [f"{kind}@{k}" for kind in ("recall", "ndcg", "hit") for k in (1, 2, 3, 5, 9)]


def slow(hits: list[list[bool]], positives: list[int], name: str) -> float:
    """One user and one place at a time, as the formulas stand."""
    kind, _, cutoff = name.partition("@")
    k, values = int(cutoff), []
    for own, total in zip(hits, positives, strict=True):
        found = [place for place, hit in enumerate(own, 1) if hit and place <= k]
        gain = sum(1 / math.log2(place + 1) for place in found)
        best = sum(1 / math.log2(place + 1) for place in range(1, min(k, total) + 1))
        values.append({"recall": len(found) / total, "hit": float(len(found) > 0), "ndcg": gain / best}[kind])
    return sum(values) / len(values)


@given(st.lists(st.tuples(st.lists(st.booleans(), min_size=5, max_size=5), st.integers(1, 7)), min_size=1, max_size=6))
def test_equal_the_formulas(users):
    hits = [own for own, _ in users]
    positives = [max(total, sum(own)) for own, total in users]
    found = rank_metrics(np.array(hits), np.array(positives), NAMES)
    assert list(found) == NAMES
    for name, value in found.items():
        assert value == pytest.approx(slow(hits, positives, name)), name


def test_by_hand():
    hits = np.array([[True, False, True, False], [False, False, False, True]])
    found = rank_metrics(hits, np.array([2, 4]), ["recall@1", "recall@4", "hit@3", "ndcg@1", "ndcg@4"])
    assert found["recall@1"] == pytest.approx((1 / 2 + 0) / 2)
    assert found["recall@4"] == pytest.approx((2 / 2 + 1 / 4) / 2)
    assert found["hit@3"] == pytest.approx((1 + 0) / 2)
    assert found["ndcg@1"] == pytest.approx((1 + 0) / 2)
    first = (1 + 1 / 2) / (1 + 1 / math.log2(3))  # positives in places 1 and 3; at best in 1 and 2
    second = (1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / 2 + 1 / math.log2(5))
    assert found["ndcg@4"] == pytest.approx((first + second) / 2)


def test_the_best_order_has_ndcg_1_and_a_cutoff_beyond_all_items_finds_all():
    hits = np.array([[True, True, False]])
    found = rank_metrics(hits, np.array([2]), ["ndcg@1", "ndcg@3", "ndcg@50", "recall@50", "hit@50"])
    assert found == dict.fromkeys(found, 1.0)


@pytest.mark.parametrize("name", ["recall@0", "recall", "recall@", "recall@1.5", "recall@-1", "Hit@10", "map@10", ""])
def test_other_names_are_unknown(name):
    assert not is_rank_metric(name)
    with pytest.raises(InputError, match="recall@k, ndcg@k, hit@k"):
        check_names([name], ranks=True)


def test_known_names():
    assert kind_and_cutoff("hit@10") == ("hit", 10)
    assert check_names(["auc", "hit@10"], ranks=True) == ["auc", "hit@10"]
    with pytest.raises(InputError, match="hit@10: only two-tower models"):
        check_names(["auc", "hit@10"], ranks=False)
