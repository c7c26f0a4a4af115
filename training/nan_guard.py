"""Stops a run at the first step whose loss or gradients are no numbers, and says where that was."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foundation.errors import InputError
from foundation.shown import some
from training.protocols import BatchSource, Trainable

EVERY = 64  # steps between two looks
LARGE = 1e4  # of a dense feature, which preprocessing scales to 0..1


class NotFiniteError(InputError):
    """Training has met NaN or infinity. step: from 1 in its epoch; rows: of its batch; parameters: names."""

    def __init__(self, message: str, step: int, rows: Tensor, parameters: list[str]):
        super().__init__(message)
        self.step, self.rows, self.parameters = step, rows, parameters


@dataclass(frozen=True)
class _Step:
    number: int
    rows: Tensor
    losses: list[str]
    parameters: list[str]
    values: Tensor  # (losses + parameters,): each loss, and the norm of each gradient


class Guard:
    """Watches the steps of one epoch.

    The norms of a step's gradients stay on the device until `check`, which looks at up to 64 steps together: no step
    waits for the device. By then the weights are spoilt; the state to go back to is the last checkpoint, and nothing is
    saved without a `check` before.

    train: source of the batches, to look into the one that failed. epoch: from 0.
    """

    def __init__(self, model: Trainable, train: BatchSource, precision: str, epoch: int):
        self.model, self.train, self.precision, self.epoch = model, train, precision, epoch
        self.named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        self.waiting: list[_Step] = []

    def watch(self, number: int, rows: Tensor, losses: dict[str, Tensor]) -> None:
        """Called between the backward pass and the optimiser's step. number: of the step, from 1 in its epoch."""
        found = [(name, parameter.grad) for name, parameter in self.named if parameter.grad is not None]
        gradients = [gradient._values() if gradient.is_sparse else gradient for _, gradient in found]
        norms = torch._foreach_norm(gradients)
        values = torch.stack([*(loss.detach() for loss in losses.values()), *norms])
        self.waiting.append(_Step(number, rows, list(losses), [name for name, _ in found], values))
        if len(self.waiting) == EVERY:
            self.check()

    def check(self) -> None:
        """Raises `NotFiniteError` for the first of the steps since the last look that is not finite."""
        steps, self.waiting = self.waiting, []
        if steps and not torch.stack([_finite(step.values).all() for step in steps]).all():
            raise self._error(next(step for step in steps if not _finite(step.values).all()))

    def _error(self, step: _Step) -> NotFiniteError:
        values = step.values.tolist()
        losses = dict(zip(step.losses, values, strict=False))
        finite = _finite(step.values[len(losses) :]).tolist()
        broken = [name for name, good in zip(step.parameters, finite, strict=True) if not good]
        rows = step.rows.tolist()
        message = (
            f"Epoch {self.epoch + 1}, step {step.number}, training rows {some(rows, 4)}: loss "
            f"{', '.join(f'{name} {value:.4g}' for name, value in losses.items())}; "
            f"gradient not finite: {some(broken, 4, width=80) if broken else 'none'}. {self._advice(step)}"
        )
        return NotFiniteError(message, step.number, step.rows, broken)

    def _advice(self, step: _Step) -> str:
        large = self._large_features(step.rows)
        if large:
            return f"{large}: scale dense features to about 0..1, or drop the outliers."
        if (self.epoch, step.number) == (0, 1):
            return "No step came before, so the learning rate is not the cause: look at the model's losses."
        other = " or train with --precision float32" if self.precision != "float32" else ""
        return f"Lower the learning rate (--lr){other}."

    def _large_features(self, rows: Tensor) -> str:
        large = []
        for name, value in self.train.batch(rows, self.model.feature_names).items():
            if isinstance(value, Tensor) and value.is_floating_point():
                size = value.abs().reshape(len(rows), -1).amax(dim=1)  # (B,)
                place = int(size.argmax())
                if size[place] > LARGE:
                    large.append(f"Dense feature '{name}' reaches {float(size[place]):.3g} in row {int(rows[place])}")
        return ", ".join(large)


def _finite(values: Tensor) -> Tensor:
    """Which of these, and their squares, are numbers: Adam squares gradients and stands still where it overflows."""
    return values.square().isfinite()
