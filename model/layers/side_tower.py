"""One side of a two-tower model: the embeddings of its features and the tower over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from foundation.feature_columns import Column
from foundation.features import Features
from model.layers.embedding import FeatureEmbedding, flatten
from model.layers.mixed_embedding import embedding_of
from model.layers.tower import Tower


class SideTower(nn.Module):
    """The flattened fields, the dense features and any extra vectors through a `Tower`: h^L.

    extra_size: length of the extra vectors together, for models that add something to a tower's input.
    linear_output, activation, std, bias: see `Tower`.
    """

    def __init__(
        self,
        columns: list[Column],
        hidden_units: Sequence[int],
        dropout: float = 0.0,
        use_bn: bool = True,
        init_std: float = 1e-4,
        extra_size: int = 0,
        linear_output: bool = False,
        activation: str | type[nn.Module] = "relu",
        std: float | None = None,
        bias: bool = False,
    ):
        super().__init__()
        self.embedding = embedding_of(columns, init_std)
        size = self.embedding.output_size + extra_size
        self.tower = Tower(size, hidden_units, dropout, use_bn, linear_output, activation, std, bias)

    @property
    def output_size(self) -> int:
        """Size of h^L."""
        return self.tower.sizes[-1]

    def forward(self, features: Features, *extra: Tensor) -> Tensor:
        """extra: tensors (B, size). -> h^L (B, output_size)"""
        return self.join(*self.embedding(features), *extra)

    def join(self, fields: Tensor, dense: Tensor, *extra: Tensor) -> Tensor:
        """The same from embeddings looked up before, and (B, size) each. -> (B, output_size)"""
        return self.tower(flatten(fields, dense, *extra))[-1]


class VectorsTower(nn.Module):
    """K vectors pooled from the fields, each with the dense features through one shared `Tower`: K representations.

    They are divided by the square root of their size d, as in scaled dot-product attention: the products with an item's
    vector, both behind a ReLU, would start at tens, and the first epoch would go into undoing that (`docs/tuning.md`).
    """

    def __init__(
        self,
        columns: list[Column],
        hidden_units: Sequence[int],
        dropout: float = 0.0,
        use_bn: bool = True,
        init_std: float = 1e-4,
        activation: str | type[nn.Module] = "relu",
        std: float | None = None,
        bias: bool = False,
    ):
        super().__init__()
        self.embedding = FeatureEmbedding(columns, init_std)
        size = self.embedding.dim + self.embedding.dense_size
        self.tower = Tower(size, hidden_units, dropout, use_bn, activation=activation, std=std, bias=bias)
        # In the file of weights, so that one without it, which means other logits, is not taken for one of these.
        self.register_buffer("divisor", torch.tensor(float(hidden_units[-1]) ** 0.5))

    def forward(self, features: Features, pool: Callable[[Tensor], Tensor]) -> Tensor:
        """pool: fields (B, F, D) -> (B, K, D). -> (B, K, d)"""
        fields, dense = self.embedding(features)
        vectors = pool(fields)  # (B, K, D)
        shape = vectors.shape[:2]
        dense = dense.unsqueeze(1).expand(*shape, -1)  # (B, K, dense)
        vectors = self.tower(torch.cat([vectors, dense], dim=2).flatten(0, 1))[-1]  # (B * K, d)
        return vectors.unflatten(0, shape) / self.divisor
