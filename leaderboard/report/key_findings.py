"""What the README says first: a choice of the sentences of `findings`, and some of its own."""

from __future__ import annotations

import pandas as pd

from leaderboard.measures.agreement import TOP
from leaderboard.report import findings, recipe_section
from leaderboard.report.comparisons import OURS, ROLES, comparisons
from leaderboard.report.stage_tables import stage_frame
from leaderboard.report.tables import BASELINE, estimate
from leaderboard.report.words import listed, seeds_of, title
from leaderboard.statistics import Estimate
from preprocessing.protocol import PROTOCOLS

HONEST = ("holdout", "temporal")  # in the order in which the README speaks of them


def key_findings(runs: pd.DataFrame, audit: list[dict], stages: list[dict], dataset: str) -> list[str]:
    """What the README says first: the seeds, the papers, the leak, both models under honest protocols, pre-ranking."""
    found = findings.spread(runs) + findings.above_papers(runs, dataset)
    for name in OURS:
        found += findings.against_paper(runs, name, dataset)
    found += order_of_papers(runs, dataset) + recipe_section.beside_paper(runs, OURS, dataset)
    found += findings.leak([entry for entry in audit if entry["protocol"] == "published"], runs)
    for protocol in HONEST:
        told = comparisons(runs, protocol)
        for ours in OURS:
            said = [
                findings.comparison(title(ours), title(other), role, of)
                for name, other, role, of in told
                if name == ours and role
            ]
            if said:
                found.append(f"Under `{protocol}` {findings.joined(said)}")
    return found + among_themselves(runs, dataset) + survivors_of(stages, runs)


def order_of_papers(runs: pd.DataFrame, dataset: str) -> list[str]:
    """What the papers say of IntTower and HIT against the best ranking model, and what is seen here."""
    told = comparisons(runs, "published")
    pairs = [(name, other, difference) for name, other, role, difference in told if role == ROLES["ranking"]]
    return findings.beside_papers(pairs, dataset, "under `published` here")


def among_themselves(runs: pd.DataFrame, dataset: str) -> list[str]:
    """IntTower against HIT: as HIT's paper has it, and with and without the leak."""
    sentences = []
    for protocol in PROTOCOLS:
        pair = [(name, other, of) for name, other, _, of in comparisons(runs, protocol) if (name, other) == OURS]
        if not sentences:
            sentences += findings.beside_papers(pair, dataset, f"under `{protocol}` here")
        else:
            said = (findings.comparison(title(name), title(other), "", of) for name, other, of in pair)
            sentences += [f"under `{protocol}` {sentence}" for sentence in said]
    return [findings.joined(sentences)] if sentences else []


def survivors_of(stages: list[dict], runs: pd.DataFrame, protocol: str = "holdout", cut: int = 400) -> list[str]:
    """What DSSM, IntTower and HIT let through of the ranker's best, as means over seeds."""
    frame = stage_frame(stages, runs)
    frame = frame[frame["protocol"] == protocol]
    kept = {name: Estimate.of(frame[frame["model"] == name][str(cut)]) for name in (*OURS, BASELINE)}
    parts = [f"{estimate(share, 3)} in {title(name)}'s" for name, share in kept.items() if share.count]
    if not parts:
        return []
    seeds = seeds_of(max(share.count for share in kept.values()))
    return [
        f"Of the best ranking model's top {TOP} of {frame['items'].max():,.0f} items the top {cut} of a pre-ranker "
        f"holds, under `{protocol}`: {listed(parts)} ({seeds})."
    ]
