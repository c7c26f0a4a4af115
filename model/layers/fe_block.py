"""FE-Block: heads of every user layer, and of the last item layer, which meet in MaxSim (IntTower, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from foundation.values import as_count
from kernels.linear import Linear, linear


class FEBlock(nn.Module):
    """M_u^i = reshape(P_i h_u^i) / (L * H_u),  M_v = reshape(Q h_v^L), what `SumOfMaxima` makes logits of.

    The paper's P_i is P_i / (L * H_u) here, the same function with a sum of L * H_u maxima that starts and learns like
    their mean. Without the divisor a step of Adam, which moves every weight by the learning rate, moves the logits by
    several units with 4 heads and by tens with 32, and the first epoch goes into undoing that (`docs/tuning.md`).

    user_sizes: size of each of the L user representations; item_size: of the item representation.
    user_heads, item_heads: H_u and H_v; field_dim: d.
    bias: whether P_i and Q have biases. summed: leaves the division out, as released.
    """

    user_vectors: Tensor  # (), L * H_u

    def __init__(
        self,
        user_sizes: list[int],
        item_size: int,
        user_heads: int,
        item_heads: int,
        field_dim: int,
        bias: bool = False,
        summed: bool = False,
    ):
        super().__init__()
        user_heads = self.user_heads = as_count("user_head (HIT: num_heads)", user_heads, least=1)
        item_heads = self.item_heads = as_count("item_head (HIT: num_heads)", item_heads, least=1)
        field_dim = self.field_dim = as_count("field_dim", field_dim, least=1)
        self.user_projections = nn.ModuleList(Linear(size, user_heads * field_dim, bias=bias) for size in user_sizes)
        self.item_projection = Linear(item_size, item_heads * field_dim, bias=bias)
        self.summed = summed
        # In the file of weights, so that one without it, which means other logits, is not taken for one of these.
        self.register_buffer("user_vectors", torch.tensor(float(len(user_sizes) * user_heads)))

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, metadata: Any, strict: bool, *lists: list[str]
    ) -> None:
        """Refuses weights of another number of heads: 2 of 16 numbers and 4 of 8 have the same shapes.

        lists: names of missing and of unexpected weights, and what is wrong with others.
        """
        loaded, own = state_dict.get(f"{prefix}user_vectors"), self.user_vectors.item()
        if loaded is not None and loaded.item() != own:
            lists[-1].append(
                f"{prefix}user_vectors: weights of {loaded:.0f} user vectors (levels x heads), not of {own:.0f}."
            )
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, *lists)

    def user_levels(self, layers: list[Tensor]) -> list[Tensor]:
        """L tensors (B, size_i) -> L tensors M_u^i, each (B, H_u, d)."""
        modules = [module for module in self.user_projections if isinstance(module, Linear)]
        pairs = zip(modules, layers, strict=True)
        if self.summed:
            levels = [project(layer) for project, layer in pairs]
        elif self.training:  # divide what is smaller: the weights beside a batch, one request's row beside the weights
            levels = [linear(layer, *self._divided(project)) for project, layer in pairs]
        else:
            levels = [project(layer) / self.user_vectors for project, layer in pairs]
        return [level.unflatten(1, (self.user_heads, self.field_dim)) for level in levels]

    def _divided(self, project: Linear) -> list[Tensor]:
        """Weights and, where there are some, biases, divided by L * H_u."""
        return [part / self.user_vectors for part in (project.weight, project.bias) if part is not None]

    def item_vectors(self, layer: Tensor) -> Tensor:
        """(B, size) -> M_v (B, H_v, d)"""
        return self.item_projection(layer).unflatten(1, (self.item_heads, self.field_dim))
