"""The linear map of the towers: the function and the gradients of `nn.Linear`, whichever library multiplies."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from kernels.linear import Linear

SIZES = [(1, 1), (7, 300), (300, 300), (161, 128), (64, 2048)]


def pair(inputs: int, outputs: int, bias: bool) -> tuple[Linear, nn.Linear]:
    """Ours, and torch's in float64 with the same weights."""
    torch.manual_seed(inputs + outputs)
    ours = Linear(inputs, outputs, bias=bias)
    plain = nn.Linear(inputs, outputs, bias=bias, dtype=torch.float64)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


@pytest.mark.parametrize("rows", [1, 2, 33, 2048])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("bias", [True, False])
def test_output_and_gradients_are_those_of_float64(rows, sizes, bias):
    ours, plain = pair(*sizes, bias)
    x = torch.randn(rows, sizes[0], requires_grad=True)
    exact = x.detach().double().requires_grad_()
    upstream = torch.randn(rows, sizes[1])
    ours(x).backward(upstream)
    plain(exact).backward(upstream.double())
    assert torch.allclose(ours(x), plain(exact).float(), atol=1e-5)
    assert torch.allclose(x.grad, exact.grad.float(), atol=1e-4)
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad.float(), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("change", ["strided rows", "expanded", "transposed"])
def test_any_strides(change):
    ours, plain = pair(6, 5, True)
    x = {
        "strided rows": torch.randn(8, 12)[:, ::2],
        "expanded": torch.randn(1, 6).expand(8, -1),
        "transposed": torch.randn(6, 8).t(),
    }[change]
    assert torch.allclose(ours(x), plain(x.double()).float(), atol=1e-5)
    ours(x).sum().backward()  # an upstream gradient of stride 0
    plain(x.double()).sum().backward()
    assert torch.allclose(ours.weight.grad, plain.weight.grad.float(), atol=1e-4)


def test_no_gradient_where_none_is_asked_for():
    ours = Linear(4, 3)
    ours.weight.requires_grad_(False)
    x = torch.randn(5, 4)
    ours(x).sum().backward()
    assert ours.weight.grad is None
    assert x.grad is None
    assert torch.equal(ours.bias.grad, torch.full((3,), 5.0))


def test_other_dtypes_shapes_and_autocast_are_torchs_own():
    ours, _ = pair(4, 3, True)
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(torch.randn(2, 4)).dtype == torch.bfloat16
    assert ours(torch.randn(2, 5, 4)).shape == (2, 5, 3)
    assert copy.deepcopy(ours).double()(torch.randn(2, 4).double()).dtype == torch.float64
