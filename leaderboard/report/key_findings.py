"""What the README says first: a choice of the sentences of `findings`, and some of its own."""

from __future__ import annotations

import pandas as pd

from leaderboard.ablations import CIR_WEIGHTS
from leaderboard.families import BASELINE, ONE_HEAD, OURS, title
from leaderboard.measures.agreement import TOP
from leaderboard.report import findings
from leaderboard.report.ablation_tables import against, label, protocols_of
from leaderboard.report.choice import CUT
from leaderboard.report.comparisons import ROLES, best_baselines, defaults
from leaderboard.report.stage_tables import stage_frame
from leaderboard.report.tables import estimate, of
from leaderboard.report.words import listed, seeds_of
from leaderboard.statistics import Estimate, compare
from model import MODELS


def key_findings(runs: pd.DataFrame, audit: list[dict], stages: list[dict], dataset: str) -> list[str]:
    """What the README says first: the papers' numbers, their order, the leak, CIR, heads, pre-ranking."""
    numbers = findings.spread(runs) + findings.above_papers(runs, dataset)
    for name in OURS:
        numbers += findings.against_paper(runs, name, dataset)
    topics = {
        "The papers' numbers.": numbers,
        "Their order.": order_of_papers(runs, dataset),
        "What the leak is worth.": findings.steps(runs)[:1]
        + findings.leak([entry for entry in audit if entry["protocol"] == "published"], runs),
        "CIR.": weight_of_cir(runs),
        "Heads.": one_head(runs),
        "As pre-rankers.": survivors_of(stages, runs),
    }
    return [
        f"**{topic}** {sentence}" if sentence is sentences[0] else sentence
        for topic, sentences in topics.items()
        for sentence in sentences
    ]


def order_of_papers(runs: pd.DataFrame, dataset: str) -> list[str]:
    """What the papers say of IntTower and HIT, against the best of their baselines and each other, and what is seen."""
    papers = {name: entry.paper[dataset][0] for name, entry in MODELS.items() if dataset in entry.paper}
    baselines = [name for name in papers if name not in OURS]
    if not baselines:
        return []
    best, own = max(baselines, key=papers.get), defaults(runs, "published")
    pairs = [(name, other, compare(own, name, other)) for name, other in (*((name, best) for name in OURS), OURS)]
    pairs = [pair for pair in pairs if pair[-1].estimate.count]
    return findings.beside_papers(pairs, dataset, "under `published` here")


def weight_of_cir(runs: pd.DataFrame) -> list[str]:
    """What the weight of CIR that validates best does for IntTower: against its defaults, and the best ranking model.

    A sentence a protocol, over the seeds that all weights with runs have; none where the default validates best.
    """
    told, weights = [], CIR_WEIGHTS.variants
    for protocol in protocols_of(runs, weights):
        own = {variant: of(runs, protocol, "int_tower", variant) for variant in ("", *weights)}
        validation = {name: part.set_index("seed")["validation_auc"] for name, part in own.items() if len(part)}
        means = pd.DataFrame(validation).dropna().mean()
        best = means.idxmax() if means.notna().any() else ""
        if not best:
            continue
        name = f"IntTower with {label(best)}"
        others = {"int_tower": "its defaults"}
        if ranking := best_baselines(runs, protocol).get("ranking"):
            others[ranking] = f"{title(ranking)}, {ROLES['ranking']}"
        frame = pd.concat([defaults(runs, protocol), own[best].assign(model=name)])
        parts = [findings.comparison(name, said, "", compare(frame, name, other)) for other, said in others.items()]
        told.append(f"Under `{protocol}` {findings.joined(parts)}")
    return told


def one_head(runs: pd.DataFrame) -> list[str]:
    """What IntTower and HIT lose where there is no maximum over heads to take, a sentence a protocol that has runs."""
    told = []
    for protocol in protocols_of(runs, [ONE_HEAD]):
        pairs = [(title(name), against(runs, protocol, name, ONE_HEAD, "")) for name in OURS]
        parts = [
            findings.comparison(f"{name} with one head", "its default number", "", difference)
            for name, difference in pairs
            if difference.estimate.count
        ]
        if parts:
            told.append(f"With one head a score is a plain inner product; under `{protocol}` {findings.joined(parts)}")
    return told


def survivors_of(stages: list[dict], runs: pd.DataFrame, protocol: str = "holdout") -> list[str]:
    """What DSSM, IntTower and HIT let through of the ranker's best, as means over the seeds that all of them have."""
    frame = stage_frame(stages, runs)
    frame = frame[(frame["protocol"] == protocol) & frame["model"].isin((*OURS, BASELINE))]
    shares = frame.pivot(index="seed", columns="model", values=str(CUT)).dropna()
    if shares.empty:
        return []
    kept = [
        f"{estimate(Estimate.of(shares[name]), 3)} in {title(name)}" for name in (*OURS, BASELINE) if name in shares
    ]
    return [
        f"Of the top {TOP} of the best ranking model by validation, a pre-ranker that keeps {CUT} of "
        f"{frame['items'].max():,.0f} items keeps this share under `{protocol}`: {listed(kept)} "
        f"({seeds_of(len(shares))})."
    ]
