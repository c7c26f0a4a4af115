"""The sections of `results/README.md` on models as pre-rankers and on how models learn: tables and pictures."""

from __future__ import annotations

import pandas as pd

from leaderboard.report.stage_figures import stage_pictures
from leaderboard.report.stage_tables import NOTE, stage_tables

ALT = {
    "survivors": "Share of the ranker's best candidates that each two-tower model lets through",
    "reliability": "Share of positives against predicted probability",
    "learning": "Validation AUC of each model by epoch",
}
LEARNING_NOTE = "Validation AUC under `holdout` by epoch, mean over seeds. GBDT is left out: what it counts are trees."


def stage_sections(entries: list[dict], runs: pd.DataFrame) -> list[str]:
    """What the entries of `stages.json` and the runs allow; nothing where they hold nothing of it."""
    pictures = {name: picture(name, ALT[name]) for name in stage_pictures(runs, entries)}
    parts = stage_tables(entries, runs)
    if parts:
        shown = [pictures[name] for name in ("survivors", "reliability") if name in pictures]
        parts = ["## What pre-ranking is for", NOTE, *shown, *parts]
    if "learning" in pictures:
        parts += ["## How the models learn", LEARNING_NOTE, pictures["learning"]]
    return parts


def picture(name: str, alt: str) -> str:
    """A picture of `figure/` on light and on dark, as `results/README.md` refers to it."""
    source = f'<source media="(prefers-color-scheme: dark)" srcset="../figure/{name}-dark.png">'
    return f'<picture>{source}<img src="../figure/{name}-light.png" alt="{alt}" width="100%"></picture>'
