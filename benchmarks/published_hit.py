"""HIT as the published release computes it, on deepctr-torch's `BaseModel` and its `fit`, to compare with.

Kept from the release: the history padded to the longest and pooled from (B, L, D), one lookup a feature out of a float
matrix, dropout from torch's generator, click loss summed over the batch, l2 by a pass over every table, per-batch
scikit-learn metrics. No line is the release's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foundation.deepctr import DenseFeat
from foundation.feature_columns import FeatureColumns
from preprocessing.utils import fe_score

# After `foundation.deepctr`, which silences deepctr-torch's import.
from deepctr_torch.layers import DNN  # isort: skip
from deepctr_torch.models.basemodel import BaseModel  # isort: skip

KINDS = ("target", "non_target")
ALPHA = 0.1


class PublishedHIT(BaseModel):
    """columns: deepctr-torch columns with lists padded; `fit` takes a dict of arrays. Compile it with `self.loss`."""

    def __init__(self, columns: FeatureColumns, heads: int, field_dim: int, dropout: float):
        super().__init__([], columns.user + columns.item)
        sizes = heads, field_dim
        self.user = PublishedSide(
            columns.user, columns.user_static, self.compute_input_dim(columns.user), *sizes, dropout
        )
        self.item = PublishedSide(
            columns.item, columns.item_static, self.compute_input_dim(columns.item), *sizes, dropout
        )
        self.heads, self.field_dim = heads, field_dim

    def forward(self, x: Tensor) -> Tensor:
        sides = []
        for side in (self.user, self.item):
            sparse, dense = self.input_from_feature_columns(x, side.columns, self.embedding_dict)
            sides.append(side(sparse, dense))
        (users, self.user_mimics), (items, self.item_mimics) = sides
        self.users, self.items = users, items
        dims = [self.field_dim]
        return self.out(fe_score([users], [items], self.heads, self.heads, dims, dims).unsqueeze(1))

    def loss(self, predicted: Tensor, labels: Tensor, reduction: str) -> Tensor:
        """The click loss and alpha times the generation loss of what the last forward pass left on the model."""
        generation = 0.0
        for mimics, original in ((self.user_mimics, self.items), (self.item_mimics, self.users)):
            for kind, rows in zip(KINDS, (labels == 1, labels == 0), strict=True):
                distance = 1.0 - F.cosine_similarity(mimics[kind][rows], original.detach()[rows], dim=1)
                generation = generation + distance.mean()
        return F.binary_cross_entropy(predicted, labels, reduction=reduction) + ALPHA * generation


class PublishedSide(nn.Module):
    """Generators over the static features' embeddings, a tower over everything and the mimics, a representer."""

    def __init__(
        self, columns: list, static: tuple[str, ...], input_size: int, heads: int, field_dim: int, dropout: float
    ):
        super().__init__()
        self.columns = columns
        # The order of deepctr-torch: sparse features, then lists.
        fields = sorted((c for c in columns if not isinstance(c, DenseFeat)), key=lambda c: hasattr(c, "maxlen"))
        self.places = [place for place, column in enumerate(fields) if column.name in static]
        size = heads * field_dim
        self.generators = nn.ModuleDict(
            {
                kind: nn.Sequential(
                    nn.Linear(len(self.places) * fields[0].embedding_dim, size), nn.ReLU(), nn.Linear(size, size)
                )
                for kind in KINDS
            }
        )
        self.tower = DNN(input_size + len(KINDS) * size, (300, 300, 32), use_bn=True, dropout_rate=dropout)
        self.representer = nn.Linear(32, size, bias=False)

    def forward(self, fields: list[Tensor], dense: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """fields: (B, 1, D) each; dense: (B, 1) each -> r (B, H * d) and the mimics by kind"""
        static = torch.cat([fields[place] for place in self.places], dim=2).flatten(1).detach()
        mimics = {kind: network(static) for kind, network in self.generators.items()}
        own = torch.cat(fields, dim=2).flatten(1)
        hidden = self.tower(torch.cat([own, *dense, *(mimic.detach() for mimic in mimics.values())], dim=1))
        return self.representer(hidden), mimics
