"""The `published` protocol beside the releases' steps in plain pandas and scikit-learn: rows, order and features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import as_lists, make_raw, random_raw
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler

from foundation.deepctr import SparseFeat
from foundation.errors import InputError
from preprocessing import amazon, taobao
from preprocessing.dataset import Dataset
from preprocessing.known import arrays_for
from preprocessing.label_features import request_tables
from preprocessing.load import load_movielens
from preprocessing.raw import RawData

SEED = 1023
MEANS = ["user_mean_rating", "item_mean_rating"]


def joined(part: pd.DataFrame, user: str, item: str | None) -> pd.DataFrame:
    """The releases' joins: liked items of each user, then mean labels. item: None where there is no join by item."""
    liked = part[part.label == 1].groupby(user)["liked"].agg(list).rename("history").reset_index()
    part = liked.merge(part, on=user)
    part = part.groupby(user)["label"].mean().rename(MEANS[0]).reset_index().merge(part, on=user)
    if item is None:
        return part
    return part.groupby(item)["label"].mean().rename(MEANS[1]).reset_index().merge(part, on=item)


def divided(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    np.random.seed(SEED)  # noqa: NPY002 (as the releases do)
    return tuple(train_test_split(table, test_size=0.2))


def assert_rows(data: Dataset, part: pd.DataFrame, test: pd.DataFrame) -> None:
    """part: of training and validation rows, in order, with the column `row`."""
    cut = int(len(part) * (1 - 0.2))
    expected = {"train": part.row[:cut], "validation": part.row[cut:], "test": test.row}
    assert {name: rows.tolist() for name, rows in data.protocol.splits.items()} == {
        name: rows.tolist() for name, rows in expected.items()
    }


def values(data: Dataset, rows: pd.Series, name: str) -> list:
    return as_lists(data.batch(torch.tensor(rows.to_numpy()), [name])[name])


def movielens_kind() -> RawData:
    """Each pair once, as in MovieLens; ids that are in no order, one user who likes nothing, one who likes one item."""
    rng = np.random.default_rng(5)
    pairs = rng.permutation(14 * 18)[:200]
    user, item = pairs % 14, pairs // 14
    label = (rng.random(200) < 0.2 + 0.6 * (user % 3 > 0)) & (user != 3)
    label[np.flatnonzero(user == 6)] = False
    label[np.flatnonzero(user == 6)[0]] = True
    raw = make_raw(list(zip(user, item, label.astype(int), rng.integers(0, 30, 200), strict=True)))
    return replace(raw, users=raw.users.assign(user_id=rng.permutation(14) + 50))


@pytest.fixture(scope="module")
def movielens() -> RawData:
    return movielens_kind()


@pytest.fixture(scope="module")
def released(movielens) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both parts by the releases' steps, statistics scaled."""
    raw = movielens
    log = pd.DataFrame(
        {
            "user_id": raw.users["user_id"].to_numpy()[raw.user],
            "movie_id": raw.items["movie_id"].to_numpy()[raw.item],
            "label": raw.label,
            "time": raw.timestamp,
            "row": np.arange(len(raw)),
        }
    ).assign(liked=lambda table: table.movie_id)
    part, test = (joined(rows, "user_id", "movie_id") for rows in divided(log.sort_values("time", kind="stable")))
    scaler = MinMaxScaler().fit(part[MEANS])
    scaler.fit(test[MEANS])
    for each in (part, test):
        each[MEANS] = scaler.transform(each[MEANS])
    return part, test


class TestMovieLens:
    def test_rows_and_their_order(self, movielens, released):
        assert_rows(Dataset.build(movielens, "published", SEED), *released)

    def test_statistics_and_histories(self, movielens, released):
        data = Dataset.build(movielens, "published", SEED)
        vocabulary = data.vocabularies["movie_id"]
        for part in released:
            for name in MEANS:
                assert values(data, part.row, name) == pytest.approx(part[name].tolist(), abs=1e-6)
            expected = [sorted(vocabulary.encode(np.array(history)).tolist()) for history in part.history]
            assert [sorted(history) for history in values(data, part.row, "liked_movies")] == expected
        assert released[0][MEANS[0]].min() < 0  # the range is that of the test rows alone

    def test_vocabularies_hold_dropped_users(self, movielens):
        data = Dataset.build(movielens, "published", SEED)
        kept = np.concatenate(list(data.protocol.splits.values()))
        assert len(data.vocabularies["user_id"].tolist()) == 14 > len(set(movielens.user[kept]))

    def test_dropped_rows_are_told_of(self, movielens, released):
        data = Dataset.build(movielens, "published", SEED)
        gone = len(movielens) - sum(map(len, released))
        assert gone > 0
        assert f"{gone} dropped (users without a positive)" in data.summary()


class TestSwitches:
    def test_random_validation_rows_are_of_the_same_part(self, movielens):
        tail = Dataset.build(movielens, "published", SEED).protocol
        other = Dataset.build(movielens, "published", SEED, validation_rows="random").protocol
        part, mixed = (np.concatenate([p.splits["train"], p.splits["validation"]]) for p in (tail, other))
        assert sorted(part) == sorted(mixed)
        assert len(tail.splits["train"]) == len(other.splits["train"])
        assert tail.splits["test"].tolist() == other.splits["test"].tolist()
        last, any_of_them = (set(movielens.item[each.splits["validation"]]) for each in (tail, other))
        assert len(last) < 6 < 12 < len(any_of_them)
        again = Dataset.build(movielens, "published", SEED, validation_rows="random").protocol
        assert again.splits["validation"].tolist() == other.splits["validation"].tolist()

    def test_three_parts_have_statistics_of_their_own(self, movielens):
        two = Dataset.build(movielens, "published", SEED)
        three = Dataset.build(movielens, "published", SEED, statistics="three_parts")
        assert {k: v.tolist() for k, v in two.protocol.splits.items()} == {
            k: v.tolist() for k, v in three.protocol.splits.items()
        }
        rows = three.protocol.splits["validation"]
        scaler, found = three.scalers[MEANS[0]], values(three, pd.Series(rows), MEANS[0])
        for row, value in zip(rows, found, strict=True):
            own = movielens.label[rows[movielens.user[rows] == movielens.user[row]]].mean()
            assert value == pytest.approx((own - scaler.low) / (scaler.high - scaler.low), abs=1e-6)
        assert found != values(two, pd.Series(rows), MEANS[0])
        assert "the split they are used in" in three.protocol.leak
        assert "training and validation rows are one" in two.protocol.leak

    @pytest.mark.parametrize("seed", [-1, 2**32])
    def test_refuses_seeds_that_the_releases_generator_does_not_take(self, seed):
        with pytest.raises(InputError, match="seeds from 0 to 4294967295"):
            Dataset.build(random_raw(), "published", seed)

    @pytest.mark.parametrize(
        ("switch", "message"),
        [
            ({"validation_rows": "random"}, "validation_rows=random does nothing"),
            ({"statistics": "three_parts"}, "its statistics are of all rows"),
        ],
        ids=["validation_rows", "statistics"],
    )
    def test_refuses_what_does_nothing_where_rows_are_joined_before_the_split(self, switch, message):
        raw = random_raw()
        raw = replace(raw, schema=replace(raw.schema, published_statistics="all"))
        with pytest.raises(InputError, match=message):
            Dataset.build(raw, "published", 0, **switch)


class TestScaledStatistics:
    """Everything that encodes statistics does it alike."""

    def test_raw_rows(self, movielens):
        data = Dataset.build(movielens, "published", SEED)
        columns = [column for column in data.feature_columns(4).user if column.name == MEANS[0]]
        scaler = data.scalers[MEANS[0]]
        given = pd.DataFrame({MEANS[0]: [scaler.low, scaler.high, np.nan]})
        unknown = (data.encoding.mean_label - scaler.low) / (scaler.high - scaler.low)
        assert arrays_for(data.encoding, given, columns)[MEANS[0]].tolist() == pytest.approx([0, 1, unknown])
        assert arrays_for(data.encoding, pd.DataFrame({"x": [1]}), columns)[MEANS[0]] == pytest.approx([unknown])

    def test_requests(self, movielens):
        data = Dataset.build(movielens, "published", SEED)
        users, _ = request_tables(data.raw, data.protocol, data.users, data.items, data.scalers)
        train, scaler = data.protocol.splits["train"], data.scalers[MEANS[0]]
        user = int(movielens.user[train[0]])
        mean = movielens.label[train[movielens.user[train] == user]].mean()
        assert users.values[MEANS[0]][user] == pytest.approx((mean - scaler.low) / (scaler.high - scaler.low), abs=1e-6)

    def test_a_known_encoding_keeps_its_scale(self, movielens):
        known = Dataset.build(movielens, "published", SEED).encoding
        data = Dataset.build(movielens, "holdout", SEED, known)
        plain = Dataset.build(movielens, "holdout", SEED)
        scaler, rows = known.scalers[MEANS[1]], pd.Series(np.arange(20))
        expected = (np.array(values(plain, rows, MEANS[1])) - scaler.low) / (scaler.high - scaler.low)
        assert values(data, rows, MEANS[1]) == pytest.approx(expected.tolist(), abs=1e-6)

    def test_scale_is_part_of_what_a_statistic_means(self, movielens):
        scaled, plain = (Dataset.build(movielens, name, SEED).encoding for name in ("published", "holdout"))
        assert scaled.identity[MEANS[0]] != plain.identity[MEANS[0]]


@pytest.fixture(scope="module")
def reviews(tmp_path_factory) -> Path:
    """The releases' one file."""
    rng = np.random.default_rng(2)
    user, item = rng.integers(0, 40, 300), rng.integers(0, 15, 300)
    table = pd.DataFrame(
        {
            "reviewerID": [f"A{number * 7 % 41}" for number in user],
            "asin": [f"B{number * 4 % 15}" for number in item],
            "overall": np.where(user % 9 == 0, 2.0, rng.integers(1, 6, 300)),
            "unixReviewTime": rng.integers(0, 50, 300) * 86_400,
            "price": np.where(item % 4 == 0, np.nan, item * 2.5 + 1),
            "categories": [str([["Electronics", f"Kind {number % 3}"]]) for number in item],
        }
    )
    path = tmp_path_factory.mktemp("amazon") / amazon.ONE_FILE
    table.to_csv(path, index=False)
    return path


def test_amazon(reviews):
    table = pd.read_csv(reviews)
    table["label"] = (table.overall >= 4).astype(int)
    table["price"] = table.price.fillna(table.price.mean())
    table["row"], table["liked"] = np.arange(len(table)), table.asin
    table = joined(table.sort_values("unixReviewTime", kind="stable"), "reviewerID", "asin")
    dense = [*MEANS, "price"]
    table[dense] = MinMaxScaler().fit_transform(table[dense])
    data = Dataset.build(amazon.read(reviews), "published", SEED)
    part, test = divided(table)
    assert len(part) + len(test) < len(data.raw)
    assert_rows(data, part, test)
    for name in dense:
        assert values(data, table.row, name) == pytest.approx(table[name].tolist(), abs=1e-6)
    codes, _ = pd.factorize(table.categories)
    own, _ = pd.factorize(np.array(values(data, table.row, "categories")))
    assert own.tolist() == codes.tolist()
    columns = {column.name: column for column in data.feature_columns().item}
    assert isinstance(columns["categories"], SparseFeat)


@pytest.fixture(scope="module")
def impressions(tmp_path_factory) -> Path:
    rng = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("taobao")
    clicked = rng.random(500) < 0.25
    sample = {
        "user": rng.integers(1, 40, 500),
        "time_stamp": 1_494_000_000 + rng.integers(0, 60, 500),
        "adgroup_id": rng.integers(1, 25, 500),
        "pid": rng.choice(["430548_1007", "430539_1007"], 500),
        "nonclk": 1 - clicked,
        "clk": 0 + clicked,
    }
    pd.DataFrame(sample).to_csv(folder / "raw_sample.csv", index=False)
    ads = rng.permutation(np.arange(1, 23))
    features = {"adgroup_id": ads, **dict.fromkeys(taobao.AD, ads % 5), "price": ads * 1.5}
    pd.DataFrame(features).to_csv(folder / "ad_feature.csv", index=False)
    users = rng.permutation(np.arange(1, 37))
    pd.DataFrame({"userid": users, **dict.fromkeys(taobao.PROFILE, users % 3)}).to_csv(
        folder / "user_profile.csv", index=False
    )
    return folder


def test_taobao(impressions):
    sample = pd.read_csv(impressions / "raw_sample.csv").rename(columns={"user": "userid", "clk": "label"})
    sample["row"], sample["liked"] = np.arange(len(sample)), sample.adgroup_id
    table = sample.merge(pd.read_csv(impressions / "user_profile.csv"), on="userid")
    table = table.merge(pd.read_csv(impressions / "ad_feature.csv"), on="adgroup_id")
    described = len(table)
    table = joined(table.sort_values("time_stamp", kind="stable"), "userid", None)
    table["price"] = MinMaxScaler().fit_transform(table[["price"]])
    data = Dataset.build(taobao.read(impressions), "published", SEED)
    assert_rows(data, *divided(table))
    assert values(data, table.row, "price") == pytest.approx(table.price.tolist(), abs=1e-6)
    assert described < len(sample)
    assert f"{len(sample) - described} dropped (users or items without a description)" in data.summary()
    assert len(table) < described
    assert f"{described - len(table)} dropped (users without a positive)" in data.summary()


class TestMovieLens1M:
    """The figures of an independent re-run of the releases' steps, seed 1023."""

    @pytest.fixture(scope="class")
    def data(self, ml1m_path) -> Dataset:
        return Dataset.build(load_movielens(str(ml1m_path)), "published", SEED)

    def test_counts(self, data):
        splits = data.protocol.splits
        assert {name: len(rows) for name, rows in splits.items()} == {
            "train": 472_870,
            "validation": 118_218,
            "test": 147_698,
        }
        assert len(splits["train"]) + len(splits["validation"]) == 591_209 - 121
        assert len(splits["test"]) == 147_803 - 105
        assert data.protocol.dropped["users without a positive"] == 121 + 105

    def test_movies_of_training(self, data):
        raw, splits = data.raw, data.protocol.splits
        movies = np.unique(raw.item[splits["train"]])
        assert len(movies) == 2_704
        assert raw.items["movie_id"][movies].max() == 2_966
        unseen = ~np.isin(raw.item[splits["test"]], movies)
        assert unseen.mean() == pytest.approx(0.1998, abs=5e-5)

    def test_test_rows_span_zero_to_one_and_training_rows_leave_it(self, data):
        means = data.per_row.values[MEANS[0]].numpy()
        assert means[data.protocol.splits["test"]].min() == 0.0
        assert means[data.protocol.splits["test"]].max() == 1.0
        assert means[data.protocol.splits["train"]].min() == pytest.approx(-0.00347, abs=1e-5)

    def test_membership_of_the_item_in_the_history_is_the_label(self, data):
        for name in ("train", "validation", "test"):
            split = data.split(name)
            batch = split.batch(torch.arange(0, len(split), 97), ["movie_id", "liked_movies"])
            pairs = zip(batch["movie_id"].tolist(), as_lists(batch["liked_movies"]), strict=True)
            assert [item in liked for item, liked in pairs] == split.labels[::97].bool().tolist()
