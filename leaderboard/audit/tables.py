"""What the leaking features alone reach, beside the models, and how much of each model that is."""

from __future__ import annotations

import math

import pandas as pd

from leaderboard.entrants import BASELINE, OURS
from leaderboard.estimates import Estimate
from leaderboard.markdown import estimate_text, table
from leaderboard.results import select_runs
from model import MODELS
from preprocessing.protocol import PROTOCOLS


def probes_of(entries: list[dict]) -> dict[str, dict[str, Estimate]]:
    """Protocol -> probe -> test AUC over the seeds, without an interval where no seed changes it.

    entries: see `leaderboard.audit.probes`. Under `temporal` neither a split nor a probe depends on the seed.
    """
    found = {}
    for protocol in PROTOCOLS:
        own = pd.DataFrame([entry["test_auc"] for entry in entries if entry["protocol"] == protocol])
        if len(own):
            found[protocol] = {
                probe: Estimate.from_values(own[probe] if own[probe].nunique() > 1 else own[probe][:1]) for probe in own
            }
    return found


def probes_table(entries: list[dict], runs: pd.DataFrame) -> str:
    """One row a protocol: the probes, and DSSM, IntTower and HIT beside them."""
    shown = [name for name in (BASELINE, *OURS) if name in set(runs["model"])]
    rows = []
    for protocol, probes in probes_of(entries).items():
        cells = [f"`{protocol}`", *(estimate_text(probes[name]) for name in ("two_statistics", "membership"))]
        for name in shown:
            auc = Estimate.from_values(select_runs(runs, protocol, name)["auc"])
            share = explained(entries, runs, protocol, name)
            cells.append(estimate_text(auc) + (f" ({share.mean:.0%})" if share.count else ""))
        rows.append(cells)
    heads = ["protocol", "two statistics", "membership in the history", *(MODELS[name].title for name in shown)]
    return table(heads, rows)


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
    probe = {entry["seed"]: entry["test_auc"]["two_statistics"] for entry in entries if entry["protocol"] == protocol}
    own = select_runs(runs, protocol, model)
    shares = [_share(probe[seed], auc) for seed, auc in zip(own["seed"], own["auc"], strict=True) if seed in probe]
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
    ('91.7 ± 0.4 %', '91.7 %')
    """
    if not share.count:
        return ""
    around = "" if math.isnan(share.half_width) else f" ± {100 * share.half_width:.1f}"
    return f"{100 * share.mean:.1f}{around} %"
