"""What the label leak is worth: models that read nothing but what leaks, under each protocol.

Two statistics: a logistic regression on the mean label of the row's user and of its item.
Membership: whether the row's item is among its user's liked items. Under the published protocol a row's history holds
the row itself if it is a positive, and so this one bit is the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from experiment.script import Interrupted
from foundation.progress import progress_bar
from leaderboard.jobs import FIRST_SEED
from leaderboard.json_entries import file_entry, read_entries
from leaderboard.results import require_data
from preprocessing.dataset import Dataset, Split
from preprocessing.raw import RawData

AUDIT = "audit.json"
CHUNK = 20_000  # rows whose histories are looked through together


def audit(raw: RawData, protocol: str, seed: int) -> dict[str, float]:
    """The test AUC of each probe: {"two_statistics": ..., "membership": ..., "both": ...}."""
    data = Dataset.build(raw, protocol, seed)
    train, test = ((statistics(split), membership(split)) for split in (data.train, data.test))
    return {
        "two_statistics": _auc(data, train[0], test[0]),
        "membership": float(roc_auc_score(data.test.labels, test[1])),
        "both": _auc(data, np.column_stack(train), np.column_stack(test)),
    }


def write_audit(
    raw: RawData, protocols: list[str], seeds: Sequence[int], path: Path, code: dict[str, str], quiet: bool = False
) -> list[dict]:
    """The audit under each protocol with each seed, filed in `path` one by one. Returns these entries.

    code: version of the sources, as in a result file. On Ctrl-C those that were measured are kept. Raises `InputError`
    for a damaged file, and for one about other data.
    """
    pairs = [(protocol, seed) for protocol in protocols for seed in seeds]
    entries: list[dict] = []
    for entry in read_entries(path):  # before anything is measured
        require_data(path, entry, raw.fingerprint)
    try:
        for protocol, seed in progress_bar(pairs, quiet=quiet, unit="audit"):
            entry = {
                "dataset": raw.name,
                "data_sha256": raw.fingerprint,
                "protocol": protocol,
                "seed": seed,
                "test_auc": audit(raw, protocol, seed),
                "command": f"python benchmark.py --audit --protocols {protocol} --seeds {seed - FIRST_SEED + 1}",
                "code": code,
            }
            file_entry(path, entry)
            entries.append(entry)
    except KeyboardInterrupt:
        raise Interrupted(f"Interrupted. {len(entries)} of {len(pairs)} audits are in {path}.") from None
    return entries


def statistics(split: Split) -> np.ndarray:
    """(n, 2): the mean label of each row's user and of its item."""
    schema = split.dataset.schema
    names = [schema.user_statistic, schema.item_statistic]
    values = split.batch(torch.arange(len(split)), names)
    return np.column_stack([values[name].numpy() for name in names])


def membership(split: Split) -> np.ndarray:
    """(n,) 1 where a row's item is in the row's history, 0 elsewhere."""
    schema = split.dataset.schema
    found = []
    for rows in torch.arange(len(split)).split(CHUNK):
        batch = split.batch(rows, [schema.item_id, schema.history])
        history = batch[schema.history]
        lengths = history.offsets.diff().long()
        hits = history.values == batch[schema.item_id].repeat_interleave(lengths)
        owner = torch.arange(len(rows)).repeat_interleave(lengths)
        found.append(torch.bincount(owner[hits], minlength=len(rows)) > 0)
    return torch.cat(found).numpy().astype(np.float64)


def _auc(data: Dataset, train: np.ndarray, test: np.ndarray) -> float:
    model = LogisticRegression(C=100.0).fit(train, data.train.labels)
    return float(roc_auc_score(data.test.labels, model.decision_function(test)))
