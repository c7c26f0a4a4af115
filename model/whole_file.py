"""What a file of a whole model (`torch.save(model, path)`) may hold, so that plain `torch.load(path)` reads it.

`torch.load` builds objects only of classes that were declared to be safe: those of layers, optimisers and feature
columns, which hold numbers. Not among them is the encoding of a data set, which holds tables of pandas, nor a loss of
someone's own: these files take `torch.load(path, weights_only=False)`, or better `model.save` and `load_model`.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from foundation.deepctr import DenseFeat, History, SparseFeat, VarLenSparseFeat
from kernels.row_optimizers import ROW_OPTIMIZERS, Together
from training.click_loss import OTHERS, ClickLoss

LAYERS = ("torch.nn.modules", "deepctr_torch.layers", "kernels", "model")
SCALAR = np.int64(0).__reduce__()[:1]  # what numpy builds a number with
NUMBERS = (np.int32, np.int64, np.float32, np.float64)  # vocabulary sizes and settings often are of these


class WholeFile(nn.Module):
    """Of a model: its part in `torch.save(model, path)` and in copies, optimiser and history included."""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        _declare_safe(cls)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        return state | ({"optim": _for_file(state["optim"])} if "optim" in state else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        _from_file(state.get("optim"))


def _declare_safe(model_class: type[nn.Module]) -> None:
    """Lets plain `torch.load` build models of this class, from the layers that are defined by now."""
    packages = tuple(f"{package}." for package in (*LAYERS, model_class.__module__.partition(".")[0]))
    layers = [part for part in _below(nn.Module) if f"{part.__module__}.".startswith(packages)]
    optimizers = [part for part in vars(torch.optim).values() if isinstance(part, type)]
    torch.serialization.add_safe_globals(
        [
            *layers,
            *optimizers,
            *ROW_OPTIMIZERS.values(),
            Together,
            ClickLoss,
            *OTHERS.values(),
            *(DenseFeat, SparseFeat, VarLenSparseFeat, History),
            dict,
            np.dtype,
            *SCALAR,
            *(type(np.dtype(kind)) for kind in NUMBERS),
        ]
    )


def _for_file(optimizer: Any) -> Any:
    """A copy of an optimiser whose state is a plain dict; `torch.load` fills no `defaultdict`."""
    optimizer = copy.copy(optimizer)
    if isinstance(optimizer, Together):
        optimizer.parts = tuple(map(_for_file, optimizer.parts))
    else:
        optimizer.state = dict(optimizer.state)
    return optimizer


def _from_file(optimizer: Any) -> None:
    """Makes such a copy, once it is read, what it is a copy of."""
    for part in optimizer.parts if isinstance(optimizer, Together) else [optimizer]:
        if isinstance(part, torch.optim.Optimizer):
            part.state = defaultdict(dict, part.state)


def _below(parent: type[nn.Module]) -> Iterator[type[nn.Module]]:
    children: list[type[nn.Module]] = parent.__subclasses__()
    for child in children:
        yield child
        yield from _below(child)
