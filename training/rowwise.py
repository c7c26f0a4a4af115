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

import torch
from torch import Tensor


def summed_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """A sparse gradient with a row a lookup -> distinct row numbers (n,), ascending, and their summed gradients (n, D).

    >>> lookups = torch.sparse_coo_tensor([[5, 2, 5]], [[1.0], [2.0], [3.0]], (9, 1), check_invariants=True)
    >>> rows, sums = summed_rows(lookups)
    >>> rows.tolist(), sums.tolist()
    ([2, 5], [[2.0], [4.0]])
    """
    if gradient.device.type != "cpu":  # where `index_add_` would add in any order, another in each run
        gradient = gradient.coalesce()
        return gradient.indices()[0], gradient.values()
    # On CPU this takes a third of the time of `coalesce`.
    rows, place = gradient._indices()[0].unique(return_inverse=True)
    values = gradient._values()
    return rows, values.new_zeros(len(rows), values.shape[1]).index_add_(0, place, values)


class RowOptimizer(torch.optim.Optimizer, ABC):
    """The step over the rows with a gradient. Tables, (rows, D) each, must have sparse gradients.

    weight_decay: added to the gradients of these rows, times their weights.
    """

    def __init__(self, tables, **defaults):
        super().__init__(tables, {"weight_decay": 0.0} | defaults)

    @abstractmethod
    def start(self, table: Tensor) -> dict:
        """The state of a table before its first step."""

    @abstractmethod
    def update(self, weights: Tensor, rows: Tensor, gradient: Tensor, state: dict, group: dict) -> None:
        """Updates `weights` (n, D), a copy of these rows of the table, in place, and the state. rows: (n,)."""

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is None:
                    continue
                if not self.state[table]:
                    self.state[table].update(self.start(table))
                rows, gradient = summed_rows(table.grad)
                weights = table[rows]
                if group["weight_decay"]:
                    gradient = gradient.add(weights, alpha=group["weight_decay"])
                self.update(weights, rows, gradient, self.state[table], group)
                table[rows] = weights


class RowAdam(RowOptimizer):
    """m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  w <- w - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)"""

    def __init__(self, tables, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        super().__init__(tables, lr=lr, betas=betas, eps=eps)

    def start(self, table: Tensor) -> dict:
        return {"step": 0, "exp_avg": torch.zeros_like(table), "exp_avg_sq": torch.zeros_like(table)}

    def update(self, weights: Tensor, rows: Tensor, gradient: Tensor, state: dict, group: dict) -> None:
        state["step"] += 1
        beta1, beta2 = group["betas"]
        mean = state["exp_avg"][rows].lerp_(gradient, 1 - beta1)
        square = state["exp_avg_sq"][rows].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = mean, square
        root = square.sqrt_().div_(math.sqrt(1 - beta2 ** state["step"])).add_(group["eps"])
        weights.addcdiv_(mean, root, value=-group["lr"] / (1 - beta1 ** state["step"]))


class RowAdagrad(RowOptimizer):
    """s <- s + g^2,  w <- w - lr g / (sqrt(s) + eps)"""

    def __init__(self, tables, lr: float, eps: float = 1e-10):
        super().__init__(tables, lr=lr, eps=eps)

    def start(self, table: Tensor) -> dict:
        return {"sum": torch.zeros_like(table)}

    def update(self, weights: Tensor, rows: Tensor, gradient: Tensor, state: dict, group: dict) -> None:
        total = state["sum"][rows].addcmul_(gradient, gradient, value=1.0)
        state["sum"][rows] = total
        weights.addcdiv_(gradient, total.sqrt_().add_(group["eps"]), value=-group["lr"])


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
