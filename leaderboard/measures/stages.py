"""What pre-ranking is for: how much of a ranking model's best a model lets through, if it comes before it.

256 users are drawn by the seed, and the candidates of each are all items of the catalogue. The ranker is the ranking
model with the best validation AUC of the protocol and seed. Definitions: `leaderboard.measures.agreement`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from experiment.script import Interrupted
from foundation.errors import InputError
from foundation.progress import progress_bar
from foundation.run_files import is_finished
from leaderboard.families import entrant, is_two_tower
from leaderboard.filed import require_data
from leaderboard.jobs import FIRST_SEED, Job
from leaderboard.measures.agreement import TOP, rank_correlation, survivors
from leaderboard.measures.candidates import candidate_scores, candidates, draw_users
from leaderboard.measures.entries import Key, file_entry, key_of, read_entries
from leaderboard.runner import Runner
from model import MODELS, load_model
from preprocessing.dataset import Dataset
from preprocessing.raw import RawData
from training.result_file import read_result

STAGES = "stages.json"
USERS = 256


def best_ranker(results: dict[str, dict]) -> str | None:
    """The ranking model with the best validation AUC. results: model -> result file, of one protocol and seed."""
    rankers = [name for name in MODELS if name in results and not is_two_tower(name)]
    return max(rankers, key=lambda name: results[name]["validation"]["auc"], default=None)


@dataclass(frozen=True)
class _Stage:
    """One protocol and seed. Its keys and names are of `leaderboard.families.ENTRANTS`.

    jobs, results: of everything that has a result.  models: those to be measured.
    """

    jobs: dict[str, Job]
    results: dict[str, dict]
    ranker: str
    models: list[str]

    @property
    def protocol(self) -> str:
        return self.jobs[self.ranker].protocol

    @property
    def seed(self) -> int:
        return self.jobs[self.ranker].seed

    def key(self, model: str) -> Key:
        return self.protocol, self.seed, model

    def runs(self, model: str) -> dict:
        """What an entry holds to tell whether it is about the runs that the result files are about."""
        auc = {name: self.results[name]["test"]["auc"] for name in (model, self.ranker)}
        return {"ranker": self.ranker, "test_auc": auc[model], "ranker_test_auc": auc[self.ranker]}

    def without(self, entries: dict[Key, dict]) -> _Stage:
        """Leaves out the models that have an entry about these runs."""

        def is_current(model: str) -> bool:
            return self.runs(model).items() <= entries.get(self.key(model), {}).items()

        return replace(self, models=[name for name in self.models if not is_current(name)])


def measure_stages(raw: RawData, jobs: list[Job], runner: Runner, path: Path, quiet: bool = False) -> list[dict]:
    """Measures the models of these jobs that have a result, and files each in `path`. Returns all entries of it.

    Entries that are there and about the same runs are not measured again. Raises `InputError` at the end for models
    whose run folder is not there, and at once where nothing has a result, or one of another command or other data.
    On Ctrl-C what was measured is kept, and the next call goes on from there.
    """
    runner, filed = replace(runner, data_sha256=raw.fingerprint), read_entries(path)
    for entry in filed:  # before anything is measured
        require_data(path, entry, raw.fingerprint)
    entries = {key_of(entry): entry for entry in filed}
    stages = [stage.without(entries) for stage in _stages(jobs, runner)]
    try:
        missing = _measure(raw, stages, runner, path, quiet)
    except KeyboardInterrupt:
        raise Interrupted(
            f"Interrupted. {path} has {len(read_entries(path))} entries; the same command goes on."
        ) from None
    if missing:
        raise InputError(_what_to_run(missing, runner, path))
    return read_entries(path)


def _measure(raw: RawData, stages: list[_Stage], runner: Runner, path: Path, quiet: bool) -> list[Job]:
    """Files an entry a model. Returns the jobs whose run folder is not there."""
    missing: list[Job] = []
    with progress_bar(quiet=quiet, total=sum(len(stage.models) for stage in stages), unit="model") as bar:
        for stage in stages:
            if not stage.models:
                continue
            folders = {name: _run_folder(runner, stage, name) for name in (stage.ranker, *stage.models)}
            gone = [name for name, folder in folders.items() if folder is None]
            missing += [stage.jobs[name] for name in gone]
            if stage.ranker in gone or len(gone) == len(stage.models):
                continue  # nothing to compare
            data = Dataset.build(raw, stage.protocol, stage.seed)
            requests = candidates(data, draw_users(data, USERS))
            best = candidate_scores(load_model(folders[stage.ranker]), requests)
            for name in stage.models:
                bar.set_postfix_str(f"{name} {stage.protocol} seed {stage.seed}")
                if folders[name] is not None:
                    scores = candidate_scores(load_model(folders[name]), requests)
                    file_entry(path, _entry(stage, name, best, scores, runner))
                bar.update()
    return missing


def _stages(jobs: list[Job], runner: Runner) -> list[_Stage]:
    stages = []
    for protocol, seed in dict.fromkeys((job.protocol, job.seed) for job in jobs):
        own = {entrant(job.model, job.variant): job for job in jobs if (job.protocol, job.seed) == (protocol, seed)}
        plain = next(job for job in own.values() if not job.variant)
        every = {name: replace(plain, model=name) for name in MODELS} | own  # any of them may be the ranker
        found = {name: runner.result(job) for name, job in every.items()}
        results = {name: result for name, result in found.items() if result is not None}
        ranker = best_ranker(results)
        if ranker:
            models = [name for name in own if name in results and name != ranker]
            stages.append(_Stage(every, results, ranker, models))
    if not any(stage.models for stage in stages):
        raise InputError(
            f"{runner.results} has no result of a ranking model and one of the chosen models under one protocol and "
            "seed. Run benchmark.py without --stages first."
        )
    return stages


def _run_folder(runner: Runner, stage: _Stage, name: str) -> Path | None:
    """Where the run behind a result file lies, by the code that it was made with; None if it is not there any more."""
    result = stage.results[name]
    folder = replace(runner, code=result.get("code", runner.code)).run_folder(stage.jobs[name])
    if not is_finished(folder) or read_result(folder)["test"] != result["test"]:  # or it is another run's
        return None
    return folder


def _entry(stage: _Stage, name: str, best: np.ndarray, scores: np.ndarray, runner: Runner) -> dict:
    return {
        "data_sha256": runner.data_sha256,
        "protocol": stage.protocol,
        "seed": stage.seed,
        "model": name,
        **stage.runs(name),
        "top": TOP,
        "survivors": survivors(best, scores),
        "spearman": rank_correlation(best, scores),
        "users": len(scores),
        "items": scores.shape[1],
        "command": f"python benchmark.py --stages {_chosen({stage.jobs[name].model}, {stage.protocol}, stage.seed)}",
        "code": runner.code,
    }


def _what_to_run(missing: list[Job], runner: Runner, path: Path) -> str:
    models, protocols = ({getattr(job, name) for job in missing} for name in ("model", "protocol"))
    return "\n".join(
        [
            f"{len(missing)} results have no trained model of theirs in {runner.runs}:",
            *(f"  {runner.result_path(job)}" for job in missing),
            "Without the best ranking model of a protocol and seed no other is measured there. To train them again, "
            "move these files away, run",
            f"  python benchmark.py {_chosen(models, protocols, max(job.seed for job in missing))}",
            "with the same --data_path, --runs and --results, and then this command once more. "
            f"{path} keeps what it had.",
        ]
    )


def _chosen(models: set[str], protocols: set[str], last_seed: int) -> str:
    names = [" ".join(sorted(group)) for group in (models, protocols)]
    return f"--models {names[0]} --protocols {names[1]} --seeds {last_seed - FIRST_SEED + 1}"
