"""AUC, logloss, GAUC and RelaImpr, each over all rows of a split (`README.md`, "Metrics")."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from preprocessing.errors import InputError


def metrics(labels: np.ndarray, logits: np.ndarray, users: np.ndarray | None = None) -> dict[str, float]:
    """AUC and logloss of a split, and GAUC where the users are known.

    labels: (n,) in {0, 1}; logits: (n,); users: (n,) ids or None. Raises `InputError` if the labels are of one class
    or a score is no number.
    """
    positives = int(labels.sum())
    if positives in (0, len(labels)):
        raise InputError(
            f"AUC needs both classes. Received {positives} positive labels of {len(labels)}; evaluate on more rows."
        )
    logits = np.asarray(logits, dtype=np.float64)
    bad = np.count_nonzero(~np.isfinite(logits))
    if bad:
        raise InputError(
            f"{bad} of {len(logits)} scores are NaN or infinite: training has diverged. Lower the learning rate (--lr)."
        )
    probabilities = click_probability(logits)
    # AUC on logits: probabilities saturate and would tie rows that the model tells apart.
    result = {"auc": float(roc_auc_score(labels, logits)), "logloss": float(log_loss(labels, probabilities))}
    if users is not None:
        result["gauc"] = gauc(labels, logits, users)
    return result


def click_probability(logits: np.ndarray) -> np.ndarray:
    """The sigmoid in float64, for logits of any size: (n,) -> (n,).

    >>> click_probability(np.array([-1e30, 0.0, np.log(3.0)])).round(4).tolist()
    [0.0, 0.5, 0.75]
    """
    return 1.0 / (1.0 + np.exp(-np.clip(np.asarray(logits, dtype=np.float64), -700, 700)))


def gauc(labels: np.ndarray, scores: np.ndarray, users: np.ndarray) -> float:
    """AUC per user, weighted by the user's impressions; users with labels of one class are left out (DIN, KDD 2018).

    labels, scores, users: (n,). NaN if every user has one class only.

    User 1 ranks its positive above its negative (AUC 1, two rows), user 2 below both of two (AUC 0, three rows),
    user 3 has positives only and does not count:

    >>> gauc(np.array([1, 0, 1, 0, 0, 1]), np.array([.9, .1, .2, .3, .4, .5]), np.array([1, 1, 2, 2, 2, 3]))
    0.4
    """
    order = np.lexsort((scores, users))
    user, score, label = users[order], scores[order], labels[order].astype(np.float64)
    place = np.arange(len(order))
    new_user = np.append(True, user[1:] != user[:-1])
    new_score = new_user | np.append(True, score[1:] != score[:-1])
    # Equal scores of one user share the mean of their ranks, as in the Mann-Whitney statistic.
    tie = np.cumsum(new_score) - 1
    tie_start = place[new_score]
    tie_end = np.append(tie_start[1:], len(order))
    group = np.cumsum(new_user) - 1
    user_start = place[new_user]
    rank = (tie_start + tie_end + 1)[tie] / 2.0 - user_start[group]
    rows = np.bincount(group)
    positives = np.bincount(group, weights=label)
    rank_sum = np.bincount(group, weights=rank * label)
    negatives = rows - positives
    both = (positives > 0) & (negatives > 0)
    if not both.any():
        return float("nan")
    auc = (rank_sum - positives * (positives + 1) / 2)[both] / (positives * negatives)[both]
    return float(np.average(auc, weights=rows[both]))


def rela_impr(auc: float, two_tower_auc: float) -> float:
    """Relative improvement over the two-tower model's AUC, both counted from chance (IntTower, section 4.1).

    >>> round(rela_impr(0.8974, 0.8697), 4)
    0.0749
    """
    return (auc - 0.5) / (two_tower_auc - 0.5) - 1.0
