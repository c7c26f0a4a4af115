"""Logs of positives alone: what is sampled, for whom, and what it depends on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import as_lists, make_raw
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.errors import InputError
from preprocessing.dataset import Dataset
from preprocessing.label_features import request_tables
from preprocessing.negative_sampling import KnownPairs, sample
from preprocessing.negatives import Negatives
from preprocessing.protocol import FOLDS
from preprocessing.raw import RawData

PROTOCOLS = ("holdout", "temporal")
CHOICES = [Negatives(), Negatives("popularity", 3, "popularity"), Negatives("in_batch", 2)]


def shop(
    negatives: Negatives = CHOICES[0], seed: int = 0, rows: int = 400, users: int = 30, items: int = 40
) -> RawData:
    """Positives of users and items of different popularity; some users repeat an item."""
    rng = np.random.default_rng(seed)
    item = (rng.random(rows) ** 2 * items).astype(int)
    times = rng.permutation(rows)
    raw = make_raw([(user, item[n], 1, times[n]) for n, user in enumerate(rng.integers(0, users, rows))], users, items)
    return replace(raw, negatives=negatives)


def pairs(raw: RawData, rows: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(raw.user[rows].tolist(), raw.item[rows].tolist(), strict=True))


def positives_and_negatives(data: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
    rows = data.protocol.splits[split]
    return rows[data.raw.label[rows] == 1], rows[data.raw.label[rows] == 0]


def groups(data: Dataset, split: str) -> list[list[int]]:
    """Row numbers of each positive of a split, its negatives behind it."""
    found: list[list[int]] = []
    for row in data.protocol.splits[split].tolist():
        if data.raw.label[row] == 1:
            found.append([])
        found[-1].append(row)
    return found


def row_is_tested(data: Dataset, raw: RawData, row: int) -> bool:
    return (raw.user[row], raw.item[row]) in pairs(data.raw, positives_and_negatives(data, "test")[0])


@pytest.mark.parametrize("negatives", CHOICES, ids=lambda each: each.train)
@pytest.mark.parametrize("protocol", PROTOCOLS)
class TestRows:
    def test_counts_add_up(self, protocol, negatives):
        raw = shop(negatives)
        data = Dataset.build(raw, protocol, 0)
        distinct = len(set(pairs(raw, np.arange(len(raw)))))
        positives = {split: len(positives_and_negatives(data, split)[0]) for split in data.protocol.splits}
        assert sum(positives.values()) == distinct
        for split, count in positives.items():
            asked = 0 if negatives.in_batch and split == "train" else negatives.per_positive
            assert len(positives_and_negatives(data, split)[1]) == asked * count
        assert sum(map(len, data.protocol.splits.values())) == len(data.raw)

    def test_no_negative_is_an_item_that_its_user_has_anywhere(self, protocol, negatives):
        raw = shop(negatives)
        data = Dataset.build(raw, protocol, 0)
        sampled = pairs(data.raw, np.flatnonzero(data.raw.label == 0))
        assert sampled
        assert not set(sampled) & set(pairs(raw, np.arange(len(raw))))

    def test_negatives_of_a_positive_differ_and_have_its_user_time_and_log_features(self, protocol, negatives):
        raw = shop(negatives)
        raw = replace(
            raw,
            schema=replace(raw.schema, user_sparse=("user_id", "gender", "device")),
            interactions={"device": np.arange(len(raw)) % 7},
        )
        data = Dataset.build(raw, protocol, 0)
        for positive, *others in groups(data, "test"):
            assert len(others) == negatives.per_positive == len(set(data.raw.item[others].tolist()))
            for values in (data.raw.user, data.raw.timestamp, data.raw.interactions["device"]):
                assert set(values[others].tolist()) == {values[positive]}

    def test_positives_are_split_as_without_negatives_and_negatives_with_their_positive(self, protocol, negatives):
        data = Dataset.build(shop(negatives), protocol, 3)
        rows = np.concatenate(list(data.protocol.splits.values()))
        assert np.array_equal(np.sort(rows), np.arange(len(data.raw)))
        for split in data.protocol.splits:
            positives, sampled = positives_and_negatives(data, split)
            assert set(data.raw.user[sampled].tolist()) <= set(data.raw.user[positives].tolist())

    def test_equal_arguments_give_equal_rows_and_another_seed_others(self, protocol, negatives):
        first, again, other = (Dataset.build(shop(negatives), protocol, seed) for seed in (0, 0, 1))
        assert np.array_equal(first.raw.item, again.raw.item)
        assert not np.array_equal(first.raw.item, other.raw.item)

    def test_building_again_from_the_built_data_gives_the_same(self, protocol, negatives):
        """As a refit does, whose rows must not be sampled for sampled rows."""
        raw = shop(negatives)
        data = Dataset.build(raw, protocol, 0)
        for refit in (False, True):
            again, anew = (Dataset.build(each, protocol, 0, refit=refit) for each in (data.raw, raw))
            assert np.array_equal(again.raw.item, anew.raw.item)
            assert again.raw.counts == anew.raw.counts
            assert all(
                np.array_equal(rows, anew.protocol.splits[split]) for split, rows in again.protocol.splits.items()
            )

    def test_refit_trains_on_all_positives_before_the_test_rows_which_stay_the_same(self, protocol, negatives):
        raw = shop(replace(negatives, evaluate="uniform"))
        plain, refit = (Dataset.build(raw, protocol, 0, refit=refit) for refit in (False, True))
        assert list(refit.protocol.splits) == ["train", "test"]
        counts = [len(positives_and_negatives(plain, split)[0]) for split in ("train", "validation")]
        assert len(positives_and_negatives(refit, "train")[0]) == sum(counts)
        tests = [pairs(each.raw, each.protocol.splits["test"]) for each in (plain, refit)]
        assert tests[0] == tests[1]


class TestSampling:
    def test_popularity_is_the_share_among_training_positives(self):
        """A chi-squared of many draws for a user who has nothing: expected counts from a plain count."""
        raw = shop(Negatives("popularity"))
        counts = Counter(raw.item.tolist())
        weights = np.array([counts[item] for item in range(len(raw.items))])
        nobody = KnownPairs(np.empty(0, dtype=np.int64), np.zeros(2, dtype=np.int64))
        drawn = sample(np.random.default_rng(0), np.zeros(50_000, dtype=np.int32), 1, weights, nobody)[:, 0]
        expected = weights / weights.sum() * len(drawn)
        found = np.bincount(drawn, minlength=len(weights))
        assert (found[weights == 0] == 0).all()
        there = weights > 0
        chi_squared = ((found - expected)[there] ** 2 / expected[there]).sum()
        assert chi_squared < there.sum() + 6 * np.sqrt(2 * there.sum())

    @pytest.mark.parametrize("split", ["train", "validation", "test"])
    def test_popularity_of_a_data_set_knows_training_positives_alone(self, split):
        data = Dataset.build(shop(Negatives("popularity", 3, "popularity")), "temporal", 0)
        trained = set(data.raw.item[positives_and_negatives(data, "train")[0]].tolist())
        assert set(data.raw.item[positives_and_negatives(data, split)[1]].tolist()) <= trained

    @pytest.mark.parametrize("weights", [[1, 1, 1, 1, 1], [5, 0, 1, 3, 1]], ids=["uniform", "popularity"])
    def test_draws_have_the_probabilities_of_drawing_one_after_the_other_without_the_known_items(self, weights):
        """Three of five items, the user has the fourth: every ordered pair, against a plain product of shares."""
        weights = np.array(weights)
        known = KnownPairs(np.array([3]), np.array([0, 0, 1]))
        drawn = sample(np.random.default_rng(1), np.ones(200_000, dtype=np.int32), 2, weights, known)
        found = Counter(map(tuple, drawn.tolist()))
        left = {item: weight for item, weight in enumerate(weights.tolist()) if item != 3 and weight}
        expected = {
            (one, two): left[one] / sum(left.values()) * left[two] / (sum(left.values()) - left[one])
            for one in left
            for two in left
            if one != two
        }
        assert found.keys() == expected.keys()
        for pair, share in expected.items():
            assert abs(found[pair] / len(drawn) - share) < 5 * np.sqrt(share / len(drawn))

    @given(st.integers(0, 2**32 - 1), st.integers(1, 7))
    @settings(max_examples=60, deadline=None)
    def test_rows_get_as_many_distinct_unknown_items_as_there_are(self, seed, count):
        rng = np.random.default_rng(seed)
        users, items = 5, 6
        has = rng.random((users, items)) < rng.random((users, 1))
        weights = rng.integers(0, 4, items)
        known = KnownPairs(np.nonzero(has)[1], np.concatenate([[0], np.cumsum(has.sum(axis=1))]))
        user = rng.integers(0, users, 20).astype(np.int32)
        for one, drawn in zip(user, sample(rng, user, count, weights, known), strict=True):
            free = {item for item in range(items) if not has[one, item] and weights[item]}
            found = [item for item in drawn.tolist() if item >= 0]
            assert set(found) <= free
            assert len(found) == len(set(found)) == min(count, len(free))

    def test_a_user_of_nearly_all_items_gets_fewer_and_this_is_said(self):
        rows = [(0, item, 1, item) for item in range(9)] + [(1 + n % 7, n % 10, 1, n) for n in range(70)]
        data = Dataset.build(replace(make_raw(rows, items=10), negatives=Negatives()), "holdout", 0)
        for positive, *others in groups(data, "train"):
            if data.raw.user[positive] == 0:
                assert data.raw.item[others].tolist() == [9]
        assert "less" in data.summary()
        assert "of users who have nearly all items" in data.summary()

    def test_users_who_have_all_items_are_an_error_and_no_endless_search(self):
        rows = [(user, item, 1, user * 5 + item) for user in range(8) for item in range(5)]
        with pytest.raises(InputError, match="0 negatives could be sampled"):
            Dataset.build(replace(make_raw(rows), negatives=Negatives()), "holdout", 0)


class TestWhatIsKnown:
    def test_times_of_test_positives_change_no_training_row(self):
        """A user's items are left out whatever their times, so that not even that changes."""
        raw = shop()
        data = Dataset.build(raw, "temporal", 0)
        late = np.flatnonzero(raw.timestamp >= data.raw.timestamp[data.protocol.splits["test"]].min())
        times = raw.timestamp.copy()
        times[late] = np.random.default_rng(1).permutation(times[late])
        other = Dataset.build(replace(raw, timestamp=times), "temporal", 0)
        assert self._train(data) == self._train(other)

    def test_another_item_of_a_test_positive_changes_rows_of_its_user_alone_and_no_positive(self):
        raw = shop()
        data = Dataset.build(raw, "temporal", 0)
        taken = Counter(pairs(raw, np.arange(len(raw))))
        once = [row for row, pair in enumerate(pairs(raw, np.arange(len(raw)))) if taken[pair] == 1]
        row = max(once, key=lambda each: raw.timestamp[each])
        has = set(raw.item[raw.user == raw.user[row]].tolist())
        items = raw.item.copy()
        items[row] = next(item for item in range(len(raw.items)) if item not in has)
        other = Dataset.build(replace(raw, item=items), "temporal", 0)
        before, after = self._train(data), self._train(other)
        assert row_is_tested(data, raw, row)
        changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
        assert all(old[0] == new[0] == raw.user[row] and old[2] == new[2] == 0 for old, new in changed)

    @staticmethod
    def _train(data: Dataset) -> list[tuple]:
        rows = data.protocol.splits["train"]
        return [(*pair, float(data.raw.label[row])) for pair, row in zip(pairs(data.raw, rows), rows, strict=True)]

    def test_a_positive_and_its_negatives_are_in_one_fold(self):
        data = Dataset.build(shop(), "holdout", 0)
        views = data.protocol.views
        assert len(views) == FOLDS + 1
        for positive, *others in groups(data, "train"):
            for view in views:
                assert len({row in view.readers for row in (positive, *others)}) == 1
                assert len({row in view.sources for row in (positive, *others)}) == 1

    @pytest.mark.parametrize("negatives", CHOICES, ids=lambda each: each.train)
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_histories_equal_a_plain_list_of_the_positives_that_a_row_may_see(self, protocol, negatives):
        data = Dataset.build(shop(negatives), protocol, 0)
        raw, ids = data.raw, data.items.values["movie_id"]
        rows = torch.arange(len(raw))
        histories = as_lists(data.batch(rows, ["liked_movies"])["liked_movies"])
        for view in data.protocol.views:
            for row in view.readers[::7]:
                seen = [
                    (raw.timestamp[source], int(ids[raw.item[source]]))
                    for source in view.sources
                    if raw.label[source] == 1
                    and raw.user[source] == raw.user[row]
                    and (not view.earlier_only or raw.timestamp[source] < raw.timestamp[row])
                ]
                assert histories[row] == [item for _, item in sorted(seen, key=lambda each: each[0])]

    def test_the_mean_label_of_an_item_says_how_popular_it_is(self):
        """Of uniform negatives: positives beside what a plain count of training rows finds, smoothed."""
        data = Dataset.build(shop(), "holdout", 0)
        rows, row = data.protocol.splits["train"], data.protocol.splits["test"][0]
        own = rows[data.raw.item[rows] == data.raw.item[row]]
        mean = data.raw.label[rows].mean(dtype=np.float64)
        expected = (data.raw.label[own].sum() + 10 * mean) / (len(own) + 10)
        assert data.per_row.values["item_mean_rating"][row].item() == pytest.approx(expected)
        _, items = request_tables(data.raw, data.protocol, data.users, data.items, data.scalers)
        assert items.values["item_mean_rating"][data.raw.item[row]].item() == pytest.approx(expected)

    @pytest.mark.parametrize("negatives", CHOICES, ids=lambda each: each.train)
    def test_mean_labels_that_say_nothing_are_no_features(self, negatives):
        columns = Dataset.build(shop(negatives), "holdout", 0).feature_columns(history=True)
        names = {column.name for column in columns.all}
        assert "user_mean_rating" not in names
        assert "liked_movies" in names
        assert ("item_mean_rating" in names) == (negatives.train == "uniform")


class TestWrongUse:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"train": "random"}, "uniform, popularity, in_batch. Received: 'random'"),
            ({"evaluate": "in_batch"}, "uniform, popularity. Received: 'in_batch'"),
            ({"per_positive": 0}, "per_positive must be at least 1"),
            ({"per_positive": 2.5}, "per_positive must be a whole number"),
        ],
        ids=["train", "evaluate", "none", "fraction"],
    )
    def test_other_choices_are_refused(self, given, message):
        with pytest.raises(InputError, match=message.replace(".", r"\.")):
            Negatives(**given)

    def test_the_published_protocol_samples_none(self):
        with pytest.raises(InputError, match=r"log of positives alone.* Use holdout or temporal"):
            Dataset.build(shop(), "published", 0)


class TestFrames:
    @pytest.fixture
    def log(self) -> pd.DataFrame:
        raw = shop()
        return pd.DataFrame({"u": raw.user, "i": raw.item, "t": raw.timestamp, "device": raw.item % 3})

    def test_frames_without_a_label_are_positives(self, log):
        names = {"user_id": "u", "item_id": "i", "timestamp": "t"}
        data = Dataset.from_frames(None, None, log, **names, negatives=Negatives(), protocol="temporal")
        assert f"{len(set(zip(log.u, log.i, strict=True))):,} positives and" in str(data)
        assert "4 each, sampled uniformly" in data.summary()
        assert "dropped (a user's item again)" in data.summary()
        again = Dataset.from_frames(None, None, log, negatives=Negatives(), encoding=data, timestamp="t")
        assert [column.name for column in again.feature_columns().all] == [
            column.name for column in data.feature_columns().all
        ]

    def test_settings_of_negatives_are_part_of_the_fingerprint(self, log):
        names = {"user_id": "u", "item_id": "i"}
        prints = {
            Dataset.from_frames(None, None, log, **names, negatives=each).raw.fingerprint
            for each in (Negatives(), Negatives(per_positive=5), Negatives("popularity"))
        }
        assert len(prints) == 3

    @pytest.mark.parametrize("given", [{}, {"label": "device", "negatives": Negatives()}], ids=["neither", "both"])
    def test_a_label_or_negatives_are_needed_and_not_both(self, log, given):
        with pytest.raises(InputError, match="Name the column of labels"):
            Dataset.from_frames(None, None, log, user_id="u", item_id="i", **given)
