"""The expected calibration error and its bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.calibration import BINS, calibration
from training.metrics import click_probability

ROWS = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=60)


def slow_ece(labels, probabilities, bins: int) -> float:
    """One bin at a time, by its bounds."""
    total = 0.0
    for place in range(bins):
        inside = [
            (label, p) for label, p in zip(labels, probabilities, strict=True) if min(int(p * bins), bins - 1) == place
        ]
        if inside:
            own, p = (np.mean(column) for column in zip(*inside, strict=True))
            total += len(inside) / len(labels) * abs(own - p)
    return total


class TestCalibration:
    def test_by_hand(self):
        # Width 1/15. Bin 0: .02 and .06, no positive: off by .04. Bin 7 (from .4667): .5 and .52, one positive: .01.
        # Bin 14: 1.0 and .94, both positive: .03. 2/6 of each.
        labels = np.array([0, 0, 1, 0, 1, 1])
        result = calibration(labels, np.array([0.02, 0.06, 0.5, 0.52, 1.0, 0.94]))
        assert result["ece"] == pytest.approx((0.04 + 0.01 + 0.03) / 3)
        assert result["bins"]["count"] == [2, 2, 2]
        assert result["bins"]["mean_probability"] == pytest.approx([0.04, 0.51, 0.97])
        assert result["bins"]["positive_share"] == [0.0, 0.5, 1.0]

    @given(rows=ROWS)
    def test_equals_a_loop_over_bins(self, rows):
        labels, probabilities = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
        result = calibration(labels, probabilities)
        assert result["ece"] == pytest.approx(slow_ece(labels, probabilities, BINS), abs=1e-12)
        assert sum(result["bins"]["count"]) == len(rows)
        assert min(result["bins"]["count"]) > 0

    def test_order_of_rows_does_not_count(self):
        rng = np.random.default_rng(0)
        labels, probabilities, order = rng.integers(0, 2, 500), rng.random(500), rng.permutation(500)
        there, back = calibration(labels, probabilities), calibration(labels[order], probabilities[order])
        assert there["bins"]["count"] == back["bins"]["count"]
        assert there["ece"] == pytest.approx(back["ece"])

    def test_every_row_twice_is_the_same(self):
        rng = np.random.default_rng(1)
        labels, probabilities = rng.integers(0, 2, 100), rng.random(100)
        once, twice = calibration(labels, probabilities), calibration(np.tile(labels, 2), np.tile(probabilities, 2))
        assert once["ece"] == pytest.approx(twice["ece"])

    def test_perfect_is_zero(self):
        labels = np.array([1, 0, 0, 0, 1, 1, 1, 0])  # a quarter of the first four, three quarters of the last
        assert calibration(labels, np.repeat([0.25, 0.75], 4))["ece"] == 0.0
        assert calibration(np.array([0, 1]), np.array([0.0, 1.0]))["ece"] == 0.0

    def test_confidently_wrong_is_one(self):
        assert calibration(np.array([0, 1]), np.array([1.0, 0.0]))["ece"] == 1.0

    def test_both_classes_swapped_are_off_by_as_much(self):
        rng = np.random.default_rng(2)
        labels, probabilities = rng.integers(0, 2, 300), rng.random(300)
        mirrored = calibration(1 - labels, 1.0 - probabilities)
        assert mirrored["ece"] == pytest.approx(calibration(labels, probabilities)["ece"])
        assert mirrored["bins"]["count"] == calibration(labels, probabilities)["bins"]["count"][::-1]

    def test_a_constant_logit_is_off_by_its_distance_from_the_rate(self):
        labels = np.array([1, 1, 1, 0])
        assert calibration(labels, click_probability(np.full(4, 1e30)))["ece"] == pytest.approx(0.25)
