"""The ablations in `results/README.md`: each a question, a table, and what the table says in a sentence a protocol."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from leaderboard.ablations import Ablation
from leaderboard.report.ablation_tables import (
    VARIANTS,
    ablations_with_runs,
    against,
    against_reference,
    label,
    protocols_of,
    table,
)
from leaderboard.report.figures.theme import picture
from leaderboard.report.tables import change, of
from leaderboard.report.words import ONE_SEED, bullets, listed
from leaderboard.statistics import Difference

NOTE = (
    "A variant differs from the defaults in what its name says and in nothing else; heads are those of both sides. "
    "Differences are to the first row of a table, paired by seed over the seeds that both have; bold: 0 lies outside "
    "the 95 % interval, which does not allow for the choice of a sweep's ends after the fact. A curve over heads is of "
    "the seeds that all of its points have; the paper's is from HIT's figure of head counts, which stays below the AUC "
    "of HIT's own table."
)
ALT = {
    "ablations": "Difference of each variant's test AUC to the default settings, with its interval",
    "heads": "Test AUC by number of heads, of IntTower and of HIT",
}


def ablation_sections(runs: pd.DataFrame, figures: str) -> list[str]:
    """Of all ablations that have runs; nothing without any. figures: folder of the pictures, seen from the text."""
    entries = ablations_with_runs(runs)
    if not entries:
        return []
    shown = {"ablations": not all(entry.sweeps_heads for entry in entries)}
    shown["heads"] = any(entry.sweeps_heads for entry in entries)
    parts = ["## Ablations", NOTE, *(picture(figures, name, ALT[name]) for name, is_shown in shown.items() if is_shown)]
    for entry in entries:
        protocols = protocols_of(runs[runs["model"] == entry.model], set(entry.variants) & VARIANTS)
        parts += [f"### {entry.title}", entry.question, table(runs, entry, protocols)]
        parts.append(bullets(sentences(runs, entry, protocols)))
    return parts


def sentences(runs: pd.DataFrame, entry: Ablation, protocols: list[str]) -> list[str]:
    """One sentence a protocol: which variants differ from the reference; of a sweep also how far its ends are apart."""
    told = []
    for protocol in protocols:
        found = {name: against_reference(runs, protocol, entry, name) for name in entry.compared}
        found = {name: difference for name, difference in found.items() if difference.estimate.count}
        if found:
            ends = _ends(runs, protocol, entry) if entry.is_sweep else []
            told.append(f"Under `{protocol}` {'; '.join(_groups(entry, found) + ends)}.")
    return told


def _groups(entry: Ablation, found: Mapping[str, Difference]) -> list[str]:
    """What can be told of the variants, those of which the same can be told together. found: difference by variant."""
    reference = label(entry.reference)
    groups = {
        f"below {reference}:": [name for name, d in found.items() if d.is_clear and d.estimate.mean < 0],
        f"above {reference}:": [name for name, d in found.items() if d.is_clear and d.estimate.mean > 0],
        f"no difference to {reference} can be told for": [
            name for name, d in found.items() if not d.is_clear and d.estimate.count > 1
        ],
        f"seen with {ONE_SEED}:": [name for name, d in found.items() if d.estimate.count == 1],
    }
    return [
        f"{heading} {listed(f'{label(name)} ({change(found[name].estimate)})' for name in names)}"
        for heading, names in groups.items()
        if names
    ]


def _ends(runs: pd.DataFrame, protocol: str, entry: Ablation) -> list[str]:
    """The highest and the lowest mean of a sweep over the seeds that all its values have, if these are several."""
    values = {name: of(runs, protocol, entry.model, name).set_index("seed")["auc"] for name in entry.variants}
    values[""] = of(runs, protocol, entry.model).set_index("seed")["auc"]
    shared = pd.DataFrame(values).dropna()
    if len(shared) < 2:
        return []
    high, low = shared.mean().idxmax(), shared.mean().idxmin()
    apart = against(runs[runs["seed"].isin(shared.index)], protocol, entry.model, high, low)
    how = change(apart.estimate) + ("" if apart.is_clear else ", which may be chance")
    fewer = any(len(values[name]) > len(shared) for name in entry.variants)
    over = f", over the {len(shared)} seeds that all have" if fewer else ""
    return [f"from the lowest mean, {label(low)}, to the highest, {label(high)}{over}: {how}"]
