"""What a service may ask of a ranker, what is refused, and what explains an answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import permute_labels
from serving_helpers import Reference, dataset, random_model, ranker_of, save_run, text_ids

from foundation.errors import InputError
from preprocessing.dataset import Dataset
from serving.explain import explain
from serving.from_run import item_entities, user_entities
from serving.ranker import PreRanker
from serving.writer import build_index


@pytest.fixture(scope="module")
def reference(ranker, data) -> Reference:
    return Reference(random_model("int_tower", data), data)


class TestUserGivenByFeatures:
    def raw(self, data: Dataset, row: int) -> dict:
        """A user's raw features, out of the tables as they were read."""
        known = user_entities(data, random_model("int_tower", data))
        liked = data.vocabularies["movie_id"].tolist()
        history = known.features.batch("liked_movies", torch.tensor([row])).values.tolist()
        return data.raw.users.iloc[row][["user_id", "gender", "income"]].to_dict() | {
            "user_mean_rating": float(known.features.values["user_mean_rating"][row]),
            "liked_movies": [liked[number - 1] for number in history],
        }

    def test_scores_as_the_known_user_does(self, ranker, reference, data):
        for row in range(5):
            raw = self.raw(data, row)
            expected = reference(int(raw["user_id"]), reference.items)
            assert ranker.score(raw, reference.items) == pytest.approx(expected, abs=1e-5)

    def test_a_known_id_fills_in_what_is_not_given(self, ranker, reference, data):
        raw = self.raw(data, 2)
        expected = ranker.score(raw | {"gender": "F"}, reference.items)
        assert ranker.score({"user_id": raw["user_id"], "gender": "F"}, reference.items) == pytest.approx(expected)
        assert ranker.score({"user_id": raw["user_id"]}, reference.items) == pytest.approx(
            ranker.score(int(raw["user_id"]), reference.items)
        )

    def test_a_new_user_has_the_mean_statistic_and_no_history(self, ranker, reference, data):
        labels = data.raw.label[data.protocol.splits["train"]]
        full = {
            "user_id": -1,
            "gender": "M",
            "income": 1010.0,
            "user_mean_rating": float(labels.mean()),
            "liked_movies": [],
        }
        short = {"user_id": None, "gender": "M", "income": 1010.0}
        assert ranker.score(short, reference.items) == pytest.approx(ranker.score(full, reference.items), abs=1e-6)

    def test_known_users_and_features_in_one_request(self, ranker, reference, data):
        users = [107, self.raw(data, 3), np.int64(100)]
        together = ranker.score(users, reference.items)
        assert together == pytest.approx(np.array([ranker.score(user, reference.items) for user in users]), abs=1e-6)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"income": float("nan")}, "'income' must be a finite number. Received: nan"),
            ({"user_mean_rating": float("inf")}, "'user_mean_rating' must be a finite number"),
            ({"income": 1e300}, "'income'"),
            ({"income": "much"}, "'income' must be a number. Received: 'much'"),
            ({"income": None}, "'income' must be a number"),
            ({"income": True}, "'income' must be a number"),
            ({"income": -(10**5000)}, "'income' must be a finite number. Received: a whole number of 16610 bits"),
            ({"gender": 1}, "'gender' must be of type str, as in training. Received: 1"),
            ({"user_id": "107"}, "'user_id' must be of type int"),
            ({"liked_movies": 5000}, "'liked_movies' must be a list. Received: 5000"),
            ({"liked_movies": ["x"]}, "'liked_movies' must be of type int"),
            ({"colour": "red"}, "Unknown user feature 'colour'. This model reads: user_id, gender"),
        ],
    )
    def test_bad_features(self, change, message, ranker, data):
        with pytest.raises(InputError, match=message):
            ranker.rank(self.raw(data, 0) | change)

    def test_missing_features_are_named(self, ranker):
        with pytest.raises(InputError, match="user feature 'income' is missing"):
            ranker.rank({"user_id": 5, "gender": "F"})


class TestBadRequests:
    @pytest.mark.parametrize("user", [99, -1, "107", None, 1.5, True])
    def test_unknown_user(self, user, ranker):
        with pytest.raises(InputError, match=r"Unknown user .* the index knows 12 users"):
            ranker.rank(user)

    @pytest.mark.parametrize(("user", "kind"), [("107", ", whose ids are whole numbers"), (99, "")])
    def test_an_unknown_user_of_another_type(self, user, kind, ranker):
        with pytest.raises(InputError, match=rf"Unknown user '?\d+'?: the index knows 12 users{kind}\. Give"):
            ranker.rank(user)

    @pytest.mark.parametrize(
        ("candidates", "message"),
        [
            ([], "list of candidates is empty"),
            (np.array([], dtype=np.int64), "list of candidates is empty"),
            ([5000, 1, 4997, 2], "2 of 4 candidates are not in the index: 1, 2"),
            (["5000"], "must be a list of whole numbers"),
            ([5000.5], "must be a list of whole numbers"),
            ([None], "must be a list of whole numbers"),
        ],
    )
    def test_candidates(self, candidates, message, ranker):
        for ask in (ranker.rank, ranker.score):
            with pytest.raises(InputError, match=message):
                ask(107, candidates)

    @pytest.mark.parametrize("k", [0, -1, 1.5, "3", True, None])
    def test_k(self, k, ranker):
        with pytest.raises(InputError, match="k must be a whole number of at least 1"):
            ranker.rank(107, k=k)

    def test_ids_that_are_not_text(self, data, tmp_path):
        data = text_ids(data)
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        asks = (
            lambda bad: ranker.rank(bad),
            lambda bad: ranker.rank({"user_id": bad}),
            lambda bad: ranker.rank("u107", [bad]),
            lambda bad: ranker.delete(["m5000", bad]),
            lambda bad: ranker.upsert([{"movie_id": bad, "price": 1.0, "genres": []}]),
        )
        for ask in asks:
            with pytest.raises(InputError, match=r"An id holds half of a surrogate pair.*Received: 'x\\ud800'"):
                ask("x\ud800")

    def test_no_users(self, ranker):
        with pytest.raises(InputError, match="list of users is empty"):
            ranker.rank([])

    def test_duplicate_candidates_rank_once_and_score_each_time(self, ranker):
        assert sorted(ranker.rank(107, [5000, 4997, 5000]).items.tolist()) == [4997, 5000]
        first, _, again = ranker.score(107, [5000, 4997, 5000])
        assert first == again

    def test_no_index(self, data, tmp_path):
        save_run(tmp_path, random_model("dssm", data), data)
        with pytest.raises(InputError, match=r"has no item index. Build it: python prerank.py build"):
            PreRanker.load(tmp_path)

    def test_ranking_model(self, data, tmp_path):
        save_run(tmp_path, random_model("deep_fm", data), data)
        with pytest.raises(InputError, match="holds DeepFM, a ranking model"):
            PreRanker.load(tmp_path)
        with pytest.raises(InputError, match=r"got DeepFM, a ranking .*: dssm or dat .* int_tower or hit\."):
            build_index(tmp_path, random_model("deep_fm", data), data)

    def test_something_else_than_a_model_or_a_data_set(self, data, tmp_path):
        model = random_model("dssm", data)
        save_run(tmp_path, model, data)
        with pytest.raises(InputError, match="of type Dataset, which is no model"):
            build_index(tmp_path, data, model)
        with pytest.raises(InputError, match="needs the Dataset of the run"):
            build_index(tmp_path, model, data.train)

    def test_model_trained_again_since(self, data, tmp_path):
        ranker_of(tmp_path, random_model("hit", data), data)
        save_run(tmp_path, random_model("hit", data, seed=4), data)
        with pytest.raises(InputError, match="of another model than the run"):
            PreRanker.load(tmp_path)

    def test_model_without_encodings(self, data, tmp_path):
        model = random_model("hit", data)
        model.save(tmp_path)  # untrained, so that it knows no data
        with pytest.raises(InputError, match="has no encoding of raw values"):
            build_index(tmp_path, model, data)


class TestServingFeatures:
    """What a request sees of the labels is what a test row sees, under the honest protocols."""

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_statistics_and_histories_are_those_of_test_rows(self, protocol):
        data = dataset(protocol)
        rows = data.test.rows
        batch = data.test.batch(torch.arange(len(rows)), ["user_mean_rating", "item_mean_rating", "liked_movies"])
        users, items = data.user[rows], data.item[rows]
        model = random_model("int_tower", data)
        user_table, item_table = user_entities(data, model).features, item_entities(data, model).features
        assert torch.equal(user_table.values["user_mean_rating"][users], batch["user_mean_rating"])
        assert torch.equal(item_table.values["item_mean_rating"][items], batch["item_mean_rating"])
        served = user_table.batch("liked_movies", users)
        assert torch.equal(served.values, batch["liked_movies"].values)
        assert torch.equal(served.offsets, batch["liked_movies"].offsets)

    def test_published_test_labels_are_not_served(self):
        """Permuting the labels of test rows changes what the protocol computes for them, and nothing of an index but
        the scale of statistics, which is that of the test rows."""
        data = dataset("published")
        test = data.protocol.splits["test"]
        other = Dataset.build(permute_labels(data.raw, test, seed=1), "published", 0)
        model = random_model("hit", data)
        for entities in (user_entities, item_entities):
            one, two = entities(data, model).features, entities(other, model).features
            for name in one.values:
                first, second = one.values[name], two.values[name]
                if name in ("user_mean_rating", "item_mean_rating"):
                    first, second = (
                        each.scalers[name].low + values * (each.scalers[name].high - each.scalers[name].low)
                        for each, values in ((data, first), (other, second))
                    )
                assert torch.allclose(first, second, rtol=0, atol=1e-6)
            assert all(torch.equal(one.lists[name].values, two.lists[name].values) for name in one.lists)
        assert not torch.equal(data.per_row.values["user_mean_rating"], other.per_row.values["user_mean_rating"])

    def test_an_item_tower_that_reads_the_impression_is_refused(self, data):
        model = random_model("dssm", data)
        model.item_columns.append(model.user_columns[-1])
        with pytest.raises(InputError, match="item tower reads user_mean_rating, which belongs to the impression"):
            item_entities(data, model)


class TestExplain:
    @pytest.mark.parametrize("name", ["int_tower", "hit", "mvke", "poly_encoder"])
    def test_terms_sum_to_the_logit(self, name, data, tmp_path):
        model = random_model(name, data)
        ranker = ranker_of(tmp_path, model, data)
        ranking = ranker.rank(107, k=6)
        explanation = explain(ranker, 107, ranking.items.tolist())
        assert explanation.terms.shape == (6, len(explanation.names))
        assert explanation.bias == model.interaction.bias.item() != 0
        assert explanation.terms.sum(1) + explanation.bias == pytest.approx(ranking.logits, abs=1e-4)
        told = explanation.as_json()
        assert np.sum(told["terms"], axis=1) + told["bias"] == pytest.approx(ranking.logits, abs=1e-4)

    def test_terms_and_matches_equal_a_loop_over_heads(self, ranker, reference):
        """Two levels with two user heads each; three item heads; all of size 4."""
        model, items = reference.model, reference.items[:5]
        arrays = {name: torch.from_numpy(array) for name, array in reference.arrays.items()}
        with torch.no_grad():
            user = {name: array[[reference.user_row[107]]] for name, array in arrays.items()}
            (user_heads,) = model.encode_user(user)
            places = [reference.item_row[item] for item in items]
            vectors = model.encode_item({name: array[places] for name, array in arrays.items()})
        explanation = explain(ranker, 107, items)
        for row, item_heads in enumerate(vectors):
            products = [[float(head @ other) for other in item_heads] for head in user_heads]
            assert explanation.terms[row].tolist() == pytest.approx([max(each) for each in products], abs=1e-5)
            assert explanation.matched[row].tolist() == [1 + each.index(max(each)) for each in products]

    def test_field_weights_stand_beside_their_fields(self, data, tmp_path):
        model, parts = random_model("int_tower", data), {"user": [1.0, 2.0, 5.0], "item": [1.0, 3.0]}
        for side, weights in parts.items():
            layer = getattr(model, f"{side}_light_se").excitation
            layer.weight.data.zero_()
            layer.bias.data = torch.tensor(weights).log()  # softmax gives each its share
        explanation = explain(ranker_of(tmp_path, model, data), 107, [5000, 4997])
        assert explanation.field_weights["user"] == pytest.approx(
            {"user_id": 1 / 8, "gender": 2 / 8, "liked_movies": 5 / 8}
        )
        assert explanation.field_weights["item"] == pytest.approx({"movie_id": 1 / 4, "genres": 3 / 4})

    def test_an_unknown_item(self, ranker):
        with pytest.raises(InputError, match="1 of 2 candidates are not in the index: 1"):
            explain(ranker, 107, [5000, 1])

    def test_levels_name_the_heads(self, ranker):
        explanation = explain(ranker, 107, [5000], levels=[2])
        assert explanation.names == ["level 2, head 1", "level 2, head 2"]
        assert explanation.matched.shape == (1, 2)

    def test_a_model_of_one_vector_has_nothing_to_explain(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        with pytest.raises(InputError, match="DSSM has no heads to explain"):
            explain(ranker, 107, [5000])

    @pytest.mark.parametrize("kind", [list, tuple, iter, np.array, pd.Series])
    def test_items_in_whatever_holds_them(self, ranker, kind):
        assert explain(ranker, 107, kind([5000, 4997])).items == [5000, 4997]

    @pytest.mark.parametrize("wrong", [[], "5000", {5000}, [None], ["5000"]])
    def test_no_items(self, ranker, wrong):
        with pytest.raises(InputError):
            explain(ranker, 107, wrong)
