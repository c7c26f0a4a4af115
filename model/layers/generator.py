"""Generators of mimic vectors: the early interaction of HIT (section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foundation.errors import InputError
from model.layers.embedding import EmbeddedColumns
from model.layers.tower import start_maps


class Generators(nn.Module):
    """The target and non-target generators of one side, over the embeddings of its static features.

        g = W_2 ReLU(W_1 detach(E_static) + b_1) + b_2            (B, output_size), one pair of layers a generator

    Dense features among the static ones stand behind the embeddings, as in a tower's input.

    The embeddings are detached, so that no loss of a generator reaches them. The last layer has no ReLU, since what it
    imitates has both signs; relu_output gives it one, as released.

    kinds: which generators there are, of "target" and "non_target".
    std: as of `Tower`.
    static: names of the static features; None for all sparse ones. Raises `InputError` for a name that is none of them.
    """

    places: Tensor  # of the static fields among all
    values: Tensor  # of the static dense values

    def __init__(
        self,
        embedding: EmbeddedColumns,
        kinds: list[str],
        static: tuple[str, ...] | None,
        output_size: int,
        relu_output: bool = False,
        std: float | None = None,
    ):
        super().__init__()
        names = [column.name for column in embedding.fields]
        dense = [column.name for column in embedding.dense for _ in range(column.dimension)]  # the order of the values
        chosen = [column.name for column in embedding.sparse] if static is None else list(static)
        unknown = [name for name in chosen if name not in names + dense]
        if unknown or not chosen:
            raise InputError(
                f"Static features must be features of their side: {', '.join(dict.fromkeys(names + dense))}. "
                f"Received: {', '.join(map(repr, unknown)) or 'none'}."
            )
        places = [names.index(name) for name in chosen if name in names]
        self.register_buffer("places", torch.tensor(places, dtype=torch.int64), persistent=False)
        values = [place for place, name in enumerate(dense) if name in chosen]
        self.register_buffer("values", torch.tensor(values, dtype=torch.int64), persistent=False)
        size = sum(embedding.fields[place].embedding_dim for place in places) + len(values)
        self.output_size = len(kinds) * output_size
        last = [nn.ReLU()] if relu_output else []
        self.networks = nn.ModuleDict(
            {
                kind: nn.Sequential(nn.Linear(size, output_size), nn.ReLU(), nn.Linear(output_size, output_size), *last)
                for kind in kinds
            }
        )
        start_maps(self.networks, std)

    def forward(self, fields: Tensor, dense: Tensor) -> dict[str, Tensor]:
        """fields (B, F, D), dense (B, dense) -> a mimic vector (B, output_size) for each kind"""
        static = fields.detach().index_select(1, self.places).flatten(1)  # (B, static features * D)
        if len(self.values):
            static = torch.cat([static, dense.detach().index_select(1, self.values)], dim=1)
        return {kind: network(static) for kind, network in self.networks.items()}
