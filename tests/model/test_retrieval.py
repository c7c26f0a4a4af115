"""Recall, NDCG and hit rate of two-tower models: equal to a plain loop over users, and to what an index answers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import make_raw, plain_arrays
from own_models import Mine
from serving_helpers import TWO_TOWERS, dataset, random_model, ranker_of, text_ids

from foundation.deepctr import DenseFeat, EarlyStopping
from foundation.errors import InputError
from leaderboard.stages.candidates import candidates as requests
from model import best_items, build_model, retrieval
from model.best_items import NotMeasuredError, sort_keys
from model.retrieval import measure, retrieval_entry, retrieval_metrics
from preprocessing.dataset import Dataset
from preprocessing.protocol import PROTOCOLS

KS = (1, 3, 10)
NAMES = [f"{kind}@{k}" for k in KS for kind in ("recall", "ndcg", "hit")]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return dataset(rows=500, users=20, items=30)


@pytest.fixture(scope="module")
def model(data):
    return random_model("hit", data)


def scores_of(model, data: Dataset) -> np.ndarray:
    """(users, items) probabilities by `predict`, one row a pair."""
    users = np.arange(len(data.raw.users))
    return model.predict(requests(data, users)).reshape(len(users), -1)


def liked(data: Dataset, rows: np.ndarray) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for row in rows:
        if data.raw.label[row] == 1:
            found.setdefault(int(data.raw.user[row]), set()).add(int(data.raw.item[row]))
    return found


def plain(data: Dataset, rankings: dict[int, list[int]], rows: np.ndarray, left_out: dict[int, set[int]]) -> dict:
    """One user at a time. rankings: user -> rows of all of its candidates, best first."""
    values: dict[str, list[float]] = {name: [] for name in NAMES}
    for user, positives in liked(data, rows).items():
        ranking = [item for item in rankings.get(user, []) if item not in left_out.get(user, ())]
        wanted = positives & set(ranking)
        if not wanted:
            continue
        for k in KS:
            places = [place for place, item in enumerate(ranking[:k], 1) if item in wanted]
            gain = sum(1 / math.log2(place + 1) for place in places)
            best = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(wanted)) + 1))
            values[f"recall@{k}"].append(len(places) / len(wanted))
            values[f"ndcg@{k}"].append(gain / best)
            values[f"hit@{k}"].append(float(bool(places)))
    return {name: sum(each) / len(each) for name, each in values.items()}


def sorted_items(data: Dataset, scores: np.ndarray) -> dict[int, list[int]]:
    """Of each user the rows of all items, best first; of equal scores the smaller id."""
    ids = data.raw.items["movie_id"].tolist()
    return {user: sorted(range(len(ids)), key=lambda item: (-own[item], ids[item])) for user, own in enumerate(scores)}


def before_test(data: Dataset) -> np.ndarray:
    return np.concatenate([rows for name, rows in data.protocol.splits.items() if name != "test"])


def by_loop(model, data: Dataset) -> dict:
    """Of the test rows, over all items but those that a user liked before."""
    rankings = sorted_items(data, scores_of(model, data))
    return plain(data, rankings, data.protocol.splits["test"], liked(data, before_test(data)))


@pytest.mark.parametrize("name", TWO_TOWERS)
class TestEqualAPlainLoop:
    @pytest.mark.parametrize("leave_out", [True, False], ids=["new", "all"])
    def test_over_users_with_predict_and_sorting(self, name, leave_out, data):
        model, rows = random_model(name, data), data.protocol.splits["test"]
        left_out = liked(data, before_test(data)) if leave_out else {}
        expected = plain(data, sorted_items(data, scores_of(model, data)), rows, left_out)
        found = retrieval_metrics(model, data.test, KS, leave_out_liked=leave_out)
        assert list(found) == NAMES
        assert found == pytest.approx(expected)
        assert 0 < found["recall@3"] < 1

    @pytest.mark.parametrize("form", [lambda data: data, text_ids], ids=["numbers", "texts"])
    def test_over_rankings_of_the_index(self, name, form, data, tmp_path):
        data = form(data)
        model = random_model(name, data)
        ranker = ranker_of(tmp_path, model, data)
        ids = data.raw.items["movie_id"].tolist()
        answers = ranker.rank(data.raw.users["user_id"].tolist(), k=len(ids))
        rankings = {user: [ids.index(one) for one in answer.items] for user, answer in enumerate(answers)}
        expected = plain(data, rankings, data.protocol.splits["test"], liked(data, before_test(data)))
        assert retrieval_metrics(model, data.test, KS) == pytest.approx(expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol(protocol):
    data = dataset(protocol, rows=500, users=20, items=30)
    model = random_model("int_tower", data)
    assert retrieval_metrics(model, data.test, KS) == pytest.approx(by_loop(model, data))


class TestTies:
    @pytest.mark.parametrize("form", [lambda data: data, text_ids], ids=["numbers", "texts"])
    @pytest.mark.parametrize("items_at_once", [7, 8192])
    def test_are_in_the_order_of_the_index(self, form, items_at_once, data, tmp_path, monkeypatch):
        monkeypatch.setattr("model.best_items.ITEMS_ENCODED", items_at_once)
        data = form(data)
        model = random_model("dssm", data)
        model.interaction.log_gamma.data.fill_(-torch.inf)  # every score is the bias
        ids = data.raw.items["movie_id"].tolist()
        answer = ranker_of(tmp_path, model, data).rank(data.raw.users["user_id"].iloc[0], k=len(ids))
        assert len(set(answer.scores.tolist())) == 1
        rankings = {user: [ids.index(one) for one in answer.items] for user in range(20)}
        expected = plain(data, rankings, data.protocol.splits["test"], liked(data, before_test(data)))
        assert retrieval_metrics(model, data.test, KS) == pytest.approx(expected)

    def test_keys_order_any_numbers_as_a_stable_sort_does(self):
        values = torch.tensor([[0.0, -0.0, 1.0, -1.0, 1e-38, -1e-38, 1e30, -1e30, -torch.inf, 1.0, 0.0]])
        order = torch.sort(values, descending=True, stable=True).indices
        assert sort_keys(values, 5).argsort(descending=True).tolist() == order.tolist()


class TestNothingElseCounts:
    def expected(self, model, data) -> dict[str, float]:
        return retrieval_metrics(model, data.test, KS)

    def test_the_order_of_rows(self, model, data):
        order = torch.randperm(len(data.test), generator=torch.Generator().manual_seed(1))
        assert retrieval_metrics(model, data.test.take(order), KS) == self.expected(model, data)

    def test_rows_that_occur_twice(self, model, data):
        twice = data.test.take(torch.arange(len(data.test)).repeat(2))
        assert retrieval_metrics(model, twice, KS) == self.expected(model, data)

    def test_negatives(self, model, data):
        positives = data.test.take(torch.nonzero(data.test.labels)[:, 0])
        assert retrieval_metrics(model, positives, KS) == self.expected(model, data)

    @pytest.mark.parametrize("size", [1, 3, 7])
    def test_the_size_of_blocks(self, model, data, size, monkeypatch):
        expected = self.expected(model, data)
        for name in ("USERS_ENCODED", "USERS_SCORED", "ITEMS_ENCODED"):
            monkeypatch.setattr(best_items, name, size)
        assert retrieval_metrics(model, data.test, KS) == pytest.approx(expected)

    def test_the_mode_of_the_model_which_is_left_as_it_was(self, model, data):
        expected = self.expected(model, data)
        assert not model.training
        model.train()
        assert retrieval_metrics(model, data.test, KS) == expected
        assert model.training
        model.eval()


class TestByHand:
    """Users 0 and 1, items 0 to 4 with falling ids; every test row is of a made-up ranking."""

    #            user, item, label, time
    TRAIN = ((0, 0, 1, 0), (0, 1, 0, 1), (1, 1, 1, 2), (1, 0, 0, 3))
    TEST = ((0, 2, 1, 10), (0, 2, 1, 11), (0, 4, 1, 12), (0, 0, 1, 13), (0, 3, 0, 14), (1, 3, 1, 15), (2, 2, 0, 16))

    @pytest.fixture
    def by_hand(self) -> Dataset:
        raw = make_raw([*self.TRAIN, *self.TEST])
        data = Dataset.build(make_raw([*self.TRAIN, *self.TEST] * 9), "holdout", 0)
        count, parts = len(self.TRAIN), data.protocol.splits
        rows = {"train": np.arange(count), "validation": parts["validation"][:0], "test": np.arange(count, len(raw))}
        rest = {"user": data.user[: len(raw)], "item": data.item[: len(raw)], "label": data.label[: len(raw)]}
        return replace(data, raw=raw, protocol=replace(data.protocol, splits=rows), **rest)

    def test_positives_and_places(self, by_hand, monkeypatch):
        model = random_model("dssm", by_hand)
        seen = {}

        def ranked(requests, users, items, k, left_out, own):
            seen.update(users=users.tolist(), items=items.tolist(), k=k, left_out=left_out.keys.tolist(), own=own)
            places = {row: place for place, row in enumerate(items.tolist())}
            return np.array([[places[row] for row in best] for best in ([2, 1, 4, 3, 0], [0, 3, 2, 4, 1])])

        monkeypatch.setattr(retrieval, "best_items", ranked)
        found = measure(model, by_hand.test, ["recall@1", "recall@2", "ndcg@3", "hit@1"])
        # The index has ids in ascending order: rows 4, 3, ..., 0. Item 0 was liked by user 0, item 1 by user 1.
        assert seen == {"users": [0, 1], "items": [4, 3, 2, 1, 0], "k": 3, "left_out": [4, 8], "own": None}
        assert (found.users, found.users_with_positives, found.items, found.positives) == (2, 2, 5, 3)
        assert found.scores["recall@1"] == pytest.approx((1 / 2 + 0) / 2)
        assert found.scores["recall@2"] == pytest.approx((1 / 2 + 1) / 2)
        assert found.scores["hit@1"] == pytest.approx((1 + 0) / 2)
        user_0, user_1 = (1 + 1 / 2) / (1 + 1 / math.log2(3)), 1 / math.log2(3)
        assert found.scores["ndcg@3"] == pytest.approx((user_0 + user_1) / 2)

    def test_an_item_that_only_the_test_rows_have_is_a_candidate(self, by_hand):
        trained = set(by_hand.raw.item[by_hand.protocol.splits["train"]].tolist())
        assert {2, 3, 4}.isdisjoint(trained)
        assert retrieval_metrics(random_model("dssm", by_hand), by_hand.test, [5])["recall@5"] == 1.0


class TestRowsBefore:
    def test_are_those_of_earlier_splits(self, data):
        splits = data.protocol.splits
        for name, earlier in (("train", ()), ("validation", ("train",)), ("test", ("train", "validation"))):
            before = retrieval.rows_before(data, splits[name][:5])
            assert before.tolist() == [row for one in earlier for row in splits[one].tolist()]

    def test_of_a_refit_are_those_of_training(self):
        data = Dataset.build(dataset().raw, "temporal", 0, refit=True)
        before = retrieval.rows_before(data, data.protocol.splits["test"])
        assert before.tolist() == data.protocol.splits["train"].tolist()


class TestGivenCandidates:
    def ids(self, data: Dataset) -> np.ndarray:
        return data.raw.items["movie_id"].to_numpy()

    def test_of_all_users(self, model, data):
        few = [3, 8, 9, 12, 20, 21, 22, 23]
        rankings = {
            user: [item for item in own if item in few]
            for user, own in sorted_items(data, scores_of(model, data)).items()
        }
        expected = plain(data, rankings, data.protocol.splits["test"], liked(data, before_test(data)))
        given = self.ids(data)[few]
        assert retrieval_metrics(model, data.test, KS, candidates=given) == pytest.approx(expected)
        twice = [*given[::-1].tolist(), *given.tolist()]
        assert retrieval_metrics(model, data.test, KS, candidates=twice) == pytest.approx(expected)

    @pytest.mark.parametrize("leave_out", [True, False], ids=["new", "all"])
    def test_of_each_user(self, model, data, leave_out, monkeypatch):
        monkeypatch.setattr("model.best_items.ITEMS_ENCODED", 7)
        rng = np.random.default_rng(0)
        own = {user: rng.permutation(30)[: 5 + user % 3].tolist() for user in range(15)}  # none of the other five
        rankings = {
            user: [item for item in ranking if item in own[user]]
            for user, ranking in sorted_items(data, scores_of(model, data)).items()
            if user in own
        }
        left_out = liked(data, before_test(data)) if leave_out else {}
        expected = plain(data, rankings, data.protocol.splits["test"], left_out)
        users = data.raw.users["user_id"].tolist()
        given = {users[user]: self.ids(data)[items] for user, items in own.items()}
        found = retrieval_metrics(model, data.test, KS, candidates=given, leave_out_liked=leave_out)
        assert found == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ([5000, 4999], r"1 of 2 candidates are not in the data: \[4999\]"),
            ({100: [5000], 101: [5000]}, r"1 of 2 users are not in the data: \[101\]"),
            ({100: [5000, "x"]}, "1 of 2 candidates are not in the data"),
            ([], "There are no candidates"),
            ({}, "There are no candidates"),
            ({100: []}, "There are no candidates"),
            ("5000", "must be a list of ids"),
            ({100: 5000}, "must be a list of ids"),
        ],
        ids=str,
    )
    def test_that_cannot_be_are_refused(self, model, data, given, message):
        with pytest.raises(InputError, match=message):
            retrieval_metrics(model, data.test, candidates=given)


class TestFewerUsers:
    def test_are_drawn_by_the_seed_and_counted(self, model, data):
        found = measure(model, data.test, NAMES, max_users=5)
        assert (found.users, found.users_with_positives) == (5, measure(model, data.test, NAMES).users)
        users = retrieval.drawn(np.unique(data.raw.user), 5, data.seed)
        assert len(set(users.tolist())) == 5
        assert {tuple(retrieval.drawn(np.arange(20), 5, seed)) for seed in range(4)} != {tuple(users)}

    def test_are_measured_as_they_are_alone(self, model, data):
        left_out, rows = liked(data, before_test(data)), data.protocol.splits["test"]
        everyone = [user for user, items in liked(data, rows).items() if items - left_out.get(user, set())]
        users = retrieval.drawn(np.sort(everyone), 6, data.seed)
        rankings = {user: own for user, own in sorted_items(data, scores_of(model, data)).items() if user in users}
        expected = plain(data, rankings, rows, left_out)
        assert retrieval_metrics(model, data.test, KS, max_users=6) == pytest.approx(expected)

    def test_where_there_are_too_many_scores(self, model, data, monkeypatch):
        monkeypatch.setattr(retrieval, "MAX_PAIRS", 30 * 4)
        assert measure(model, data.test, NAMES).users == 4
        assert measure(model, data.test, NAMES, max_users=None).users > 4

    @pytest.mark.parametrize("most", [0, -1, 2.5, "all"])
    def test_cannot_be_none(self, model, data, most):
        with pytest.raises(InputError, match="max_users"):
            retrieval_metrics(model, data.test, max_users=most)


class TestEvaluate:
    def test_has_the_metrics_in_the_order_of_their_names(self, model, data):
        found = model.evaluate(data.test, metrics=["hit@3", "auc", "recall@10"])
        assert list(found) == ["hit@3", "auc", "recall@10"]
        ranks = retrieval_metrics(model, data.test, [3, 10])
        auc = model.evaluate(data.test)["auc"]
        assert found == {"hit@3": ranks["hit@3"], "auc": auc, "recall@10": ranks["recall@10"]}
        assert model.evaluate(data.test, metrics=["ndcg@3"]) == {"ndcg@3": ranks["ndcg@3"]}

    def test_without_names_is_as_before(self, model, data):
        assert list(model.evaluate(data.test)) == ["auc", "logloss", "gauc"]

    def test_of_what_compile_named_and_in_each_epoch(self, data):
        model = build_model("dssm", data.feature_columns(4), dnn_hidden_units=(8, 4))
        model.compile("adam", metrics=["acc", "recall@3"])
        history = model.fit(data.train, validation_data=data.validation, epochs=1, verbose=0).history
        expected = retrieval_metrics(model, data.validation, [3])["recall@3"]
        assert history["val_recall@3"] == [expected]
        assert "recall@3" not in history
        assert model.evaluate(data.validation)["recall@3"] == expected

    def test_can_stop_training(self, data):
        model = build_model("dssm", data.feature_columns(4), dnn_hidden_units=(8, 4))
        model.compile("adam", metrics=["recall@3"])
        stop = EarlyStopping(monitor="val_recall@3", mode="max", min_delta=2, patience=0, verbose=0)
        history = model.fit(data.train, validation_data=data.validation, epochs=5, verbose=0, callbacks=[stop])
        assert len(history.history["val_recall@3"]) == 2

    def test_a_callback_is_told_to_name_it_at_compile(self, data):
        model = build_model("dssm", data.feature_columns(4), dnn_hidden_units=(8, 4))
        model.compile("adam")
        with pytest.raises(InputError, match=r"Name it at compile, metrics=\['recall@3'\]"):
            model.fit(data.train, validation_data=data.validation, callbacks=[EarlyStopping("val_recall@3")])


class TestRefused:
    @pytest.mark.parametrize("name", ["deep_fm", "lr", "gbdt"])
    def test_for_ranking_models(self, name, data):
        model = build_model(name, data.feature_columns(4))
        with pytest.raises(InputError, match="only two-tower models"):
            model.compile("adam", metrics=["recall@10"])
        with pytest.raises(InputError, match="only two-tower models"):
            model.evaluate(data.test, metrics=["auc", "ndcg@10"])
        assert retrieval_entry(model, data.test) is None

    def test_for_arrays(self, model, data):
        x, y = plain_arrays(data.test, model.feature_names), data.test.labels.numpy()
        with pytest.raises(InputError, match=r"recall@10: these rows are arrays or a frame.*data\.test"):
            model.evaluate(x, y, metrics=["recall@10"])
        one = build_model("dssm", data.feature_columns(4), dnn_hidden_units=(8, 4))
        one.compile("adam", metrics=["recall@10"])
        with pytest.raises(InputError, match="these rows are arrays"):
            one.fit(data.train, validation_data=(x, y), verbose=0)

    @pytest.mark.parametrize("side", ["user", "item"])
    def test_where_a_tower_reads_the_impression(self, side, data):
        rows = len(data.raw)
        raw = replace(data.raw, interactions={"position": np.arange(rows) % 7.0})
        schema = replace(raw.schema, **{f"{side}_dense": (*getattr(raw.schema, f"{side}_dense"), "position")})
        seen = Dataset.build(replace(raw, schema=schema), "holdout", 0)
        columns = seen.feature_columns(4)
        assert DenseFeat("position") in columns.all
        model = build_model("dssm", columns, dnn_hidden_units=(8, 4))
        with pytest.raises(NotMeasuredError, match="This DSSM reads position of an impression"):
            retrieval_metrics(model, seen.test)
        assert "reads position" in retrieval_entry(model, seen.test)["not_measured"]

    def test_without_a_positive_that_is_new(self, model, data):
        negatives = data.test.take(torch.nonzero(data.test.labels == 0)[:, 0])
        with pytest.raises(NotMeasuredError, match="nothing to find"):
            retrieval_metrics(model, negatives)

    def test_scores_that_are_not_finite(self, data):
        model = random_model("dssm", data)
        model.interaction.bias.data.fill_(torch.nan)
        with pytest.raises(NotMeasuredError, match="NaN or infinite"):
            retrieval_metrics(model, data.test)

    @pytest.mark.parametrize("k", [0, -1, 1.5, True])
    def test_a_cutoff_that_is_none(self, model, data, k):
        with pytest.raises(InputError, match="k must be"):
            retrieval_metrics(model, data.test, [k])

    def test_an_output_that_the_encoders_do_not_have(self, data):
        class Other(type(random_model("dssm", data))):
            def output(self, features):
                output = super().output(features)
                return replace(output, logits=output.logits + 1)

        columns = data.feature_columns(4)
        model = Other(columns.user, columns.item, dnn_hidden_units=(8, 4))
        with pytest.raises(InputError, match="trains on the logits of its `output`"):
            retrieval_metrics(model, data.test)


def test_a_model_of_ones_own(data):
    columns = data.feature_columns(4)
    model = Mine(columns.user, columns.item)
    assert retrieval_metrics(model, data.test, KS) == pytest.approx(by_loop(model, data))
