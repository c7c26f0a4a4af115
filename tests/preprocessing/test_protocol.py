"""Splits, label statistics and histories of the three protocols."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import make_raw, permute_labels, protocol_or_skip, random_raw, raws, with_labels
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from foundation.errors import InputError
from preprocessing.label_statistics import liked_items, mean_label
from preprocessing.protocol import FOLDS, PROTOCOLS, make_protocol
from preprocessing.split_protocol import SMOOTHING, View

HONEST = ("holdout", "temporal")
TRAIN = np.arange(6)
SCORED = np.array([6, 7])

# user, item, label, timestamp; three rows at time 20, three at time 30.
BY_HAND = make_raw(
    [
        (0, 0, 1, 10),
        (0, 1, 0, 20),
        (0, 2, 1, 20),
        (1, 0, 0, 20),
        (1, 1, 1, 30),
        (0, 0, 1, 30),
        (0, 1, 1, 30),  # scored
        (2, 3, 0, 40),  # scored: a new user and a new item
    ]
)


def histories(views: list[View], raw) -> list[list[int]]:
    slices = liked_items(views, raw)
    return [slices.items[start:end].tolist() for start, end in zip(slices.start, slices.end, strict=True)]


def statistics(views: list[View], raw, smoothing: float) -> tuple[list[float], list[float]]:
    user, item = (mean_label(views, entity, raw, smoothing) for entity in (raw.user, raw.item))
    return user.tolist(), item.tolist()


class TestPublishedByHand:
    """Each part's own labels, the scored row included, no smoothing."""

    views = (View(TRAIN, TRAIN), View(SCORED, SCORED))

    def test_statistics(self):
        user, item = statistics(self.views, BY_HAND, smoothing=0.0)
        assert user == pytest.approx([3 / 4, 3 / 4, 3 / 4, 1 / 2, 1 / 2, 3 / 4, 1, 0])
        assert item == pytest.approx([2 / 3, 1 / 2, 1, 2 / 3, 1 / 2, 2 / 3, 1, 0])

    def test_history_holds_the_row_itself_and_what_comes_later(self):
        own = [0, 2, 0]
        assert histories(self.views, BY_HAND) == [own, own, own, [1], [1], own, [1], []]


class TestHoldoutByHand:
    """Three folds {0, 3}, {1, 4}, {2, 5}: a row sees the two others; scored rows see all of train."""

    views = (*(View(np.array(own), np.setdiff1d(TRAIN, own)) for own in ([0, 3], [1, 4], [2, 5])), View(SCORED, TRAIN))

    def test_statistics(self):
        user, item = statistics(self.views, BY_HAND, smoothing=10.0)
        # Prior: fold {0, 3} sees 3 positives of 4, {1, 4} 3 of 4, {2, 5} 2 of 4, the scored rows 4 of 6.
        assert user == pytest.approx(
            [9.5 / 13, 10.5 / 13, 6 / 12, 8.5 / 11, 7.5 / 11, 6 / 12, (3 + 20 / 3) / 14, 2 / 3]
        )
        assert item == pytest.approx([8.5 / 11, 0.75, 0.5, 8.5 / 11, 0.75, 6 / 12, (1 + 20 / 3) / 12, 2 / 3])

    def test_history_is_in_order_of_time_and_lacks_the_own_fold(self):
        assert histories(self.views, BY_HAND) == [[2, 0], [0, 2, 0], [0], [1], [], [0], [0, 2, 0], []]


class TestTemporalByHand:
    """A train row sees strictly earlier train rows; an equal timestamp is not earlier."""

    views = (View(TRAIN, TRAIN, earlier_only=True), View(SCORED, TRAIN))

    def test_statistics(self):
        user, item = statistics(self.views, BY_HAND, smoothing=10.0)
        # The first row sees nothing: 1/2. The rows at 20 see one positive, those at 30 two positives of four.
        assert user == pytest.approx([0.5, 1, 1, 1, 5 / 11, 7 / 13, (3 + 20 / 3) / 14, 2 / 3])
        assert item == pytest.approx([0.5, 1, 1, 1, 5 / 11, 6 / 12, (1 + 20 / 3) / 12, 2 / 3])

    def test_history(self):
        assert histories(self.views, BY_HAND) == [[], [0], [0], [], [], [0, 2], [0, 2, 0], []]

    def test_rows_at_one_time_see_the_same(self):
        raw = make_raw([(0, item, item % 2, 5) for item in range(6)] + [(0, 0, 1, 6)])
        views = [View(np.arange(7), np.arange(7), earlier_only=True)]
        user, _ = statistics(views, raw, smoothing=10.0)
        assert user == pytest.approx([0.5] * 6 + [(3 + 5) / 16])
        assert histories(views, raw) == [[]] * 6 + [[1, 3, 5]]


class TestSmoothing:
    def test_constant_of_each_protocol(self):
        raw = random_raw()
        smoothing = {name: make_protocol(name, raw, 0).smoothing for name in PROTOCOLS}
        assert smoothing == {"published": 0, "holdout": 10, "temporal": 10}
        assert SMOOTHING == 10

    def test_unseen_entity_gets_the_mean_of_what_is_visible(self):
        raw = make_raw([(0, 0, 1, 0), (0, 0, 1, 0), (0, 1, 0, 0), (1, 2, 1, 0)])
        views = [View(np.array([3]), np.arange(3))]
        assert mean_label(views, raw.item, raw, 10.0)[3] == pytest.approx(2 / 3)
        assert mean_label(views, raw.user, raw, 0.0)[3] == pytest.approx(2 / 3)

    def test_prior_counts_as_so_many_rows(self):
        raw = make_raw([(0, 0, 1, 0), (0, 0, 1, 0), (1, 0, 0, 0), (1, 0, 0, 0)])
        views = [View(np.arange(4), np.arange(4))]
        assert mean_label(views, raw.user, raw, 2.0).tolist() == pytest.approx([3 / 4, 3 / 4, 1 / 4, 1 / 4])


def visible_rows(protocol, raw, row: int) -> list[int]:
    """Whose labels a row may see, from the table of protocols in the README, one row at a time."""
    split = next(name for name, rows in protocol.splits.items() if row in rows)
    train = protocol.splits["train"].tolist()
    if protocol.name == "published":
        return protocol.splits["test"].tolist() if split == "test" else train + protocol.splits["validation"].tolist()
    if split != "train":
        return train
    if protocol.name == "temporal":
        return [other for other in train if raw.timestamp[other] < raw.timestamp[row]]
    fold = next(view.readers for view in protocol.views if row in view.readers)
    return [other for other in train if other not in fold]


def slow_mean(raw, visible: list[int], same: list[int], smoothing: float) -> float:
    prior = float(raw.label[visible].mean()) if visible else 0.5
    count = len(same)
    return (float(raw.label[same].sum()) + smoothing * prior) / (count + smoothing) if count + smoothing else prior


class TestEqualsOneRowAtATime:
    @pytest.mark.parametrize("name", PROTOCOLS)
    @given(raw=raws(), seed=st.integers(0, 5))
    def test_statistics_and_histories(self, name, raw, seed):
        protocol = protocol_or_skip(name, raw, seed)
        user, item = statistics(protocol.views, raw, protocol.smoothing)
        history = histories(protocol.views, raw)
        for row in np.concatenate(list(protocol.splits.values())):
            visible = visible_rows(protocol, raw, row)
            own = [other for other in visible if raw.user[other] == raw.user[row]]
            shown = [other for other in visible if raw.item[other] == raw.item[row]]
            assert user[row] == pytest.approx(slow_mean(raw, visible, own, protocol.smoothing), abs=1e-6)
            assert item[row] == pytest.approx(slow_mean(raw, visible, shown, protocol.smoothing), abs=1e-6)
            liked = sorted((other for other in own if raw.label[other] == 1), key=lambda other: raw.timestamp[other])
            times = [int(raw.timestamp[other]) for other in liked]
            assert sorted(history[row]) == sorted(raw.item[liked].tolist())
            for time in set(times):  # the order among equal times is not promised
                place = [i for i, other in enumerate(times) if other == time]
                assert {history[row][i] for i in place} == {int(raw.item[liked[i]]) for i in place}


class TestSplits:
    @pytest.mark.parametrize("name", HONEST)
    @given(raw=raws(), seed=st.integers(0, 5))
    def test_partition_all_rows(self, name, raw, seed):
        splits = protocol_or_skip(name, raw, seed).splits
        assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(len(raw)))

    @given(raw=raws(), seed=st.integers(0, 5))
    def test_published_drops_users_without_a_positive_in_a_part_and_nothing_else(self, raw, seed):
        splits = protocol_or_skip("published", raw, seed).splits
        log = np.argsort(raw.timestamp, kind="stable")
        parts = train_test_split(log, test_size=0.2, random_state=seed)
        for part, names in zip(parts, (("train", "validation"), ("test",)), strict=True):
            liking = {int(raw.user[row]) for row in part if raw.label[row] == 1}
            kept = sorted(int(row) for row in part if int(raw.user[row]) in liking)
            assert sorted(np.concatenate([splits[name] for name in names]).tolist()) == kept

    def test_holdout_keeps_a_user_without_a_positive_whom_published_drops(self):
        rows = [(user, item, int(user != 3 and item % 2), item) for user in range(5) for item in range(200)]
        raw = make_raw(rows)
        sizes = {name: sum(map(len, make_protocol(name, raw, 0).splits.values())) for name in ("published", "holdout")}
        assert sizes == {"published": 800, "holdout": 1000}

    def test_sizes(self):
        raw = random_raw(rows=1000)
        sizes = {name: {k: len(v) for k, v in make_protocol(name, raw, 0).splits.items()} for name in HONEST}
        assert sizes["holdout"] == {"train": 640, "validation": 160, "test": 200}
        assert sizes["temporal"] == {"train": 720, "validation": 180, "test": 100}  # all users are known

    @pytest.mark.parametrize("validation_rows", ["known", "next"])
    def test_temporal_is_in_order_of_time_and_equal_times_keep_file_order(self, validation_rows):
        raw = random_raw(times=7)
        splits = make_protocol("temporal", raw, 0, validation_rows).splits
        order = np.concatenate([splits["train"], splits["validation"], splits["test"]])
        keys = [(int(raw.timestamp[row]), int(row)) for row in order]
        assert keys == sorted(keys)

    @pytest.mark.parametrize("name", HONEST)
    def test_do_not_depend_on_labels(self, name):
        raw = random_raw()
        before, after = (make_protocol(name, data, 4) for data in (raw, permute_labels(raw, np.arange(len(raw)), 1)))
        for split in before.splits:
            assert before.splits[split].tolist() == after.splits[split].tolist()
        for first, second in zip(before.views, after.views, strict=True):
            assert first.readers.tolist() == second.readers.tolist()

    @pytest.mark.parametrize("name", PROTOCOLS)
    def test_depend_on_no_global_random_state(self, name):
        raw = random_raw()
        protocols = []
        for state in (1, 2):
            np.random.seed(state)  # noqa: NPY002 (the global state is what must not matter)
            torch.manual_seed(state)
            protocols.append(make_protocol(name, raw, 4))
        first, second = protocols
        for split in first.splits:
            assert first.splits[split].tolist() == second.splits[split].tolist()
        assert [v.readers.tolist() for v in first.views] == [v.readers.tolist() for v in second.views]

    @pytest.mark.parametrize("name", ["published", "holdout"])
    def test_random_ones_depend_on_the_seed(self, name):
        raw = random_raw()
        first, second = (make_protocol(name, raw, seed).splits for seed in (0, 1))
        for split in ("train", "validation", "test"):
            assert first[split].tolist() != second[split].tolist()


class TestViews:
    @pytest.mark.parametrize("name", PROTOCOLS)
    def test_each_row_reads_exactly_once(self, name):
        protocol = make_protocol(name, random_raw(), 0)
        readers = np.concatenate([view.readers for view in protocol.views])
        assert sorted(readers.tolist()) == sorted(np.concatenate(list(protocol.splits.values())).tolist())

    @pytest.mark.parametrize("name", HONEST)
    def test_only_training_labels_are_read(self, name):
        protocol = make_protocol(name, random_raw(), 0)
        train = set(protocol.splits["train"].tolist())
        assert all(set(view.sources.tolist()) <= train for view in protocol.views)

    def test_holdout_has_five_equal_folds_that_see_each_other_but_not_themselves(self):
        protocol = make_protocol("holdout", random_raw(), 0)
        folds = protocol.views[:-1]
        assert len(folds) == FOLDS == 5
        sizes = [len(view.readers) for view in folds]
        assert max(sizes) - min(sizes) <= 1
        for view in folds:
            assert not set(view.readers) & set(view.sources)
            assert set(view.readers) | set(view.sources) == set(protocol.splits["train"])

    def test_folds_depend_on_the_seed_and_are_no_pattern_of_row_numbers(self):
        raw = random_raw(rows=1000)
        protocols = [make_protocol("holdout", raw, seed) for seed in (0, 1)]
        places = [np.searchsorted(p.splits["train"], p.views[0].readers).tolist() for p in protocols]
        assert places[0] != places[1]
        assert len(set(np.diff(places[0]))) > 3

    def test_only_the_published_protocol_says_that_it_leaks(self):
        raw = random_raw()
        assert {name: make_protocol(name, raw, 0).leaks_labels for name in PROTOCOLS} == {
            "published": True,
            "holdout": False,
            "temporal": False,
        }


class TestRefused:
    def test_unknown_protocol_names_the_known_ones(self):
        with pytest.raises(InputError, match=r"'honest'.*published, holdout, temporal"):
            make_protocol("honest", random_raw(), 0)

    @pytest.mark.parametrize("name", PROTOCOLS)
    @pytest.mark.parametrize("label", [0, 1])
    def test_data_of_one_class(self, name, label):
        raw = random_raw()
        message = r"split has labels of one class only: \d+ positive of \d+ rows.*"
        raw = with_labels(raw, np.full(len(raw), label))
        with pytest.raises(InputError, match=f"{message}All 300 labels of 'by-hand' are {label}: check the column"):
            make_protocol(name, raw, 0)
        with pytest.raises(InputError, match=rf"{message}Use more rows \(--max_rows\)"):
            make_protocol(name, raw.first(200), 0)

    @pytest.mark.parametrize("split", ["train", "validation", "test"])
    def test_one_class_in_one_split_names_it(self, split):
        raw = random_raw(rows=200)
        rows = make_protocol("temporal", raw, 0).splits[split]
        label = raw.label.copy()
        label[rows] = 1
        told = f"The {split} split .* {len(rows)} positive of {len(rows)} rows. AUC needs both. Use more rows, "
        with pytest.raises(InputError, match=told):
            make_protocol("temporal", with_labels(raw, label), 0)

    @pytest.mark.parametrize("name", PROTOCOLS)
    @pytest.mark.parametrize("rows", [1, 2, 3])
    def test_too_few_rows(self, name, rows):
        with pytest.raises(InputError, match="one class only"):
            make_protocol(name, random_raw(rows=40).take(np.arange(rows)), 0)


@pytest.mark.parametrize(("protocol", "given"), [("published", "three_parts"), ("temporal", "as_of")])
def test_refuses_statistics_where_nothing_is_made_from_labels(protocol, given):
    raw = random_raw()
    bare = replace(raw, schema=replace(raw.schema, user_statistic=None, item_statistic=None, history=None))
    with pytest.raises(InputError, match=f"statistics={given} does nothing for 'by-hand': no feature is made from"):
        make_protocol(protocol, bare, 0, statistics=given)


def test_holdout_refuses_negative_seeds():
    with pytest.raises(InputError, match=r"seeds of at least 0\. Received: -1"):
        make_protocol("holdout", random_raw(), -1)
