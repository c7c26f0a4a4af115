"""Every picture of the results by its name: `write_report` draws them, a test checks the committed ones."""

from __future__ import annotations

import pandas as pd

from leaderboard.report.ablation_tables import ablations_with_runs
from leaderboard.report.figures.ablations import ablation_pictures
from leaderboard.report.figures.latency import latency_pictures
from leaderboard.report.figures.models import model_pictures
from leaderboard.report.figures.stages import stage_pictures
from leaderboard.report.figures.theme import Picture
from leaderboard.report.speed import Speeds


def pictures_of(runs: pd.DataFrame, dataset: str, stages: list[dict], speeds: Speeds) -> dict[str, Picture]:
    """Those that these results allow."""
    return {
        **model_pictures(runs, dataset),
        **latency_pictures(runs, speeds),
        **ablation_pictures(runs, ablations_with_runs(runs)),
        **stage_pictures(runs, stages),
    }
