"""The fully connected tower whose every layer can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from foundation.errors import InputError
from kernels.dropout import Dropout
from kernels.linear import Linear
from model.effects import Idle
from model.layers.activation import make_activation


class Tower(nn.Module):
    """Layers of linear map, batch norm, activation and dropout.

    hidden_units: sizes of the L layers, (300, 300, 128) in IntTower, (300, 300, 32) in HIT.
    dropout: share of units set to 0 in training, in [0, 1).
    linear_output: ends in the linear map of the last layer. Models that score by a cosine need it: behind a ReLU no
        cosine is negative, and no logit below the bias.
    activation: "relu", "sigmoid", "linear", "prelu", "dice", or a class (`layers/activation.py`).
    std: the maps' weights start at N(0, std); None: at torch's default. Biases always do.
    bias: whether the maps keep a bias that batch norm takes away again.
    """

    def __init__(
        self,
        input_size: int,
        hidden_units: Sequence[int],
        dropout: float = 0.0,
        use_bn: bool = True,
        linear_output: bool = False,
        activation: str | type[nn.Module] = "relu",
        std: float | None = None,
        bias: bool = False,
    ):
        super().__init__()
        last_size(hidden_units)
        self.sizes = [input_size, *hidden_units]
        self.layers = nn.ModuleList(
            nn.Sequential(
                Linear(inputs, outputs, bias=bias or not use_bn),  # batch norm has one of its own
                *([nn.BatchNorm1d(outputs)] if use_bn else []),
                make_activation(activation, outputs),
                Dropout(dropout),
            )
            for inputs, outputs in zip(self.sizes[:-1], self.sizes[1:], strict=True)
        )
        if linear_output:
            self.layers[-1] = Linear(self.sizes[-2], self.sizes[-1])
        start_maps(self, std)

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (B, input_size) -> [x, h^1, ..., h^L]: the input and the output of each layer, h^i of shape (B, size_i)."""
        outputs = [x]
        for layer in self.layers:
            outputs.append(layer(outputs[-1]))
        return outputs


def last_size(hidden_units: Sequence[int]) -> int:
    """Size of a tower's last layer. Raises `InputError` if there is none, or one that is not positive."""
    if not hidden_units or min(hidden_units) < 1:
        raise InputError(f"A tower needs at least one layer of positive size. Received: {tuple(hidden_units)}.")
    return hidden_units[-1]


def start_maps(network: nn.Module, std: float | None) -> None:
    """Draws the weights of all linear maps in it from N(0, std); None leaves them as they are.

    Raises `InputError` for a standard deviation that is not positive.
    """
    if std is None:
        return
    if std <= 0:
        raise InputError(f"tower_std must be positive, or left out for torch's start. Received: {std}.")
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)


def bias_effects(settings: Mapping[str, Any]) -> dict[str, Idle]:
    """tower_bias, where a `Tower` has biases anyway."""
    if settings["dnn_use_bn"]:
        return {}
    return {"tower_bias": Idle("whose linear maps have biases without batch norm", "set dnn_use_bn to true")}


def linear_output_effects(settings: Mapping[str, Any]) -> dict[str, Idle]:
    """What does nothing in a `Tower` with a linear output, unless relu_output: its last layer is that map alone."""
    if len(settings["dnn_hidden_units"]) != 1 or settings["relu_output"]:
        return bias_effects(settings)
    reason = Idle("whose towers of one layer are linear maps", "give dnn_hidden_units a second layer, or relu_output")
    return dict.fromkeys(("dnn_dropout", "dnn_use_bn", "dnn_activation", "tower_bias"), reason)
