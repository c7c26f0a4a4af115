"""Float32 products on CPU through oneDNN: for the linear maps of a training step, and for scoring."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import kernels

# oneDNN's product of dense tensors, which torch's compiler uses too. A torch without it takes `F.linear`.
AVAILABLE = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class Linear(nn.Linear):
    """`nn.Linear` through `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_features) -> (B, out_features)"""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`plain_linear`; a training step of float32 matrices on CPU goes through oneDNN.

    MKL, which torch takes for float32 products on CPU, is slower where the rows of the result do not start at multiples
    of 64 bytes, as with the 300 units of both papers' towers: on one thread by a third (`benchmarks/linear_map.py`).
    """
    if torch.is_grad_enabled() and _through_onednn(x):
        return _Linear.apply(x, weight, bias)
    return plain_linear(x, weight, bias)


def product(x: Tensor, weight: Tensor) -> Tensor:
    """`plain_linear` without bias and gradient, through oneDNN where it can. (B, K) and (N, K) -> (B, N)"""
    return _onednn(x, weight) if _through_onednn(x) else plain_linear(x, weight)


def plain_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x W^T + b"""
    return F.linear(x, weight, bias)


def _through_onednn(x: Tensor) -> bool:
    matrix = x.ndim == 2 and x.device.type == "cpu" and x.dtype == torch.float32
    return AVAILABLE and matrix and not torch.is_autocast_enabled("cpu") and kernels.fast()


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight, bias)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_x = _onednn(gradient, weight.t()) if ctx.needs_input_grad[0] else None
        of_weight = (x.t() @ gradient).t() if ctx.needs_input_grad[1] else None  # a tenth faster than gradient^T x
        of_bias = gradient.sum(0) if ctx.needs_input_grad[2] else None
        return of_x, of_weight, of_bias
