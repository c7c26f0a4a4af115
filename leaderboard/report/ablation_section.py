"""The ablations in `results/README.md`: each a question, a table, and what the table says in a sentence a protocol."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from leaderboard.ablations import Ablation
from leaderboard.report.ablation_tables import ablations_with_runs, against_defaults, protocols_of, table
from leaderboard.report.tables import change
from leaderboard.report.theme import picture
from leaderboard.report.words import ONE_SEED, bullets, listed
from leaderboard.statistics import Difference

NOTE = (
    "One setting is changed at a time, from the defaults. Differences are paired by seed, over the seeds that both "
    "have; bold: 0 lies outside the 95 % interval."
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
    protocols = protocols_of(runs)
    shown = {"ablations": not all(entry.sweeps_heads for entry in entries)}
    shown["heads"] = any(entry.sweeps_heads for entry in entries)
    parts = ["## Ablations", NOTE, *(picture(figures, name, ALT[name]) for name, is_shown in shown.items() if is_shown)]
    for entry in entries:
        parts += [f"### {entry.title}", entry.question, table(runs, entry, protocols)]
        parts.append(bullets(sentences(runs, entry, protocols)))
    return parts


def sentences(runs: pd.DataFrame, entry: Ablation, protocols: list[str]) -> list[str]:
    """One sentence a protocol: which variants differ from the default settings; of a sweep also its ends."""
    told = []
    for protocol in protocols:
        found = {name.replace("_", " "): against_defaults(runs, protocol, entry.model, name) for name in entry.variants}
        found = {name: difference for name, difference in found.items() if difference.estimate.count}
        if found:
            told.append(f"Under `{protocol}` {'; '.join(_parts(entry, found))}.")
    return told


def _parts(entry: Ablation, found: Mapping[str, Difference]) -> list[str]:
    groups = {
        "below the defaults": [name for name, d in found.items() if d.is_clear and d.estimate.mean < 0],
        "above the defaults": [name for name, d in found.items() if d.is_clear and d.estimate.mean > 0],
        "no difference to the defaults can be told for": [
            name for name, d in found.items() if not d.is_clear and d.estimate.count > 1
        ],
        f"seen with {ONE_SEED}": [name for name, d in found.items() if d.estimate.count == 1],
    }
    parts = []
    for heading, names in groups.items():
        shown = [f"{name} ({change(found[name].estimate)})" for name in names]
        if names:
            parts.append(f"{heading}{'' if heading.endswith('for') else ':'} {listed(shown)}")
    if entry.is_sweep:
        means = {"the defaults": 0.0} | {name: difference.estimate.mean for name, difference in found.items()}
        parts.append(f"highest mean: {max(means, key=means.get)}, lowest: {min(means, key=means.get)}")
    return parts
