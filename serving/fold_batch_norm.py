"""A model for inference alone: batch norms folded into the linear maps before them.

W' = diag(g / sqrt(v + eps)) W,    b' = (b - m) g / sqrt(v + eps) + beta        of BN(W x + b), in evaluation mode
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from model.base import TwoTower
from model.layers.tower import Tower


def for_inference(model: TwoTower) -> TwoTower:
    """A copy in evaluation mode of linear maps and activations alone, equal up to rounding. Cannot be trained."""
    copied = copy.deepcopy(model).eval().requires_grad_(False)
    for module in copied.modules():
        if isinstance(module, Tower):
            module.layers = nn.ModuleList(_folded(layer) for layer in module.layers)
    return copied


def _folded(layer: nn.Module) -> nn.Module:
    """A layer of a `Tower`: a linear map alone, or with batch norm, activation and dropout behind it."""
    if not isinstance(layer, nn.Sequential):
        return layer
    linear, *norms, activation, _ = layer
    assert isinstance(linear, nn.Linear)
    activation = nn.ReLU(inplace=True) if type(activation) is nn.ReLU else activation
    if not norms:
        return nn.Sequential(linear, activation)
    (norm,) = norms
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)).detach()
    bias = 0.0 if linear.bias is None else linear.bias.double()
    folded = nn.Linear(linear.in_features, linear.out_features)
    folded.weight = nn.Parameter((linear.weight.double() * scale[:, None]).float(), requires_grad=False)
    folded.bias = nn.Parameter(((bias - norm.running_mean.double()) * scale + norm.bias.double()).float(), False)
    return nn.Sequential(folded, activation)
