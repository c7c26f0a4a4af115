"""The temporal protocol: which rows validate, what each row may see, and that time never runs backwards."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers import build_or_skip, every_feature, make_raw, permute_labels, random_raw, raws, with_labels
from hypothesis import assume, given
from hypothesis import strategies as st

from foundation.errors import InputError
from preprocessing.dataset import Dataset
from preprocessing.label_statistics import liked_items, mean_label
from preprocessing.movielens import read
from preprocessing.protocol import make_protocol
from preprocessing.raw import RawData
from preprocessing.temporal_protocol import DAY_SECONDS, temporal

LOGS = raws(rows=60, users=15, times=8).filter(
    lambda raw: np.ptp(raw.timestamp) > 0
)  # many users are new, and many rows are at one time
SWITCHES = [(rows, refit) for rows in ("known", "next") for refit in (False, True)]
COMPUTED = ("user_mean_rating", "item_mean_rating", "liked_movies")


def of_users(users: list[int], times: list[int] | None = None) -> RawData:
    """A log of these users, one row a second unless told; labels in turn."""
    times = times or list(range(len(users)))
    return make_raw([(user, row % 3, row % 2, time) for row, (user, time) in enumerate(zip(users, times, strict=True))])


def splits_of(raw: RawData, validation_rows: str = "known", refit: bool = False) -> dict[str, list[int]]:
    made = temporal(raw, 0, validation_rows, "frozen", refit)
    return {split: rows.tolist() for split, rows in made.splits.items()}


def with_days(raw: RawData) -> RawData:
    """The same log with a day for each second, split by days."""
    schema = dataclasses.replace(raw.schema, day_start=0)
    return dataclasses.replace(raw, timestamp=raw.timestamp * DAY_SECONDS, schema=schema)


# 40 rows: 28 before the window, 8 in it, 4 to test. Users 0 and 1 are known; 2 and 3 come in the window.
BEFORE, WINDOW = [0, 1] * 14, [0, 2, 2, 1, 3, 0, 3, 1]
KNOWN, OF_2, OF_3 = [28, 31, 33, 35], [29, 30], [32, 34]


class TestKnownByHand:
    def test_no_new_user_validates_where_none_is_tested(self):
        splits = splits_of(of_users(BEFORE + WINDOW + [0, 1, 2, 3]))
        assert splits == {
            "train": [*range(28), *sorted(OF_2 + OF_3)],
            "validation": KNOWN,
            "test": [36, 37, 38, 39],
        }

    def test_one_new_user_is_nearest_to_a_quarter(self):
        validation = splits_of(of_users(BEFORE + WINDOW + [0, 1, 2, 9]))["validation"]
        assert validation in (sorted(KNOWN + OF_2), sorted(KNOWN + OF_3))  # 2 of 6 rows

    def test_both_are_half(self):
        assert splits_of(of_users(BEFORE + WINDOW + [0, 1, 8, 9]))["validation"] == list(range(28, 36))

    def test_all_there_are_where_more_are_wanted(self):
        assert splits_of(of_users(BEFORE + WINDOW + [6, 7, 8, 9]))["validation"] == list(range(28, 36))

    def test_all_of_the_window_where_no_user_comes_twice(self):
        splits = splits_of(of_users(list(range(40))))
        assert [len(rows) for rows in splits.values()] == [28, 8, 4]

    def test_all_of_the_window_where_its_users_are_all_new_and_the_tested_ones_are_not(self):
        splits = splits_of(of_users([0] * 28 + [1, 2] * 4 + [0] * 4))
        assert splits["validation"] == list(range(28, 36))

    def test_next_is_the_tenth_before_the_test_rows(self):
        splits = splits_of(of_users(BEFORE + WINDOW + [0, 1, 2, 9]), "next")
        assert splits == {"train": list(range(32)), "validation": [32, 33, 34, 35], "test": [36, 37, 38, 39]}

    def test_equal_times_keep_file_order(self):
        users = BEFORE + WINDOW + [0, 1, 2, 3]
        assert splits_of(of_users(users, [5] * 39 + [6])) == splits_of(of_users(users))
        backwards = of_users(users, [-(row // 20) for row in range(40)])  # the second half of the file comes first
        assert splits_of(backwards)["test"] == [16, 17, 18, 19]

    def test_by_days_the_window_is_the_day_before_the_last(self):
        days = [0] * 3 + [1] * 4 + [2] * 8 + [3] * 4
        raw = with_days(of_users([0, 1] * 3 + [1] + WINDOW + [0, 1, 2, 3], days))
        assert splits_of(raw) == {
            "train": [*range(7), 8, 9, 11, 13],
            "validation": [7, 10, 12, 14],
            "test": [15, 16, 17, 18],
        }
        assert splits_of(raw, "next")["validation"] == list(range(7, 15))


def new_share(raw: RawData, rows: list[int], before: list[int]) -> float:
    return float(np.mean(~np.isin(raw.user[rows], raw.user[before])))


class TestKnownOfAnyLog:
    @given(raw=LOGS, by_days=st.booleans())
    def test_users_are_as_known_as_those_of_the_test(self, raw, by_days):
        """Within one user; the nearest that whole users allow. Known users validate, new ones do so as a whole."""
        if by_days:
            raw = with_days(raw)
            last = raw.timestamp.max()
            assume({last, last - DAY_SECONDS} < set(raw.timestamp.tolist()))  # else a split is empty
            assume(raw.timestamp.min() < last - DAY_SECONDS)
        splits, refitted = splits_of(raw), splits_of(raw, refit=True)
        period, validation = refitted["train"], splits["validation"]
        if by_days:
            window = [row for row in period if raw.timestamp[row] == raw.timestamp[validation[0]]]
        else:
            window = period[int(len(period) * 0.8) :]
        before = [row for row in period if row not in window]
        rest = [row for row in splits["train"] if row in window]
        assert set(before) <= set(splits["train"])
        assert not set(raw.user[rest]) & set(raw.user[[*before, *validation]])
        wanted, share = new_share(raw, splits["test"], period), new_share(raw, validation, before)
        assert share == new_share(raw, validation, splits["train"])
        if share < 1:
            largest = max(np.bincount(raw.user[window])[raw.user[window]])
            assert abs(share - wanted) <= largest / len(validation) or (share < wanted and not rest)

    @given(raw=LOGS, seed=st.integers(0, 1000))
    def test_depends_on_neither_seed_nor_labels(self, raw, seed):
        first, second = (temporal(raw, seed, "known", "as_of", False) for seed in (0, seed))
        third = temporal(permute_labels(raw, np.arange(len(raw)), seed), seed, "known", "as_of", False)
        for made in (second, third):
            assert {k: v.tolist() for k, v in first.splits.items()} == {k: v.tolist() for k, v in made.splits.items()}


def slow_visible(raw: RawData, splits: dict[str, np.ndarray], row: int) -> list[int]:
    """Rows whose labels a row sees "as_of"."""
    names = list(splits)
    split = next(name for name in names if row in splits[name])
    sources = np.concatenate([splits[name] for name in names[: names.index(split) + 1]])
    return [other for other in sources.tolist() if raw.timestamp[other] < raw.timestamp[row]]


class TestAsOf:
    @pytest.mark.parametrize(("validation_rows", "refit"), SWITCHES)
    @given(raw=LOGS)
    def test_equals_a_loop_over_rows(self, validation_rows, refit, raw):
        made = temporal(raw, 0, validation_rows, "as_of", refit)
        means = {side: mean_label(made.views, getattr(raw, side), raw, 10.0) for side in ("user", "item")}
        liked = liked_items(made.views, raw)
        for row in np.concatenate(list(made.splits.values())):
            visible = slow_visible(raw, made.splits, row)
            prior = raw.label[visible].mean() if visible else 0.5
            for side, found in means.items():
                entity = getattr(raw, side)
                labels = raw.label[[other for other in visible if entity[other] == entity[row]]]
                assert found[row] == pytest.approx((labels.sum() + 10 * prior) / (len(labels) + 10), abs=1e-6)
            own = [other for other in visible if raw.user[other] == raw.user[row] and raw.label[other] == 1]
            history = liked.items[liked.start[row] : liked.end[row]].tolist()
            assert sorted(history) == sorted(raw.item[own].tolist())
            when = {int(raw.item[other]): int(raw.timestamp[other]) for other in own}
            assert len(when) < len(own) or [when[item] for item in history] == sorted(when.values())

    @pytest.mark.parametrize(("validation_rows", "refit"), SWITCHES)
    @given(raw=LOGS, seed=st.integers(0, 1000), time=st.integers(0, 7))
    def test_labels_of_a_time_change_no_row_of_that_time_or_before(self, validation_rows, refit, raw, seed, time):
        switches = {"validation_rows": validation_rows, "statistics": "as_of", "refit": refit}
        before = every_feature(build_or_skip(raw, "temporal", **switches))
        later = permute_labels(raw, np.flatnonzero(raw.timestamp >= time), seed)
        after = every_feature(build_or_skip(later, "temporal", **switches))
        rows = [row for row in before if raw.timestamp[row] <= time]
        assert [before[row] for row in rows] == [after[row] for row in rows]

    def test_labels_of_validation_and_test_rows_reach_later_ones(self):
        raw = random_raw(rows=600)
        splits = make_protocol("temporal", raw, 0).splits
        for hidden, reader in (("validation", "validation"), ("validation", "test"), ("test", "test")):
            labels = raw.label.copy()
            first = splits[hidden][: len(splits[hidden]) // 2]
            labels[first] = 1 - labels[first]
            before, after = (
                every_feature(Dataset.build(log, "temporal", 0, statistics="as_of"))
                for log in (raw, with_labels(raw, labels))
            )
            last = splits[reader][-1]
            changed = [name for name in COMPUTED if before[last][name] != after[last][name]]
            assert "user_mean_rating" in changed or "item_mean_rating" in changed
            assert [before[row] for row in splits["train"]] == [after[row] for row in splits["train"]]


class TestTestLabels:
    @pytest.mark.parametrize("validation_rows", ["known", "next"])
    @pytest.mark.parametrize("statistics", ["frozen", "as_of"])
    def test_reach_only_test_rows_and_only_as_of(self, validation_rows, statistics):
        raw = random_raw(rows=600)
        data = Dataset.build(raw, "temporal", 0, validation_rows=validation_rows, statistics=statistics)
        test = data.protocol.splits["test"]
        other = with_labels(raw, np.where(np.isin(np.arange(len(raw)), test), 1 - raw.label, raw.label))
        before = every_feature(data)
        after = every_feature(
            Dataset.build(other, "temporal", 0, validation_rows=validation_rows, statistics=statistics)
        )
        changed = {row for row in before if before[row] != after[row]}
        assert changed <= set(test.tolist())
        assert bool(changed) == (statistics == "as_of")


class TestShown:
    def test_how_known_users_and_items_are(self):
        raw = of_users(BEFORE + WINDOW + [0, 1, 8, 9])
        line = (
            "  rows of users and items that training has not seen: 50.0% and 0.0% of validation, 75.0% and 0.0% of test"
        )
        data = Dataset.build(of_users(BEFORE + WINDOW + [0, 2, 8, 9]), "temporal", 0)
        assert len(data.validation) == 8
        assert line in data.summary().splitlines()
        assert line in repr(data).splitlines()
        assert "has not seen" not in Dataset.build(raw, "holdout", 0).summary()


class TestRefused:
    def test_one_class_of_validation_says_that_there_are_other_rows(self):
        raw = of_users(BEFORE + WINDOW + [0, 1, 2, 3])
        label = raw.label.copy()
        label[KNOWN] = 1
        with pytest.raises(InputError, match=r"The validation split .* 4 positive of 4 .* \(known or next\)"):
            make_protocol("temporal", with_labels(raw, label), 0)
        make_protocol("temporal", raw, 0, "next")


def test_movielens_validates_on_users_as_known_as_those_it_tests_on(ml1m_path):
    raw = read(ml1m_path)
    splits = make_protocol("temporal", raw, 0).splits
    period = make_protocol("temporal", raw, 0, refit=True).splits["train"]
    train, validation = splits["train"], splits["validation"]
    assert int(np.isin(raw.user[validation], raw.user[train]).sum()) == 29_635
    tested = new_share(raw, splits["test"], period)
    assert tested == pytest.approx(0.068, abs=0.0005)
    assert new_share(raw, validation, train) == pytest.approx(tested, abs=0.005)
    assert float(np.mean(~np.isin(raw.item[validation], raw.item[train]))) < 0.001


def test_times_that_are_all_equal_are_refused():
    """Their order would be that of the file, which is no order in time."""
    with pytest.raises(InputError, match="needs times, and all 40 rows of 'by-hand' have the same one"):
        make_protocol("temporal", of_users(BEFORE + WINDOW + [0, 1, 2, 3], [0] * 40), 0)
