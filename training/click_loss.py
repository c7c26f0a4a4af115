"""The loss of clicks: the cross entropy of logits, or another loss of probabilities, by name or as a function."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foundation.errors import InputError
from foundation.values import shown

CROSS_ENTROPY = ("binary_crossentropy", "logloss")
# The cross entropy as deepctr-torch and the releases compute it. A probability of a logit above 17 is 1 in float32, and
# such a row, however wrong, has no gradient.
SATURATING = "probability_crossentropy"
IN_BATCH = "in_batch"
OTHERS: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, SATURATING: F.binary_cross_entropy}


@dataclass(frozen=True)
class ClickLoss:
    """The mean over the rows of a batch of  w_b * l(p_b, y_b),  where p = sigmoid(logit).

    function: l, called as deepctr-torch calls it, with (probabilities, labels, reduction="sum"), and with
        reduction="none" where rows have weights; or a module such as `nn.BCELoss()`. None: the cross entropy, which is
        exact for any logit where a function of probabilities is not.  `SATURATING` names the one that is not.
    in_batch: whether it is none of these, but the softmax over the items of a batch of positives, which needs a model's
        vectors (`model.losses.in_batch_loss`). Its logits rank, and their sigmoid is no click probability.

    A row of weight 2 and one of weight 0, with errors of 0.5 and 1: (2 * 0.25 + 0 * 1) / 2

    >>> logits, labels = torch.tensor([0.0, 1e9]), torch.tensor([1.0, 0.0])
    >>> ClickLoss(F.mse_loss)(logits, labels, torch.tensor([2.0, 0.0])).item()
    0.25
    """

    function: Callable[..., Tensor] | None = None
    in_batch: bool = False

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """logits, labels, weights: (B,), no weights being weights of 1. Returns a scalar.

        Raises `InputError` where the function returns another shape than it is asked for.
        """
        logits = logits.float()
        if self.function is None:
            return F.binary_cross_entropy_with_logits(logits, labels, weights)
        probabilities = torch.sigmoid(logits)
        if isinstance(self.function, nn.Module):
            return self._weighted(self.function(probabilities, labels), labels, weights)
        if weights is None:
            total = self.function(probabilities, labels, reduction="sum")
            if total.ndim:
                raise InputError(f"The loss must return one number with reduction='sum'. Received: {_shape(total)}.")
            return total / len(labels)
        return self._weighted(self.function(probabilities, labels, reduction="none"), labels, weights)

    @staticmethod
    def _weighted(losses: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        if losses.shape != labels.shape:
            raise InputError(
                f"The loss must return one number a row with reduction='none', which weights of rows need. Received: "
                f"{_shape(losses)} for {len(labels)} rows."
            )
        return (losses if weights is None else losses * weights).mean()


def choose_loss(loss: Any) -> ClickLoss:
    """loss: what `compile` is given: a name, a function or a module.

    Raises `InputError` for an unknown name, for several losses, for a loss of logits, and for a function that takes no
    `reduction`.
    """
    if loss is None or loss is F.binary_cross_entropy or (isinstance(loss, str) and loss in CROSS_ENTROPY):
        return ClickLoss()
    if isinstance(loss, str) and loss == IN_BATCH:
        return ClickLoss(in_batch=True)
    if isinstance(loss, str) and loss in OTHERS:
        return ClickLoss(OTHERS[loss])
    if not callable(loss):
        known = ", ".join((*CROSS_ENTROPY, *OTHERS, IN_BATCH))
        raise InputError(
            f"loss must be one of {known}, or a function of (probabilities, labels, reduction=...): one loss, because "
            f"these models have one output. Received: {shown(loss)}."
        )
    if loss is F.binary_cross_entropy_with_logits or isinstance(loss, nn.BCEWithLogitsLoss):
        raise InputError(
            "A loss function is given probabilities, and this one expects logits. Use 'binary_crossentropy', which is "
            "computed from the logits."
        )
    if isinstance(loss, nn.Module) and hasattr(loss, "reduction"):
        loss = copy.copy(loss)
        loss.reduction = "none"  # the mean is taken here
        return ClickLoss(loss)
    if isinstance(loss, (nn.Module, type)) or not _takes_reduction(loss):
        raise InputError(
            "A loss must be callable as loss(probabilities, labels, reduction=...), like those of "
            f"torch.nn.functional, or be a module with an attribute `reduction`. Received: {shown(loss)}."
        )
    return ClickLoss(loss)


def _takes_reduction(function: Callable) -> bool:
    try:
        inspect.signature(function).bind(None, None, reduction="sum")
    except TypeError:
        return False
    except ValueError:  # a function of C that does not tell
        return True
    return True


def _shape(value: Tensor) -> str:
    return f"shape {tuple(value.shape)}"
