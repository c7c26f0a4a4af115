"""The whole benchmark in minutes: every step of it on generated data or on the first rows of others, which says little.

For whoever has changed something and wants to see that all models still train under all protocols, and that tables and
pictures are still made of their results; and to see what a benchmark leaves before waiting for a real one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from experiment.record import ROOT
from experiment.script import Interrupted
from leaderboard.ablations.variants import ABLATIONS, ablation_jobs
from leaderboard.audit import AUDIT, write_audit
from leaderboard.code_fingerprint import sources_sha256
from leaderboard.data_sets import MOVIELENS, DataSet
from leaderboard.estimates import FEWEST_SEEDS
from leaderboard.fitting import fitting_protocols, with_effect
from leaderboard.jobs import Job, first_seeds, grid
from leaderboard.pages import OVERVIEW, PAGE, require_own, write_report
from leaderboard.runner import Runner
from preprocessing.load import SYNTHETIC
from preprocessing.raw import RawData

FOLDER = ROOT / "runs" / "quick"
SEEDS = FEWEST_SEEDS  # of one run less there would be no interval, and no test
ROWS, BATCH_SIZE, EPOCHS = 20_000, 256, 3  # with fewer steps IntTower has hardly begun to learn
TREES = 30  # of gbdt, whose epochs they are
ABLATED = ("int_tower",)  # the first ablation of each, which takes its parts away
ABLATION_PROTOCOL = "holdout"


@dataclass(frozen=True)
class Quick:
    """What to run of it: by default everything.

    folder: of all that is written; the results of other code would be kept there.  rows: the first of the data.
    data_path: as the training scripts take it; the default is generated data.
    """

    folder: Path
    models: list[str]
    protocols: list[str]
    seeds: int = SEEDS
    workers: int = 1
    rows: int = ROWS
    dataset: DataSet = MOVIELENS
    data_path: str | None = SYNTHETIC

    @staticmethod
    def default_folder() -> Path:
        """Another one for each version of the code that training runs, so that no earlier result passes for its own."""
        return Path(os.path.relpath(FOLDER)) / sources_sha256()[:12]

    def run(self, quiet: bool = False) -> list[Path]:
        """Runs what is missing, then audits and reports. Returns what was written, the report first.

        Raises `InputError` for a folder with a README.md that is no report of its own, and where a run fails; on
        Ctrl-C `Interrupted`.
        """
        require_own(self.folder / PAGE, OVERVIEW)
        raw = self.dataset.load(self.data_path).first(self.rows)
        protocols = fitting_protocols(self.dataset, raw, self.protocols)
        results = self.folder / raw.name
        runner = Runner(
            results, self.folder / "runs" / raw.name, self.data_path, self.workers, data_sha256=raw.fingerprint
        )
        runner.run(self.jobs(raw, protocols), quiet)
        try:
            seeds = first_seeds(self.seeds)
            write_audit(raw, protocols, seeds, results / AUDIT, runner.code, quiet, self.dataset)
            return write_report(self.folder)
        except KeyboardInterrupt:
            raise Interrupted(f"Interrupted. All runs are in {results}; the same command goes on.") from None

    def jobs(self, raw: RawData, protocols: list[str]) -> list[Job]:
        """The grid, and under one protocol the ablation that takes IntTower's parts away."""
        jobs = grid(self.dataset, self.models, protocols, self.seeds)
        if ABLATION_PROTOCOL in protocols:
            firsts = [next(entry for entry in ABLATIONS if entry.model == name) for name in ABLATED]
            chosen = [entry for entry in firsts if entry.model in self.models]
            jobs += with_effect(ablation_jobs(self.dataset, [ABLATION_PROTOCOL], self.seeds, chosen), raw)
        return [replace(job, arguments=(*self.reduction(job.model), *job.arguments)) for job in jobs]

    def reduction(self, model: str) -> tuple[str, ...]:
        """What makes a run of the training script a small one."""
        size = ("--epoch", TREES) if model == "gbdt" else ("--epoch", EPOCHS, "--batch_size", BATCH_SIZE)
        return tuple(map(str, ("--max_rows", self.rows, *size)))
