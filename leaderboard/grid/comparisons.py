"""The papers' models against the best of what they are compared with, tested over the seeds that both have."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pandas as pd

from leaderboard.entrants import BASELINE, ENTRANTS, OURS, SHOWN_VARIANTS, kind, model_of, title
from leaderboard.estimates import Difference, compare
from leaderboard.markdown import difference_text, p_text, table
from leaderboard.results import default_runs, runs_by_entrant
from preprocessing.protocol import PROTOCOLS

CONTENDERS = [name for name in ENTRANTS if model_of(name) in OURS]
ROLES = {"two towers": "the best two-tower baseline by validation", "ranking": "the best ranking model by validation"}


@dataclass(frozen=True)
class Comparison:
    """Of one protocol: the AUC of an entrant minus that of its opponent.

    role: what the opponent was chosen for, "" for one that is always compared.  corrected: the same difference with
    the standard error of Nadeau and Bengio for overlapping splits, None where all seeds share one split.
    """

    entrant: str
    opponent: str
    role: str
    difference: Difference
    corrected: Difference | None


def best_baselines(runs: pd.DataFrame, protocol: str) -> dict[str, str]:
    """Kind -> the model of it with the best mean validation AUC; the papers' own models do not count.

    Chosen by validation, since the best of several test scores is too good.
    """
    own = default_runs(runs, protocol)
    means = own[~own["model"].isin(OURS)].groupby("model")["validation_auc"].mean()
    best: dict[str, str] = {}
    for name in means.sort_values(ascending=False, kind="stable").index:
        best.setdefault(kind(name), name)
    return best


def opponents(runs: pd.DataFrame, protocol: str) -> dict[str, str]:
    """Whom IntTower and HIT are compared with -> in which role, "" for DSSM as such."""
    best = best_baselines(runs, protocol)
    roles = {best[kind]: role for kind, role in ROLES.items() if kind in best}
    return {BASELINE: ""} | roles if BASELINE in set(default_runs(runs, protocol)["model"]) else roles


def comparisons(runs: pd.DataFrame, protocol: str) -> list[Comparison]:
    """Those where both have a seed in common.

    IntTower, HIT and their shown variants against the baselines; then the two against each other, with one head as
    well; then each shown variant against its model.
    """
    own = runs_by_entrant(runs[runs["protocol"] == protocol])
    overlap = own["test_share"].mean() if protocol != "temporal" and "test_share" in own else float("nan")
    pairs = [(name, other, role) for name in CONTENDERS for other, role in opponents(runs, protocol).items()]
    pairs += [(*OURS, ""), (*SHOWN_VARIANTS, ""), *((name, model_of(name), "") for name in SHOWN_VARIANTS)]
    found = []
    for name, other, role in pairs:
        corrected = compare(own, name, other, overlap=overlap) if overlap == overlap else None
        found.append(Comparison(name, other, role, compare(own, name, other), corrected))
    return [entry for entry in found if entry.difference.estimate.count]


def comparisons_table(runs: pd.DataFrame, protocol: str) -> str:
    """One row a comparison; "" without any."""
    rows = [
        [
            title(entry.entrant),
            f"{title(entry.opponent)}{f', {entry.role}' if entry.role else ''}",
            difference_text(entry.difference),
            p_text(entry.difference.p_value),
            p_text(entry.corrected.p_value) if entry.corrected else "",
            str(entry.difference.estimate.count),
        ]
        for entry in comparisons(runs, protocol)
    ]
    return table(["model", "against", "difference of AUC", "p", "corrected p", "seeds"], rows)


def summary_table(runs: pd.DataFrame) -> str:
    """The differences alone: a row for IntTower, HIT and their variants under each protocol, a column an opponent.

    The other comparisons are left out; "" without any difference.
    """
    columns = [title(BASELINE), *ROLES.values(), title(OURS[1])]
    found = {protocol: comparisons(runs, protocol) for protocol in PROTOCOLS}
    rows = []
    for name, protocol in itertools.product(CONTENDERS, PROTOCOLS):
        cells = dict.fromkeys(columns, "")
        for entry in found[protocol]:
            column = entry.role or title(entry.opponent)
            if entry.entrant == name and entry.opponent != model_of(name) and column in cells:
                who = f" ({title(entry.opponent)})" if entry.role else ""
                cells[column] = difference_text(entry.difference) + who
        if any(cells.values()):
            rows.append([f"{title(name)}, `{protocol}`", *cells.values()])
    return table(["AUC minus that of", *columns], rows)
