"""A fitted ensemble of decision trees as tensors: stored as weights are, evaluated without what grew it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor, nn

FIELDS = {
    "feature": torch.int64,
    "threshold": torch.float64,
    "left": torch.int64,
    "right": torch.int64,
    "value": torch.float64,
    "roots": torch.int64,
    "depth": torch.int64,
    "baseline": torch.float64,
}


class Forest(nn.Module):
    """baseline + sum over trees of the value of the leaf that a row falls into.

    The nodes of all trees stand one behind another. feature, threshold, left, right, value: (nodes,); a row goes left
    where x[feature] <= threshold; a leaf leads to itself. roots: (trees,), the first node of each tree. depth: (),
    steps from a root to the deepest leaf. baseline: ().
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    roots: Tensor
    depth: Tensor
    baseline: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, dtype in FIELDS.items():
            shape = [] if name in ("depth", "baseline") else [0]
            self.register_buffer(name, torch.zeros(shape, dtype=dtype))

    @classmethod
    def from_sklearn(cls, grower: HistGradientBoostingClassifier) -> Forest:
        """The trees of a fitted `HistGradientBoostingClassifier` without categorical splits.

        scikit-learn has no public way to them: `_predictors`, `_baseline_prediction` and the columns of a tree's nodes
        are private. Where a new version renames them, tests/model/test_gbdt.py fails, which compares predictions.
        """
        parts: dict[str, list[Tensor]] = {name: [] for name in FIELDS}
        start = 0
        for (tree,) in grower._predictors:  # one tree a round: there are two classes
            nodes = tree.nodes
            leaf = torch.from_numpy(nodes["is_leaf"].astype(bool))
            place = torch.arange(len(nodes)) + start
            parts["feature"].append(torch.from_numpy(nodes["feature_idx"].astype("int64")).masked_fill(leaf, 0))
            parts["threshold"].append(torch.from_numpy(nodes["num_threshold"].copy()))
            for side in ("left", "right"):
                child = torch.from_numpy(nodes[side].astype("int64")) + start
                parts[side].append(torch.where(leaf, place, child))
            parts["value"].append(torch.from_numpy(nodes["value"].copy()))
            parts["roots"].append(torch.tensor([start]))
            start += len(nodes)
        forest = cls()
        depth = max(int(tree.nodes["depth"].max()) for (tree,) in grower._predictors)
        forest.load(
            {name: torch.cat(tensors) for name, tensors in parts.items() if tensors}
            | {
                "depth": torch.tensor(depth),
                "baseline": torch.tensor(grower._baseline_prediction.item(), dtype=torch.float64),
            }
        )
        return forest

    @property
    def num_trees(self) -> int:
        return len(self.roots)

    @property
    def num_parameters(self) -> int:
        """Thresholds and leaf values: one a node."""
        return len(self.value)

    def first(self, trees: int) -> dict[str, Tensor]:
        """The state of the forest that ends after this many trees."""
        end = int(self.roots[trees]) if trees < self.num_trees else len(self.value)
        state = {name: getattr(self, name)[:end] for name in ("feature", "threshold", "left", "right", "value")}
        return state | {"roots": self.roots[:trees], "depth": self.depth, "baseline": self.baseline}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Replaces all trees."""
        for name, dtype in FIELDS.items():
            setattr(self, name, state[name].to(self.baseline.device, dtype))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, columns) float64 -> (B,) float64"""
        return self.baseline + self.value[self._leaves(x, self.roots)].sum(dim=1)

    def per_tree(self, x: Tensor) -> Iterator[Tensor]:
        """The logits (B,) after the first tree, after the second, ..."""
        logits = self.baseline.expand(len(x))
        for root in self.roots.split(1):
            logits = logits + self.value[self._leaves(x, root)].squeeze(1)
            yield logits

    def _leaves(self, x: Tensor, roots: Tensor) -> Tensor:
        """-> (B, trees), the node where each row ends in each tree."""
        node = roots.expand(len(x), -1)
        for _ in range(int(self.depth)):
            left = x.gather(1, self.feature[node]) <= self.threshold[node]
            node = torch.where(left, self.left[node], self.right[node])
        return node

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Takes the shapes of what is loaded: the number of trees is learned, too."""
        if all(prefix + name in state_dict for name in FIELDS):
            self.load({name: state_dict[prefix + name] for name in FIELDS})
        super()._load_from_state_dict(state_dict, prefix, *rest)
