"""The sections of `results/README.md` on models as pre-rankers, calibration and learning: tables and pictures."""

from __future__ import annotations

import pandas as pd

from leaderboard.report.figures.stages import stage_pictures
from leaderboard.report.figures.theme import picture
from leaderboard.report.stage_tables import CALIBRATION_NOTE, NOTE, calibration_table, stage_tables

ALT = {
    "survivors": "Share of the ranker's best candidates that each two-tower model lets through",
    "reliability": "Share of positives against predicted probability",
    "learning": "Validation AUC of each model by epoch",
}
LEARNING_NOTE = "Validation AUC under `holdout` by epoch, mean over seeds. GBDT is left out: what it counts are trees."


def stage_sections(entries: list[dict], runs: pd.DataFrame, figures: str) -> list[str]:
    """What the entries of `stages.json` and the runs allow. figures: folder of the pictures, seen from the text."""
    pictures = {name: picture(figures, name, ALT[name]) for name in stage_pictures(runs, entries)}
    sections = {
        "## What pre-ranking is for": (NOTE, "survivors", stage_tables(entries, runs)),
        "## Are the probabilities right?": (CALIBRATION_NOTE, "reliability", [calibration_table(runs)]),
        "## How the models learn": (LEARNING_NOTE, "learning", []),
    }
    parts = []
    for heading, (note, name, tables) in sections.items():
        if name in pictures or any(tables):
            parts += [heading, note, pictures.get(name, ""), *tables]
    return parts
