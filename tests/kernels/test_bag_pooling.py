"""Pooling over lists against a loop, and its gradients against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers import as_bags, as_padded
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import kernels
from kernels.bag_pooling import pool_lists

MODES = ("mean", "sum", "max")


def table() -> Tensor:
    return torch.randn(12, 5, generator=torch.Generator().manual_seed(0))


def slow(lists: list[list[int]], weight: Tensor, start: int, mode: str) -> Tensor:
    rows = []
    for entry in lists:
        known = [weight[start + value] for value in entry if value]
        if not known:
            rows.append(torch.zeros(weight.shape[1]))
        elif mode == "max":
            rows.append(torch.stack(known).max(dim=0).values)
        else:
            rows.append(sum(known) / (len(known) if mode == "mean" else 1))
    return torch.stack(rows)


lists_of_ids = st.lists(st.lists(st.integers(0, 8), max_size=6), min_size=1, max_size=6)


@pytest.mark.parametrize("choice", kernels.CHOICES)
@pytest.mark.parametrize("mode", MODES)
@given(lists=lists_of_ids)
def test_equals_a_loop(mode, choice, lists):
    expected = slow(lists, table(), 3, mode)
    for ids in (as_bags(lists), as_padded(lists)):
        with kernels.use(choice):
            assert torch.allclose(pool_lists(ids, table(), 3, mode), expected, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@given(lists=lists_of_ids)
def test_gradients_equal_torchs(mode, lists):
    ours, theirs = table().requires_grad_(), table().requires_grad_()
    ids = as_padded(lists)
    towards = torch.randn(len(lists), 5, generator=torch.Generator().manual_seed(1))
    pool_lists(as_bags(lists), ours, 3, mode).backward(towards)
    F.embedding_bag(ids + 3, theirs, mode=mode, padding_idx=3).backward(towards)
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


def test_padding_gets_no_gradient():
    weight = table().requires_grad_()
    pool_lists(torch.tensor([[1, 0, 2], [0, 0, 0]]), weight, 0, "mean").sum().backward()
    assert weight.grad.abs().sum(dim=1).nonzero().flatten().tolist() == [1, 2]
