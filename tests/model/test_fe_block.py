"""The FE-Block and `fe_score`: by hand, against loops, and with the published versions pasted in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import plain_arrays, randn, random_raw, small_model
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InputError
from model.interaction import SumOfMaxima
from model.layers.fe_block import FEBlock
from preprocessing import utils
from preprocessing.dataset import Dataset
from preprocessing.utils import fe_score


def slow_fe_score(user_levels, items, user_heads, item_heads, dims):
    """Four loops: rows, levels, user heads, item heads."""
    result = []
    for row in range(len(items)):
        score = 0.0
        for level, dim in zip(user_levels, dims, strict=True):
            for p in range(user_heads):
                user = level[row, p * dim : (p + 1) * dim]
                score += max(float((user * items[row, q * dim : (q + 1) * dim]).sum()) for q in range(item_heads))
        result.append(score)
    return result


class TestFeScore:
    def test_by_hand_with_two_levels(self):
        first, second = torch.tensor([[1.0, 0.0, 0.0, 1.0]]), torch.tensor([[-1.0, -1.0, 2.0, 0.0]])
        items = torch.tensor([[3.0, 1.0, 2.0, 5.0]])
        # Level 1: max(3, 2) + max(1, 5). Level 2: max(-4, -7) + max(6, 4).
        assert fe_score([first, second], [items], 2, 2, [2, 2], [2, 2]).tolist() == [3 + 5 - 4 + 6]

    def test_only_the_last_item_layer_counts(self):
        users, items = [randn(3, 4)], randn(3, 4, seed=1)
        noise = torch.full((3, 4), float("nan"))
        expected = fe_score(users, [items], 2, 2, [2], [2])
        assert torch.equal(fe_score(users, [noise, noise, items], 2, 2, [2], [2]), expected)

    @given(
        levels=st.integers(1, 5),
        user_heads=st.integers(1, 4),
        item_heads=st.integers(1, 4),
        dim=st.integers(1, 4),
        rows=st.integers(1, 4),
        seed=st.integers(0, 99),
    )
    def test_equals_loops_for_any_number_of_levels_and_heads(self, levels, user_heads, item_heads, dim, rows, seed):
        users = [randn(rows, user_heads * dim, seed=seed + level) for level in range(levels)]
        items, dims = randn(rows, item_heads * dim, seed=seed + 50), [dim] * levels
        expected = slow_fe_score(users, items, user_heads, item_heads, dims)
        assert fe_score(users, [items], user_heads, item_heads, dims, dims).tolist() == pytest.approx(
            expected, abs=1e-4
        )

    def test_number_of_levels_and_of_dimensions_must_agree(self):
        with pytest.raises(ValueError, match="zip"):
            fe_score([randn(1, 4)], [randn(1, 4)], 2, 2, [2, 2], [2, 2])


class TestFEBlock:
    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize(("user_heads", "item_heads"), [(1, 1), (2, 5), (4, 1)])
    def test_is_projection_then_maxsim(self, user_heads, item_heads, training):
        """Training divides the weights and evaluation the levels: the same function."""
        block = FEBlock([7, 5, 3], 3, user_heads, item_heads, field_dim=4).requires_grad_(False).train(training)
        layers, item = [randn(6, 7), randn(6, 5), randn(6, 3)], randn(6, 3, seed=1)
        pairs = zip(block.user_projections, layers, strict=True)
        levels = [p.weight @ layer.T / (3 * user_heads) for p, layer in pairs]
        expected = slow_fe_score(
            [level.T for level in levels], (block.item_projection.weight @ item.T).T, user_heads, item_heads, [4] * 3
        )
        score = SumOfMaxima(user_heads, item_heads).score_levels(block.user_levels(layers), block.item_vectors(item))
        assert score.tolist() == pytest.approx(expected, abs=1e-5)

    @pytest.mark.parametrize("heads", [1, 4, 32])
    def test_starts_and_moves_as_far_with_any_number_of_heads(self, heads):
        """A plain sum would start at up to 350 with 32 heads, and move by 46 in one step."""
        torch.manual_seed(0)
        block, interaction = FEBlock([300, 300, 128], 128, heads, heads, field_dim=64), SumOfMaxima(heads, heads)
        layers = [randn(256, size).relu() for size in (300, 300, 128)]
        step = torch.optim.Adam(block.parameters(), lr=1e-3)
        before = interaction.score_levels(block.user_levels(layers), block.item_vectors(layers[2]))
        before.sum().backward()
        step.step()
        after = interaction.score_levels(block.user_levels(layers), block.item_vectors(layers[2]))
        assert before.abs().max() < 5
        assert 0.1 < (after - before).abs().mean() < 2

    @pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
    def test_sizes_below_one_are_refused(self, sizes):
        with pytest.raises(InputError, match=r"(head \(HIT: num_heads\)|field_dim) must be at least 1\. Received: 0"):
            FEBlock([3], 3, *sizes)


# The two versions that the published README prints, as one would paste them into preprocessing/utils.py.
PUBLISHED_ALL_LEVELS = """
def fe_score(user_rep, item_rep, user_fea_col, item_fea_col, user_embedding_dim, item_embedding_dim):
  score = []
  for i in range(len(user_embedding_dim)):
    user_temp = torch.reshape(user_rep[i], (-1, user_fea_col, user_embedding_dim[i]))
    item_temp = torch.reshape(item_rep[-1], (-1, item_fea_col, item_embedding_dim[i]))
    score.append((user_temp @ item_temp.permute(0, 2, 1)).max(2).values.sum(1))
  score = torch.stack(score).transpose(1, 0)
  return torch.sum(score, 1)
"""
PUBLISHED_ACCELERATE = """
def fe_score(user_rep, item_rep, user_fea_col, item_fea_col, user_embedding_dim, item_embedding_dim):
  user_embedding, item_embedding  = user_rep[0],item_rep[0]
  user_rep = torch.reshape(user_embedding, (-1, user_fea_col, user_embedding_dim[0]))
  item_rep = torch.reshape(item_embedding, (-1, item_fea_col, item_embedding_dim[0]))

  return (user_rep @ item_rep.permute(0, 2, 1)).max(2).values.sum(1)
"""


class TestPastedFeScore:
    """What is pasted into `preprocessing/utils.py` runs there and is what IntTower scores with."""

    def paste(self, monkeypatch, source: str) -> None:
        monkeypatch.setattr(utils, "fe_score", utils.fe_score)  # puts the original back after the test
        exec(source, vars(utils))

    @pytest.fixture
    def trained(self):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        model = small_model("int_tower", dataset)
        model.fit(dataset.train, batch_size=64, epochs=2, verbose=0)
        return dataset, model

    def test_all_levels_is_what_the_project_computes(self, trained, monkeypatch):
        dataset, model = trained
        before = model.predict(dataset.test)
        self.paste(monkeypatch, PUBLISHED_ALL_LEVELS)
        np.testing.assert_allclose(model.predict(dataset.test), before, atol=1e-6)

    def test_accelerate_scores_one_level_alone(self, trained, monkeypatch):
        dataset, model = trained
        before = model.predict(dataset.test)
        self.paste(monkeypatch, PUBLISHED_ACCELERATE)
        after = model.predict(dataset.test)
        assert np.abs(after - before).max() > 1e-5
        with torch.no_grad():
            batch = dataset.test.batch(torch.arange(len(dataset.test)), model.feature_names)
            users, items = model.encode_user(batch), model.encode_item(batch)
        expected = slow_fe_score([users[:, :2].flatten(1)], items.flatten(1), 2, 3, [4])  # the first level
        logits = np.log(after / (1 - after))[:, 0] - model.interaction.bias.item()
        np.testing.assert_allclose(logits, expected, atol=1e-4)

    def test_accelerate_is_the_last_level_of_a_model_that_has_only_that(self, monkeypatch):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        model = small_model("int_tower", dataset, fe_score="last")
        before = model.predict(dataset.test)
        self.paste(monkeypatch, PUBLISHED_ACCELERATE)
        np.testing.assert_allclose(model.predict(dataset.test), before, atol=1e-6)

    @pytest.mark.parametrize("source", [PUBLISHED_ALL_LEVELS, PUBLISHED_ACCELERATE], ids=["all", "accelerate"])
    def test_trains(self, source, monkeypatch):
        self.paste(monkeypatch, source)
        dataset = Dataset.build(random_raw(), "holdout", 0)
        model = small_model("int_tower", dataset)
        history = model.fit(plain_arrays(dataset.train, model.feature_names), dataset.train.labels.numpy(), verbose=0)
        assert np.isfinite(history.history["loss"][0])
