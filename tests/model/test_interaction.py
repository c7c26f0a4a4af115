"""Interactions by hand: what they make of aligned rows, of the products of all pairs, and of wrong shapes."""

from __future__ import annotations

import pytest
import torch
from helpers import randn
from own_models import DistantHeads
from zoo import TWO_TOWERS, batch_of, build, columns_of

from foundation.errors import InputError
from model.interaction import GatedKernels, InnerProduct, SoftmaxOverCodes, SumOfMaxima, chosen_levels
from model.layers.attention import KernelAttention

USERS = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
ITEMS = torch.tensor([[[3.0, 1.0], [2.0, 5.0]]])


class TestByHand:
    """One row; users (1, 0) and (0, 1)."""

    def with_bias(self, interaction):
        interaction.bias.data.fill_(0.25)
        return interaction.requires_grad_(False)

    def test_inner_product(self):
        score = self.with_bias(InnerProduct(3.0))
        assert score(torch.tensor([[[0.6, 0.8]]]), torch.tensor([[[1.0, 0.5]]])).item() == pytest.approx(3.25)

    def test_sum_of_maxima(self):
        assert self.with_bias(SumOfMaxima(2, 2))(USERS, ITEMS).item() == 3 + 5 + 0.25

    def test_softmax_over_codes(self):
        """Products 3 and 1, weighed by the softmax of themselves."""
        share = 1 / (1 + torch.tensor(-2.0).exp())
        expected = share * 3 + (1 - share) * 1 + 0.25
        assert self.with_bias(SoftmaxOverCodes())(USERS, ITEMS[:, :1]).item() == pytest.approx(expected.item())

    def test_gated_kernels(self):
        """Kernels whose products with the item are 4 and 4: the mean of 3 and 1."""
        attention = KernelAttention(kernels=2, size=2, dim=3).requires_grad_(False)
        attention.kernels.copy_(torch.tensor([[1.0, 1.0], [0.0, 4.0]]))
        assert self.with_bias(GatedKernels(attention))(USERS, ITEMS[:, :1]).item() == pytest.approx(2.25)


class TestInnerProduct:
    def test_fixed_gamma_is_not_trained(self):
        assert [name for name, _ in InnerProduct(3.0).named_parameters()] == ["bias"]
        assert "log_gamma" in dict(InnerProduct("learned").named_parameters())

    def test_learned_gamma_starts_at_one(self):
        users, items = torch.tensor([[[0.6, 0.8]]]), torch.tensor([[[1.0, 0.0]]])
        assert InnerProduct("learned")(users, items).item() == pytest.approx(0.6)

    def test_published_gamma_bounds_the_probability(self):
        ends = torch.sigmoid(InnerProduct(1)(torch.tensor([[[1.0]], [[-1.0]]]), torch.ones(2, 1, 1)))
        assert ends.tolist() == pytest.approx([0.731, 0.269], abs=1e-3)

    @pytest.mark.parametrize("shape", [(3, 4), (3, 2, 4)])
    def test_several_vectors_or_none_are_refused(self, shape):
        """(3, 4) is one vector a row without the axis; it would broadcast to another score."""
        with pytest.raises(InputError, match=rf"one vector a row from encode_item.*{shape[0]}, {shape[1]}"):
            InnerProduct()(randn(3, 1, 4), randn(*shape))


class TestSumOfMaxima:
    def test_levels_in_parts_score_as_joined_ones(self):
        interaction, users, items = SumOfMaxima(2, 3, num_levels=3), randn(5, 6, 4), randn(5, 3, 4, seed=1)
        parts = [users[:, :2], users[:, 2:4], users[:, 4:]]
        torch.testing.assert_close(interaction.score_levels(parts, items), interaction(users, items))

    @pytest.mark.parametrize(("levels", "vectors"), [(None, [0, 1, 2, 3]), ("last", [2, 3]), ([2, 1], [2, 3, 0, 1])])
    def test_levels_choose_vectors(self, levels, vectors):
        interaction, users = SumOfMaxima(2, 3, num_levels=2), randn(5, 4, 3)
        assert torch.equal(interaction.choose(users, levels), users[:, vectors])
        names = [f"level {vector // 2 + 1}, head {vector % 2 + 1}" for vector in vectors]
        assert interaction.names(len(vectors), levels) == names

    def test_without_levels_there_are_heads(self):
        assert SumOfMaxima(2, 3).names(2, None) == ["head 1", "head 2"]
        with pytest.raises(InputError, match="Only IntTower has levels"):
            SumOfMaxima(2, 3).choose(randn(5, 2, 3), "last")

    @pytest.mark.parametrize(("users", "items"), [((5, 3, 4), (5, 3, 4)), ((5, 2, 4), (5, 2, 4)), ((5, 8), (5, 3, 4))])
    def test_other_numbers_of_heads_are_refused(self, users, items):
        with pytest.raises(InputError, match=r"2 user heads \(a level\) and 3 item heads were announced"):
            SumOfMaxima(2, 3)(randn(*users), randn(*items))

    def test_is_a_product_where_there_is_no_maximum_to_take(self):
        assert SumOfMaxima(3, 1).is_product
        assert not SumOfMaxima(1, 3).is_product


def test_the_gate_reads_the_kernels_of_the_model_and_has_none_of_its_own(data):
    model = build("mvke", columns_of(data))
    assert model.interaction.kernels is model.attention.kernels
    assert [name for name in model.state_dict() if "kernels" in name] == ["attention.kernels"]


@pytest.mark.parametrize("name", TWO_TOWERS)
def test_vectors_in_parts_score_as_the_model_does(name, data):
    model = build(name, columns_of(data)).eval()
    features = batch_of(model, data.test)
    users, items = model.encode_user(features), model.encode_item(features)
    heads = getattr(model.interaction, "user_heads", 1)
    parts = list(users.split(heads, dim=1))
    torch.testing.assert_close(model.interaction.score_levels(parts, items), model(features))


def test_an_interaction_of_ones_own_needs_forward_alone(data):
    columns = columns_of(data)
    model = DistantHeads(columns.user, columns.item)
    features = batch_of(model.eval().requires_grad_(False), data.test)
    expected = [
        -sum(min(float((u - v).norm()) for v in item) for u in user)
        for user, item in zip(model.encode_user(features), model.encode_item(features), strict=True)
    ]
    assert model(features).tolist() == pytest.approx(expected, abs=1e-4)
    assert model.predict_logits(data.test, 7).tolist() == pytest.approx(expected, abs=1e-4)


def test_all_levels_by_any_name():
    assert chosen_levels(None, 3) == chosen_levels("all", 3) == chosen_levels([1, 2, 3], 3) == [0, 1, 2]


@pytest.mark.parametrize("name", TWO_TOWERS)
def test_weights_by_their_earlier_names_are_read(name, data):
    model = build(name, columns_of(data))
    weights = model.state_dict()
    del weights["interaction.bias"]
    model.load_state_dict({**weights, "cosine.bias" if name in ("dssm", "dat") else "bias": torch.tensor(0.5)})
    assert model.interaction.bias == 0.5
