"""Recall@k, NDCG@k and hit rate@k of a two-tower model: what each user's ranked catalogue holds of the positives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from foundation.errors import InputError
from foundation.values import as_count
from model.best_items import SAMPLE, NotMeasuredError, Requests, best_items
from model.catalogue import Candidates, Catalogue
from model.sources import as_source
from preprocessing.dataset import Dataset, Split
from training import distributed
from training.evaluation import predict_logits
from training.protocols import BatchSource
from training.rank_metrics import KINDS, kind_and_cutoff, rank_metrics

if TYPE_CHECKING:
    from model.base import TwoTower

KS = (10, 100)
MAX_USERS = 10_000
MAX_PAIRS = 400_000_000  # of a user with an item that are scored: with many items, fewer users


@dataclass(frozen=True)
class Retrieval:
    """scores: by name. users: how many were ranked for, drawn where `users_with_positives` are more. items: among how
    many. positives: how many of them are to be found. candidates: how they were chosen, in words.
    """

    scores: dict[str, float]
    users: int
    users_with_positives: int
    items: int
    positives: int
    candidates: str


def retrieval_metrics(
    model: TwoTower,
    split: Split,
    ks: Sequence[int] = KS,
    *,
    candidates: Candidates = None,
    leave_out_liked: bool = True,
    max_users: int | None = MAX_USERS,
) -> dict[str, float]:
    """Recall, NDCG and hit rate at each k: {"recall@10": ..., "ndcg@10": ..., "hit@10": ..., ...}.

    Each is a mean over the users who have a positive of these rows among their candidates. A positive that occurs twice
    counts once, and equal scores are in the order of the index. Formulas and sources: `training.rank_metrics`.

    split: the rows whose positives are to be found. candidates: ids of items, the same for all users, or
        {user id: ids}; None: all items.
    leave_out_liked: what a user liked in the rows of earlier splits (before test rows: in those of training and
        validation) is no candidate, and so no positive. An item that only these rows know is a candidate.
    max_users: are drawn by the data set's seed where there are more, and fewer where more than `MAX_PAIRS` scores would
        be needed. None: all users.
    Raises `InputError` for rows that no data set stands behind, unknown candidates, a model that reads something of the
    impression itself, rows without such a positive, and scores that are not finite (the last three as
    `NotMeasuredError`).
    """
    names = [f"{kind}@{as_count('k', k, least=1)}" for k in ks for kind in KINDS]
    return measure(model, split, names, candidates, leave_out_liked, max_users).scores


def measure(
    model: TwoTower,
    rows: BatchSource,
    names: Sequence[str],
    candidates: Candidates = None,
    leave_out_liked: bool = True,
    max_users: int | None = MAX_USERS,
) -> Retrieval:
    """The metrics of these names, and what they are of; otherwise as `retrieval_metrics`."""
    split = require_catalogue(rows, names)
    as_source(split, None, model.columns, model.encoding)  # which refuses what does not fit the model
    few = split.take(torch.arange(min(len(split), SAMPLE), device=split.rows.device))
    predict_logits(model, few.to(model.device))  # which refuses encoders that are not those of `output`
    most = None if max_users is None else as_count("max_users", max_users, least=1)

    data, scored = split.dataset.to("cpu"), split.rows.cpu().numpy()
    requests, catalogue = Requests.of(model, data), Catalogue.of(data, candidates)
    before = catalogue.liked(data, rows_before(data, scored) if leave_out_liked else scored[:0])
    positives, own = catalogue.liked(data, scored).without(before), None
    if catalogue.own is not None:
        own = catalogue.own.without(before)
        positives = positives.among(own)
    everyone = np.unique(positives.users)
    if len(everyone) == 0:
        raise NotMeasuredError(
            f"None of these {len(split):,} rows is a positive that is among its user's candidates, so that there is "
            "nothing to find. Evaluate on more rows."
        )
    users = everyone
    if most is not None:
        users = drawn(everyone, min(most, max(1, MAX_PAIRS // len(catalogue.items))), data.seed)
        positives = positives.of_users(users)
    ranked = best_items(requests, users, catalogue.items, max(kind_and_cutoff(name)[1] for name in names), before, own)
    count = np.bincount(np.searchsorted(users, positives.users), minlength=len(users))
    return Retrieval(
        scores=rank_metrics(positives.has(users, ranked), count, names),
        users=len(users),
        users_with_positives=len(everyone),
        items=len(catalogue.items),
        positives=len(positives),
        candidates=catalogue.words + (", without what the user liked before" if leave_out_liked else ""),
    )


def retrieval_entry(model: Any, split: Split) -> dict[str, Any] | None:
    """For `result.json`: metrics at each of `KS` over all items and what they are of, or why there are none as
    {"not_measured": ...}. None for a ranking model.
    """
    if not model.has_two_sides:
        return None
    names = [f"{kind}@{k}" for k in KS for kind in KINDS]
    try:
        found = asdict(distributed.current().once(lambda: measure(model, split, names)))
    except NotMeasuredError as error:
        return {"not_measured": str(error)}
    return found.pop("scores") | found


def require_catalogue(rows: BatchSource, names: Sequence[str]) -> Split:
    """Raises `InputError` for rows that no data set stands behind."""
    if not isinstance(rows, Split):
        raise InputError(
            f"{', '.join(names)}: these rows are arrays or a frame, which bring no catalogue of items to rank. Pass a "
            "split of a Dataset, such as data.test."
        )
    return rows


def rows_before(data: Dataset, rows: np.ndarray) -> np.ndarray:
    """(n,) the rows of the splits that come before the first one that any of these rows is of."""
    before = [np.zeros(0, dtype=np.int64)]
    for own in data.protocol.splits.values():
        if np.isin(rows, own).any():
            return np.concatenate(before)
        before.append(own)
    return before[0]


def drawn(users: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` of these users by the seed, ascending; all where there are no more."""
    return np.sort(users[np.random.default_rng([seed, count]).permutation(len(users))[:count]])
