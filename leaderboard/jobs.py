"""The runs of a benchmark: which there are, where each one's result lies, and the command that makes it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from leaderboard.data_sets import DataSet

FIRST_SEED = 1023
# Under `published` the grid validates on random rows: the release's, of movies that training never saw, would choose
# the epoch that is best for those.
GRID_ARGUMENTS = {"published": ("--validation_rows", "random")}


@dataclass(frozen=True)
class Job:
    """One run of a training script.

    variant: name of an ablation, "" for the defaults.  arguments: what the variant adds to the command line.
    """

    dataset: DataSet
    protocol: str
    model: str
    seed: int
    variant: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def place(self) -> Path:
        """Where this run stands among the runs of a data set."""
        return Path(self.protocol, self.model, self.variant, f"seed{self.seed}")

    @property
    def file(self) -> Path:
        """Where its result stands among the results of a data set."""
        return self.place.with_suffix(".json")

    @property
    def title(self) -> str:
        """What a person who watches reads."""
        return " ".join(filter(None, (self.model, self.variant, self.protocol, f"seed {self.seed}")))

    @property
    def options(self) -> list[str]:
        """What decides the result, as words of the script's command line."""
        words = ["--model_name", self.model, "--protocol", self.protocol, "--seed", str(self.seed)]
        return [*words, *self.arguments]

    def command(self, data_path: str | None, out: Path | None = None, resume: bool = False) -> list[str]:
        """What to type for this run; the file of a result holds it without the folders."""
        if out is None:
            return ["python", self.dataset.script, *filter(None, [self.dataset.shown]), *self.options]
        folder = [] if self.dataset.folder is None else [os.path.abspath(self.dataset.folder)]
        data = [] if data_path is None else ["--data_path", data_path]
        words = [sys.executable, self.dataset.script, *folder, *self.options, *data]
        return [*words, "--out", str(out), "--quiet", *(["--resume"] * resume)]


def first_seeds(count: int) -> range:
    """1023, 1024, ..."""
    return range(FIRST_SEED, FIRST_SEED + count)


def grid(dataset: DataSet, models: list[str], protocols: list[str], seeds: int) -> list[Job]:
    """Every model under every protocol with every seed; all models of one seed before the next seed begins."""
    return [
        Job(dataset, protocol, model, seed, "", GRID_ARGUMENTS.get(protocol, ()))
        for seed in first_seeds(seeds)
        for protocol in protocols
        for model in models
    ]
