"""Optimisers by name, with the l2 term of the loss as exact weight decay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from preprocessing.errors import InputError
from preprocessing.values import is_number, shown
from training.rowwise import ROW_OPTIMIZERS, Together

OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], float]] = {
    "adam": (torch.optim.Adam, 1e-3),
    "adagrad": (torch.optim.Adagrad, 1e-2),
    "rmsprop": (torch.optim.RMSprop, 1e-2),
    "sgd": (torch.optim.SGD, 1e-2),
}
FUSED = ("adam", "adagrad", "sgd")  # one kernel a step for all parameters


def make_optimizer(
    model: nn.Module,
    optimizer: str | torch.optim.Optimizer,
    lr: float | None,
    tables: Sequence[nn.Parameter] = (),
) -> torch.optim.Optimizer | Together:
    """The named optimiser over the model's parameters, or the given one as it is, with its own weight decay alone.

    tables: parameters with sparse gradients, which its row-wise form updates (`training.rowwise`).

    The loss's term l2 * sum(w^2) has the gradient 2 l2 w, which is what weight decay of 2 l2 adds: the same update,
    without a pass over every table in the forward and backward steps. `model.l2_of(name)` gives l2 for a parameter.

    Raises `InputError` for an unknown name or a learning rate that is not positive.
    """
    if isinstance(optimizer, torch.optim.Optimizer):
        if lr is not None:
            raise InputError("`lr` has no effect on an optimizer instance. Set the rate where you create it.")
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise InputError(f"Unknown optimizer '{optimizer}'. Known: {', '.join(OPTIMIZERS)}.")
    make, default_lr = OPTIMIZERS[optimizer]
    lr = default_lr if lr is None else learning_rate(lr)
    by_row = {id(table) for table in tables}
    dense: dict[float, list[nn.Parameter]] = {}
    rowwise: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        groups = rowwise if id(parameter) in by_row else dense
        groups.setdefault(2.0 * model.l2_of(name), []).append(parameter)
    towers = make(_with_decay(dense), lr=lr, **({"fused": True} if optimizer in FUSED else {}))
    return Together(towers, ROW_OPTIMIZERS[optimizer](_with_decay(rowwise), lr=lr)) if rowwise else towers


def learning_rate(given: float) -> float:
    """Raises `InputError` for anything but a positive number."""
    if not is_number(given) or not 0 < given < float("inf"):
        raise InputError(f"The learning rate must be a positive number. Received: {shown(given)}.")
    return given


def _with_decay(groups: dict[float, list[nn.Parameter]]) -> list[dict]:
    return [{"params": members, "weight_decay": decay} for decay, members in groups.items()]
