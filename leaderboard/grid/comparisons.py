"""The papers' models against the best of what they are compared with, tested over the seeds that both have."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from leaderboard.entrants import BASELINE, ENTRANTS, OURS, SHOWN_VARIANTS, kind, model_of, title
from leaderboard.estimates import FEWEST_SEEDS, Difference, compare
from leaderboard.markdown import difference_text, one_below_the_other, p_text, table
from leaderboard.results import default_runs, overlap_of, runs_by_entrant
from preprocessing.protocol import PROTOCOLS

CONTENDERS = [name for name in ENTRANTS if model_of(name) in OURS]
ROLES = {"two towers": "the best two-tower baseline", "ranking": "the best ranking model"}  # by validation


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
    overlap = overlap_of(own, protocol)
    pairs = [(name, other, role) for name in CONTENDERS for other, role in opponents(runs, protocol).items()]
    one_head = [(name, model_of(name), "") for name in SHOWN_VARIANTS]
    pairs += [(OURS[0], OURS[1], ""), (one_head[0][0], one_head[1][0], ""), *one_head]
    found = []
    for name, other, role in pairs:
        corrected = compare(own, name, other, overlap=overlap) if overlap > 0 else None
        found.append(Comparison(name, other, role, compare(own, name, other), corrected))
    return [entry for entry in found if entry.difference.estimate.count]


def tests_text(differences: Iterable[Difference]) -> str:
    """A sentence: how many of these differences of AUC have a test, and how many of those chance alone makes bold."""
    count = sum(not math.isnan(each.p_value) for each in differences)
    if not count:
        return f"No differences of AUC were tested: that takes {FEWEST_SEEDS} seeds that two models have in common."
    return (
        f"Differences of AUC that were tested: {count}. No p value is corrected for their number: without any true "
        f"difference about {0.05 * count:.1f} of them would be bold."
    )


def comparisons_table(runs: pd.DataFrame, protocol: str) -> str:
    """One row a comparison, and below what the opponents were chosen for; "" without any."""
    found = comparisons(runs, protocol)
    rows = [
        [
            title(entry.entrant),
            title(entry.opponent),
            difference_text(entry.difference),
            p_text(entry.difference.p_value),
            p_text(entry.corrected.p_value) if entry.corrected else "",
            str(entry.difference.estimate.count),
        ]
        for entry in found
    ]
    return one_below_the_other(
        table(["model", "against", "difference of AUC", "p", "corrected p", "seeds"], rows), _roles_text(found)
    )


def _roles_text(found: list[Comparison]) -> str:
    roles = {entry.role: title(entry.opponent) for entry in found if entry.role}
    chosen = " and ".join(f"{role} is {name}" for role, name in roles.items())
    return f"By validation AUC {chosen}." if chosen else ""


def summary_table(runs: pd.DataFrame) -> str:
    """The differences alone: a table a protocol, a row for IntTower, HIT and their variants, a column an opponent.

    The other comparisons are left out; "" without any difference.
    """
    return one_below_the_other(*(_summary(comparisons(runs, protocol), protocol) for protocol in PROTOCOLS))


def _summary(found: list[Comparison], protocol: str) -> str:
    """The heads name the opponents, and what each was chosen for."""
    baselines = {entry.opponent: entry.role for entry in found if entry.opponent not in CONTENDERS}
    rows = []
    for name in CONTENDERS:
        own = {entry.opponent: difference_text(entry.difference) for entry in found if entry.entrant == name}
        other = "" if model_of(name) == OURS[1] else OURS[1]  # not HIT against itself
        cells = [own.get(opponent, "") for opponent in (*baselines, other)]
        if any(cells):
            rows.append([title(name), *cells])
    heads = [title(name) + (f" ({role.removeprefix('the ')})" if role else "") for name, role in baselines.items()]
    return table([f"`{protocol}`: AUC minus that of", *heads, title(OURS[1])], rows)
