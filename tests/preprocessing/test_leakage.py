"""No feature of any row knows a label that its protocol hides from it."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import build_or_skip, every_feature, flip, make_raw, permute_labels, random_raw, raws, with_labels
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.dataset import Dataset
from preprocessing.encoding import Vocabulary

FROM_LABELS = ("user_mean_rating", "item_mean_rating", "liked_movies")
SEEDS = st.integers(0, 1000)


def encodings(dataset: Dataset) -> dict:
    """All of it but the mean label of the training rows, which knows the labels of training."""
    return {name: value for name, value in dataset.encoding_json().items() if name != "mean_label"}


def visible_to(dataset: Dataset, row: int) -> dict:
    return every_feature(dataset)[row]


class TestHiddenLabelsChangeNothing:
    """The whole batch of every split, the split of every row, vocabularies and scalers are compared."""

    @pytest.mark.parametrize("hidden", ["test", "validation", "both"])
    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    @given(raw=raws(), seed=SEEDS)
    def test_labels_of_scored_splits(self, protocol, hidden, raw, seed):
        dataset = build_or_skip(raw, protocol)
        splits = dataset.protocol.splits
        rows = np.concatenate([splits["validation"], splits["test"]]) if hidden == "both" else splits[hidden]
        permuted = build_or_skip(permute_labels(raw, rows, seed), protocol)
        assert every_feature(dataset) == every_feature(permuted)
        assert encodings(dataset) == encodings(permuted)

    @given(raw=raws(), seed=SEEDS, time=st.integers(0, 7))
    def test_temporal_train_rows_do_not_know_labels_of_their_own_time_or_later(self, raw, seed, time):
        dataset = build_or_skip(raw, "temporal")
        later = np.flatnonzero(raw.timestamp >= time)
        permuted = build_or_skip(permute_labels(raw, later, seed), "temporal")
        before, after = every_feature(dataset), every_feature(permuted)
        rows = [row for row in dataset.protocol.splits["train"] if raw.timestamp[row] <= time]
        assert [before[row] for row in rows] == [after[row] for row in rows]
        assert encodings(dataset) == encodings(permuted)

    @given(raw=raws(), seed=SEEDS)
    def test_temporal_labels_after_train_change_no_row(self, raw, seed):
        dataset = build_or_skip(raw, "temporal")
        last = raw.timestamp[dataset.protocol.splits["train"]].max()
        permuted = build_or_skip(permute_labels(raw, np.flatnonzero(raw.timestamp > last), seed), "temporal")
        assert every_feature(dataset) == every_feature(permuted)

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    @given(raw=raws(), choice=SEEDS)
    def test_own_label_of_a_train_row(self, protocol, raw, choice):
        dataset = build_or_skip(raw, protocol)
        train = dataset.protocol.splits["train"]
        row = int(train[choice % len(train)])
        assert visible_to(dataset, row) == visible_to(build_or_skip(flip(raw, row), protocol), row)

    @given(raw=raws(), choice=SEEDS, seed=SEEDS)
    def test_holdout_labels_of_a_whole_fold(self, raw, choice, seed):
        dataset = build_or_skip(raw, "holdout")
        fold = dataset.protocol.views[choice % 5].readers
        label = raw.label.copy()
        label[fold] = np.random.default_rng(seed).integers(0, 2, len(fold))
        before, after = every_feature(dataset), every_feature(build_or_skip(with_labels(raw, label), "holdout"))
        assert [before[row] for row in fold] == [after[row] for row in fold]

    @given(raw=raws(), choice=SEEDS)
    def test_own_label_of_a_scored_row(self, raw, choice):
        for protocol in ("holdout", "temporal"):
            dataset = build_or_skip(raw, protocol)
            row = int(dataset.protocol.splits["test"][choice % len(dataset.test)])
            assert visible_to(dataset, row) == visible_to(build_or_skip(flip(raw, row), protocol), row)


class TestVisibleLabelsDoReachFeatures:
    """The tests above would hold for features that ignore all labels; these do not ignore them."""

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_labels_of_train_reach_scored_rows(self, protocol):
        raw = random_raw()
        dataset = Dataset.build(raw, protocol, 0)
        changed = Dataset.build(permute_labels(raw, dataset.protocol.splits["train"], 1), protocol, 0)
        before, after = every_feature(dataset), every_feature(changed)
        for name in FROM_LABELS:
            assert any(before[row][name] != after[row][name] for row in dataset.protocol.splits["test"])

    def test_other_folds_reach_a_train_row(self):
        raw = random_raw()
        dataset = Dataset.build(raw, "holdout", 0)
        fold, others = dataset.protocol.views[0].readers, dataset.protocol.views[0].sources
        before = every_feature(dataset)
        after = every_feature(Dataset.build(permute_labels(raw, others, 1), "holdout", 0))
        for name in FROM_LABELS:
            assert any(before[row][name] != after[row][name] for row in fold)

    def test_earlier_labels_reach_a_train_row(self):
        raw = random_raw()
        dataset = Dataset.build(raw, "temporal", 0)
        early = np.flatnonzero(raw.timestamp < 20)
        before = every_feature(dataset)
        after = every_feature(Dataset.build(permute_labels(raw, early, 1), "temporal", 0))
        late = [row for row in dataset.protocol.splits["train"] if raw.timestamp[row] >= 20]
        for name in FROM_LABELS:
            assert any(before[row][name] != after[row][name] for row in late)


class TestPublishedLeaks:
    """As the published scripts do, and the protocol says so."""

    @pytest.mark.parametrize("split", ["train", "validation", "test"])
    def test_own_label_changes_both_statistics_and_the_history(self, split):
        raw = random_raw()
        dataset = Dataset.build(raw, "published", 0)
        for row in dataset.protocol.splits[split][:8].tolist():
            changed = Dataset.build(flip(raw, row), "published", 0)
            before, after = visible_to(dataset, row), visible_to(changed, row)
            assert before["liked_movies"] != after["liked_movies"]
            for name in ("user_mean_rating", "item_mean_rating"):
                one, two = dataset.scalers[name], changed.scalers[name]
                mean, other = (
                    scaler.low + seen[name] * (scaler.high - scaler.low)
                    for scaler, seen in ((one, before), (two, after))
                )
                assert abs(mean - other) > 1e-3

    def test_membership_of_the_item_in_the_history_gives_the_label_away(self):
        rows = [(user, item, (user + item) % 2, item) for user in range(6) for item in range(20)]  # each pair once
        dataset = Dataset.build(permute_labels(make_raw(rows), np.arange(len(rows)), 0), "published", 0)
        for row, features in every_feature(dataset).items():
            assert (features["movie_id"] in features["liked_movies"]) == bool(dataset.label[row])

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_membership_says_nothing_elsewhere(self, protocol):
        rows = [(user, item, (user + item) % 2, item) for user in range(6) for item in range(20)]
        dataset = Dataset.build(permute_labels(make_raw(rows), np.arange(len(rows)), 0), protocol, 0)
        for features in every_feature(dataset).values():
            item = features["movie_id"]
            assert item == 0 or item not in features["liked_movies"]

    def test_and_says_so(self):
        raw = random_raw()
        leaks = {p: Dataset.build(raw, p, 0).protocol.leaks_labels for p in ("published", "holdout", "temporal")}
        assert leaks == {"published": True, "holdout": False, "temporal": False}


class TestEncodingsKnowTrainingRowsOnly:
    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    @given(raw=raws())
    def test_vocabularies_and_scalers(self, protocol, raw):
        dataset = build_or_skip(raw, protocol)
        train = dataset.protocol.splits["train"]
        users, items = np.unique(raw.user[train]), np.unique(raw.item[train])
        genres = raw.item_lists["genres"]
        seen = {g for i in items for g in genres.values[genres.offsets[i] : genres.offsets[i + 1]]}
        known = {name: vocabulary.tolist() for name, vocabulary in dataset.vocabularies.items()}
        assert known == {
            "user_id": sorted(raw.users["user_id"][users]),
            "gender": sorted(set(raw.users["gender"][users])),
            "movie_id": sorted(raw.items["movie_id"][items]),
            "genres": sorted(seen),
        }
        for name, column in (("income", raw.users["income"][users]), ("price", raw.items["price"][items])):
            assert (dataset.scalers[name].low, dataset.scalers[name].high) == (column.min(), column.max())

    @given(raw=raws())
    def test_published_encodes_before_it_splits(self, raw):
        dataset = build_or_skip(raw, "published")
        assert dataset.vocabularies["user_id"].tolist() == sorted(raw.users["user_id"][np.unique(raw.user)])

    def test_unknown_values_share_the_reserved_id(self):
        vocabulary = Vocabulary.fit(np.array([30, 10]))
        assert vocabulary.encode(np.array([10, 20, 30, 40])).tolist() == [1, 0, 2, 0]
