"""What the label leak is worth: models that read nothing but what leaks, under each protocol.

Two statistics: a logistic regression on the mean label of the row's user and of its item.
Membership: whether the row's item is among its user's liked items. Under the published protocol a row's history holds
the row itself if it is a positive, and so this one bit is the label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from experiment.script import Interrupted
from foundation.progress import progress_bar
from leaderboard.data_sets import MOVIELENS, DataSet
from leaderboard.entrants import BASELINE, OURS
from leaderboard.estimates import Estimate
from leaderboard.jobs import FIRST_SEED
from leaderboard.json_entries import file_entry, read_entries
from leaderboard.markdown import AROUND, JOINED, estimate_text, table
from leaderboard.results import auc_of, select_runs
from model import MODELS
from preprocessing.dataset import Dataset, Split
from preprocessing.membership import membership
from preprocessing.protocol import PROTOCOLS
from preprocessing.raw import RawData

AUDIT = "audit.json"


def audit(raw: RawData, protocol: str, seed: int) -> dict[str, float]:
    """The test AUC of each probe: {"two_statistics": ..., "membership": ..., "both": ...}; without those that read what
    the data do not have."""
    data = Dataset.build(raw, protocol, seed)
    train: list[np.ndarray] = []
    test: list[np.ndarray] = []
    found: dict[str, float] = {}
    if data.schema.user_statistic or data.schema.item_statistic:
        train, test = [statistics(data.train)], [statistics(data.test)]
        found["two_statistics"] = _auc(data, train[0], test[0])
    if data.schema.history:
        train, test = [*train, membership(data.train)], [*test, membership(data.test)]
        found["membership"] = float(roc_auc_score(data.test.labels, test[-1]))
    if len(found) == 2:
        found["both"] = _auc(data, np.column_stack(train), np.column_stack(test))
    return found


def write_audit(
    raw: RawData,
    protocols: list[str],
    seeds: Sequence[int],
    path: Path,
    code: dict[str, str],
    quiet: bool = False,
    dataset: DataSet = MOVIELENS,
) -> list[dict]:
    """The audit under each protocol with each seed, filed in `path` one by one. Returns these entries.

    code: version of the sources, as in a result file. On Ctrl-C those that were measured are kept. Raises `InputError`
    for a damaged file, and for one about other data.
    """
    pairs = [(protocol, seed) for protocol in protocols for seed in seeds]
    entries: list[dict] = []
    read_entries(path, raw.fingerprint)  # before anything is measured
    try:
        for protocol, seed in progress_bar(pairs, quiet=quiet, unit="audit"):
            entry = {
                "dataset": raw.name,
                "data_sha256": raw.fingerprint,
                "protocol": protocol,
                "seed": seed,
                "test_auc": audit(raw, protocol, seed),
                "command": f"python benchmark.py --audit {dataset.option}{_chosen(protocol, seed)}",
                "code": code,
            }
            file_entry(path, entry)
            entries.append(entry)
    except KeyboardInterrupt:
        raise Interrupted(f"Interrupted. {len(entries)} of {len(pairs)} audits are in {path}.") from None
    return entries


def _chosen(protocol: str, seed: int) -> str:
    return f"--protocols {protocol} --seeds {seed - FIRST_SEED + 1}"


def statistics(split: Split) -> np.ndarray:
    """(n, 1 or 2): the mean label of each row's user and of its item, as far as the data have them."""
    schema = split.dataset.schema
    names = [name for name in (schema.user_statistic, schema.item_statistic) if name]
    values = split.batch(torch.arange(len(split)), names)
    return np.column_stack([np.asarray(values[name]) for name in names])


def _auc(data: Dataset, train: np.ndarray, test: np.ndarray) -> float:
    model = LogisticRegression(C=100.0).fit(train, data.train.labels)
    return float(roc_auc_score(data.test.labels, model.decision_function(test)))


def probes_of(entries: list[dict]) -> dict[str, dict[str, Estimate]]:
    """Protocol -> probe -> test AUC over the seeds, without an interval where no seed changes it.

    entries: see `leaderboard.audit.probes`. Under `temporal` neither a split nor a probe depends on the seed.
    """
    found: dict[str, float] = {}
    for protocol in PROTOCOLS:
        own = pd.DataFrame([entry["test_auc"] for entry in entries if entry["protocol"] == protocol])
        if len(own):
            found[protocol] = {
                probe: Estimate.from_values(own[probe] if own[probe].nunique() > 1 else own[probe][:1]) for probe in own
            }
    return found


def probes_table(entries: list[dict], runs: pd.DataFrame) -> str:
    """One row a protocol: the probes that the data have, and DSSM, IntTower and HIT beside them."""
    shown = [name for name in (BASELINE, *OURS) if name in set(runs["model"])]
    rows = []
    measured = probes_of(entries)
    named = {"two_statistics": "two statistics", "membership": "the bit"}
    named = {name: head for name, head in named.items() if any(name in probes for probes in measured.values())}
    for protocol, probes in measured.items():
        cells = [f"`{protocol}`", *(estimate_text(probes[name]) for name in named)]
        rows.append([*cells, *(estimate_text(auc_of(runs, protocol, name)) for name in shown)])
    return table(["protocol", *named.values(), *(MODELS[name].title for name in shown)], rows)


def explained_table(entries: list[dict], runs: pd.DataFrame) -> str:
    """One row a model: the share of its AUC above .5 that the two statistics reach, by protocol; "" without any."""
    protocols = [protocol for protocol in PROTOCOLS if any(entry["protocol"] == protocol for entry in entries)]
    rows = []
    for name, entry in MODELS.items():
        shares = [explained(entries, runs, protocol, name) for protocol in protocols]
        if any(share.count for share in shares):
            rows.append([entry.title, *map(_percent, shares)])
    return table(["model", *(f"`{protocol}`" for protocol in protocols)], rows)


def explained(entries: list[dict], runs: pd.DataFrame, protocol: str, model: str) -> Estimate:
    """The share of a model's AUC above .5 that the two statistics reach, over the seeds that both have."""
    own = [entry for entry in entries if entry["protocol"] == protocol and "two_statistics" in entry["test_auc"]]
    probe = {entry["seed"]: entry["test_auc"]["two_statistics"] for entry in own}
    trained = select_runs(runs, protocol, model)
    scored = zip(trained["seed"], trained["auc"], strict=True)
    shares = [_share(probe[seed], auc) for seed, auc in scored if seed in probe]
    return Estimate.from_values([share for share in shares if not math.isnan(share)])


def _share(probe: float, auc: float) -> float:
    """Of an AUC above .5; NaN where it is .5.

    >>> _share(0.875, 1.0), _share(0.875, 0.5)
    (0.75, nan)
    """
    return (probe - 0.5) / (auc - 0.5) if auc != 0.5 else math.nan


def _percent(share: Estimate) -> str:
    """
    >>> _percent(Estimate(0.917, 0.004, 5)), _percent(Estimate(0.917, float("nan"), 1))
    ('91.7\\xa0±\\xa00.4\\xa0%', '91.7\\xa0%')
    """
    if not share.count:
        return ""
    around = "" if math.isnan(share.half_width) else f"{AROUND}{100 * share.half_width:.1f}"
    return f"{100 * share.mean:.1f}{around}{JOINED}%"
