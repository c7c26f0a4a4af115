"""The activations of a tower: by the names that deepctr-torch has, by name in `torch.nn`, or as a class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foundation.errors import InputError
from foundation.values import shown

TORCH = "torch.nn."
# Those that compute the same in training and in evaluation. A class may not: RReLU draws its slopes.
STEADY: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "linear": nn.Identity,
    "prelu": nn.PReLU,
}


class Dice(nn.Module):
    """y = p x + (1 - p) alpha x,  p = sigmoid((x - E[x]) / sqrt(Var[x] + eps))  (DIN, Zhou et al., KDD 2018, eq. 3).

    A PReLU whose bend lies where the inputs of a unit are. Mean and variance are those of the batch in training, and
    running ones in evaluation. alpha, one a unit, starts at 0.

    >>> dice = Dice(1).eval()  # running mean 0 and variance 1, alpha 0: x sigmoid(x)
    >>> [round(y, 4) for y in dice(torch.tensor([[0.0], [1.0]])).flatten().tolist()]
    [0.0, 0.7311]
    """

    def __init__(self, size: int):
        super().__init__()
        self.standardised = nn.BatchNorm1d(size, eps=1e-8, affine=False)
        self.alpha = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        """(B, size) -> (B, size)"""
        p = torch.sigmoid(self.standardised(x))
        return (p + (1 - p) * self.alpha) * x


def make_activation(kind: str | type[nn.Module], size: int) -> nn.Module:
    """An activation (B, size) -> (B, size) of one layer.

    kind: "relu", "sigmoid", "linear", "prelu" or "dice", in any case; "torch.nn.GELU" and the like; or a class that is
        called without arguments.
    Raises `InputError` for anything else.
    """
    if isinstance(kind, str) and kind.lower() == "dice":
        return Dice(size)
    if isinstance(kind, str) and kind.lower() in STEADY:
        return STEADY[kind.lower()]()
    activation: object = kind
    if isinstance(kind, str) and kind.startswith(TORCH):
        activation = getattr(nn, kind.removeprefix(TORCH), None)
    if not isinstance(activation, type) or not issubclass(activation, nn.Module):
        raise InputError(
            f"dnn_activation must be {', '.join(STEADY)}, dice, the name of a class as {TORCH}GELU, or a subclass of "
            f"nn.Module. Received: {shown(kind)}."
        )
    try:
        made = activation()
        received: object = tuple(made.eval()(torch.zeros(2, size)).shape)
    except (TypeError, RuntimeError, ValueError) as error:
        received = error
    if received != (2, size):
        raise InputError(
            f"dnn_activation={activation.__name__} must be called without arguments, and then with a tensor (B, size), "
            f"whose shape it keeps. Received for {(2, size)}: {received}"
        )
    return made.train()


def is_steady(kind: str | type[nn.Module]) -> bool:
    """Whether an activation certainly computes the same in training and in evaluation."""
    return isinstance(kind, str) and kind.lower() in STEADY
