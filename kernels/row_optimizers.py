"""Adam and Adagrad that touch only the rows of a table that a batch looked up.

A dense step passes over every row of every table, seen in the batch or not: weights, gradients and two moments. On
tables of millions of rows that takes many times as long as the model itself. Here a table's gradient is sparse (one row
a lookup), and a step gathers the rows that have one, updates them, and puts them back; its cost depends on the batch,
not on the table.

Adagrad without l2 is the dense update, because a row without a gradient stays where it is. Adam is lazy: a row's
moments decay when it is seen, not in every step, and the step count of the bias correction is that of the table. l2
pulls a row when it is seen, where the dense update pulls every row in every step.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import kernels

# Rows that a step reads, updates and puts back at a time on CPU: few enough to be still in the caches when put back.
CPU_ROWS = 1024


def summed_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """A sparse gradient with a row a lookup -> distinct row numbers (n,), ascending, and their summed gradients (n, D).

    `coalesce` takes several times as long on CPU, and adds in another order in each run on a GPU.

    >>> lookups = torch.sparse_coo_tensor([[5, 2, 5]], [[1.0], [2.0], [3.0]], (9, 1), check_invariants=True)
    >>> rows, sums = summed_rows(lookups)
    >>> rows.tolist(), sums.tolist()
    ([2, 5], [[2.0], [4.0]])
    """
    if not kernels.fast():
        return plain_summed_rows(gradient)
    ids, order = gradient._indices()[0].sort(stable=True)
    rows, counts = ids.unique_consecutive(return_counts=True)
    ends = F.pad(counts.cumsum(0), (1, 0))  # (n + 1,)
    values = gradient._values().contiguous()
    return rows, F.embedding_bag(order, values, ends, mode="sum", include_last_offset=True)


def plain_summed_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """torch's own sum of the entries of each row."""
    summed = gradient.coalesce()
    return summed.indices()[0], summed.values()


class RowOptimizer(torch.optim.Optimizer, ABC):
    """The step over the rows with a gradient. Tables, (rows, D) each, must have sparse gradients.

    weight_decay: added to the gradients of these rows, times their weights.
    """

    # Per-row numbers that a step keeps, each in a tensor of the table's shape.
    kept: tuple[str, ...] = ()

    def __init__(self, tables: Iterable, **defaults: Any):
        super().__init__(tables, {"weight_decay": 0.0} | defaults)

    @abstractmethod
    def update(self, weights: Tensor, gradient: Tensor, kept: list[Tensor], group: dict, step: int) -> None:
        """Updates copies of some rows in place. weights, gradient, kept: (n, D) each. step: counted from 1."""

    @abstractmethod
    def plain_update(
        self, weights: Tensor, gradient: Tensor, kept: list[Tensor], group: dict, step: int
    ) -> tuple[Tensor, ...]:
        """The equation: the new weights and what is kept, of the same rows."""

    @torch.no_grad()
    def step(self, closure=None):
        take = self._step if kernels.fast() else self._plain_step
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is None:
                    continue
                state = self.state[table]
                if not state:
                    state.update({"step": 0} | {name: torch.zeros_like(table) for name in self.kept})
                state["step"] += 1
                take(table, state, *summed_rows(table.grad), group)

    def _step(self, table: Tensor, state: dict, rows: Tensor, gradient: Tensor, group: dict) -> None:
        # `index_select` and `index_copy_` take a fraction of the time of indexing with [rows].
        size = CPU_ROWS if table.device.type == "cpu" else max(len(rows), 1)
        for part, slope in zip(rows.split(size), gradient.split(size), strict=True):
            weights = table.index_select(0, part)
            kept = [state[name].index_select(0, part) for name in self.kept]
            if group["weight_decay"]:
                slope = slope.add(weights, alpha=group["weight_decay"])
            self.update(weights, slope, kept, group, state["step"])
            for name, values in zip(self.kept, kept, strict=True):
                state[name].index_copy_(0, part, values)
            table.index_copy_(0, part, weights)

    def _plain_step(self, table: Tensor, state: dict, rows: Tensor, gradient: Tensor, group: dict) -> None:
        kept = [state[name][rows] for name in self.kept]
        slope = gradient + group["weight_decay"] * table[rows]
        table[rows], *kept = self.plain_update(table[rows], slope, kept, group, state["step"])
        for name, values in zip(self.kept, kept, strict=True):
            state[name][rows] = values


class RowAdam(RowOptimizer):
    """m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  w <- w - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)"""

    kept = ("exp_avg", "exp_avg_sq")

    def __init__(self, tables: Iterable, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        super().__init__(tables, lr=lr, betas=betas, eps=eps)

    def update(self, weights: Tensor, gradient: Tensor, kept: list[Tensor], group: dict, step: int) -> None:
        mean, square = kept
        beta1, beta2 = group["betas"]
        mean.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        root = square.sqrt().div_(math.sqrt(1 - beta2**step)).add_(group["eps"])
        weights.addcdiv_(mean, root, value=-group["lr"] / (1 - beta1**step))

    def plain_update(
        self, weights: Tensor, gradient: Tensor, kept: list[Tensor], group: dict, step: int
    ) -> tuple[Tensor, ...]:
        beta1, beta2 = group["betas"]
        mean = beta1 * kept[0] + (1 - beta1) * gradient
        square = beta2 * kept[1] + (1 - beta2) * gradient**2
        root = (square / (1 - beta2**step)).sqrt() + group["eps"]
        return weights - group["lr"] * mean / (1 - beta1**step) / root, mean, square


class RowAdagrad(RowOptimizer):
    """s <- s + g^2,  w <- w - lr g / (sqrt(s) + eps)"""

    kept = ("sum",)

    def __init__(self, tables: Iterable, lr: float, eps: float = 1e-10):
        super().__init__(tables, lr=lr, eps=eps)

    def update(self, weights: Tensor, gradient: Tensor, kept: list[Tensor], group: dict, step: int) -> None:
        total = kept[0].addcmul_(gradient, gradient, value=1.0)
        weights.addcdiv_(gradient, total.sqrt().add_(group["eps"]), value=-group["lr"])

    def plain_update(
        self, weights: Tensor, gradient: Tensor, kept: list[Tensor], group: dict, step: int
    ) -> tuple[Tensor, ...]:
        total = kept[0] + gradient**2
        return weights - group["lr"] * gradient / (total.sqrt() + group["eps"]), total


ROW_OPTIMIZERS = {"adam": RowAdam, "adagrad": RowAdagrad}


class Together:
    """Optimisers over different parameters behind the interface of one."""

    def __init__(self, *parts: torch.optim.Optimizer):
        self.parts = parts

    @property
    def param_groups(self) -> list[dict]:
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict) -> None:
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)


def row_parameters(optimizer: torch.optim.Optimizer | Together) -> list[torch.nn.Parameter]:
    """The tables that an optimiser updates row by row."""
    parts = optimizer.parts if isinstance(optimizer, Together) else [optimizer]
    groups = [group for part in parts if isinstance(part, RowOptimizer) for group in part.param_groups]
    return [table for group in groups for table in group["params"]]
