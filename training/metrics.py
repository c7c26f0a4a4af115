"""AUC, logloss, GAUC, accuracy, squared error and RelaImpr, each over all rows of a split (`docs/protocols.md`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from foundation.errors import InputError
from foundation.values import shown
from training.rank_metrics import KNOWN, is_rank_metric

OF_PROBABILITIES = ("logloss", "accuracy", "mse")  # the others are of an order
# What each name of a metric means; deepctr-torch has two for some.
FIGURES = {
    "auc": "auc",
    "logloss": "logloss",
    "binary_crossentropy": "logloss",
    "accuracy": "accuracy",
    "acc": "accuracy",
    "mse": "mse",
    "gauc": "gauc",
}


def check_names(names: Sequence[str] | None, ranks: bool) -> list[str]:
    """What `compile` or `evaluate` is given as metrics, as a list.

    ranks: whether the model is one of two towers, which can rank the whole catalogue for a user.
    Raises `InputError` for anything but known names, and for `recall@k` and the like of another model.
    """
    given = [] if names is None else names
    if not isinstance(given, (list, tuple)):
        raise InputError(f"metrics must be a list of names. Received: {shown(names)}.")
    unknown = [name for name in given if not isinstance(name, str) or not (name in FIGURES or is_rank_metric(name))]
    if unknown:
        raise InputError(f"Unknown metrics {shown(unknown)}. Known: {', '.join(FIGURES)}, {KNOWN}.")
    if not ranks and any(map(is_rank_metric, given)):
        some = ", ".join(filter(is_rank_metric, given))
        raise InputError(
            f"{some}: only two-tower models are measured by these, as a ranking model would read each user with each "
            "item of the catalogue. Leave them out."
        )
    return list(given)


def of_training(named: Sequence[str]) -> tuple[str, ...]:
    """The metrics of an epoch's training rows; GAUC and `recall@k` and the like are of validation rows alone.

    named: those given at `compile`.

    >>> of_training(["acc", "gauc", "recall@10"])
    ('auc', 'logloss', 'acc')
    """
    return ("auc", "logloss", *(name for name in named if name != "gauc" and not is_rank_metric(name)))


def of_order(figures: dict[str, float]) -> dict[str, float]:
    """The metrics of scores that rank and are no click probabilities: those of probabilities are NaN.

    >>> of_order({"auc": 0.9, "logloss": 0.7})
    {'auc': 0.9, 'logloss': nan}
    """
    return {name: float("nan") if FIGURES[name] in OF_PROBABILITIES else value for name, value in figures.items()}


def metrics(
    labels: np.ndarray,
    logits: np.ndarray,
    users: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Metrics of a split, by the names given; by default AUC and logloss, and GAUC where the users are known.

    labels: (n,) in {0, 1}; logits: (n,); users: (n,) ids or None; names: keys of `FIGURES`.
    weights: (n,) of at least 0: a row of weight 2 counts like two rows. None: all alike.
    Raises `InputError` if a score is no number, if AUC is asked for of labels of one class, or GAUC without users.

    Two of three rows are on the right side of 0.5, which a probability must exceed to be a click:

    >>> metrics(np.array([1, 0, 1]), np.array([2.0, -1.0, 0.0]), names=["acc"])["acc"].__round__(4)
    0.6667
    """
    if names is None:
        names = ["auc", "logloss"] + ([] if users is None else ["gauc"])
    if "gauc" in names and users is None:
        raise InputError("The metric 'gauc' needs users: the model's first SparseFeat must be the user's id.")
    if weights is not None:  # rows of no weight, which may be the only ones of a class
        counted = weights > 0
        labels, logits, weights = labels[counted], logits[counted], weights[counted]
        users = None if users is None else users[counted]
    positives = int(labels.sum())
    if "auc" in names and positives in (0, len(labels)):
        raise InputError(
            f"AUC needs both classes. Received {positives} positive labels of {len(labels)}; evaluate on more rows."
        )
    if len(labels) == 0:
        raise InputError("No row has a weight, so that there is nothing to evaluate.")
    logits = np.asarray(logits, dtype=np.float64)
    bad = np.count_nonzero(~np.isfinite(logits))
    if bad:
        raise InputError(
            f"{bad} of {len(logits)} scores are NaN or infinite: training has diverged. Lower the learning rate (--lr)."
        )
    probabilities = click_probability(logits)
    compute: dict[str, Callable[[], float]] = {
        # AUC on logits: probabilities saturate and would tie rows that the model tells apart.
        "auc": lambda: roc_auc_score(labels, logits, sample_weight=weights),
        "logloss": lambda: log_loss(labels, probabilities, sample_weight=weights, labels=[0, 1]),
        "accuracy": lambda: np.average((probabilities > 0.5) == (labels > 0.5), weights=weights),
        "mse": lambda: np.average(np.square(probabilities - labels), weights=weights),
    }
    if users is not None:
        compute["gauc"] = partial(gauc, labels, logits, users, weights)
    found = {figure: float(compute[figure]()) for figure in dict.fromkeys(FIGURES[name] for name in names)}
    return {name: found[FIGURES[name]] for name in names}


def click_probability(logits: np.ndarray) -> np.ndarray:
    """The sigmoid in float64, for logits of any size: (n,) -> (n,).

    >>> click_probability(np.array([-1e30, 0.0, np.log(3.0)])).round(4).tolist()
    [0.0, 0.5, 0.75]
    """
    return 1.0 / (1.0 + np.exp(-np.clip(np.asarray(logits, dtype=np.float64), -700, 700)))


def gauc(labels: np.ndarray, scores: np.ndarray, users: np.ndarray, weights: np.ndarray | None = None) -> float:
    """AUC per user, weighted by the user's impressions; users with labels of one class are left out (DIN, KDD 2018).

    labels, scores, users: (n,). weights: (n,) above 0, of rows as impressions; None: 1 each.
    NaN if every user has one class only.

    User 1 ranks its positive above its negative (AUC 1, two rows), user 2 below both of two (AUC 0, three rows),
    user 3 has positives only and does not count:

    >>> gauc(np.array([1, 0, 1, 0, 0, 1]), np.array([.9, .1, .2, .3, .4, .5]), np.array([1, 1, 2, 2, 2, 3]))
    0.4
    """
    order = np.lexsort((scores, users))
    user, score, label = users[order], scores[order], labels[order].astype(np.float64)
    weight = np.ones(len(order)) if weights is None else weights[order].astype(np.float64)
    new_user = np.append(True, user[1:] != user[:-1])
    new_score = new_user | np.append(True, score[1:] != score[:-1])
    group, tie = np.cumsum(new_user) - 1, np.cumsum(new_score) - 1
    positive, negative = weight * label, weight * (1.0 - label)
    positives, negatives = np.bincount(group, weights=positive), np.bincount(group, weights=negative)
    # A positive wins against the negatives of its user with lower scores, and half against those with its own.
    tied = np.bincount(tie, weights=negative)
    lower = (np.cumsum(tied) - tied)[tie] - (np.cumsum(negatives) - negatives)[group]
    won = np.bincount(group, weights=positive * (lower + tied[tie] / 2.0))
    both = (positives > 0) & (negatives > 0)
    if not both.any():
        return float("nan")
    auc = won[both] / (positives * negatives)[both]
    return float(np.average(auc, weights=(positives + negatives)[both]))


def rela_impr(auc: float, two_tower_auc: float) -> float:
    """Relative improvement over the two-tower model's AUC, both counted from chance (IntTower, section 4.1).

    >>> round(rela_impr(0.8974, 0.8697), 4)
    0.0749
    """
    return (auc - 0.5) / (two_tower_auc - 0.5) - 1.0
