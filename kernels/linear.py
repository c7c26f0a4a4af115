"""Float32 products on CPU through oneDNN: for the linear maps of a training step, and for scoring."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# oneDNN's product of dense tensors, which torch's compiler uses too. A torch without it trains through `F.linear`.
_PRODUCT = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


class Linear(nn.Linear):
    """The function of `nn.Linear`.

    MKL, which torch takes for float32 products on CPU, is slower where the rows of the result do not start at multiples
    of 64 bytes, as with the 300 units of both papers' towers: on one thread by a third (`benchmarks/linear_map.py`).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_features) -> (B, out_features)"""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The function of `F.linear`; a training step of float32 matrices on CPU goes through oneDNN."""
    exporting = torch.compiler.is_exporting()  # ONNX has no word for it
    if _PRODUCT is not None and torch.is_grad_enabled() and not exporting and _is_plain_matrix(x):
        return _Product.apply(x, weight, bias)
    return F.linear(x, weight, bias)


def product(x: Tensor, weight: Tensor) -> Tensor:
    """(B, K) and (N, K) -> x weight^T (B, N) without gradient, through oneDNN where it can."""
    if _PRODUCT is not None and _is_plain_matrix(x):
        return _PRODUCT(x, weight, None, "none", [], "")
    return F.linear(x, weight)


def _is_plain_matrix(x: Tensor) -> bool:
    return x.ndim == 2 and x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _PRODUCT(x, weight, bias, "none", [], "")

    @staticmethod
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_x = _PRODUCT(gradient, weight.t(), None, "none", [], "") if ctx.needs_input_grad[0] else None
        of_weight = (x.t() @ gradient).t() if ctx.needs_input_grad[1] else None  # a tenth faster than gradient^T x
        of_bias = gradient.sum(0) if ctx.needs_input_grad[2] else None
        return of_x, of_weight, of_bias
