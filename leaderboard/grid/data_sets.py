"""All data sets side by side: the AUC of every model under the protocols that leak nothing."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from leaderboard.entrants import ENTRANTS, title
from leaderboard.estimates import Estimate
from leaderboard.markdown import cells_seeds_text, estimate_text, one_below_the_other, table
from leaderboard.results import default_runs, runs_by_entrant

PROTOCOLS = ("holdout", "temporal")


def data_sets_table(runs: Mapping[str, pd.DataFrame]) -> str:
    """One row an entrant, the best under the first column first; a column a data set and protocol with runs.

    runs: by the name of the data. Below: of how many seeds each column is.
    """
    columns = {
        f"{name} `{protocol}`": default_runs(runs_by_entrant(own), protocol).groupby("model")["auc"]
        for name, own in runs.items()
        for protocol in PROTOCOLS
    }
    columns = {head: grouped for head, grouped in columns.items() if len(grouped)}
    if not columns:
        return ""
    first = next(iter(columns.values())).mean()
    order = sorted(ENTRANTS, key=lambda name: -first.get(name, 0.0))
    rows = {name: {head: _estimate(grouped, name) for head, grouped in columns.items()} for name in order}
    rows = {name: cells for name, cells in rows.items() if any(cell.count for cell in cells.values())}
    texts = [[title(name), *(estimate_text(cell) for cell in cells.values())] for name, cells in rows.items()]
    seeds = {head: {title(name): cells[head].count for name, cells in rows.items()} for head in columns}
    return one_below_the_other(table(["AUC", *columns], texts), cells_seeds_text(seeds))


def _estimate(grouped, name: str) -> Estimate:
    return Estimate.from_values(grouped.get_group(name) if name in grouped.groups else [])
