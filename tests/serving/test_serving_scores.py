"""What the ranker answers is what the model predicts: for any user, candidates, levels, precision and batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from serving_helpers import TWO_TOWERS, Reference, dataset, random_model, ranker_of, served_models

from foundation.errors import InputError
from model.all_pairs import all_pairs
from model.scorer import MANY_VECTORS, make_scorer
from preprocessing import utils
from serving import top_k
from serving.blocks import Blocks, block_size, blocks_shape, fill_blocks, head_scales
from serving.explain import explain
from serving.fold_batch_norm import for_inference


@pytest.fixture(scope="module")
def data():
    return dataset()


@pytest.fixture(scope="module")
def served(data, tmp_path_factory) -> dict:
    """name -> (ranker, reference)"""
    return served_models(TWO_TOWERS, data, tmp_path_factory)


@pytest.mark.parametrize("name", TWO_TOWERS)
class TestEqualsPredict:
    @given(draws=st.data())
    def test_scores_of_any_user_and_candidates(self, name, served, draws):
        ranker, reference = served[name]
        user = draws.draw(st.sampled_from(reference.users))
        items = draws.draw(st.lists(st.sampled_from(reference.items), min_size=1, max_size=20))
        assert ranker.score(user, items) == pytest.approx(reference(user, items), abs=1e-5)

    @given(draws=st.data())
    def test_ranking_of_any_candidates(self, name, served, draws):
        ranker, reference = served[name]
        user = draws.draw(st.sampled_from(reference.users))
        items = draws.draw(st.lists(st.sampled_from(reference.items), min_size=1, max_size=20))
        k = draws.draw(st.integers(1, 25))
        ranking = ranker.rank(user, items, k=k)
        distinct = list(dict.fromkeys(items))
        expected = dict(zip(distinct, reference(user, distinct), strict=True))
        assert len(ranking) == min(k, len(distinct))
        assert len(set(ranking.items.tolist())) == len(ranking)
        assert ranking.scores == pytest.approx([expected[item] for item in ranking.items.tolist()], abs=1e-5)
        left = [score for item, score in expected.items() if item not in ranking.items]
        assert (np.diff(ranking.scores) <= 0).all()
        assert max(left, default=0.0) <= ranking.scores[-1] + 1e-5

    def test_reference_tells_users_and_items_apart(self, name, served):
        """Else equal scores would mean nothing."""
        _, reference = served[name]
        scores = np.array([reference(user, reference.items) for user in reference.users])
        assert scores.std(axis=0).min() > 1e-4
        assert scores.std(axis=1).min() > 1e-4

    def test_all_items_are_ranked_without_candidates(self, name, served, data):
        ranker, _ = served[name]
        ranking = ranker.rank(107, k=1000)
        ids = data.raw.items["movie_id"].tolist()
        assert sorted(ranking.items.tolist()) == sorted(ids)
        scores = dict(zip(ids, ranker.score(107, ids), strict=True))
        assert ranking.scores == pytest.approx([scores[item] for item in ranking.items.tolist()], abs=1e-6)

    def test_many_users_as_each_alone(self, name, served):
        ranker, reference = served[name]
        users = reference.users * 4  # more than one chunk of users
        together = ranker.score(users, reference.items)
        alone = np.array([ranker.score(user, reference.items) for user in users])
        assert together == pytest.approx(alone, abs=1e-6)
        for user, ranking in zip(users, ranker.rank(users, k=3), strict=True):
            assert ranking.scores == pytest.approx(ranker.rank(user, k=3).scores, abs=1e-6)

    def test_folded_batch_norms(self, name, data):
        model = random_model(name, data)
        folded = for_inference(model)
        batch = data.test.batch(torch.arange(len(data.test)), model.feature_names)
        assert torch.allclose(folded(batch), model(batch), atol=1e-5)
        assert not any(isinstance(module, torch.nn.BatchNorm1d) for module in folded.modules())
        assert any(isinstance(module, torch.nn.BatchNorm1d) for module in model.modules())


class TestLevels:
    @pytest.mark.parametrize(("levels", "places"), [("last", [1]), ([1], [0]), ([2, 1], [0, 1]), ("all", [0, 1])])
    def test_are_those_of_fe_score(self, levels, places, data, served):
        ranker, reference = served["int_tower"]
        model = reference.model
        user, items = reference.users[0], reference.items
        names = [column.name for column in model.user_columns]
        x = {name: torch.from_numpy(array[[reference.user_row[user]]]) for name, array in reference.arrays.items()}
        y = {
            name: torch.from_numpy(array[[reference.item_row[item] for item in items]])
            for name, array in reference.arrays.items()
            if name not in names
        }
        with torch.no_grad():
            levels_of_user = model.encode_user(x).view(2, 8)  # two heads of size 4 each
            users = [levels_of_user[place].expand(len(items), -1) for place in places]
            dims = [4] * len(places)
            score = utils.fe_score(users, [model.encode_item(y).flatten(1)], 2, 3, dims, dims) + model.interaction.bias
        assert ranker.score(user, items, levels=levels) == pytest.approx(torch.sigmoid(score).numpy(), abs=1e-5)

    @pytest.mark.parametrize("levels", ["first", [], [0], [3], [1, 1], [1.0], [True], 2])
    def test_others_are_refused(self, levels, served):
        with pytest.raises(InputError, match="levels must be"):
            served["int_tower"][0].rank(107, levels=levels)

    def test_a_model_without_levels_has_none_to_choose(self, served):
        with pytest.raises(InputError, match="Only IntTower has levels"):
            served["hit"][0].rank(107, levels="last")


@pytest.mark.parametrize("name", ["int_tower", "hit"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_edited_fe_score_is_what_counts(name, precision, data, tmp_path, monkeypatch):
    def last_level_mean(user_rep, item_rep, user_heads, item_heads, user_dims, item_dims):
        users = user_rep[-1].reshape(-1, user_heads, user_dims[-1])
        items = item_rep[-1].reshape(-1, item_heads, item_dims[-1])
        return (users @ items.transpose(1, 2)).mean(dim=(1, 2))

    monkeypatch.setattr(utils, "fe_score", last_level_mean)
    model = random_model(name, data)
    ranker, reference = ranker_of(tmp_path, model, data, precision), Reference(model, data)
    assert ranker.state.scorer.is_plain
    user = reference.users[0]
    assert ranker.score(user, reference.items) == pytest.approx(reference(user, reference.items), abs=1e-5)
    ranking = ranker.rank(user, k=5)
    assert ranking.scores == pytest.approx(reference(user, ranking.items.tolist()), abs=1e-5)
    ranker.delete(ranking.items[:1].tolist())
    assert ranker.rank(user, k=4).items.tolist() == ranking.items[1:].tolist()
    with pytest.raises(InputError, match=r"an edited fe_score\).*Leave --explain out"):
        explain(ranker, user, ranking.items[1:].tolist())


class TestPrecision:
    @pytest.fixture(scope="class")
    @classmethod
    def large(cls):
        """Nearly every item has an embedding of its own: equal items would make the best hundred arbitrary."""
        return dataset("published", rows=60_000, users=30, items=10_000)

    @pytest.mark.parametrize("name", TWO_TOWERS)
    def test_rounded_indexes_keep_the_best_hundred_of_ten_thousand(self, name, large, tmp_path):
        model = random_model(name, large)
        users = large.raw.users["user_id"].tolist()
        exact = ranker_of(tmp_path / "float32", model, large).rank(users)
        for precision in ("bfloat16", "int8"):
            rounded = ranker_of(tmp_path / precision, model, large, precision).rank(users)
            kept = [len(set(a.items.tolist()) & set(b.items.tolist())) for a, b in zip(exact, rounded, strict=True)]
            assert np.mean(kept) >= 99.9
            for a, b in zip(exact, rounded, strict=True):
                assert b.scores == pytest.approx(a.scores, abs=1e-5)  # rescored in float32

    def test_what_an_outlier_does_to_int8_is_made_good(self, tmp_path):
        """One item far from all others takes the range, so that nearly all of them round to 0."""
        data = dataset("published", rows=4000, users=12, items=800)
        model, users = random_model("hit", data), data.raw.users["user_id"].tolist()
        model.item_side.embedding.table("movie_id").data[7] *= 1e4
        exact, rounded = (
            ranker_of(tmp_path / precision, model, data, precision).rank(users, k=5)
            for precision in ("float32", "int8")
        )
        assert [ranking.items.tolist() for ranking in rounded] == [ranking.items.tolist() for ranking in exact]

    @pytest.fixture(scope="class")
    @classmethod
    def with_outlier(cls, tmp_path_factory) -> dict:
        """precision -> ranker, of 5,000 items of which one rounds most others to the same score."""
        data, result = dataset("published", rows=25_000, users=12, items=5000), {}
        model = random_model("hit", data)
        model.item_side.embedding.table("movie_id").data[11] *= 1e4
        for precision in ("float32", "bfloat16", "int8"):
            result[precision] = ranker_of(tmp_path_factory.mktemp(precision), model, data, precision)
            items = result[precision].rank(107, k=5).items.tolist()
            result[precision].upsert(
                [{"movie_id": items[0], "price": 1.0}, {"movie_id": 5001, "price": 3.0, "genres": []}]
            )
            result[precision].delete(items[3:])
        return result

    @pytest.mark.parametrize("most", [1 / 16, 1.0], ids=["then all", "more and more"])
    @pytest.mark.parametrize("precision", ["bfloat16", "int8"])
    def test_the_best_of_many_items_beside_an_outlier(self, precision, most, with_outlier, monkeypatch):
        """However few are asked for: the search does not end before its bound is met."""
        monkeypatch.setattr("serving.top_k.MOST_FETCHED", most)
        users = [100 + 7 * user for user in range(12)]
        for k in (1, 2, 3, 10, 100):
            exact, rounded = (with_outlier[one].rank(users, k=k) for one in ("float32", precision))
            assert [ranking.items.tolist() for ranking in rounded] == [ranking.items.tolist() for ranking in exact]
            for a, b in zip(exact, rounded, strict=True):
                assert b.scores == pytest.approx(a.scores, abs=1e-6)

    @pytest.mark.parametrize("name", TWO_TOWERS)
    @pytest.mark.parametrize("precision", ["bfloat16", "int8"])
    def test_usually_a_few_hundred_are_scored_again_and_not_all(self, name, precision, large, tmp_path, monkeypatch):
        ranker, read = ranker_of(tmp_path, random_model(name, large), large, precision), []
        for step in ("exact_logits", "_by_vectors"):
            original = getattr(top_k, step)
            monkeypatch.setattr(top_k, step, lambda *given, do=original: read.append(len(given[2])) or do(*given))
        users = large.raw.users["user_id"].tolist()
        ranker.rank(users, k=10)
        assert 266 * len(users) <= sum(read) <= 1.5 * 266 * len(users)


class TestBlocks:
    @pytest.mark.parametrize("name", TWO_TOWERS)
    @pytest.mark.parametrize("chunk_bytes", [1 << 10, 1 << 16, 1 << 24], ids=["head", "chunks", "chunk"])
    def test_any_number_of_items_in_blocks_scores_as_vectors_do(self, name, chunk_bytes, data, monkeypatch):
        for module in ("model.scorer", "serving.blocks"):
            monkeypatch.setattr(f"{module}.CHUNK_BYTES", chunk_bytes)
        monkeypatch.setattr("serving.blocks.BLOCK_VALUES", 10_240)
        model = random_model(name, data)
        batch = data.test.batch(torch.arange(5), model.feature_names)
        with torch.inference_mode():
            users, (_, heads, dim) = model.encode_user(batch), model.encode_item(batch).shape
            generator = torch.Generator().manual_seed(1)
            size = block_size(dim)
            for count in (1, size - 1, size, size + 1, 5 * size - 3):
                items = torch.randn(count, heads, dim, generator=generator)
                scorer, vectors = make_scorer(model.interaction, users, items[:8]), items.flatten(1)
                assert not scorer.is_plain
                query = scorer.query(users)
                expected = scorer.score_vectors(query, vectors)
                assert torch.allclose(expected, all_pairs(model.interaction, users, items), atol=1e-4)
                assert torch.allclose(scorer.score_items(query, vectors), expected, atol=1e-4)
                # Logits have a standard deviation of about 1; rounding moves them by up to .05.
                for dtype, tolerance in (("<f4", 1e-4), ("<u2", 0.1), ("|i1", 0.1)):
                    scales = head_scales(vectors.numpy(), heads)
                    blocks = np.zeros(blocks_shape(count, heads, dim), dtype=dtype)
                    fill_blocks(blocks, vectors.numpy(), scales)
                    scores = Blocks.from_arrays(blocks, scales, count).score(scorer, query)
                    assert scores.shape == (5, count)
                    assert torch.allclose(scores, expected, atol=tolerance), (dtype, count)

    @pytest.mark.parametrize("heads", [1, 4])
    def test_many_vectors_meet_vectors_and_few_meet_blocks(self, heads, data, tmp_path):
        """Both ways, and the bounds between them, give what the model predicts."""
        ways = set()
        for user_heads in (MANY_VECTORS // 3 - 1, MANY_VECTORS // 3):  # IntTower has three levels of them
            model = random_model("int_tower", data, user_head=user_heads, item_head=heads, field_dim=4)
            ranker, reference = ranker_of(tmp_path / str(user_heads), model, data), Reference(model, data)
            user = reference.users[0]
            ranking = ranker.rank(user, k=20)
            assert ranking.scores == pytest.approx(reference(user, ranking.items.tolist()), abs=1e-5)
            query = torch.zeros(1, 3 * user_heads, 4)
            ways.add(ranker.state.scorer.prefers_vectors(query))
        assert ways == ({False, True} if heads > 1 else {False})

    def test_int8_uses_its_whole_range(self):
        vectors = np.array([[1.0, -4.0, 0.0, 0.0], [2.0, 0.5, 0.0, 0.0]], dtype=np.float32)
        scales = head_scales(vectors, heads=2)
        assert scales.tolist() == pytest.approx([4.0 / 127, 1.0])
        blocks = np.zeros(blocks_shape(2, 2, 2), dtype=np.int8)
        fill_blocks(blocks, vectors, scales)
        assert blocks[0, 0, :, :2].tolist() == [[32, 64], [-127, 16]]
