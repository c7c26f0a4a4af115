"""Which l2 weight a parameter has: decided by the module that owns it, not by its name."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from model.layers.embedding_optimizer import TABLES
from model.layers.linear_part import LinearPart


def owners(model: nn.Module, parameter_name: str) -> Iterator[nn.Module]:
    """The modules around a parameter, from the model itself to the one that holds it.

    >>> tower = nn.Sequential(nn.Linear(2, 1))
    >>> [type(module).__name__ for module in owners(tower, "0.weight")]
    ['Sequential', 'Linear']
    """
    yield model
    for name in parameter_name.split(".")[:-1]:
        model = model.get_submodule(name)
        yield model


def l2_part(model: nn.Module, parameter_name: str) -> str | None:
    """ "embedding", "linear" or "dnn": whose l2 weight it is. None without l2, as biases and norms are.

    The slopes of a PReLU are "dnn", as in deepctr-torch.
    """
    *_, owner = around = list(owners(model, parameter_name))
    if any(isinstance(module, LinearPart) for module in around):
        return "linear"
    if isinstance(owner, TABLES):
        return "embedding"
    return "dnn" if isinstance(owner, nn.PReLU) or model.get_parameter(parameter_name).ndim > 1 else None
