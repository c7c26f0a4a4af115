"""The pages that show results: tables, and numbers in hand-written text, made from `results/` alone between markers.

A table named `x` stands between `<!-- x -->` and `<!-- /x -->`; of numbers see `leaderboard.prose`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from experiment.record import ROOT
from foundation import markdown
from foundation.atomic import write_atomic
from foundation.errors import InputError
from leaderboard.ablations.figures import ablation_pictures
from leaderboard.ablations.tables import ablation_table, ablations_with_runs, group_table, parts_table
from leaderboard.ablations.variants import AS_OF, HISTORY
from leaderboard.audit import AUDIT, explained_table, probes_table
from leaderboard.captions import CAPTIONS
from leaderboard.choosing import choosing_table
from leaderboard.differences import difference_lists
from leaderboard.drawings import ARCHITECTURES
from leaderboard.entrants import kind
from leaderboard.grid.calibration import calibration_picture, calibration_table
from leaderboard.grid.comparisons import comparisons_table, summary_table
from leaderboard.grid.figures import model_pictures
from leaderboard.grid.learning import learning_picture
from leaderboard.grid.quality_and_cost import quality_and_cost_table
from leaderboard.grid.tables import costs_table, leaderboard_table, overview_table
from leaderboard.json_entries import read_entries
from leaderboard.ladder.picture import ladder_picture
from leaderboard.ladder.table import ladder_table, models_on_the_ladder
from leaderboard.latency_picture import latency_picture
from leaderboard.markdown import decimal_text
from leaderboard.prose import Numbers, fill_numbers
from leaderboard.provenance import read_links, same_sources
from leaderboard.results import default_runs, load_runs
from leaderboard.speed import FILES, Speeds, read_measurements, speed_tables
from leaderboard.stages.measure import STAGES
from leaderboard.stages.report import differences_table, rankers_table, stage_frame, stage_table, survivors_picture
from leaderboard.theme import Picture, draw, picture
from leaderboard.tuning.run import TUNING, Tuned, load_tuned
from leaderboard.tuning.tables import searches_table, tuning_table
from model import MODELS
from preprocessing.protocol import PROTOCOLS

DATASET = "ml-1m"
SPEED = "speed"  # beside the data sets: what benchmarks measured
# With markers, of `DATASET`.
PAGES = (
    "README.md",
    "results/README.md",
    "docs/results.md",
    "docs/protocols.md",
    "docs/models.md",
    "docs/beat_this.md",
    "docs/tuning.md",
    "docs/serving.md",
    "docs/index_format.md",
    "docs/published_code.md",
)
NOT_MEASURED = "*Not measured yet.*"
GENERATED_NOTE = (
    "**Generated data**: these numbers show that everything runs. They say nothing about MovieLens and must not be "
    "compared with a paper's."
)


@dataclass(frozen=True)
class Results:
    """What `results/` holds of one data set.

    runs: see `load_runs`.  audit: see `leaderboard.audit`.  stages: see `leaderboard.stages.measure`.
    tuned: see `leaderboard.tuning.run`.  measured: see `leaderboard.speed`.
    links: see `leaderboard.provenance`.
    """

    dataset: str
    runs: pd.DataFrame
    audit: list[dict] = field(default_factory=list)
    stages: list[dict] = field(default_factory=list)
    tuned: list[Tuned] = field(default_factory=list)
    measured: Mapping[str, Any] = field(default_factory=lambda: dict.fromkeys(FILES))
    links: list[dict] = field(default_factory=list)

    @classmethod
    def load(cls, folder: Path) -> Results:
        """Raises `InputError` without results."""
        runs = load_runs(folder)
        if runs.empty:
            raise InputError(f"There is no result in {folder}. Run benchmark.py without --report.")
        audit, stages = read_entries(folder / AUDIT), read_entries(folder / STAGES)
        measured, links = read_measurements(folder.parent / SPEED), read_links(folder.parent)
        return cls(folder.name, runs, audit, stages, load_tuned(folder / TUNING), measured, links)

    @cached_property
    def speeds(self) -> Speeds:
        return Speeds.from_measurements(self.measured)

    @cached_property
    def stage_frame(self) -> pd.DataFrame:
        return stage_frame(self.stages, self.runs)

    def pictures(self) -> dict[str, Picture]:
        """Those that these results allow."""
        return {
            **model_pictures(self.runs, self.dataset),
            **latency_picture(self.runs, self.speeds),
            **ablation_pictures(self.runs, ablations_with_runs(self.runs)),
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
        for ablation in ablations_with_runs(runs):
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


def filled(text: str, tables: Mapping[str, str], numbers: Numbers) -> str:
    """A page with these tables and numbers between its markers; tables without markers do not matter."""
    for name, table in tables.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if start in text:
            before, _, rest = text.partition(start)
            text = f"{before}{start}{table or NOT_MEASURED}\n{end}{rest.partition(end)[2]}"
    return fill_numbers(text, numbers)


def plain_report(results: Results, figures: str) -> str:
    """A page of all tables and pictures, for results that no hand-written page is about.

    figures: folder of the pictures, as seen from there.
    """
    is_generated = results.dataset.startswith("synthetic")
    parts = [f"# Results on {results.dataset}", *([GENERATED_NOTE] if is_generated else [])]
    parts.append("What the columns mean is said in the project's own `results/README.md`.")
    for protocol, best in results.runs.groupby("protocol")["best_possible_auc"].mean().items():
        if not math.isnan(best):
            parts.append(f"Ranking by the planted probabilities reaches AUC {decimal_text(best)} under `{protocol}`.")
    for name, text in results.tables().items():
        parts += [f"## {name}", text] if text else []
    parts += [picture(figures, name, name, CAPTIONS[name]) for name in results.pictures()]
    return "\n\n".join(parts) + "\n"


def write_report(folder: Path, figures: Path, dataset: str) -> list[Path]:
    """Writes `README.md` of a folder of results, and the pictures. Returns what was written, the report first.

    Raises `InputError` without results.
    """
    results = Results.load(folder / dataset)
    report = folder / "README.md"
    write_atomic(report, plain_report(results, Path(os.path.relpath(figures, folder)).as_posix()))
    return [report, *draw_all(figures, results.pictures())]


def write_pages(root: Path = ROOT) -> list[Path]:
    """Fills the project's own pages from `results/`, and draws its pictures. Returns what was written.

    Raises `InputError` without results, and for a sentence that they do not bear out any more.
    """
    results = Results.load(root / "results" / DATASET)
    tables, numbers = results.page_tables(), Numbers(results)
    pages = [root / name for name in PAGES]
    for page in pages:
        write_atomic(page, filled(page.read_text(encoding="utf-8"), tables, numbers))
    return pages + draw_all(root / "figure", ARCHITECTURES | results.pictures())


def draw_all(folder: Path, pictures: Mapping[str, Picture]) -> list[Path]:
    return [path for name, picture in pictures.items() for path in draw(folder, name, picture)]
