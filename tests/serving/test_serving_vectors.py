"""Vectors for another index: their products rank as the ranker does, and models without such vectors have none."""

from __future__ import annotations

import re
from pathlib import Path

import faiss
import numpy as np
import pytest
from serving_helpers import dataset, random_model, ranker_of

from foundation.errors import InputError
from preprocessing import utils
from serving.ranker import PreRanker

DOCS = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
ONE_VECTOR = {
    "dssm": ("dssm", {}),
    "dat": ("dat", {}),
    "int_tower": ("int_tower", {"user_head": 1, "item_head": 1}),
    "int_tower, 3 user heads": ("int_tower", {"user_head": 3, "item_head": 1}),
    "hit": ("hit", {"num_heads": 1}),
}
USERS = [100 + 7 * user for user in range(12)]


@pytest.fixture(scope="module")
def data():
    return dataset("published", rows=3000, users=12, items=400)


@pytest.fixture(scope="module")
def rankers(data, tmp_path_factory) -> dict[str, PreRanker]:
    return {
        title: ranker_of(tmp_path_factory.mktemp("run"), random_model(name, data, **arguments), data)
        for title, (name, arguments) in ONE_VECTOR.items()
    }


def assert_ranks_as(ranker: PreRanker, users: np.ndarray, **asked) -> None:
    """users: (12, d), of `USERS`."""
    ids, vectors = ranker.item_vectors()
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    products, places = index.search(users, 50)
    bias = float(ranker.state.scorer.bias)
    for items, logits, ranking in zip(ids[places], products, ranker.rank(USERS, k=50, **asked), strict=True):
        assert items.tolist() == ranking.items.tolist()
        assert logits + bias == pytest.approx(ranking.logits, abs=1e-4)


@pytest.mark.parametrize("title", ONE_VECTOR)
class TestProducts:
    def test_rank_in_faiss_as_in_the_ranker(self, title, rankers):
        assert_ranks_as(rankers[title], rankers[title].user_vectors(USERS))

    def test_a_user_alone_or_by_features_is_a_row(self, title, rankers):
        ranker = rankers[title]
        vectors = ranker.user_vectors(USERS)
        assert vectors.dtype == np.float32
        for user in (107, {"user_id": 107}):
            alone = ranker.user_vectors(user)
            assert alone.shape == (1, vectors.shape[1])
            assert alone[0] == pytest.approx(vectors[1], abs=1e-6)

    def test_vectors_follow_changes_of_items(self, title, data, tmp_path):
        name, arguments = ONE_VECTOR[title]
        ranker = ranker_of(tmp_path, random_model(name, data, **arguments), data)
        reader = PreRanker.load(tmp_path)
        ids = ranker.item_vectors()[0].tolist()
        best = ranker.rank(107, k=3).items.tolist()
        ranker.delete(best[:1])
        ranker.upsert([{"movie_id": 9000, "price": 12.0, "genres": ["War"]}, {"movie_id": best[1], "price": -4.0}])
        assert sorted(reader.item_vectors()[0].tolist()) == sorted({*ids, 9000} - {best[0]})
        assert_ranks_as(reader, reader.user_vectors(USERS))

    def test_item_vectors_are_copies(self, title, rankers):
        ranker = rankers[title]
        before = ranker.rank(107, k=9)
        ranker.item_vectors()[1][...] = 0
        assert ranker.rank(107, k=9).logits.tolist() == before.logits.tolist()


def test_chosen_levels_make_other_vectors(rankers):
    ranker = rankers["int_tower"]
    last = ranker.user_vectors(USERS, levels="last")
    assert not np.allclose(last, ranker.user_vectors(USERS))
    assert_ranks_as(ranker, last, levels="last")


def test_many_users_are_encoded_in_parts(rankers, monkeypatch):
    expected = rankers["dssm"].user_vectors(USERS)
    monkeypatch.setattr("serving.ranker.ENCODE_ROWS", 5)
    assert rankers["dssm"].user_vectors(USERS) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["int_tower", "hit", "mvke", "poly_encoder"])
def test_models_whose_score_is_no_product_have_no_vectors(name, data, tmp_path):
    ranker = ranker_of(tmp_path, random_model(name, data), data)
    said = {"int_tower": "IntTower with 3 item heads", "hit": "HIT with 3 item heads"}.get(name, "")
    for ask in (lambda: ranker.user_vectors(USERS), ranker.item_vectors):
        with pytest.raises(InputError, match=rf"The score of this {said}(?s:.*) Use PreRanker.rank, or scorer.onnx"):
            ask()


def test_nor_has_one_with_an_edited_score(data, tmp_path, monkeypatch):
    monkeypatch.setattr(utils, "fe_score", lambda users, items, *sizes: users[-1].sum(1) * items[-1].sum(1))
    ranker = ranker_of(tmp_path, random_model("hit", data, num_heads=1), data)
    with pytest.raises(InputError, match="of a forward alone or an edited fe_score, is no product"):
        ranker.user_vectors(USERS)


def test_unknown_user(rankers):
    with pytest.raises(InputError, match="Unknown user 99"):
        rankers["dssm"].user_vectors([107, 99])


def test_the_snippet_of_the_documentation(rankers):
    section = DOCS.read_text().split("## To another index")[1]
    _, snippet = re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], flags=re.DOTALL)
    snippet = snippet.replace("[42, 43]", "[100, 107]")
    found = {"ranker": rankers["hit"]}
    exec(snippet, found)
    for items, scores, ranking in zip(found["items"], found["scores"], rankers["hit"].rank([100, 107]), strict=True):
        assert items.tolist() == ranking.items.tolist()
        assert scores == pytest.approx(ranking.scores, abs=1e-5)
