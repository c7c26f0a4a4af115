"""Every model beside the others: the leaderboard of each protocol, and all protocols in one table."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from leaderboard.entrants import BASELINE, kind, paper_auc, title
from leaderboard.estimates import Estimate, relative_improvement
from leaderboard.markdown import PROTOCOL_TITLES, decimal_text, estimate_text, signed_text, table
from leaderboard.results import protocols_with_runs, runs_by_entrant, select_runs
from leaderboard.speed import Speeds
from model import MODELS

NOT_MEASURED = Speeds()


def overview_table(runs: pd.DataFrame, dataset: str) -> str:
    """One row a model: the paper's AUC / logloss, and ours under each protocol that has any."""
    protocols, rows = protocols_with_runs(runs), []
    for name, entry in MODELS.items():
        own = [select_runs(runs, protocol, name) for protocol in protocols]
        if any(map(len, own)):
            paper = " / ".join(decimal_text(score) for score in entry.paper.get(dataset, ()))
            rows.append([entry.title, paper, *(_auc_and_logloss(part) if len(part) else "" for part in own)])
    return table(["AUC / logloss", "paper", *(PROTOCOL_TITLES[protocol] for protocol in protocols)], rows)


def _auc_and_logloss(runs: pd.DataFrame) -> str:
    return f"{estimate_text(Estimate.from_values(runs['auc']))} / {decimal_text(runs['logloss'].mean())}"


def leaderboard_table(runs: pd.DataFrame, protocol: str, dataset: str, speeds: Speeds = NOT_MEASURED) -> str:
    """All entrants of one protocol, the best AUC first, with RelaImpr against DSSM and what training and serving cost.

    The paper's AUC stands beside the numbers of its own protocol alone, the number of seeds where models differ in it.
    A column without an entry is left out.
    """
    own = runs_by_entrant(runs[runs["protocol"] == protocol])
    several = own.groupby("model").size().nunique() > 1
    order = own.groupby("model")["auc"].mean().sort_values(ascending=False).index
    rows = []
    for name in order:
        of_model = own[own["model"] == name]
        auc = Estimate.from_values(of_model["auc"])
        improvement = relative_improvement(own, name, BASELINE)
        paper = paper_auc(name, dataset)
        published = protocol == "published" and not math.isnan(paper)
        against = f"{decimal_text(paper)} ({signed_text(replace(auc, mean=auc.mean - paper))})" if published else ""
        rows.append(
            [
                title(name),
                kind(name),
                *(estimate_text(Estimate.from_values(of_model[metric])) for metric in ("auc", "logloss", "gauc")),
                f"{100 * improvement.mean:+.1f} %" if improvement.count else "",
                against,
                f"{of_model['parameters'].iloc[0] / 1e6:.2f} M",
                f"{of_model['train_seconds'].mean():.0f}",
                *speeds.cells(name),
                str(auc.count) if several else "",
            ]
        )
    heads = ["model", "kind", "AUC", "logloss", "GAUC", "RelaImpr", "paper's AUC (difference)"]
    heads += ["parameters", "training, s", "bytes an item", "scoring / request, ms", "seeds"]
    return table(heads, rows)
