"""The papers' models against the best of what they are compared with, tested over the seeds that both have."""

from __future__ import annotations

import itertools
import math

import pandas as pd

from leaderboard.families import BASELINE, ENTRANTS, FORMS, OURS, kind, model_of, title
from leaderboard.report.tables import entrants, filled_columns, markdown, signed
from leaderboard.report.words import listed, p_text
from leaderboard.statistics import Difference, compare
from preprocessing.protocol import PROTOCOLS

CONTENDERS = [name for name in ENTRANTS if model_of(name) in OURS]
ROLES = {"two towers": "the best two-tower baseline by validation", "ranking": "the best ranking model by validation"}
NOTE = (
    "Differences of test AUC are tested by paired t-tests over seeds; a seed draws the weights and, but for `temporal`,"
    " the split. Bold: 0 lies outside the 95 % interval. The best baselines are those of the best mean validation AUC. "
    "No p is corrected for the number of tests. Settings are the defaults; forms with one head stand beside them."
)
ONE_SPLIT = (
    "All seeds share one split here: the intervals are of the randomness of training alone, and say nothing of other "
    "users or times."
)


def defaults(runs: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """The runs of all models with default settings under one protocol."""
    return runs[(runs["protocol"] == protocol) & (runs["variant"] == "")]


def best_baselines(runs: pd.DataFrame, protocol: str) -> dict[str, str]:
    """ "two towers" and "ranking" -> the model of the best mean validation AUC; the papers' own models do not count.

    Chosen by validation, since the best of several test scores is too good.
    """
    own = defaults(runs, protocol)
    means = own[~own["model"].isin(OURS)].groupby("model")["validation_auc"].mean()
    best: dict[str, str] = {}
    for name in means.sort_values(ascending=False, kind="stable").index:
        best.setdefault(kind(name), name)
    return best


def opponents(runs: pd.DataFrame, protocol: str) -> dict[str, str]:
    """Whom IntTower and HIT are compared with -> in which role, "" for DSSM as such."""
    best = best_baselines(runs, protocol)
    roles = {best[kind]: role for kind, role in ROLES.items() if kind in best}
    return {BASELINE: ""} | roles if BASELINE in set(defaults(runs, protocol)["model"]) else roles


def comparisons(runs: pd.DataFrame, protocol: str, overlap: float = 0.0) -> list[tuple[str, str, str, Difference]]:
    """(entrant, opponent, role, difference of AUC) where both have a seed in common.

    IntTower, HIT and their forms against the baselines; then the two against each other, with one head as well; then
    each form against its model.

    overlap: see `leaderboard.statistics.error_of_mean`.
    """
    own = entrants(runs[runs["protocol"] == protocol])
    pairs = [(name, other, role) for name in CONTENDERS for other, role in opponents(runs, protocol).items()]
    pairs += [(*OURS, ""), (*FORMS, ""), *((name, form.model, "") for name, form in FORMS.items())]
    found = [(name, other, role, compare(own, name, other, overlap=overlap)) for name, other, role in pairs]
    return [entry for entry in found if entry[-1].estimate.count]


def table(runs: pd.DataFrame, protocol: str) -> str:
    """One row a comparison; "" without any."""
    rows = [
        [
            title(name),
            f"{title(other)}{f', {role}' if role else ''}",
            signed(difference),
            p_text(difference.p_value),
            str(difference.estimate.count),
        ]
        for name, other, role, difference in comparisons(runs, protocol)
    ]
    return markdown(["model", "against", "difference of AUC", "p", "seeds"], rows) if rows else ""


def summary(runs: pd.DataFrame) -> str:
    """The differences alone: a row for IntTower, HIT and their forms under each protocol, a column an opponent.

    The other comparisons are left out; "" without any difference.
    """
    columns = [title(BASELINE), *ROLES.values(), title(OURS[1])]
    found = {protocol: comparisons(runs, protocol) for protocol in PROTOCOLS}
    rows = []
    for name, protocol in itertools.product(CONTENDERS, PROTOCOLS):
        cells = dict.fromkeys(columns, "")
        for first, other, role, difference in found[protocol]:
            if first == name and other != model_of(name) and (role or title(other) in cells):
                who = f" ({title(other)})" if role else ""
                cells[role or title(other)] = signed(difference) + who
        if any(cells.values()):
            rows.append([f"{title(name)}, `{protocol}`", *cells.values()])
    return markdown(*filled_columns(["AUC minus that of", *columns], rows)) if rows else ""


def caution(runs: pd.DataFrame, protocol: str) -> list[str]:
    """What the intervals of a protocol do not cover, and which of the comparisons would change if they did."""
    plain = comparisons(runs, protocol)
    if protocol == "temporal":
        return [ONE_SPLIT]
    share = defaults(runs, protocol).get("test_share", pd.Series(dtype=float)).mean()
    if math.isnan(share) or not any(difference.estimate.count > 1 for *_, difference in plain):
        return []
    wide = comparisons(runs, protocol, overlap=share)
    fallen = [
        f"{title(name)} and {title(other)}"
        for (name, other, _, before), (*_, after) in zip(plain, wide, strict=True)
        if before.is_clear and not after.is_clear
    ]
    seeds = max(difference.estimate.count for *_, difference in plain)
    says = f"no longer tells apart {listed(fallen)}" if fallen else "changes none of these verdicts"
    return [
        "The seeds' splits are drawn from the same rows and overlap, which makes plain tests too sure. The correction "
        f"of Nadeau and Bengio (2003), intervals {math.sqrt(1 + seeds * share):.1f} times as wide with {seeds} seeds, "
        f"{says}."
    ]
