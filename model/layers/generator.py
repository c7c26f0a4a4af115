"""Generators of mimic vectors: the early interaction of HIT (section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.layers.embedding import FeatureEmbedding
from preprocessing.errors import InputError


class Generators(nn.Module):
    """The target and non-target generators of one side, over the embeddings of its static features.

        g = W_2 ReLU(W_1 detach(E_static) + b_1) + b_2            (B, output_size), one pair of layers a generator

    The embeddings are detached, so that no loss of a generator reaches them. The last layer has no ReLU, since what it
    imitates has both signs.

    kinds: which generators there are, of "target" and "non_target".
    static: names of the static features; None for all sparse ones. Raises `InputError` for a name without a table.
    """

    def __init__(self, embedding: FeatureEmbedding, kinds: list[str], static: tuple[str, ...] | None, output_size: int):
        super().__init__()
        names = [column.name for column in embedding.sparse + embedding.lists]  # the order of the fields
        chosen = [column.name for column in embedding.sparse] if static is None else list(static)
        unknown = [name for name in chosen if name not in names]
        if unknown or not chosen:
            raise InputError(
                f"Static features must be sparse or list features of their side: {', '.join(names)}. "
                f"Received: {', '.join(map(repr, unknown)) or 'none'}."
            )
        places = torch.tensor([names.index(name) for name in chosen])
        self.register_buffer("places", places, persistent=False)
        self.output_size = len(kinds) * output_size
        self.networks = nn.ModuleDict(
            {
                kind: nn.Sequential(
                    nn.Linear(len(chosen) * embedding.dim, output_size),
                    nn.ReLU(),
                    nn.Linear(output_size, output_size),
                )
                for kind in kinds
            }
        )

    def forward(self, fields: Tensor) -> dict[str, Tensor]:
        """fields (B, F, D) -> a mimic vector (B, output_size) for each kind"""
        static = fields.detach().index_select(1, self.places).flatten(1)  # (B, static features * D)
        return {kind: network(static) for kind, network in self.networks.items()}
