"""Every picture of the results by its name: `write_report` draws them, a test checks the committed ones."""

from __future__ import annotations

import pandas as pd

from leaderboard.report.ablation_figures import ablation_pictures
from leaderboard.report.ablation_tables import ablations_with_runs
from leaderboard.report.figures import model_pictures
from leaderboard.report.latency_figure import latency_pictures
from leaderboard.report.speed import Speeds
from leaderboard.report.stage_figures import stage_pictures
from leaderboard.report.theme import Picture


def pictures_of(runs: pd.DataFrame, dataset: str, stages: list[dict], speeds: Speeds) -> dict[str, Picture]:
    """Those that these results allow."""
    return {
        **model_pictures(runs, dataset),
        **latency_pictures(runs, speeds),
        **ablation_pictures(runs, ablations_with_runs(runs)),
        **stage_pictures(runs, stages),
    }
