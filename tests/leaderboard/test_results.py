"""Results in files: every committed one is its job's, and a finished run is told from those of other settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import random_raw

from experiment.options import parse_options
from foundation.errors import InputError
from leaderboard.ablations.variants import ABLATIONS, ablation_jobs
from leaderboard.data_sets import MOVIELENS, DataSet
from leaderboard.jobs import Job, grid
from leaderboard.ladder.rungs import ladder_jobs
from leaderboard.results import contradictions, filed_result, load_runs, read_json
from leaderboard.tuning.run import TUNING, load_tuned
from model import MODELS, build_model
from preprocessing.dataset import Dataset
from preprocessing.protocol import PROTOCOLS

RESULTS = Path(__file__).resolve().parents[2] / "results" / "ml-1m"


def all_jobs(protocols: list[str], seeds: int) -> list[Job]:
    everything = MOVIELENS, list(MODELS), protocols, seeds
    rungs = [job for job in ladder_jobs(list(MODELS), seeds) if job.protocol in protocols and job.variant]
    return grid(*everything) + rungs + ablation_jobs(MOVIELENS, protocols, seeds, ABLATIONS)


@pytest.fixture(scope="module")
def data():
    return Dataset.build(random_raw(), "holdout", 1)


JOBS = all_jobs(["holdout"], 1)


class TestFinishedRuns:
    def config(self, job: Job, data: Dataset) -> dict:
        """As a run writes it (`experiment.one_run`): of the model that the script builds."""
        options = parse_options("movielens", None, job.options)
        arguments = options.model_arguments | ({} if options.dropout is None else {"dnn_dropout": options.dropout})
        columns = data.feature_columns(4, history=MODELS[job.model].history)
        model = build_model(job.model, columns, seed=job.seed, **arguments)
        actual = {"model_arguments": model.settings, "embedding_optimizer": "dense", "device": "cuda:7"}
        return json.loads(json.dumps(options.config | actual))

    @pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.model}-{job.variant}")
    def test_a_run_is_that_of_its_command_and_of_no_other(self, job, data):
        result = {"config": self.config(job, data)}
        assert [other for other in JOBS if not contradictions(other, result)] == [job]

    def test_settings_count_and_not_how_they_were_written(self, data):
        job = Job(MOVIELENS, "holdout", "dssm", 1023)
        same = Job(MOVIELENS, "holdout", "dssm", 1023, "", ("--lr", "3e-3", "--batch_size", "2048"))
        assert contradictions(same, {"config": self.config(job, data)}) == []

    def test_what_does_nothing_is_no_difference(self, data):
        """Runs of before it was refused hold the data set's temperature without CIR."""
        job = next(job for job in JOBS if job.variant == "no_cir")
        config = self.config(job, data)
        config["model_arguments"]["cir_temperature"] = 0.2
        assert contradictions(job, {"config": config}) == []
        config["model_arguments"]["cir_weight"] = 0.1
        assert contradictions(job, {"config": config}) == [
            "cir_weight: 0.1, wanted 0.0",
            "cir_temperature: 0.2, wanted the default",
        ]

    def test_every_difference_is_said(self, data):
        job = Job(MOVIELENS, "holdout", "dssm", 1023)
        other = Job(MOVIELENS, "temporal", "dssm", 1024, "", ("--lr", "0.5", "--set", "gamma=2"))
        said = contradictions(other, {"config": self.config(job, data)})
        assert sorted(said) == [
            "gamma: the default, wanted 2.0",
            "lr: 0.003, wanted 0.5",
            "protocol: 'holdout', wanted 'temporal'",
            "refit: as it was before, wanted True",
            "seed: 1023, wanted 1024",
            "validation_rows: as it was before, wanted 'known'",
        ]


class TestHere:
    """What this repository holds."""

    def test_every_committed_result_is_its_jobs(self):
        jobs = {RESULTS / job.file: job for job in all_jobs(list(PROTOCOLS), 20)}
        trials = [trial.job for tuned in load_tuned(RESULTS / TUNING) for trial, _ in tuned.trials]
        jobs |= {RESULTS / TUNING / job.file: job for job in trials}
        for path in RESULTS.rglob("seed*.json"):
            is_trial = path.is_relative_to(RESULTS / TUNING)  # which may be of a protocol as it was then
            assert filed_result(path, jobs[path], of_today=not is_trial) is not None, path

    def test_every_committed_command_is_still_taken_and_means_the_same(self):
        for path in RESULTS.rglob("seed*.json"):
            result = read_json(path)
            words = result["command"].split()
            script = next(place for place, word in enumerate(words) if word.endswith(".py"))
            assert DataSet.of_arguments([Path(words[script]).name, *words[script + 1 :]]) == MOVIELENS
            options = parse_options(MOVIELENS.key, None, words[script + 1 :])
            model_class = MODELS[options.model_name].model_class
            held = model_class.effective(result["config"]["model_arguments"])
            wanted = options.model_arguments | ({} if options.dropout is None else {"dnn_dropout": options.dropout})
            wanted = json.loads(json.dumps(model_class.effective(wanted)))
            assert {name: held.get(name) for name in wanted} == wanted, path
            assert set(held) - set(wanted) <= {"user_static", "item_static"}, path


class TestDamage:
    @pytest.mark.parametrize(
        ("content", "problem"),
        [(b'{"a": 1', "is not valid JSON"), (b"\xff\xfe", "is not valid JSON"), (b"[1]", "holds no JSON object")],
    )
    def test_names_the_file(self, tmp_path, content, problem):
        path = tmp_path / "holdout" / "lr" / "seed1023.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        for read in (lambda: read_json(path), lambda: load_runs(tmp_path), lambda: filed_result(path, JOBS[0])):
            with pytest.raises(InputError, match=f"^{path} {problem}.*Restore it, or move it away"):
                read()
