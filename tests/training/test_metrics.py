"""AUC, logloss, GAUC and RelaImpr."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import slow_gauc
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from foundation.errors import InputError
from training.metrics import gauc, metrics, rela_impr

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([-2.0, -0.5, -0.0, 0.0, 0.25, 3.0]), st.integers(-2, 4)),
    min_size=1,
    max_size=40,
)


class TestGauc:
    @given(rows=ROWS)
    def test_equals_a_loop_over_users_with_ties_and_users_of_one_class(self, rows):
        labels, scores, users = (np.array(column) for column in zip(*rows, strict=True))
        assert gauc(labels, scores, users) == pytest.approx(slow_gauc(labels, scores, users), abs=1e-12, nan_ok=True)

    def test_by_hand(self):
        # User 1: one positive above one of two negatives, 1/2, three rows. User 2: tied, 1/2, two rows.
        # User 3: perfect, two rows. User 4: positives only.
        labels = np.array([1, 0, 0, 1, 0, 1, 0, 1, 1])
        scores = np.array([0.5, 0.4, 0.6, 0.7, 0.7, 0.9, 0.1, 0.3, 0.2])
        users = np.array([1, 1, 1, 2, 2, 3, 3, 4, 4])
        assert gauc(labels, scores, users) == pytest.approx((3 * 0.5 + 2 * 0.5 + 2 * 1.0) / 7)

    def test_only_the_order_within_a_user_counts(self):
        rng = np.random.default_rng(0)
        labels, users, scores = rng.integers(0, 2, 200), rng.integers(0, 9, 200), rng.normal(size=200)
        shifted = scores + 100.0 * rng.normal(size=9)[users]
        assert gauc(labels, shifted, users) == pytest.approx(gauc(labels, scores, users))
        assert roc_auc_score(labels, shifted) != pytest.approx(roc_auc_score(labels, scores))

    def test_order_of_rows_does_not_count(self):
        rng = np.random.default_rng(1)
        labels, users, scores = rng.integers(0, 2, 200), rng.integers(0, 9, 200), rng.integers(0, 5, 200)
        order = rng.permutation(200)
        assert gauc(labels[order], scores[order], users[order]) == pytest.approx(gauc(labels, scores, users))

    def test_no_user_with_both_classes(self):
        assert math.isnan(gauc(np.array([1, 0]), np.array([0.1, 0.2]), np.array([1, 2])))

    def test_is_left_out_where_users_are_unknown(self):
        labels, logits = np.array([0, 1]), np.array([0.0, 1.0])
        assert "gauc" not in metrics(labels, logits)
        assert metrics(labels, logits, np.array([3, 3]))["gauc"] == 1.0


class TestAuc:
    def test_saturated_logits_are_still_told_apart(self):
        labels, logits = np.array([0, 1, 0, 1]), np.array([50.0, 60.0, 70.0, 80.0])
        assert metrics(labels, logits)["auc"] == 0.75

    @given(rows=ROWS)
    def test_is_the_share_of_pairs_in_the_right_order(self, rows):
        labels, logits, _ = (np.array(column) for column in zip(*rows, strict=True))
        assume(0 < labels.sum() < len(labels))
        distance = logits[labels == 1][:, None] - logits[labels == 0]  # (positives, negatives)
        assert metrics(labels, logits)["auc"] == pytest.approx(np.mean((distance > 0) + 0.5 * (distance == 0)))


class TestLogloss:
    @given(rows=ROWS)
    def test_equals_the_definition(self, rows):
        labels, logits, _ = (np.array(column) for column in zip(*rows, strict=True))
        assume(0 < labels.sum() < len(labels))
        expected = np.mean(np.log1p(np.exp(np.where(labels == 1, -logits, logits))))
        assert metrics(labels, logits)["logloss"] == pytest.approx(expected)

    def test_extreme_logits_are_finite(self):
        labels, logits = np.array([0, 1, 0, 1]), np.array([-1e30, 1e30, 1e30, -1e30])
        # Two right, two wrong, which count as much as float64 lets a probability differ from 0 and 1.
        assert metrics(labels, logits)["logloss"] == pytest.approx(-np.log(np.finfo(np.float64).eps) / 2)

    def test_right_and_certain_is_zero(self):
        assert metrics(np.array([0, 1]), np.array([-800.0, 800.0]))["logloss"] == pytest.approx(0.0, abs=1e-12)

    def test_single_precision_logits_are_not_rounded_further(self):
        labels, logits = np.array([0, 1]), np.array([-20.0, 20.0], dtype=np.float32)
        assert metrics(labels, logits)["logloss"] == pytest.approx(np.exp(-20.0), rel=1e-6)


class TestRefused:
    @pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], []])
    def test_one_class(self, labels):
        with pytest.raises(InputError, match=f"both classes. Received {sum(labels)} positive labels of {len(labels)}"):
            metrics(np.array(labels), np.zeros(len(labels)))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_scores_that_are_no_numbers(self, value):
        with pytest.raises(InputError, match="2 of 3 scores are NaN or infinite"):
            metrics(np.array([0, 1, 1]), np.array([0.0, value, value]))


class TestRelaImpr:
    def test_as_published(self):
        # MovieLens-1M: IntTower .8974 and HIT .9048 over the two-tower model's .8697.
        assert rela_impr(0.8974, 0.8697) == pytest.approx(0.0749, abs=1e-4)
        assert rela_impr(0.9048, 0.8697) == pytest.approx(0.0949, abs=1e-4)

    def test_of_the_two_tower_model_itself(self):
        assert rela_impr(0.87, 0.87) == 0.0

    def test_half_the_way_to_chance(self):
        assert rela_impr(0.6, 0.7) == pytest.approx(-0.5)
