"""What each model gives and what it costs, side by side in the README."""

from __future__ import annotations

import pandas as pd

from leaderboard.entrants import kind, title
from leaderboard.markdown import group_mean_text, milliseconds, one_below_the_other, seeds_text, table
from leaderboard.results import default_runs, runs_by_entrant
from leaderboard.speed import Speeds
from leaderboard.stages.agreement import TOP
from leaderboard.stages.report import stage_frame

FIRST, LATER = "holdout", "temporal"  # the protocols that leak nothing; models stand in the order of the first
CUT = 400  # candidates that a pre-ranker lets through


def quality_and_cost_table(runs: pd.DataFrame, stages: list[dict], speeds: Speeds) -> str:
    """One row an entrant, the best AUC under `holdout` first; "" without runs.

    Columns: AUC under two protocols, the share of the ranker's top that is kept under `holdout`, milliseconds of a
    request, bytes an item of the index. A column without an entry is left out. Below stands of how many seeds the
    share is, where they differ: a model is not measured where it is the ranker.
    """
    measured = stage_frame(stages, runs)
    measured = measured[measured["protocol"] == FIRST]
    kept = measured.groupby("model")[str(CUT)]
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
                group_mean_text(kept, name, 3) or ("is the ranker" if name in set(measured["ranker"]) else ""),
                milliseconds(speeds.request_ms.get(name)),
                "" if size is None else f"{size:,}",
            ]
        )
    heads = ["model", "kind", *(f"AUC, `{protocol}`" for protocol in auc), f"top {TOP} kept", "ms", "bytes an item"]
    counts = {title(str(name)): int(count) for name, count in kept.count().items()}
    seeds = seeds_text(counts, f"of “top {TOP} kept”") if len(set(counts.values())) > 1 else ""
    return one_below_the_other(table(heads, rows), seeds)
