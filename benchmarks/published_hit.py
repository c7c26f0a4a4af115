"""HIT as the published release computes it, on deepctr-torch's `BaseModel` and its `fit`, to compare with.

Kept from the release: the history padded to the longest and pooled from (B, L, D) out of a table of its own, one lookup
a feature out of a float matrix, those of the generators' features again, dropout from torch's generator, click loss
summed over the batch, l2 by a pass over every table, per-batch scikit-learn metrics. Left out: Light-SE, which the
release makes and does not use, and its gradient scaler. No line is the release's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.published_int_tower import sum_of_max_sim
from foundation.feature_columns import Column, FeatureColumns

# After `foundation.deepctr`, which silences deepctr-torch's import.
from deepctr_torch.inputs import combined_dnn_input  # isort: skip
from deepctr_torch.layers import DNN  # isort: skip
from deepctr_torch.models.basemodel import BaseModel  # isort: skip

KINDS = ("target", "non_target")
ALPHA = 0.1
HIDDEN = (300, 300, 32)


class PublishedHIT(BaseModel):
    """columns: deepctr-torch columns with lists padded; `fit` takes a dict of arrays. Compile it with `self.loss`."""

    def __init__(self, columns: FeatureColumns, heads: int, field_dim: int, dropout: float):
        super().__init__([], columns.user + columns.item)
        self.columns = columns.user, columns.item
        self.static = _named(columns.user, columns.user_static), _named(columns.item, columns.item_static)
        self.sides = nn.ModuleList(
            PublishedSide(self.compute_input_dim(own), self.compute_input_dim(static), heads * field_dim, dropout)
            for own, static in zip(self.columns, self.static, strict=True)
        )
        self.field_dim = field_dim

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, numbers) -> (B, 1) probabilities."""
        results = []
        for place, side in enumerate(self.sides):
            fields, dense = self.input_from_feature_columns(x, self.columns[place], self.embedding_dict)
            static = self.input_from_feature_columns(x, self.static[place], self.embedding_dict)
            results.append(side(fields, dense, combined_dnn_input(*static).detach()))
        (self.users, self.user_mimics), (self.items, self.item_mimics) = results
        return self.out(sum_of_max_sim([self.users], self.items, self.field_dim).unsqueeze(1))

    def loss(self, predicted: Tensor, labels: Tensor, reduction: str) -> Tensor:
        """The click loss and alpha times the generation loss of what the last forward pass left on the model.

        Generation: mean over all rows of y cos (target) and of (1 - y) cos (non-target), minimised as it stands there.
        """
        generation = torch.zeros(())
        for mimics, original in ((self.user_mimics, self.items), (self.item_mimics, self.users)):
            for kind, weight in zip(KINDS, (labels, 1 - labels), strict=True):
                cosine = F.cosine_similarity(mimics[kind], original.detach(), dim=1)
                generation = generation + (weight * cosine).mean()
        return F.binary_cross_entropy(predicted, labels, reduction=reduction) + ALPHA * generation


class PublishedSide(nn.Module):
    """Generators over the static features, a tower over everything and the mimics, a representer."""

    def __init__(self, input_size: int, static_size: int, heads_size: int, dropout: float):
        super().__init__()
        # Two layers, each followed by a ReLU, the last one included.
        self.generators = nn.ModuleDict({kind: DNN(static_size, (heads_size, heads_size)) for kind in KINDS})
        self.tower = DNN(input_size + len(KINDS) * heads_size, HIDDEN, use_bn=True, dropout_rate=dropout)
        self.representer = nn.Linear(HIDDEN[-1], heads_size)

    def forward(self, fields: list[Tensor], dense: list[Tensor], static: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """fields: (B, 1, D) each; dense: (B, 1) each; static: (B, S), stopped -> r (B, H * d), the mimics by kind."""
        mimics = {kind: network(static) for kind, network in self.generators.items()}
        stopped = [mimic.detach().unsqueeze(1) for mimic in mimics.values()]
        return self.representer(self.tower(combined_dnn_input(fields + stopped, dense))), mimics


def _named(columns: list[Column], names: tuple[str, ...]) -> list[Column]:
    return [column for column in columns if column.name in names]
