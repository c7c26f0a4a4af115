"""The softmax along a short dimension, such as the fields of a row or the codes of a user."""

from __future__ import annotations

import torch
from torch import Tensor

import kernels


def short_softmax(scores: Tensor, dim: int) -> Tensor:
    """`plain_softmax` by element-wise operations: on CPU torch's kernel takes five times as long for a few values.

    >>> short_softmax(torch.tensor([[0.0, 0.0, 0.0, 0.0]]), dim=1).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    if not kernels.fast():
        return plain_softmax(scores, dim)
    exponentials = (scores - scores.detach().amax(dim, keepdim=True)).exp()
    return exponentials / exponentials.sum(dim, keepdim=True)


def plain_softmax(scores: Tensor, dim: int) -> Tensor:
    """y_i = exp(s_i) / sum_j exp(s_j)"""
    return torch.softmax(scores, dim)
