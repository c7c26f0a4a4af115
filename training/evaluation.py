"""Scoring all rows of a source, and the metrics of what comes out: for evaluation and for early stopping."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training import distributed
from training.metrics import metrics, of_order
from training.precision import autocast
from training.protocols import BatchSource, Trainable, labels_of
from training.rank_metrics import is_rank_metric


def score_split(
    model: Trainable,
    source: BatchSource,
    precision: str = "float32",
    batch_size: int = 8192,
    training: bool = False,
    names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Metrics over all rows of a source, scored once: these, or those named at `compile`, or all that apply.

    training: for a model that is being trained, whose epochs are compared by AUC: all that apply in any case, and the
    click loss where it is not the logloss. The model's mode is restored afterwards.
    """
    named = list(names or model.metrics_names[1:])
    of_ranks = [name for name in named if is_rank_metric(name)]
    of_rows = [name for name in named if not is_rank_metric(name)]
    ranked = model.rank_metrics(source, of_ranks) if of_ranks else {}
    if not training and of_ranks and not of_rows:
        return ranked
    logits = split_logits(model, source, precision, batch_size)
    if not training:
        found = split_metrics(model, source, logits, of_rows or None) | ranked
        return {name: found[name] for name in named} if named else found
    result = split_metrics(model, source, logits) | ranked
    further = [name for name in of_rows if name not in result]
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
