"""Optimisers by name, with the l2 term of the loss as exact weight decay, and given ones, to which it is added."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from foundation.errors import InputError
from foundation.values import is_number, shown
from kernels.row_optimizers import ROW_OPTIMIZERS, RowOptimizer, Together
from training.protocols import Trainable

Optimizer = torch.optim.Optimizer | Together
OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], float]] = {
    "adam": (torch.optim.Adam, 1e-3),
    "adagrad": (torch.optim.Adagrad, 1e-2),
    "rmsprop": (torch.optim.RMSprop, 1e-2),
    "sgd": (torch.optim.SGD, 1e-2),
}
FUSED = ("adam", "adagrad", "sgd")  # one kernel a step for all parameters


def make_optimizer(
    model: Trainable,
    optimizer: str | torch.optim.Optimizer,
    lr: float | None,
    tables: Sequence[nn.Parameter] = (),
) -> Optimizer:
    """The named optimiser over the model's parameters, or the given one as it is (`added_l2` brings its l2).

    tables: parameters with sparse gradients, which its row-wise form updates (`kernels.row_optimizers`).

    The loss's term l2 * sum(w^2) has the gradient 2 l2 w, which is what weight decay of 2 l2 adds: the same update,
    without a pass over every table in the forward and backward steps. `model.l2_of(name)` gives l2 for a parameter.

    Raises `InputError` for an unknown name, a learning rate that is not positive, and an instance that cannot train
    this model.
    """
    if isinstance(optimizer, torch.optim.Optimizer):
        if lr is not None:
            raise InputError("`lr` has no effect on an optimizer instance. Set the rate where you create it.")
        _check_instance(model, optimizer)
        return optimizer
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise InputError(
            f"optimizer must be one of {', '.join(OPTIMIZERS)}, or an instance of torch.optim.Optimizer. "
            f"Received: {shown(optimizer)}."
        )
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


@contextlib.contextmanager
def added_l2(model: Trainable, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """While the block runs, each step of a given optimiser adds the gradient 2 l2 w of the l2 term first.

    For instances, which know nothing of `model.l2_of`: they take the steps of the same optimiser by name, beside
    whatever weight decay they have themselves. Afterwards the instance is as it was.
    """
    members = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    decayed: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if id(parameter) in members and model.l2_of(name):
            decayed.setdefault(2.0 * model.l2_of(name), []).append(parameter)

    @torch.no_grad()
    def add(*_: object) -> None:
        for weight, parameters in decayed.items():
            learning: list[Tensor] = [parameter for parameter in parameters if parameter.grad is not None]
            gradients = [parameter.grad for parameter in learning if parameter.grad is not None]
            if learning:
                torch._foreach_add_(gradients, learning, alpha=weight)

    hook = optimizer.register_step_pre_hook(add)
    try:
        yield
    finally:
        hook.remove()


def _check_instance(model: Trainable, optimizer: torch.optim.Optimizer) -> None:
    name = type(optimizer).__name__
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise InputError(
            f"{name} computes the loss several times a step, by a closure, which `fit` does not give. Use an "
            "optimiser that takes one gradient a step."
        )
    if isinstance(optimizer, (torch.optim.SparseAdam, RowOptimizer)):
        raise InputError(
            f"{name} needs sparse gradients, which an instance is not given. Pass a name, and "
            "embedding_optimizer='rowwise'."
        )
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(parameter) in own for group in optimizer.param_groups for parameter in group["params"]):
        raise InputError(f"The {name} given has no parameter of this model. Create it with model.parameters().")


def learning_rate(given: float) -> float:
    """Raises `InputError` for anything but a positive number."""
    if not is_number(given) or not 0 < given < float("inf"):
        raise InputError(f"The learning rate must be a positive number. Received: {shown(given)}.")
    return given


def _with_decay(groups: dict[float, list[nn.Parameter]]) -> list[dict]:
    return [{"params": members, "weight_decay": decay} for decay, members in groups.items()]
