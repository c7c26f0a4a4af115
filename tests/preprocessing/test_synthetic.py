"""Generated data: shaped like MovieLens, equal for equal seeds, and only an interaction explains its labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder

from foundation.errors import InputError
from preprocessing.movielens import SCHEMA
from preprocessing.planted import best_auc
from preprocessing.raw import RawData
from preprocessing.synthetic import FIRST_SECOND, GENRES, LAST_SECOND, PROBABILITY, synthetic_movielens


@pytest.fixture(scope="module")
def default() -> RawData:
    return synthetic_movielens()


def small(seed: int = 0) -> RawData:
    return synthetic_movielens(users=200, movies=100, interactions=5000, seed=seed)


class TestShape:
    def test_sizes_are_those_asked_for(self):
        raw = small()
        assert (len(raw), len(raw.users), len(raw.items)) == (5000, 200, 100)
        assert (raw.name, raw.schema) == ("synthetic-movielens", SCHEMA)
        assert len(raw.item_lists["genres"]) == 100
        assert (raw.user.dtype, raw.item.dtype) == (np.int32, np.int32)
        assert (raw.label.dtype, raw.timestamp.dtype, raw.best_score.dtype) == (np.float32, np.int64, np.float64)

    def test_values_are_those_of_movielens(self, default):
        assert set(default.users["gender"]) == {"F", "M"}
        assert sorted(default.users["age"].unique()) == [1, 18, 25, 35, 45, 50, 56]
        assert sorted(default.users["occupation"].unique()) == list(range(21))
        assert set(default.item_lists["genres"].values) == {genre for group in GENRES for genre in group}
        assert len(set(default.item_lists["genres"].values)) == 18
        assert default.timestamp.min() >= FIRST_SECOND
        assert default.timestamp.max() < LAST_SECOND

    def test_nobody_rates_a_movie_twice(self, default):
        assert not pd.DataFrame({"user": default.user, "item": default.item}).duplicated().any()

    def test_activity_and_popularity_are_skewed(self, default):
        for entity in (default.user, default.item):
            count = np.sort(np.bincount(entity))[::-1]
            assert count[: len(count) // 5].sum() > 0.35 * len(default)

    def test_users_come_in_sessions_with_ties(self, default):
        order = np.lexsort((default.timestamp, default.user))
        gap = np.diff(default.timestamp[order])[np.diff(default.user[order]) == 0]
        assert 0.01 < (gap == 0).mean() < 0.2
        assert (gap < 3600).mean() > 0.8
        assert gap.max() > 30 * 86400

    @pytest.mark.parametrize("sizes", [(1, 100, 10), (10, 3, 10), (10, 10, 0), (10, 10, 101)])
    def test_impossible_sizes_are_refused(self, sizes):
        with pytest.raises(InputError, match=f"Received: {sizes[0]} users"):
            synthetic_movielens(*sizes)

    def test_all_pairs_can_be_asked_for(self):
        assert len(synthetic_movielens(users=5, movies=4, interactions=20)) == 20


class TestSeed:
    def test_equal_seeds_give_equal_data(self):
        one, other = small(seed=3), small(seed=3)
        assert one.fingerprint == other.fingerprint
        for name in ("user", "item", "label", "timestamp", "best_score"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        pd.testing.assert_frame_equal(one.users, other.users)
        pd.testing.assert_frame_equal(one.items, other.items)

    def test_other_seeds_give_other_data(self):
        assert small(seed=3).fingerprint != small(seed=4).fingerprint


class TestPreferences:
    def test_labels_follow_the_planted_probabilities(self, default):
        assert set(np.unique(default.best_score)) == set(PROBABILITY.ravel())
        for probability in PROBABILITY.ravel():
            labels = default.label[default.best_score == probability]
            assert abs(labels.mean() - probability) < 5 * np.sqrt(probability * (1 - probability) / len(labels))

    def test_best_auc_is_high_and_below_one(self, default):
        assert 0.85 < best_auc(default.best_score) < 0.95

    def test_an_additive_model_cannot_explain_them(self, default):
        rows = np.random.default_rng(0).permutation(len(default))[:60_000]
        users = default.users.iloc[default.user[rows]].drop(columns="zipcode").reset_index(drop=True)
        features = OneHotEncoder().fit_transform(users.assign(movie=default.item[rows]))
        model = LogisticRegression(C=0.1, solver="liblinear").fit(features[:50_000], default.label[rows[:50_000]])
        score = model.decision_function(features[50_000:])
        assert 0.5 < roc_auc_score(default.label[rows[50_000:]], score) < 0.62

    def test_gender_with_genre_tells_more_than_each_alone(self, default):
        movie_style = np.array([text.split("|")[0] in GENRES[1] for text in default.items["genres"]])[default.item]
        woman = (default.users["gender"] == "F").to_numpy()[default.user]
        assert abs(roc_auc_score(default.label, woman) - 0.5) < 0.02
        assert abs(roc_auc_score(default.label, movie_style) - 0.5) < 0.02
        assert roc_auc_score(default.label, woman == movie_style) > 0.6

    def test_history_tells_the_taste(self, default):
        """Scoring a movie of the last tenth by the share of its fans among the user's earlier liked movies."""
        order = np.argsort(default.timestamp, kind="stable")
        past, future = np.split(order, [int(len(order) * 0.9)])
        signed = np.zeros((len(default.users), len(default.items)), dtype=np.float32)
        signed[default.user[past], default.item[past]] = 2 * default.label[past] - 1
        similarity = signed.T @ signed  # (items, items): agreement of the users who saw both
        score = (signed @ similarity)[default.user[future], default.item[future]]
        assert roc_auc_score(default.label[future], score) > 0.85


class TestBestAuc:
    def test_two_rows_by_hand(self):
        # The right one is positive in 0.8 * 0.8 of all draws, the wrong one in 0.2 * 0.2; else there is no pair.
        assert best_auc(np.array([0.8, 0.2])) == pytest.approx(0.64 / 0.68)

    def test_certain_labels_give_one_and_equal_ones_half(self):
        assert best_auc(np.array([0.0, 1.0, 1.0])) == 1.0
        assert best_auc(np.full(7, 0.3)) == pytest.approx(0.5)

    @given(st.lists(st.floats(0.05, 0.95), min_size=2, max_size=20))
    def test_closed_form_equals_the_sum_over_pairs(self, values):
        p = np.array(values)
        weight = p[:, None] * (1 - p[None, :])
        np.fill_diagonal(weight, 0)
        order = (p[:, None] > p[None, :]) + 0.5 * (p[:, None] == p[None, :])
        assert best_auc(p) == pytest.approx((weight * order).sum() / weight.sum())

    def test_closed_form_agrees_with_simulation(self):
        rng = np.random.default_rng(0)
        p = rng.choice([0.1, 0.3, 0.6, 0.9], size=2000)
        simulated = [roc_auc_score(rng.random(len(p)) < p, p) for _ in range(100)]
        assert best_auc(p) == pytest.approx(np.mean(simulated), abs=5 * np.std(simulated) / 10)
