"""The fast ways to score users with items equal the interaction's own `forward`."""

from __future__ import annotations

import pytest
import torch
from helpers import randn
from serving_helpers import TWO_TOWERS, dataset, random_model

from model.all_pairs import all_pairs
from model.interaction import CosineOfMixture
from model.scorer import make_scorer


@pytest.fixture(scope="module")
def data():
    return dataset()


@pytest.mark.parametrize("chunk_bytes", [1 << 9, 1 << 20], ids=["chunks", "chunk"])
@pytest.mark.parametrize("users", [1, 12], ids=["one user", "users"])
@pytest.mark.parametrize("name", TWO_TOWERS)
def test_vectors_score_as_forward_does(name, users, chunk_bytes, data, monkeypatch):
    monkeypatch.setattr("model.scorer.CHUNK_BYTES", chunk_bytes)
    model = random_model(name, data)
    batch = data.test.batch(torch.arange(users), model.feature_names)
    with torch.inference_mode():
        encoded, (_, heads, dim) = model.encode_user(batch), model.encode_item(batch).shape
        items = randn(50, heads, dim)
        scorer = make_scorer(model.interaction, encoded[:8], items[:8])
        assert not scorer.is_plain
        query, expected = scorer.query(encoded), all_pairs(model.interaction, encoded, items)
        assert torch.allclose(scorer.score_vectors(query, items.flatten(1)), expected, atol=1e-4)
        assert torch.allclose(scorer.score_items(query, items.flatten(1)), expected, atol=1e-4)


def test_an_interaction_of_its_own_is_scored_by_forward():
    users, items = randn(3, 2, 4), randn(20, 1, 4, seed=1)
    interaction = CosineOfMixture()
    with torch.inference_mode():
        scorer = make_scorer(interaction, users, items[:8])
        assert scorer.is_plain
        logits = scorer.score_items(scorer.query(users), items.flatten(1))
        assert torch.allclose(logits, all_pairs(interaction, users, items), atol=1e-6)
