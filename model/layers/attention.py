"""Attention over the fields of one row: pooling by learned queries, and AutoInt's interacting layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foundation.errors import InputError
from kernels.short_softmax import short_softmax


def attend(queries: Tensor, keys: Tensor, values: Tensor, scale: float = 1.0) -> Tensor:
    """y_k = sum over f of softmax_f(scale <q_k, key_f>) value_f, for each row on its own.

    queries: (K, D), the same for all rows; keys: (B, F, D); values: (B, F, E). Returns (B, K, E).

    A query without a direction takes the mean of the fields:

    >>> fields = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> attend(torch.tensor([[0.0, 0.0]]), fields, fields).tolist()
    [[[0.5, 0.5]]]
    """
    weights = short_softmax(scale * (keys @ queries.T), dim=1)  # (B, F, K)
    return weights.transpose(1, 2) @ values


class CodeAttention(nn.Module):
    """y_i = sum over f of softmax_f(<c_i, e_f>) e_f for m learned codes c_i (Poly-encoder, section 4.3)."""

    def __init__(self, codes: int, dim: int):
        super().__init__()
        self.codes = nn.Parameter(torch.randn(codes, dim))

    def forward(self, fields: Tensor) -> Tensor:
        """(B, F, D) -> (B, m, D)"""
        return attend(self.codes, fields, fields)


class KernelAttention(nn.Module):
    """y_k = sum over f of softmax_f(<W_Q c_k, W_K e_f> / sqrt(D)) W_V e_f for K virtual kernels c_k (MVKE).

    size: length of a kernel.
    """

    def __init__(self, kernels: int, size: int, dim: int):
        super().__init__()
        self.kernels = nn.Parameter(torch.randn(kernels, size) * size**-0.5)
        self.query = nn.Linear(size, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)

    def forward(self, fields: Tensor) -> Tensor:
        """(B, F, D) -> (B, K, D)"""
        return attend(self.query(self.kernels), self.key(fields), self.value(fields), fields.shape[2] ** -0.5)


class InteractingLayer(nn.Module):
    """Multi-head self-attention over the fields of a row (AutoInt, section 4.3).

        head h:  y_f = sum over g of softmax_g(<W_Q e_f, W_K e_g>) W_V e_g,    output = ReLU(heads joined + W_R e_f)

    The same function as deepctr-torch's layer of this name with one matrix product for the four maps; that one also
    keeps its attention weights on `self`.

    residual: whether W_R e_f is added.
    """

    def __init__(self, dim: int, heads: int = 2, residual: bool = True):
        super().__init__()
        if heads < 1 or dim % heads:
            raise InputError(f"att_head_num must divide embedding_dim={dim}. Received: {heads}.")
        self.heads, self.maps = heads, 4 if residual else 3
        self.weight = nn.Parameter(torch.empty(dim, self.maps * dim).normal_(std=0.05))  # W_Q, W_K, W_V, W_R

    def forward(self, fields: Tensor) -> Tensor:
        """(B, F, D) -> (B, F, D)"""
        query, key, value, *residual = (fields @ self.weight).chunk(self.maps, dim=2)  # each (B, F, D)
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        weights = short_softmax(query @ key.transpose(2, 3), dim=3)  # (B, heads, F, F)
        joined = (weights @ value).transpose(1, 2).flatten(2)  # (B, F, D)
        return torch.relu(joined + residual[0] if residual else joined)
