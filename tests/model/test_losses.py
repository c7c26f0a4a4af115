"""CIR, the contrastive interaction regularisation of IntTower."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers import randn, slow_cir
from hypothesis import given
from hypothesis import strategies as st

from model.losses import cir_loss

TAU = 0.5


@st.composite
def batches(draw):
    count = draw(st.integers(2, 12))
    ids = st.lists(st.integers(0, 3), min_size=count, max_size=count)
    labels = torch.tensor(draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)), dtype=torch.float64)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    users, items = (torch.randn(count, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    return users, items, labels, torch.tensor(draw(ids)), torch.tensor(draw(ids))


class TestByHand:
    """Users and items of length 1 in the plane, at 0 or 90 degrees, so that every cosine is 0 or 1."""

    right, up = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])

    def test_plain_batch(self):
        users, items = torch.stack([self.right, self.up]), torch.stack([3 * self.right, self.right])
        # Row 0 is liked: its item at cosine 1, row 1's at cosine 1. Row 1 is not liked and only a negative.
        loss = cir_loss(users, items, torch.tensor([1.0, 0.0]), torch.tensor([1, 2]), torch.tensor([1, 2]), TAU)
        assert loss.item() == pytest.approx(math.log(2))

    def test_cosines_and_temperature(self):
        users, items = torch.stack([self.right, self.up]), torch.stack([self.right, self.up])
        loss = cir_loss(users, items, torch.tensor([1.0, 0.0]), torch.tensor([1, 2]), torch.tensor([1, 2]), TAU)
        assert loss.item() == pytest.approx(math.log(math.exp(2) + 1) - 2)  # exp(1 / tau) of itself, exp(0) of row 1

    def test_copy_of_the_item_is_no_negative(self):
        users, items = torch.stack([self.right] * 3), torch.stack([self.right] * 3)
        labels, user_ids = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([1, 2, 3])
        three = cir_loss(users, items, labels, user_ids, torch.tensor([7, 8, 9]), TAU)
        two = cir_loss(users, items, labels, user_ids, torch.tensor([7, 7, 9]), TAU)
        one = cir_loss(users, items, labels, user_ids, torch.tensor([7, 7, 7]), TAU)
        assert [loss.exp().item() for loss in (three, two, one)] == pytest.approx([3.0, 2.0, 1.0])

    def test_second_liked_item_of_the_user_is_no_negative(self):
        users, items = torch.stack([self.right] * 3), torch.stack([self.right] * 3)
        item_ids = torch.tensor([7, 8, 9])
        apart = cir_loss(users, items, torch.tensor([1.0, 1.0, 0.0]), torch.tensor([1, 2, 3]), item_ids, TAU)
        same_user = cir_loss(users, items, torch.tensor([1.0, 1.0, 0.0]), torch.tensor([1, 1, 3]), item_ids, TAU)
        assert [loss.exp().item() for loss in (apart, same_user)] == pytest.approx([3.0, 2.0])

    def test_item_that_the_user_did_not_like_is_a_negative(self):
        users, items = torch.stack([self.right] * 2), torch.stack([self.right] * 2)
        loss = cir_loss(users, items, torch.tensor([1.0, 0.0]), torch.tensor([1, 1]), torch.tensor([7, 8]), TAU)
        assert loss.exp().item() == pytest.approx(2.0)

    def test_item_shown_to_another_user_but_liked_by_this_one_elsewhere(self):
        """Row 2 shows item 8 to user 2; user 1 likes item 8 in row 1."""
        users, items = torch.stack([self.right] * 3), torch.stack([self.right] * 3)
        labels = torch.tensor([1.0, 1.0, 0.0])
        loss = cir_loss(users, items, labels, torch.tensor([1, 1, 2]), torch.tensor([7, 8, 8]), TAU)
        assert loss.item() == pytest.approx(0.0, abs=1e-6)  # neither row of user 1 has a negative

    def test_two_rows_of_one_pair(self):
        users, items = torch.stack([self.right] * 2), torch.stack([self.right] * 2)
        for labels in ([1.0, 1.0], [1.0, 0.0]):
            loss = cir_loss(users, items, torch.tensor(labels), torch.tensor([1, 1]), torch.tensor([7, 7]), TAU)
            assert loss.item() == pytest.approx(0.0, abs=1e-6)

    def test_repeated_item_and_second_liked_item_together(self):
        # Row 0: user 1 likes 7. Row 1: user 2 saw 7. Row 2: user 1 likes 8. Row 3: user 3 likes 9.
        users = torch.stack([self.right, self.up, self.right, self.up])
        items = torch.stack([self.right, self.right, self.up, self.up])
        labels = torch.tensor([1.0, 0.0, 1.0, 1.0])
        user_ids, item_ids = torch.tensor([1, 2, 1, 3]), torch.tensor([7, 7, 8, 9])
        e = math.exp(2)
        row_0 = math.log((e + 1) / e)  # itself at 1, row 3 at 0
        row_2 = math.log((1 + 1) / 1)  # itself at 0, row 3 at 0; rows 0 and 1 show 7, which user 1 likes
        row_3 = math.log((1 + 1 + e + e) / e)  # rows 0 and 1 at 0, row 2 at 1, itself at 1
        loss = cir_loss(users, items, labels, user_ids, item_ids, TAU)
        assert loss.item() == pytest.approx((row_0 + row_2 + row_3) / 3)


class TestEqualsTwoLoops:
    @given(batch=batches(), temperature=st.sampled_from([0.05, 0.5, 2.0]))
    def test_value(self, batch, temperature):
        assert cir_loss(*batch, temperature).item() == pytest.approx(slow_cir(*batch, temperature).item(), abs=1e-8)

    @given(batch=batches(), temperature=st.sampled_from([0.1, 1.0]))
    def test_gradient(self, batch, temperature):
        gradients = []
        for loss in (cir_loss, slow_cir):
            users, items = (part.clone().requires_grad_() for part in batch[:2])
            (3.0 * loss(users, items, *batch[2:], temperature)).backward()
            gradients.append((users.grad, torch.zeros_like(items) if items.grad is None else items.grad))
        for fast, slow in zip(*gradients, strict=True):
            torch.testing.assert_close(fast, slow, atol=1e-7, rtol=1e-6)

    def test_gradient_agrees_with_finite_differences(self):
        generator = torch.Generator().manual_seed(0)
        users, items = (torch.randn(5, 3, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
        labels, user_ids, item_ids = torch.tensor([1.0, 0, 1, 1, 0]), torch.arange(5), torch.tensor([0, 0, 1, 2, 3])
        assert torch.autograd.gradcheck(lambda u, v: cir_loss(u, v, labels, user_ids, item_ids, 0.5), (users, items))


class TestAlwaysFinite:
    def loss_and_gradients(self, users, items, labels, temperature=0.05):
        users, items = users.requires_grad_(), items.requires_grad_()
        ids = torch.arange(len(labels))
        loss = cir_loss(users, items, labels, ids, ids, temperature)
        loss.backward()
        return loss, users.grad, torch.zeros_like(items) if items.grad is None else items.grad

    @pytest.mark.parametrize("scale", [0.0, 1e-20, 1.0, 1e15])
    def test_representations_of_any_length(self, scale):
        users, items = scale * torch.ones(4, 3), -scale * torch.ones(4, 3)
        values = self.loss_and_gradients(users, items, torch.ones(4))
        assert all(torch.isfinite(value).all() for value in values)

    def test_tiny_temperature(self):
        users, items = randn(6, 3), randn(6, 3, seed=1)
        values = self.loss_and_gradients(users, items, torch.ones(6), temperature=1e-4)
        assert all(torch.isfinite(value).all() for value in values)

    def test_no_positive_is_zero_and_has_a_gradient(self):
        loss, users, _ = self.loss_and_gradients(randn(4, 3), randn(4, 3, seed=1), torch.zeros(4))
        assert loss.item() == 0.0
        assert not users.any()

    def test_single_positive_without_negatives_is_zero(self):
        loss, users, items = self.loss_and_gradients(randn(1, 3), randn(1, 3, seed=1), torch.ones(1))
        assert loss.item() == pytest.approx(0.0, abs=1e-6)
        assert not users.any()
        assert not items.any()


class TestInvariance:
    def test_order_of_rows_does_not_count(self):
        rng = np.random.default_rng(0)
        users, items = randn(20, 4).double(), randn(20, 4, seed=1).double()
        labels = torch.tensor(rng.integers(0, 2, 20), dtype=torch.float64)
        user_ids, item_ids = (torch.tensor(rng.integers(0, 6, 20)) for _ in range(2))
        order = torch.tensor(rng.permutation(20))
        before = cir_loss(users, items, labels, user_ids, item_ids, 0.1)
        after = cir_loss(users[order], items[order], labels[order], user_ids[order], item_ids[order], 0.1)
        assert after.item() == pytest.approx(before.item())

    def test_names_of_users_and_items_do_not_count(self):
        users, items, labels = randn(6, 4), randn(6, 4, seed=1), torch.tensor([1.0, 0, 1, 1, 0, 1])
        user_ids, item_ids = torch.tensor([0, 0, 1, 2, 2, 0]), torch.tensor([0, 1, 2, 2, 3, 1])
        before = cir_loss(users, items, labels, user_ids, item_ids, 0.1)
        after = cir_loss(users, items, labels, 1_000_000 - 7 * user_ids, 500 + 3 * item_ids.int(), 0.1)
        assert before.item() == after.item()

    def test_input_is_not_changed(self):
        parts = (randn(4, 3), randn(4, 3, seed=1), torch.ones(4), torch.arange(4), torch.arange(4))
        copies = [part.clone() for part in parts]
        cir_loss(*parts, 0.1)
        assert all(torch.equal(part, copy) for part, copy in zip(parts, copies, strict=True))
