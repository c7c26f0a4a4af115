"""What pre-ranking is for: how much of a ranking model's best a model lets through, if it comes before it.

256 users are drawn by the seed, and the candidates of each are all items of the catalogue. The ranker is the ranking
model with the best validation AUC of the protocol and seed. Definitions: `leaderboard.stages.agreement`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from experiment.script import Interrupted
from foundation.errors import InputError
from foundation.progress import progress_bar
from foundation.run_files import is_finished
from leaderboard.entrants import entrant, is_two_tower
from leaderboard.jobs import FIRST_SEED, Job
from leaderboard.json_entries import file_entry, key_of, read_entries
from leaderboard.runner import Runner
from leaderboard.stages.agreement import TOP, rank_correlation, survivors
from leaderboard.stages.candidates import candidate_scores, candidates, draw_users
from model import MODELS, load_model
from preprocessing.dataset import Dataset
from preprocessing.raw import RawData
from training.result_file import read_result

STAGES = "stages.json"
USERS, PAIRS = 256, 10_000_000  # at most: of a catalogue with very many items fewer users are asked


def best_ranker(validation_auc: dict[str, float]) -> str | None:
    """The ranking model with the best of these, of one protocol and seed."""
    rankers = [name for name in MODELS if name in validation_auc and not is_two_tower(name)]
    return max(rankers, key=lambda name: validation_auc[name], default=None)


@dataclass(frozen=True)
class Stage:
    """One protocol and seed, with something to measure. Names are of `leaderboard.entrants.ENTRANTS`.

    jobs, results: of everything that has a result.  models: what is measured against the ranker.
    """

    protocol: str
    seed: int
    jobs: dict[str, Job]
    results: dict[str, dict]
    ranker: str
    models: list[str]

    @classmethod
    def find(cls, jobs: list[Job], runner: Runner) -> Stage | None:
        """jobs: of one protocol and seed. None where no ranking model has a result, or no other one of these jobs."""
        asked = {name: job for job in jobs if (name := entrant(job.model, job.variant))}
        plain = next(job for job in jobs if not job.variant)
        every = {name: replace(plain, model=name) for name in MODELS} | asked  # any of them may be the ranker
        results = {name: result for name, job in every.items() if (result := runner.result(job)) is not None}
        ranker = best_ranker({name: result["validation"]["auc"] for name, result in results.items()})
        models = [name for name in asked if name in results and name != ranker]
        return cls(plain.protocol, plain.seed, every, results, ranker, models) if ranker and models else None

    def about(self, model: str) -> dict:
        """By what an entry tells whether it is about the runs that the result files are about."""
        auc, ranker_auc = (self.results[name]["test"]["auc"] for name in (model, self.ranker))
        return {"ranker": self.ranker, "test_auc": auc, "ranker_test_auc": ranker_auc}

    def run_folder(self, name: str, runner: Runner) -> Path | None:
        """Of the run behind a result, by the code that it was made with; None if it is not there any more."""
        result = self.results[name]
        folder = replace(runner, code=result.get("code", runner.code)).run_folder(self.jobs[name])
        if not is_finished(folder) or read_result(folder)["test"] != result["test"]:  # or it is another run's
            return None
        return folder


def measure_stages(raw: RawData, jobs: list[Job], runner: Runner, path: Path, quiet: bool = False) -> list[dict]:
    """Measures the models of these jobs that have a result, and files each in `path`. Returns all entries of it.

    Entries that are there and about the same runs are not measured again. Raises `InputError` at the end for models
    whose run folder is not there, and at once where nothing has a result, or one of another command or other data.
    On Ctrl-C what was measured is kept, and the next call goes on from there.
    """
    runner = replace(runner, data_sha256=raw.fingerprint)
    entries = {key_of(entry): entry for entry in read_entries(path, raw.fingerprint)}
    by_place: dict[tuple[str, int], list[Job]] = {}
    for job in jobs:
        by_place.setdefault((job.protocol, job.seed), []).append(job)
    stages = [stage for own in by_place.values() if (stage := Stage.find(own, runner))]
    if not stages:
        raise InputError(
            f"{runner.results} has no result of a ranking model and one of the chosen models under one protocol and "
            "seed. Run benchmark.py without --stages first."
        )
    todo: list[tuple[Stage, list[str]]] = []
    for stage in stages:
        held = {name: entries.get((stage.protocol, stage.seed, name), {}) for name in stage.models}
        todo.append((stage, [name for name in stage.models if not stage.about(name).items() <= held[name].items()]))
    missing: list[Job] = []
    try:
        with progress_bar(quiet=quiet, total=sum(len(models) for _, models in todo), unit="model") as bar:
            for stage, models in todo:
                bar.set_postfix_str(f"{stage.protocol} seed {stage.seed}")
                missing += _measure_stage(raw, stage, models, runner, path, bar.update)
    except KeyboardInterrupt:
        raise Interrupted(
            f"Interrupted. {path} has {len(read_entries(path))} entries; the same command goes on."
        ) from None
    if missing:
        raise InputError(_what_to_run(missing, runner, path))
    return read_entries(path)


def _measure_stage(
    raw: RawData, stage: Stage, models: list[str], runner: Runner, path: Path, on_model: Callable[[], object]
) -> list[Job]:
    """Files an entry a model, and calls `on_model` after each. Returns the jobs whose run folder is not there."""
    folders = {name: stage.run_folder(name, runner) for name in (stage.ranker, *models)} if models else {}
    there = {name: folder for name, folder in folders.items() if folder is not None}
    if stage.ranker in there and len(there) > 1:
        data = Dataset.build(raw, stage.protocol, stage.seed)
        requests = candidates(data, draw_users(data, max(1, min(USERS, PAIRS // len(raw.items)))))
        best = candidate_scores(load_model(there.pop(stage.ranker)), requests)
        for name, folder in there.items():
            scores = candidate_scores(load_model(folder), requests)
            file_entry(path, _entry(stage, name, best, scores, runner))
            on_model()
    return [stage.jobs[name] for name, folder in folders.items() if folder is None]


def _entry(stage: Stage, name: str, best: np.ndarray, scores: np.ndarray, runner: Runner) -> dict:
    return {
        "data_sha256": runner.data_sha256,
        "protocol": stage.protocol,
        "seed": stage.seed,
        "model": name,
        **stage.about(name),
        "top": TOP,
        "survivors": survivors(best, scores),
        "spearman": rank_correlation(best, scores),
        "users": len(scores),
        "items": scores.shape[1],
        "command": f"python benchmark.py --stages {_chosen([stage.jobs[name]])}",
        "code": runner.code,
    }


def _what_to_run(missing: list[Job], runner: Runner, path: Path) -> str:
    return "\n".join(
        [
            f"{len(missing)} results have no trained model of theirs in {runner.runs}:",
            *(f"  {runner.result_path(job)}" for job in missing),
            "Without the best ranking model of a protocol and seed no other is measured there. To train them again, "
            "move these files away, run",
            f"  python benchmark.py {_chosen(missing)}",
            "with the same --data_path, --runs and --results, and then this command once more. "
            f"{path} keeps what it had.",
        ]
    )


def _chosen(jobs: list[Job]) -> str:
    models, protocols = (" ".join(sorted({getattr(job, name) for job in jobs})) for name in ("model", "protocol"))
    seeds = max(job.seed for job in jobs) - FIRST_SEED + 1
    return f"{jobs[0].dataset.option}--models {models} --protocols {protocols} --seeds {seeds}"
