"""What the search for leaks counts and fits: against hand-computed cases, plain loops and closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from preprocessing.leak_fits import curve, line
from preprocessing.leak_rows import (
    Counts,
    categories,
    changes,
    deviations,
    intervals,
    numbers,
    ranking,
)
from preprocessing.leak_totals import Entities, _correlations, _dispersions, held_labels

RNG = np.random.default_rng(0)


class TestCounts:
    GROUP = np.array([0, 0, 2, 2, 2])
    LABEL = np.array([1, 0, 1, 1, 0])
    TRAIN = np.array([True, True, True, False, False])

    def counts(self) -> Counts:
        return Counts.of_rows(self.GROUP, self.LABEL, self.TRAIN, 3)

    def test_by_hand(self):
        counts = self.counts()
        assert counts.train.tolist() == [2, 0, 1]
        assert counts.train_positives.tolist() == [1, 0, 1]
        assert counts.held_out.tolist() == [0, 0, 2]
        assert counts.held_out_positives.tolist() == [0, 0, 1]

    def test_target_means_are_smoothed_towards_all_training_rows(self):
        prior = 2 / 3
        expected = [(1 + 10 * prior) / 12, prior, (1 + 10 * prior) / 11]
        assert self.counts().target_means() == pytest.approx(expected)

    def test_merging_is_counting_the_merged_groups(self):
        merged = self.counts().merged(np.array([1, 0, 0]), 2)
        again = Counts.of_rows(np.array([1, 0, 0])[self.GROUP], self.LABEL, self.TRAIN, 2)
        assert all((vars(merged)[name] == vars(again)[name]).all() for name in vars(merged))


def test_ranking_is_the_auc_of_the_rows():
    group, label = RNG.integers(0, 30, 400), RNG.integers(0, 2, 400)
    score = np.round(RNG.random(30), 1)  # ties
    counts = Counts.of_rows(group, label, np.zeros(400, dtype=bool), 30)
    assert ranking(score, counts).auc == pytest.approx(roc_auc_score(label, score[group]))


def test_deviations_of_the_ranking_are_those_of_labels_drawn_at_random():
    group, label = np.arange(60), np.arange(60) % 3 == 0
    score = RNG.random(60)
    drawn = [ranking(score, Counts.of_rows(group, RNG.permutation(label), label < 0, 60)) for _ in range(3000)]
    assert np.std([one.deviations for one in drawn]) == pytest.approx(1, abs=0.05)


class TestGroups:
    def test_equal_values_and_missing_ones(self):
        group, count = categories(np.array(["b", None, "a", "b"], dtype=object))
        assert group.tolist() == [0, 2, 1, 0]
        assert count == 3
        group, count = categories(pd.Categorical(["b", None, "a"]))
        assert group.tolist() == [1, 2, 0]

    def test_intervals_hold_like_numbers_and_a_frequent_number_has_its_own(self):
        values = np.concatenate([np.zeros(500), np.arange(1.0, 101), [np.nan]])
        group, count = intervals(values, values)
        assert len(set(group[:500])) == 1
        assert group[0] not in group[500:]
        assert (np.diff(group[500:600]) >= 0).all()
        assert group[600] == count - 1
        assert group[600] not in group[:600]

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (np.array([True, False]), [1, 0]),
            (np.array([3, 4], dtype=np.int8), [3, 4]),
            (np.array([1.5, np.inf]), [1.5, np.nan]),
            (pd.Categorical(["7", None, "2.5"]), [7, np.nan, 2.5]),
            (np.array(["7", "many"], dtype=object), None),
            (np.array([None, None], dtype=object), None),
        ],
        ids=["truth", "integers", "infinite", "categories", "texts", "nothing"],
    )
    def test_numbers(self, values, expected):
        found = numbers(values)
        assert (found is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(found, expected)


class TestAgainstOtherRows:
    VALUES, ENTITY, ORDER = RNG.random(50), RNG.integers(0, 6, 50), RNG.permutation(50)

    def test_deviations_by_a_plain_loop(self):
        expected = [x - self.VALUES[self.ENTITY == e].mean() for x, e in zip(self.VALUES, self.ENTITY, strict=True)]
        assert deviations(self.VALUES, self.ENTITY) == pytest.approx(expected, abs=1e-8)

    def test_changes_by_a_plain_loop(self):
        last: dict[int, float] = {}
        expected = np.empty(50)
        for row in self.ORDER:
            expected[row] = self.VALUES[row] - last.get(self.ENTITY[row], 0.0)
            last[self.ENTITY[row]] = self.VALUES[row]
        assert changes(self.VALUES, self.ENTITY, self.ORDER) == pytest.approx(expected, abs=1e-8)

    def test_a_missing_number_has_no_difference(self):
        values = np.array([1.0, np.nan, 3.0])
        np.testing.assert_array_equal(deviations(values, np.zeros(3, dtype=int)), [-1, np.nan, 1])


class TestFits:
    U, FOLD, WEIGHT = RNG.random(400), RNG.integers(0, 5, 400), RNG.random(400) + 0.1

    def test_line_is_weighted_least_squares_of_the_other_folds(self):
        y = RNG.random(400)
        found = line(self.FOLD, self.U, y, self.WEIGHT)
        for number in range(5):
            fitted, judged = self.FOLD != number, self.FOLD == number
            slope, level = np.polyfit(self.U[fitted], y[fitted], 1, w=np.sqrt(self.WEIGHT[fitted]))
            assert found[judged] == pytest.approx(slope * self.U[judged] + level)

    @pytest.mark.parametrize("fit", [line, curve])
    def test_no_value_is_fitted_by_itself(self, fit):
        y = RNG.random(400)
        before = fit(self.FOLD, self.U, y, self.WEIGHT)
        chosen = self.FOLD == 2
        after = fit(self.FOLD, self.U, np.where(chosen, y + 9, y), self.WEIGHT)
        assert (before[chosen] == after[chosen]).all()
        assert (before[~chosen] != after[~chosen]).all()

    def test_curve_follows_what_bends(self):
        assert curve(self.FOLD, self.U, np.sin(9 * self.U), np.ones(400)) == pytest.approx(np.sin(9 * self.U), abs=0.3)

    def test_equal_values_have_one_mean(self):
        u = RNG.integers(0, 3, 400).astype(float)
        y = np.array([5.0, 1.0, 7.0])[u.astype(int)]
        assert curve(self.FOLD, u, y, self.WEIGHT) == pytest.approx(y)


class TestTotals:
    """Many entities, each with 20 training, 10 validation and 10 test rows."""

    SIZE = 4000

    @pytest.fixture(scope="class")
    @classmethod
    def drawn(cls):
        rng = np.random.default_rng(7)
        rate = rng.beta(4, 4, cls.SIZE)
        return rate, *(rng.binomial(rows, rate).astype(float) for rows in (20, 10, 10))

    def entities(self, x, drawn) -> Entities:
        _, t, s, _ = drawn
        n_t, n_s, rest = (np.full(self.SIZE, rows) for rows in (20.0, 10.0, 10.0))
        return Entities(x, n_t, t, n_s, s, rest, np.arange(self.SIZE) % 5)

    def correlation(self, x, drawn) -> float:
        entities = self.entities(x, drawn)
        noise = np.sqrt(drawn[0] * (1 - drawn[0]))
        assert noise.min() > 0
        return min(found.effect for found in _correlations(entities, [x]))

    def test_correlation_given_a_total_is_that_of_a_hypergeometric_draw(self, drawn):
        _, t, s, rest = drawn
        total = t + s + rest
        # In units of binomial noise: the covariance given a total k of N = 40 rows is -n_t n_s / (N - 1) p (1 - p).
        expected = -np.sqrt(20 * 10) / 39
        assert self.correlation(total, drawn) == pytest.approx(expected, abs=0.05)
        draws = stats.multivariate_hypergeom.rvs([16, 24], 20, size=4000, random_state=1)[:, 0]
        assert np.var(draws) == pytest.approx(20 * 0.4 * 0.6 * 20 / 39, rel=0.1)

    def test_correlation_given_the_true_rate_is_none(self, drawn):
        assert abs(self.correlation(drawn[0], drawn)) < 0.05

    def test_correlation_given_nothing_is_positive(self, drawn):
        assert self.correlation(np.zeros(self.SIZE), drawn) > 0.3

    def test_dispersion_given_the_true_rate_is_one_and_given_a_later_total_that_of_a_hypergeometric_draw(self, drawn):
        rate, _, s, rest = drawn
        fold, n = np.arange(self.SIZE) % 5, np.full(self.SIZE, 10.0)
        assert min(found.effect for found in _dispersions(fold, n, s, [rate])) == pytest.approx(1, abs=0.06)
        assert min(found.effect for found in _dispersions(fold, n, s, [s + rest])) == pytest.approx(10 / 19, abs=0.05)

    def counts(self, drawn) -> Counts:
        _, t, s, _ = drawn
        return Counts(np.full(self.SIZE, 20.0), t, np.full(self.SIZE, 10.0), s)

    def found(self, x, drawn, size: int = SIZE):
        part = self.counts(drawn).take(np.arange(size))
        return held_labels(x[:size], part, np.full(size, 40.0), np.random.default_rng(0))

    def test_exact_totals_need_few_entities(self, drawn):
        total = sum(drawn[1:])
        assert "each of 40 {side}s" in self.found(total, drawn, size=40).how
        assert self.found(total + (np.arange(self.SIZE) == 3) * 40, drawn, size=40) is None

    def test_missing_ones_are_left_out(self, drawn):
        total = np.where(np.arange(self.SIZE) % 3 == 0, np.nan, sum(drawn[1:]))
        assert self.found(total, drawn) is not None
        assert self.found(np.full(self.SIZE, np.nan), drawn) is None

    @pytest.mark.parametrize("seed", range(5))
    def test_auc_of_a_finding_is_above_that_of_the_true_rate(self, drawn, seed):
        rate, t, s, rest = drawn
        noisy = t + s + rest + np.random.default_rng(seed).normal(0, 0.3, self.SIZE)
        honest = self.entities(rate, drawn).auc(rate)
        assert self.found(noisy, drawn).auc > honest
