"""The whole benchmark in minutes: every step of it on generated data, at a size that says nothing about MovieLens.

For whoever has changed something and wants to see that all models still train under all protocols, and that tables and
pictures are still made of their results; and to see what a benchmark leaves before waiting for a real one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from experiment.record import ROOT
from experiment.script import Interrupted
from foundation.errors import InputError
from leaderboard.ablations.variants import ABLATIONS, ablation_jobs
from leaderboard.audit import AUDIT, write_audit
from leaderboard.code_fingerprint import sources_sha256
from leaderboard.data_sets import MOVIELENS, DataSet
from leaderboard.estimates import FEWEST_SEEDS
from leaderboard.jobs import Job, first_seeds, grid
from leaderboard.pages import write_report
from leaderboard.runner import Runner
from preprocessing.load import SYNTHETIC, load_movielens

FOLDER = ROOT / "runs" / "quick"
SEEDS = FEWEST_SEEDS  # of one run less there would be no interval, and no test
ROWS, BATCH_SIZE, EPOCHS = 20_000, 256, 3  # with fewer steps IntTower has hardly begun to learn
TREES = 30  # of gbdt, whose epochs they are
ABLATED = ("int_tower",)  # the first ablation of each, which takes its parts away
ABLATION_PROTOCOL = "holdout"


@dataclass(frozen=True)
class Quick:
    """What to run of it: by default everything.

    folder: of all that is written; the results of other code would be kept there.  rows: of the generated data.
    """

    folder: Path
    models: list[str]
    protocols: list[str]
    seeds: int = SEEDS
    workers: int = 1
    rows: int = ROWS

    @staticmethod
    def default_folder() -> Path:
        """Another one for each version of the code that training runs, so that no earlier result passes for its own."""
        return Path(os.path.relpath(FOLDER)) / sources_sha256()[:12]

    def run(self, quiet: bool = False) -> tuple[Path, Path]:
        """Runs what is missing, then audits and reports. Returns the report and the folder of the pictures.

        Raises `InputError` for a folder with a README.md that is no report of its own, and where a run fails; on
        Ctrl-C `Interrupted`.
        """
        report = self.folder / "README.md"
        if report.exists() and not report.read_text(encoding="utf-8").startswith(f"# Results on {SYNTHETIC}"):
            raise InputError(f"--quick would replace {report}. Give --results another folder.")
        raw = load_movielens(SYNTHETIC).first(self.rows)
        results, figures = self.folder / raw.name, self.folder / "figure"
        runner = Runner(results, self.folder / "runs", None, self.workers, data_sha256=raw.fingerprint)
        runner.run(self.jobs(), quiet)
        try:
            write_audit(raw, self.protocols, first_seeds(self.seeds), results / AUDIT, runner.code, quiet)
            return write_report(self.folder, figures, raw.name)[0], figures
        except KeyboardInterrupt:
            raise Interrupted(f"Interrupted. All runs are in {results}; the same command goes on.") from None

    def jobs(self) -> list[Job]:
        """The grid, and under one protocol the ablation that takes IntTower's parts away."""
        jobs = grid("movielens", self.models, self.protocols, self.seeds)
        if ABLATION_PROTOCOL in self.protocols:
            firsts = [next(entry for entry in ABLATIONS if entry.model == name) for name in ABLATED]
            chosen = [entry for entry in firsts if entry.model in self.models]
            jobs += ablation_jobs("movielens", [ABLATION_PROTOCOL], self.seeds, chosen)
        return [replace(job, arguments=(*self.reduction(job.model), *job.arguments)) for job in jobs]

    def reduction(self, model: str) -> tuple[str, ...]:
        """What makes a run of the training script a small one."""
        size = ("--epoch", TREES) if model == "gbdt" else ("--epoch", EPOCHS, "--batch_size", BATCH_SIZE)
        return tuple(map(str, ("--data_path", SYNTHETIC, "--max_rows", self.rows, *size)))
