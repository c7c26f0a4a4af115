"""What each model gives and what it costs, side by side in the README."""

from __future__ import annotations

import pandas as pd

from leaderboard.entrants import kind, title
from leaderboard.markdown import group_mean_text, milliseconds, table
from leaderboard.results import default_runs, runs_by_entrant
from leaderboard.speed import Speeds
from leaderboard.stages.agreement import TOP
from leaderboard.stages.report import stage_frame

FIRST, LATER = "holdout", "temporal"  # the protocols that leak nothing; models stand in the order of the first
CUT = 400  # candidates that a pre-ranker lets through


def quality_and_cost_table(runs: pd.DataFrame, stages: list[dict], speeds: Speeds) -> str:
    """One row an entrant, the best AUC under `holdout` first; "" without runs.

    A column without an entry is left out.
    """
    measured = stage_frame(stages, runs)
    measured = measured[measured["protocol"] == FIRST]
    survivors = measured.groupby("model")[str(CUT)]
    all_seeds = measured["seed"].nunique()
    runs = runs_by_entrant(runs)
    auc = {protocol: default_runs(runs, protocol).groupby("model")["auc"] for protocol in (FIRST, LATER)}
    rows = []
    for name in auc[FIRST].mean().sort_values(ascending=False, kind="stable").index:
        size = speeds.bytes_per_item.get(name)
        rows.append(
            [
                title(name),
                kind(name),
                *(group_mean_text(grouped, name) for grouped in auc.values()),
                _kept(survivors, name, all_seeds) or ("is the ranker" if name in set(measured["ranker"]) else ""),
                milliseconds(speeds.request_ms[name]) if name in speeds.request_ms else "",
                "" if size is None else f"{size:,}",
            ]
        )
    heads = ["model", "kind", *(f"AUC, `{protocol}`" for protocol in auc)]
    heads += [f"of the ranker's top {TOP} in {CUT}, `{FIRST}`", f"{speeds.items:,} candidates, ms", "bytes an item"]
    return table(heads, rows)


def _kept(survivors, name: str, all_seeds: int) -> str:
    """With the number of seeds where it is not that of the others: a model is not measured where it is the ranker."""
    if name not in survivors.groups:
        return ""
    count = len(survivors.get_group(name))
    return group_mean_text(survivors, name, 3) + ("" if count == all_seeds else f" ({count} seed{'s' * (count > 1)})")
