"""What `results/` holds of one data set, and the tables and pictures that it allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from foundation import markdown
from foundation.errors import InputError
from leaderboard.ablations.figures import ablation_pictures
from leaderboard.ablations.tables import ablation_table, ablations_with_runs, differences, group_table, parts_table
from leaderboard.ablations.variants import AS_OF, HISTORY, Ablation
from leaderboard.audit import AUDIT, explained_table, probes_table
from leaderboard.choosing import choosing_table
from leaderboard.data_sets import DATASET, MOVIELENS, DataSet, settings_origin
from leaderboard.differences import difference_lists
from leaderboard.entrants import kind
from leaderboard.grid.calibration import calibration_picture, calibration_table
from leaderboard.grid.comparisons import comparisons, comparisons_table, summary_table, tests_text
from leaderboard.grid.figures import model_pictures
from leaderboard.grid.learning import learning_picture
from leaderboard.grid.quality_and_cost import quality_and_cost_table
from leaderboard.grid.tables import costs_table, leaderboard_table, overview_table
from leaderboard.json_entries import read_entries
from leaderboard.ladder.picture import ladder_picture
from leaderboard.ladder.table import ladder_table, models_on_the_ladder
from leaderboard.latency_picture import latency_picture
from leaderboard.provenance import read_links, same_sources
from leaderboard.results import default_runs, load_runs
from leaderboard.speed import FILES, Speeds, read_measurements, speed_tables
from leaderboard.stages.measure import STAGES
from leaderboard.stages.report import differences_table, rankers_table, stage_frame, stage_table, survivors_picture
from leaderboard.theme import Picture
from leaderboard.tuning.run import TUNING, Tuned, load_tuned
from leaderboard.tuning.tables import searches_table, tuning_table
from model import MODELS
from preprocessing.protocol import PROTOCOLS

SPEED = "speed"  # beside the data sets: what benchmarks measured


@dataclass(frozen=True)
class Results:
    """What `results/` holds of one data set.

    runs: see `load_runs`.  audit: see `leaderboard.audit`.  stages: see `leaderboard.stages.measure`.
    tuned: see `leaderboard.tuning.run`.  measured: see `leaderboard.speed`, which is about `DATASET`.
    links: see `leaderboard.provenance`.  trained_by: whose default settings they have.
    """

    dataset: str
    runs: pd.DataFrame
    audit: list[dict] = field(default_factory=list)
    stages: list[dict] = field(default_factory=list)
    tuned: list[Tuned] = field(default_factory=list)
    measured: Mapping[str, Any] = field(default_factory=lambda: dict.fromkeys(FILES))
    links: list[dict] = field(default_factory=list)
    trained_by: DataSet = MOVIELENS

    @classmethod
    def load(cls, folder: Path) -> Results:
        """Raises `InputError` without results."""
        runs = load_runs(folder)
        if runs.empty:
            raise InputError(f"There is no result in {folder}. Run benchmark.py without --report.")
        audit, stages = read_entries(folder / AUDIT), read_entries(folder / STAGES)
        measured = read_measurements(folder.parent / SPEED) if folder.name == DATASET else dict.fromkeys(FILES)
        dataset = DataSet.of_arguments(runs["arguments"][0])
        tuned = load_tuned(folder / TUNING, dataset, later="temporal" in set(runs["protocol"]))
        return cls(folder.name, runs, audit, stages, tuned, measured, read_links(folder.parent), dataset)

    @classmethod
    def load_all(cls, folder: Path) -> dict[str, Results]:
        """Name of the data -> what `folder` holds of them, `DATASET` first. Raises `InputError` for nothing at all."""
        found = {path.parent.name for protocol in PROTOCOLS for path in folder.glob(f"*/{protocol}")} - {TUNING}
        every = {name: cls.load(folder / name) for name in sorted(found, key=lambda name: (name != DATASET, name))}
        if not every:
            raise InputError(f"There is no data set with results in {folder}. Run benchmark.py without --report.")
        return every

    @cached_property
    def speeds(self) -> Speeds:
        return Speeds.from_measurements(self.measured)

    @cached_property
    def stage_frame(self) -> pd.DataFrame:
        return stage_frame(self.stages, self.runs)

    @cached_property
    def ablations(self) -> list[Ablation]:
        return ablations_with_runs(self.runs, self.trained_by.key or MOVIELENS.key)

    @property
    def settings(self) -> str:
        """Where they come from, in words."""
        return settings_origin(self.trained_by, self.dataset, bool(self.tuned))

    @property
    def tests(self) -> str:
        """How many differences were tested, in words."""
        models = [entry.difference for protocol in PROTOCOLS for entry in comparisons(self.runs, protocol)]
        return tests_text(models + differences(self.runs))

    def pictures(self) -> dict[str, Picture]:
        """Those that these results allow."""
        return {
            **model_pictures(self.runs, self.dataset),
            **latency_picture(self.runs, self.speeds),
            **ablation_pictures(self.runs, self.ablations),
            **ladder_picture(self.runs, self.dataset),
            **survivors_picture(self.runs, self.stages),
            **calibration_picture(self.runs),
            **learning_picture(self.runs),
        }

    def tables(self) -> dict[str, str]:
        """Marker -> table, "" for one without results."""
        runs, dataset = self.runs, self.dataset
        tables = {
            "provenance": provenance(runs, self.links),
            "settings": self.settings,
            "differences tested": self.tests,
            "results": overview_table(runs, dataset),
            "tests": summary_table(runs),
            "choice": quality_and_cost_table(runs, self.stages, self.speeds),
            "costs": costs_table(runs, self.speeds),
            "audit": probes_table(self.audit, runs),
            "explained": explained_table(self.audit, runs),
            "calibration": calibration_table(runs),
            "ladder": ladder_table(runs, dataset),
            "ladder logloss": ladder_table(runs, dataset, "logloss"),
            "ladder models": models_on_the_ladder(runs, dataset),
            "parts": parts_table(runs),
            "choosing": choosing_table(runs),
            **{group: group_table(runs, group) for group in (HISTORY, AS_OF)},
        }
        for protocol in PROTOCOLS:
            frame = self.stage_frame[self.stage_frame["protocol"] == protocol]
            if len(default_runs(runs, protocol)):
                tables[f"leaderboard {protocol}"] = leaderboard_table(runs, protocol, dataset)
                tables[f"comparisons {protocol}"] = comparisons_table(runs, protocol)
            if len(frame):
                tables[f"survivors {protocol}"] = stage_table(frame)
                tables[f"rankers {protocol}"] = rankers_table(frame)
                tables[f"differences {protocol}"] = differences_table(frame)
        for ablation in self.ablations:
            tables[f"ablation {ablation.title}"] = ablation_table(runs, ablation)
        return tables

    def page_tables(self) -> dict[str, str]:
        """The same with what stands on pages of this project alone."""
        own = {"models": models_table(), "trials": searches_table(), "tuning": tuning_table(self.tuned)}
        return self.tables() | own | difference_lists() | speed_tables(self.measured)


def models_table() -> str:
    """The names that `--model_name` takes."""
    rows = []
    for key, entry in MODELS.items():
        names = ", ".join(f"`{name}`" for name in (key, *entry.aliases))
        source = f" ({entry.source})" if entry.source else ""
        rows.append([names, f"{entry.title}{source}", kind(key)])
    return markdown.table(["`--model_name`", "model", "kind"], rows)


def provenance(runs: pd.DataFrame, links: list[dict]) -> str:
    """How many versions of the code made these runs; versions that were proven to train the same are one."""
    same = same_sources(links)
    groups = {same.get(source, frozenset({source})) for source in runs["sources"]}
    names = ", ".join(sorted({source[:12] for source in runs["sources"]}))
    versions = "one version" if len(groups) == 1 else f"{len(groups)} versions"
    return f"{len(runs)} runs of {versions} of the code (sources {names})."
