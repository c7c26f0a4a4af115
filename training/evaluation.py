"""Scoring all rows of a source, and the metrics of what comes out: for evaluation and for early stopping."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training import distributed
from training.metrics import metrics, of_order
from training.precision import autocast
from training.protocols import BatchSource, Trainable, labels_of


def score_split(
    model: Trainable, source: BatchSource, precision: str = "float32", batch_size: int = 8192, training: bool = False
) -> dict[str, float]:
    """Metrics over all rows of a source, scored once: those named at `compile`, or all that apply.

    training: for a model that is being trained, whose epochs are compared by AUC: all that apply in any case, and the
    click loss where it is not the logloss. The model's mode is restored afterwards.
    """
    logits = split_logits(model, source, precision, batch_size)
    named = model.metrics_names[1:]
    if not training:
        return split_metrics(model, source, logits, named or None)
    result = split_metrics(model, source, logits)
    further = [name for name in named if name not in result]
    result |= split_metrics(model, source, logits, further) if further else {}
    if model.click_loss.function is not None or source.weights is not None:
        with torch.no_grad():
            result["loss"] = float(model.click_loss(logits, labels_of(source), source.weights))
    return result


def split_logits(model: Trainable, source: BatchSource, precision: str = "float32", batch_size: int = 8192) -> Tensor:
    """(n,) logits of all rows of a source, each computed by one of the processes."""
    return distributed.current().score(source, lambda part: predict_logits(model, part, batch_size, precision))


def split_metrics(
    model: Trainable, source: BatchSource, logits: Tensor, names: Sequence[str] | None = None
) -> dict[str, float]:
    """Metrics of a source's rows, given the model's logits (n,). names: as for `metrics`.

    Those of probabilities are NaN where the model was trained by the in-batch loss, whose logits only rank.
    """
    users, weights = (None if part is None else part.cpu().numpy() for part in (source.users, source.weights))
    labels = labels_of(source).cpu().numpy()
    found = distributed.current().once(lambda: metrics(labels, logits.cpu().numpy(), users, weights, names))
    return of_order(found) if model.click_loss.in_batch else found


@torch.no_grad()
def predict_logits(model: Trainable, source: BatchSource, batch_size: int = 8192, precision: str = "float32") -> Tensor:
    """(n,) float32 logits in evaluation mode; the model decides how (two-tower models encode each entity once)."""
    training = model.training
    model.eval()
    try:
        with autocast(model, precision):
            return model.predict_logits(source, batch_size).float()
    finally:
        model.train(training)
