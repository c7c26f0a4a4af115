"""What the tables say, in sentences made from the runs: none claims more than its 95 % interval allows.

A difference is called one only where 0 lies outside the interval of the paired differences. With one seed it is told as
it was seen, with a word that one seed says nothing of the spread.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pandas as pd

from leaderboard.families import BASELINE, OURS, paper_auc, title
from leaderboard.report.audit_tables import probes_of
from leaderboard.report.comparisons import comparisons, defaults
from leaderboard.report.tables import change, estimate, number, of, protocol_losses
from leaderboard.report.words import ONE_SEED, apart, listed, seeds_of
from leaderboard.statistics import Difference, Estimate, compare
from model import MODELS
from preprocessing.protocol import PROTOCOLS


def comparison(model: str, other: str, role: str, difference: Difference) -> str:
    """model, other: as printed.  role: of the other, "" for none.

    >>> comparison("HIT", "DSSM", "", Difference(Estimate(0.02, 0.001, 5), 0.002))
    'HIT is .0200 ± .0010 AUC above DSSM (5 seeds, p = .002).'
    """
    value, seeds = difference.estimate, seeds_of(difference.estimate.count, difference.p_value)
    if value.count == 1 or difference.is_clear:
        return f"{model} is {apart(value)} {other}{f', {role}' if role else ''} ({seeds})."
    return f"{model} and {other}{f', {role},' if role else ''} cannot be told apart: {change(value)} AUC ({seeds})."


def spread(runs: pd.DataFrame) -> list[str]:
    """A sentence on the seeds if any model has but one of them."""
    counts = runs[runs["variant"] == ""].groupby(["protocol", "model"])["seed"].nunique()
    if counts.empty or counts.min() > 1:
        return []
    some = f"{(counts == 1).sum()} of {len(counts)} results of a model under a protocol are"
    which = "Every result is" if counts.max() == 1 else some
    return [f"{which} of {ONE_SEED}: a difference said of it is what was seen, and may be chance."]


def against_opponents(runs: pd.DataFrame, protocol: str) -> list[str]:
    """IntTower, HIT and their forms against DSSM, the best baselines and each other."""
    told = comparisons(runs, protocol)
    return [comparison(title(name), title(other), role, difference) for name, other, role, difference in told]


def highest(runs: pd.DataFrame, protocol: str) -> list[str]:
    """Who leads, and of whom that cannot be said, over the seeds that all models have; nothing without such a seed."""
    own = defaults(runs, protocol)
    shared = own.pivot(index="seed", columns="model", values="auc").dropna().index
    own = own[own["seed"].isin(shared)]
    if own.empty:
        return []
    means = own.groupby("model")["auc"].mean().sort_values(ascending=False, kind="stable")
    first, *others = means.index
    auc = Estimate.of(own[own["model"] == first]["auc"])
    if auc.count == 1:
        return [f"With default settings {title(first)} has the highest test AUC, {number(auc.mean)} (one seed)."]
    open_ = [title(name) for name in others if not compare(own, first, name).is_clear]
    rest = f"; no difference to it can be told for {listed(open_)}" if open_ else ""
    who = f"With default settings {title(first)} has the highest mean test AUC"
    return [f"{who}, {estimate(auc)}{rest} ({seeds_of(auc.count)})."]


def best_possible(runs: pd.DataFrame, protocol: str) -> list[str]:
    """Of generated data, whose labels are drawn with known probabilities."""
    best = defaults(runs, protocol)["best_possible_auc"].mean()
    leak = "; an AUC above it is what the leak looks like" if protocol == "published" else ""
    return [] if math.isnan(best) else [f"Ranking by the planted probabilities reaches AUC {number(best)}{leak}."]


def against_paper(runs: pd.DataFrame, model: str, dataset: str) -> list[str]:
    """The published protocol's AUC and logloss beside the paper's, which has no interval."""
    own, paper = of(runs, "published", model), MODELS[model].paper.get(dataset)
    if not len(own) or paper is None:
        return []
    parts = []
    for metric, theirs in zip(("auc", "logloss"), paper, strict=True):
        ours = Estimate.of(own[metric])
        distance = ours.mean - theirs
        parts.append(f"{'AUC' if metric == 'auc' else metric} {estimate(ours)}, ")
        if abs(distance) <= ours.half_width:
            parts[-1] += f"whose interval holds the paper's {number(theirs)}"
        else:
            parts[-1] += f"{number(abs(distance))} {'above' if distance > 0 else 'below'} the paper's {number(theirs)}"
    return [f"{title(model)} under `published`: {'; '.join(parts)} ({seeds_of(len(own))})."]


def above_papers(runs: pd.DataFrame, dataset: str) -> list[str]:
    """How many models exceed the AUC that a paper gives them under the published protocol, and by how much."""
    own = {name: Estimate.of(of(runs, "published", name)["auc"]) for name in MODELS}
    papers = {name: MODELS[name].paper[dataset][0] for name in MODELS if dataset in MODELS[name].paper}
    gains = {name: replace(own[name], mean=own[name].mean - paper) for name, paper in papers.items()}
    gains = {name: gain for name, gain in gains.items() if gain.count}
    if len(gains) < 2:
        return []
    single = all(gain.count == 1 for gain in gains.values())
    above = [name for name, gain in gains.items() if gain.mean > 0 and (single or gain.is_clear)]
    how = " (one seed)" if single else " by more than the interval"
    of_those = "" if len(gains) == len(papers) else " and that have run"
    order = sorted(gains, key=lambda name: gains[name].mean)
    ends = [f"{change(replace(gains[name], half_width=math.nan))} for {title(name)}" for name in (order[0], order[-1])]
    return [
        f"Under `published` {len(above)} of the {len(gains)} models that a paper gives an AUC{of_those} are above "
        f"it{how}; the differences go from {ends[0]} to {ends[1]}."
    ]


def beside_papers(pairs: list[tuple[str, str, Difference]], dataset: str, where: str) -> list[str]:
    """What papers say of pairs of models, and what is seen here. pairs: (model, other, difference of AUC)."""
    theirs, ours = [], []
    for name, other, difference in pairs:
        first, second = paper_auc(name, dataset), paper_auc(other, dataset)
        if not math.isnan(first - second):
            theirs.append(f"{title(name)} {apart(Estimate(first - second, math.nan, 1))} {title(other)}")
            ours.append(comparison(title(name), title(other), "", difference))
    return [f"The papers put {listed(theirs)}; {where} {joined(ours)}"] if theirs else []


def joined(sentences: list[str]) -> str:
    """Several as one.

    >>> joined(["HIT is above.", "DSSM is below."])
    'HIT is above; DSSM is below.'
    """
    return "; ".join(sentence.removesuffix(".") for sentence in sentences) + "."


def leak(entries: list[dict], runs: pd.DataFrame) -> list[str]:
    """The audit (see `leaderboard.measures.audit`) in words."""
    sentences = []
    for protocol, probes in probes_of(entries).items():
        models = [name for name in (BASELINE, *OURS) if len(of(runs, protocol, name))]
        beside = [f"{title(name)} {number(of(runs, protocol, name)['auc'].mean())}" for name in models]
        bit = number(probes["membership"].mean)
        says = {"1.0000": ", it is the label", ".5000": ", it says nothing"}.get(bit, "")
        sentences.append(
            f"Under `{protocol}` the mean labels of a row's user and item alone reach AUC "
            f"{number(probes['two_statistics'].mean)}{f' ({listed(beside)})' if beside else ''}; whether the item is "
            f"among its user's liked items reaches {bit}{says}."
        )
    return sentences


def steps(runs: pd.DataFrame) -> list[str]:
    """What AUC loses from protocol to protocol, over the seeds that both have."""
    sentences = []
    for (before, after), why in zip(itertools.pairwise(PROTOCOLS), ("without the leak", "by time"), strict=True):
        losses = {name: protocol_losses(runs, name, before, after) for name in MODELS}
        losses = {name: loss for name, loss in losses.items() if loss.count}
        if not losses:
            continue
        single = max(loss.count for loss in losses.values()) == 1
        fallen = {name: -loss.mean for name, loss in losses.items() if loss.mean < 0 and (single or loss.is_clear)}
        how = f"falls for {len(fallen)} of {len(losses)} models" + ("" if single else " by more than the interval")
        if fallen:
            least, most = min(fallen, key=fallen.get), max(fallen, key=fallen.get)
            how += f", least for {title(least)} ({number(fallen[least])}), most for {title(most)} "
            how += f"({number(fallen[most])})"
        sentences.append(f"From `{before}` to `{after}`, {why}, AUC {how}{' (one seed)' if single else ''}.")
    return sentences
