"""Every model beside the others: under each protocol, and under all; what models cost."""

from __future__ import annotations

import math

import pandas as pd

from leaderboard.entrants import BASELINE, ENTRANTS, kind, paper_auc, title
from leaderboard.estimates import Estimate, relative_improvement
from leaderboard.markdown import (
    JOINED,
    PROTOCOL_TITLES,
    decimal_text,
    estimate_text,
    milliseconds,
    one_below_the_other,
    seeds_text,
    table,
)
from leaderboard.results import HONEST, protocols_with_runs, runs_by_entrant, select_runs
from leaderboard.speed import Speeds
from model import MODELS

METRICS = {"auc": "AUC", "logloss": "logloss"}  # as tables name them, in the order of `ModelEntry.paper`


def overview_table(runs: pd.DataFrame, dataset: str) -> str:
    """One row a model: the paper's AUC, and ours under each protocol that has any; then the same of logloss."""
    return one_below_the_other(*(_overview(runs, dataset, metric) for metric in METRICS))


def _overview(runs: pd.DataFrame, dataset: str, metric: str) -> str:
    protocols, rows = protocols_with_runs(runs), []
    for name, entry in MODELS.items():
        own = [Estimate.from_values(select_runs(runs, protocol, name)[metric]) for protocol in protocols]
        paper = dict(zip(METRICS, entry.paper.get(dataset, ()), strict=False)).get(metric, math.nan)
        if any(estimate.count for estimate in own):
            rows.append([entry.title, decimal_text(paper), *map(estimate_text, own)])
    return table([METRICS[metric], "paper", *(PROTOCOL_TITLES[protocol] for protocol in protocols)], rows)


def leaderboard_table(runs: pd.DataFrame, protocol: str, dataset: str) -> str:
    """All entrants of one protocol, the best AUC first, with RelaImpr against DSSM; below, of how many seeds each is.

    The paper's AUC stands beside the numbers of its own protocol alone. A column without an entry is left out.
    """
    own = runs_by_entrant(runs[runs["protocol"] == protocol])
    order = own.groupby("model")["auc"].mean().sort_values(ascending=False).index
    rows = []
    for name in order:
        of_model = own[own["model"] == name]
        improvement = relative_improvement(own, name, BASELINE)
        rows.append(
            [
                title(name),
                *(estimate_text(Estimate.from_values(of_model[metric])) for metric in ("auc", "logloss", "gauc")),
                f"{100 * improvement.mean:+.1f}{JOINED}%" if improvement.count else "",
                decimal_text(paper_auc(name, dataset)) if protocol == "published" else "",
            ]
        )
    found = table(["model", "AUC", "logloss", "GAUC", "RelaImpr", "paper's AUC"], rows)
    return one_below_the_other(found, seeds_text({title(name): int((own["model"] == name).sum()) for name in order}))


def costs_table(runs: pd.DataFrame, speeds: Speeds) -> str:
    """One row an entrant: parameters, training time under one protocol, and what an index and a request cost.

    The protocol: `holdout`, without runs of it the first that has any. A column without an entry is left out.
    """
    protocols = protocols_with_runs(runs)
    if not protocols:
        return ""
    protocol = HONEST if HONEST in protocols else protocols[0]
    own = runs_by_entrant(runs[runs["protocol"] == protocol])
    rows = []
    for name in (name for name in ENTRANTS if name in set(own["model"])):
        of_model, size = own[own["model"] == name], speeds.bytes_per_item.get(name)
        rows.append(
            [
                title(name),
                kind(name),
                f"{of_model['parameters'].iloc[0] / 1e6:.2f}{JOINED}M",
                f"{of_model['train_seconds'].mean():.0f}",
                "" if size is None else f"{size:,}",
                milliseconds(speeds.scoring_ms.get(name)),
                milliseconds(speeds.request_ms.get(name)),
            ]
        )
    heads = [
        "model",
        "kind",
        "parameters",
        f"training, s (`{protocol}`)",
        "bytes an item",
        "scoring, ms",
        "request, ms",
    ]
    return table(heads, rows)
