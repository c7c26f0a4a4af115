"""`Dataset`: batches, groups of equal rows, columns, and the input that it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import FEATURES, as_lists, build_or_skip, every_feature, make_raw, random_raw, raws
from hypothesis import given
from hypothesis import strategies as st

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from foundation.features import Bags, Lists
from preprocessing.dataset import Dataset
from preprocessing.encoding import MinMaxScaler, scaled
from preprocessing.label_statistics import liked_items, mean_label
from preprocessing.protocol import PROTOCOLS, make_protocol
from preprocessing.raw import Ragged, RawData
from preprocessing.split import group_rows

SPLITS = ("train", "validation", "test")


def replace_users(raw: RawData, **columns) -> RawData:
    return dataclasses.replace(raw, users=raw.users.assign(**columns))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


class TestBatchEqualsRowByRowGather:
    """Every value is looked up in the raw tables again, one row at a time, with dictionaries."""

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    @given(raw=raws())
    def test_all_features(self, protocol, raw):
        dataset = build_or_skip(raw, protocol)
        views, smoothing = dataset.protocol.views, dataset.protocol.smoothing
        means = {
            name: scaled(name, mean_label(views, entity, raw, smoothing), dataset.scalers).tolist()
            for name, entity in (("user_mean_rating", raw.user), ("item_mean_rating", raw.item))
        }
        assert means.keys().isdisjoint(dataset.scalers) == (protocol != "published")
        liked = liked_items(views, raw)
        ids = {
            name: {value: place + 1 for place, value in enumerate(vocabulary.tolist())}
            for name, vocabulary in dataset.vocabularies.items()
        }
        genres = raw.item_lists["genres"]
        for row, features in every_feature(dataset).items():
            user, item = int(raw.user[row]), int(raw.item[row])
            income, price = dataset.scalers["income"], dataset.scalers["price"]
            history = liked.items[liked.start[row] : liked.end[row]]
            expected = {
                "split": next(name for name, rows in dataset.protocol.splits.items() if row in rows),
                "user_id": ids["user_id"].get(raw.users["user_id"][user], 0),
                "gender": ids["gender"].get(raw.users["gender"][user], 0),
                "income": pytest.approx((raw.users["income"][user] - income.low) / ((income.high - income.low) or 1)),
                "user_mean_rating": means["user_mean_rating"][row],
                "liked_movies": [ids["movie_id"].get(raw.items["movie_id"][other], 0) for other in history],
                "movie_id": ids["movie_id"].get(raw.items["movie_id"][item], 0),
                "price": pytest.approx((raw.items["price"][item] - price.low) / ((price.high - price.low) or 1)),
                "item_mean_rating": means["item_mean_rating"][row],
                "genres": [
                    ids["genres"].get(g, 0) for g in genres.values[genres.offsets[item] : genres.offsets[item + 1]]
                ],
            }
            assert features == expected

    def test_rows_come_in_the_order_asked_for_and_may_repeat(self, dataset):
        rows = torch.tensor([5, 0, 5, 3])
        batch = dataset.test.batch(rows, list(FEATURES))
        for name, values in batch.items():
            single = [as_lists(dataset.test.batch(rows[i : i + 1], [name])[name])[0] for i in range(4)]
            assert as_lists(values) == single

    def test_types(self, dataset):
        batch = dataset.train.batch(torch.arange(3), list(FEATURES))
        assert {name: values.dtype for name, values in batch.items() if not isinstance(values, Bags)} == {
            "user_id": torch.int32,
            "gender": torch.int32,
            "movie_id": torch.int32,
            "income": torch.float32,
            "price": torch.float32,
            "user_mean_rating": torch.float32,
            "item_mean_rating": torch.float32,
        }
        assert len(batch["genres"]) == len(batch["liked_movies"]) == 3

    def test_labels_and_users_of_a_split(self, dataset):
        rows = dataset.protocol.splits["test"]
        assert dataset.test.labels.tolist() == dataset.raw.label[rows].tolist()
        assert dataset.test.users.tolist() == dataset.raw.user[rows].tolist()
        assert len(dataset.test) == len(rows)

    def test_unknown_name_lists_the_known_ones(self, dataset):
        with pytest.raises(InputError, match=r"'by-hand' has no feature 'zip'.*gender, genres, income"):
            dataset.batch(torch.arange(1), ["zip"])

    def test_ids_beyond_float_precision_stay_apart(self):
        raw = random_raw()
        raw = replace_users(raw, user_id=2**24 + np.arange(len(raw.users)))
        dataset = Dataset.build(raw, "published", 0)
        batch = dataset.batch(torch.from_numpy(np.unique(raw.user, return_index=True)[1]), ["user_id"])
        assert batch["user_id"].tolist() == list(range(1, len(raw.users) + 1))


class TestUnknownValues:
    """User 6 and movie 3, the only one of genre War, occur in one row of the test split alone."""

    def last_features(self, protocol: str) -> tuple[Dataset, dict]:
        rows = [[row % 6, row % 3, row * 7 // 5 % 2, row] for row in range(60)]
        scored = int(make_protocol(protocol, make_raw(rows), 0).splits["test"][0])  # knows neither users nor items
        rows[scored][:2] = 6, 3
        dataset = Dataset.build(make_raw(rows), protocol, 0)
        return dataset, every_feature(dataset)[scored]

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_get_the_reserved_id(self, protocol):
        dataset, features = self.last_features(protocol)
        assert dataset.vocabularies["genres"].tolist() == ["Comedy", "Drama"]
        assert (features["user_id"], features["movie_id"], features["liked_movies"]) == (0, 0, [])
        assert features["genres"] == [2, 1, 0]  # Drama, Comedy, and War, which is unknown

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_get_the_prior(self, protocol):
        dataset, features = self.last_features(protocol)
        prior = dataset.train.labels.mean().item()
        assert (features["user_mean_rating"], features["item_mean_rating"]) == pytest.approx((prior, prior))

    def test_published_knows_them(self):
        rows = [(row % 6, row % 3, row // 6 % 2, row) for row in range(60)] + [(6, 3, 1, 60)]
        features = every_feature(Dataset.build(make_raw(rows), "published", 0))[60]
        assert (features["user_id"], features["movie_id"], features["genres"]) == (7, 1, [2, 1, 3])


class TestDistinct:
    def slow_groups(self, split, names):
        batch = {name: as_lists(values) for name, values in split.batch(torch.arange(len(split)), names).items()}
        keys = [tuple(map(str, row)) for row in zip(*batch.values(), strict=True)]
        seen: dict = {}
        return [seen.setdefault(key, len(seen)) for key in keys]

    @pytest.mark.parametrize(
        "names",
        [
            ["user_id", "gender"],
            ["movie_id", "genres", "price"],
            ["user_id", "user_mean_rating"],
            ["movie_id", "item_mean_rating"],
            ["user_id", "movie_id"],
        ],
    )
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    @pytest.mark.parametrize("split", SPLITS)
    def test_groups_exactly_the_equal_rows(self, protocol, split, names):
        split = Dataset.build(random_raw(), protocol, 0).split(split)
        first, group = split.distinct(names)
        assert group.tolist() == self.slow_groups(split, names)
        assert group[first].tolist() == list(range(len(first)))

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    @pytest.mark.parametrize("split", SPLITS)
    def test_never_joins_rows_with_different_histories(self, protocol, split):
        split = Dataset.build(random_raw(), protocol, 0).split(split)
        names = ["user_id", "liked_movies"]
        first, group = split.distinct(names)
        batch = {name: as_lists(values) for name, values in split.batch(torch.arange(len(split)), names).items()}
        for row in range(len(split)):
            assert all(values[row] == values[first[group[row]]] for values in batch.values())

    def test_scored_rows_of_a_user_share_one_history(self, dataset):
        first, group = dataset.test.distinct(["user_id", "user_mean_rating", "liked_movies"])
        assert len(first) == len(set(dataset.test.users.tolist()))
        assert group.max() == len(first) - 1

    @given(
        keys=st.integers(1, 12).flatmap(
            lambda n: st.lists(st.lists(st.integers(-3, 3), min_size=n, max_size=n), min_size=1, max_size=4)
        )
    )
    def test_group_rows_equals_a_dictionary(self, keys):
        first, group = group_rows([torch.tensor(key) for key in keys])
        seen: dict = {}
        expected = [seen.setdefault(row, len(seen)) for row in zip(*keys, strict=True)]
        assert group.tolist() == expected
        assert first.tolist() == [expected.index(place) for place in range(len(seen))]


class TestTake:
    def test_keeps_these_rows_in_this_order(self, dataset):
        rows = torch.tensor([7, 2, 2])
        taken = dataset.test.take(rows)
        assert len(taken) == 3
        assert taken.labels.tolist() == dataset.test.labels[rows].tolist()
        assert taken.users.tolist() == dataset.test.users[rows].tolist()
        for name in FEATURES:
            whole = dataset.test.batch(rows, [name])[name]
            assert as_lists(taken.batch(torch.arange(3), [name])[name]) == as_lists(whole)


class TestColumns:
    def test_sides(self, dataset):
        columns = dataset.feature_columns(embedding_dim=8)
        assert [column.name for column in columns.user] == ["user_id", "gender", "income", "user_mean_rating"]
        assert [column.name for column in columns.item] == ["movie_id", "genres", "price", "item_mean_rating"]
        assert columns.all == columns.user + columns.item
        assert (columns.user_static, columns.item_static) == (("gender",), ("movie_id",))

    def test_kinds_and_sizes(self, dataset):
        by_name = {column.name: column for column in dataset.feature_columns(embedding_dim=8, history=True).all}
        kinds = {name: type(column) for name, column in by_name.items()}
        assert kinds == {
            "user_id": SparseFeat,
            "gender": SparseFeat,
            "liked_movies": VarLenSparseFeat,
            "income": DenseFeat,
            "user_mean_rating": DenseFeat,
            "movie_id": SparseFeat,
            "genres": VarLenSparseFeat,
            "price": DenseFeat,
            "item_mean_rating": DenseFeat,
        }
        for name, vocabulary in dataset.vocabularies.items():
            assert by_name[name].vocabulary_size == len(vocabulary.tolist()) + 1
            assert by_name[name].embedding_dim == 8

    def test_history_shares_the_table_of_the_item_id(self, dataset):
        columns = {column.name: column for column in dataset.feature_columns(8, history=True).all}
        history, item = columns["liked_movies"], columns["movie_id"]
        assert history.embedding_name == item.embedding_name == "movie_id"
        assert history.vocabulary_size == item.vocabulary_size
        assert history.combiner == "mean"

    def test_history_may_have_a_table_of_its_own(self, dataset):
        columns = {column.name: column for column in dataset.feature_columns(8, True, own_history_table=True).all}
        history = columns["liked_movies"]
        assert history.embedding_name == "liked_movies"
        assert history.vocabulary_size == columns["movie_id"].vocabulary_size

    def test_history_is_left_out_unless_asked_for(self, dataset):
        assert "liked_movies" not in [column.name for column in dataset.feature_columns().all]


class TestCheck:
    def test_columns_of_the_data_set_itself_pass(self, dataset):
        dataset.test.check(dataset.feature_columns(history=True).all)

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            (SparseFeat("zipcode", 5, 4), "has no feature 'zipcode'"),
            (DenseFeat("salary"), "has no feature 'salary'"),
            (SparseFeat("user_id", 12, 4), r"'user_id' has vocabulary_size=12.*go up to 12.*at least 13"),
            (VarLenSparseFeat(SparseFeat("genres", 3, 4), 0), r"'genres' has vocabulary_size=3"),
            (VarLenSparseFeat(SparseFeat("liked_movies", 15, 4), 0), r"'liked_movies' has vocabulary_size=15"),
        ],
    )
    def test_refuses(self, dataset, column, message):
        with pytest.raises(InputError, match=message):
            dataset.test.check([column])

    @pytest.mark.parametrize(
        "column",
        [
            SparseFeat("genres", 10, 4),
            VarLenSparseFeat(SparseFeat("user_id", 20, 4), 0),
            DenseFeat("gender"),
            DenseFeat("genres"),
            SparseFeat("income", 10, 4),
            DenseFeat("price", dimension=2),
        ],
        ids=lambda column: f"{type(column).__name__}-{column.name}",
    )
    def test_refuses_a_column_of_another_kind_than_the_feature(self, dataset, column):
        with pytest.raises(InputError, match=f"'{column.name}'"):
            dataset.test.check([column])

    def test_larger_vocabulary_is_allowed(self, dataset):
        dataset.test.check([SparseFeat("user_id", 99, 4)])


class TestDenseFeatures:
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_not_finite_names_feature_count_and_row(self, protocol, value):
        raw = random_raw(users=200, rows=600)  # many users are not in training
        income = raw.users["income"].to_numpy().copy()
        income[[7, 150]] = value
        called = "NaN" if np.isnan(value) else "infinity or numbers beyond float32"
        with pytest.raises(InputError, match=rf"'income' holds 2 rows with {called}, the first at row 7\."):
            Dataset.build(replace_users(raw, income=income), protocol, 0)

    def test_too_large_for_float32(self):
        raw = make_raw(
            [(user % 6, user % 3, user % 2, user) for user in range(60)] + [(6, 3, i % 2, 99) for i in (0, 1)]
        )
        income = raw.users["income"].to_numpy().copy()
        income[6] = 1e60
        with pytest.raises(InputError, match="'income'"):
            Dataset.build(replace_users(raw, income=income), "temporal", 0)

    def test_constant_feature_becomes_zero(self):
        raw = replace_users(random_raw(), income=5.0)
        assert {row["income"] for row in every_feature(Dataset.build(raw, "holdout", 0)).values()} == {0.0}

    def test_training_values_span_zero_to_one_and_others_may_leave_it(self):
        scaler = MinMaxScaler.fit("x", np.array([2.0, 4.0, 3.0]))
        assert scaler.transform("x", np.array([2.0, 3.0, 4.0, 1.0, 6.0])).tolist() == [0.0, 0.5, 1.0, -0.5, 2.0]


class TestLists:
    @given(
        lists=st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=6),
        rows=st.lists(st.integers(0, 5), max_size=8),
    )
    def test_batch_equals_a_loop(self, lists, rows):
        ragged = Ragged.from_lists(lists)
        values, bounds = torch.tensor(ragged.values.astype(np.int32)), torch.from_numpy(ragged.offsets)
        rows = [row % len(lists) for row in rows]
        bags = Lists(values, bounds[:-1], bounds[1:]).batch(torch.tensor(rows, dtype=torch.int64))
        assert as_lists(bags) == [lists[row] for row in rows]
        assert len(bags) == len(rows)

    def test_slices_may_overlap(self):
        lists = Lists(torch.arange(5, dtype=torch.int32), torch.tensor([0, 1, 0]), torch.tensor([4, 5, 0]))
        assert as_lists(lists.batch(torch.tensor([1, 2, 0]))) == [[1, 2, 3, 4], [], [0, 1, 2, 3]]

    def test_no_item_with_any_list(self):
        raw = dataclasses.replace(random_raw(), item_lists={"genres": Ragged.from_lists([[]] * 15)})
        dataset = Dataset.build(raw, "holdout", 0)
        assert as_lists(dataset.test.batch(torch.arange(2), ["genres"])["genres"]) == [[], []]


class TestSummary:
    def test_names_data_protocol_and_sizes(self):
        text = Dataset.build(random_raw(rows=2000), "temporal", 9).summary()
        assert "by-hand, 2,000 interactions of 12 users and 15 items" in text
        assert "temporal, seed 9: 1,440 train, 360 validation, 200 test rows" in text


class TestBestPossibleAuc:
    def test_none_for_real_data(self, dataset):
        assert dataset.best_possible_auc("test") is None

    def test_of_the_split_asked_for(self):
        raw = random_raw()
        test = Dataset.build(raw, "temporal", 0).protocol.splits["test"]
        score = np.full(len(raw), 0.5)
        score[test] = np.where(np.arange(len(test)) % 2, 1.0, 0.0)  # labels that are certain
        dataset = Dataset.build(dataclasses.replace(raw, best_score=score), "temporal", 0)
        assert dataset.best_possible_auc("test") == pytest.approx(1.0)
        assert dataset.best_possible_auc("train") == pytest.approx(0.5)


class TestFirstRows:
    def test_in_time_order_under_another_name(self):
        raw = make_raw([(0, 0, 1, 30), (0, 1, 0, 10), (1, 2, 1, 20), (1, 3, 0, 10)])
        first = raw.first(3)
        assert first.item.tolist() == [1, 3, 2]
        assert first.timestamp.tolist() == [10, 10, 20]
        assert first.name == "by-hand-first3"
        assert first.fingerprint != raw.fingerprint

    def test_all_rows_leave_the_data_as_it_is(self):
        raw = random_raw()
        assert raw.first(len(raw)) is raw

    def test_planted_scores_stay_with_their_rows(self):
        raw = dataclasses.replace(random_raw(rows=30), best_score=np.arange(30) / 30)
        first = raw.first(10)
        by_row = {(u, i, t): s for u, i, t, s in zip(raw.user, raw.item, raw.timestamp, raw.best_score, strict=True)}
        for u, i, t, s in zip(first.user, first.item, first.timestamp, first.best_score, strict=True):
            assert by_row[(u, i, t)] == s


class TestEqualDataGiveEqualIds:
    def test_order_of_rows_does_not_change_vocabularies(self):
        raw = random_raw()
        shuffled = raw.take(np.random.default_rng(0).permutation(len(raw)))
        first, second = (Dataset.build(data, "published", 0) for data in (raw, shuffled))
        for name in (*first.vocabularies, "income", "price"):
            assert first.encoding.identity[name] == second.encoding.identity[name]

    def test_pandas_strings_and_numpy_strings(self):
        raw = random_raw()
        strings = replace_users(raw, gender=pd.array(raw.users["gender"].tolist(), dtype="string"))
        plain = replace_users(raw, gender=np.array(raw.users["gender"].tolist(), dtype=object))
        first, second = (every_feature(Dataset.build(data, "holdout", 0)) for data in (strings, plain))
        assert first == second
