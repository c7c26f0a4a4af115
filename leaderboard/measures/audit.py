"""What the label leak is worth: models that read nothing but what leaks, under each protocol.

Two statistics: a logistic regression on the mean label of the row's user and of its item.
Membership: whether the row's item is among its user's liked items. Under the published protocol a row's history holds
the row itself if it is a positive, and so this one bit is the label.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from experiment.main import Interrupted
from leaderboard.filed import read_json
from preprocessing.dataset import Dataset, Split
from preprocessing.protocol import PROTOCOLS
from preprocessing.raw import RawData
from training.store import write_atomic

CHUNK = 20_000  # rows whose histories are looked through together


def audit(raw: RawData, protocol: str, seed: int) -> dict:
    """The test AUC of each probe: {"two_statistics": ..., "membership": ..., "both": ...}."""
    data = Dataset.build(raw, protocol, seed)
    train, test = ((statistics(split), membership(split)) for split in (data.train, data.test))
    probes = {
        "two_statistics": _auc(data, train[0], test[0]),
        "membership": float(roc_auc_score(data.test.labels, test[1])),
        "both": _auc(data, np.column_stack(train), np.column_stack(test)),
    }
    return {"dataset": data.name, "protocol": protocol, "seed": seed, "test_auc": probes}


def read_audit(path: Path) -> list[dict]:
    """The entries of an `audit.json`; none without one. Raises `InputError` for a damaged one."""
    return read_json(path, list) if path.exists() else []


def write_audit(
    raw: RawData, protocols: list[str], seeds: Sequence[int], path: Path, quiet: bool = False
) -> list[dict]:
    """The audit under each protocol with each seed. Returns these entries, one each.

    Each takes the place of an earlier entry of its protocol and seed in `path`, a JSON list by protocol, then seed; the
    others stay. On Ctrl-C those that were measured are kept.
    """
    every = {_key(entry): entry for entry in read_audit(path)}
    path.parent.mkdir(parents=True, exist_ok=True)
    pairs = [(protocol, seed) for protocol in protocols for seed in seeds]
    entries: list[dict] = []
    try:
        for protocol, seed in tqdm(pairs, unit="audit", disable=quiet):
            entry = audit(raw, protocol, seed)
            every[_key(entry)] = entry
            write_atomic(path, json.dumps([every[key] for key in sorted(every)], indent=1) + "\n")
            entries.append(entry)
    except KeyboardInterrupt:
        raise Interrupted(f"Interrupted. {len(entries)} of {len(pairs)} audits are in {path}.") from None
    return entries


def _key(entry: dict) -> tuple[int, int]:
    return list(PROTOCOLS).index(entry["protocol"]), entry["seed"]


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
