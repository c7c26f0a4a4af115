"""The ladder's runs: every command is one, and each rung is the one before with what its text names and no more."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
from helpers import random_raw

from experiment.options import parse_options
from foundation.errors import InputError
from leaderboard.data_sets import MOVIELENS
from leaderboard.jobs import FIRST_SEED, Job
from leaderboard.ladder.rungs import (
    BY_KEY,
    CLIMBERS,
    OF_THE_RELEASES,
    RUNGS,
    SWITCHES,
    WEIGHTS,
    Rung,
    ladder_jobs,
    rungs_of,
)
from leaderboard.results import filed_result
from model import MODELS, build_model, default_settings
from model.effects import constructor_defaults
from preprocessing.dataset import Dataset

JOBS = ladder_jobs(list(MODELS), 1)
CLIMBS = [(model, *pair) for model in CLIMBERS for pair in itertools.pairwise(rungs_of(model)[1:])]
ROWS = {"protocol", "validation_rows", "statistics", "refit"}


def job_of(model: str, rung: Rung) -> Job:
    return next(job for job in JOBS if (job.model, job.protocol, job.variant) == (model, rung.protocol, rung.variant))


def settings_of(job: Job) -> dict:
    """All that decides a run: options, and the constructor's arguments with its defaults."""
    options = parse_options("movielens", None, job.options)
    usual = constructor_defaults(MODELS[job.model].model_class)
    return {**usual, **options.model_arguments, "dnn_dropout": options.dropout, **options.config}


def change(model: str, before: Rung, after: Rung) -> dict[str, tuple]:
    """Setting -> its values on two rungs, where they differ; how a command came to it does not count."""
    old, new = (settings_of(job_of(model, rung)) for rung in (before, after))
    names = (old.keys() | new.keys()) - {"as_released"}
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


EXPECTED = {
    "heads_4": {"user_head": (32, 4), "item_head": (32, 4)},
    "random_validation": {"validation_rows": ("tail", "random")},
    "tower_start": {"tower_std": (1e-4, None)},
    "training_mode": {"published_eval_mode": (True, False)},
    "holdout": {"protocol": ("published", "holdout"), "statistics": ("two_parts", "frozen")},
    "temporal": {"protocol": ("holdout", "temporal"), "validation_rows": ("random", "known"), "refit": (False, True)},
}
LOOP_OF_THE_PAPER = {"summed_loss": (True, False), "loss": ("probability_crossentropy", "binary_crossentropy")}
PAPER_MODEL = {
    "int_tower": {
        "tower_bias": (True, False),
        "fe_input": ("pre", "post"),
        "fe_bias": (True, False),
        "fe_sum": (True, False),
        "light_se_bias": (False, True),
        "cir_weight": (0.0, 0.05),
        "cir_temperature": (0.1, 0.2),
        "l2_reg_embedding": (1e-5, 1e-5 / 2048),
    },
    "hit": {
        "tower_bias": (True, False),
        "fe_bias": (True, False),
        "fe_sum": (True, False),
        "generator_relu": (True, False),
        "generation_loss": ("released", "cosine"),
        "own_history_table": (True, False),
        "alpha": (0.1, 0.1 / 128),
        "l2_reg_embedding": (1e-5, 1e-5 / 128),
    },
    "dssm": {
        "tower_bias": (True, False),
        "relu_output": (True, False),
        "l2_reg_embedding": (1e-5, 1e-5 / 2048),
    },
    "deep_fm": {"l2_reg_embedding": (1e-5, 1e-5 / 2048), "l2_reg_linear": (1e-5, 1e-5 / 2048)},
}


@pytest.fixture(scope="module")
def data():
    return Dataset.build(random_raw(), "holdout", 1)


class TestRungs:
    @pytest.mark.parametrize(("model", "before", "after"), CLIMBS, ids=lambda part: getattr(part, "key", part))
    def test_each_changes_what_its_text_names(self, model, before, after):
        found = change(model, before, after)
        if after.key == "our_recipe":  # settings of training and start: no part of the model, and no row
            assert found
            assert not found.keys() & (ROWS | SWITCHES)
            assert found.keys() <= default_settings(model, "movielens").keys() | set(WEIGHTS)
        elif after.key == "paper_model":
            assert found == PAPER_MODEL[model] | LOOP_OF_THE_PAPER
        else:
            assert found == EXPECTED[after.key]

    def test_from_the_papers_model_on_nothing_of_a_release_is_left(self):
        for model, rung in itertools.product(CLIMBERS, RUNGS[RUNGS.index(BY_KEY["paper_model"]) :]):
            settings, usual = settings_of(job_of(model, rung)), constructor_defaults(MODELS[model].model_class)
            for name in SWITCHES & usual.keys() - {"cir_weight", "cir_temperature"}:
                assert settings[name] == usual[name], (model, rung.key, name)
            assert (settings["as_released"], settings["history"]) == (None, model == "hit")

    def test_the_release_is_the_first_and_the_honest_ones_are_the_grids_runs(self):
        for model in OF_THE_RELEASES:
            paper, release, *_, holdout, temporal = rungs_of(model)
            assert (paper.protocol, release.key) == ("", "release")
            assert settings_of(job_of(model, release))["as_released"] in ("inttower", "hit")
            for rung in (holdout, temporal):
                assert job_of(model, rung) == Job(MOVIELENS, rung.protocol, model, FIRST_SEED)

    @pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.model}-{job.variant or job.protocol}")
    def test_every_command_builds_its_model(self, job, data):
        options = parse_options("movielens", None, job.options)
        columns = data.feature_columns(**options.columns | {"embedding_dim": 4})
        build_model(job.model, columns, **options.constructor_arguments | {"device": "cpu"})


class TestJobs:
    def test_the_first_seed_of_all_comes_before_the_next_and_rungs_of_a_seed_in_their_order(self):
        jobs = ladder_jobs(list(MODELS), 5)
        assert [job.seed for job in jobs] == sorted(job.seed for job in jobs)
        first = [job for job in jobs if job.seed == FIRST_SEED]
        climbing = [job for job in first if job.model in CLIMBERS]
        assert first[: len(climbing)] == climbing
        rungs = [(rung.protocol, rung.variant) for rung in RUNGS]
        places = [rungs.index((job.protocol, job.variant)) for job in climbing]
        assert places == sorted(places)
        assert len({job.place for job in jobs}) == len(jobs)

    def test_seeds_and_models(self):
        count = {model: len(rungs_of(model)) - 1 for model in OF_THE_RELEASES}  # without the paper
        assert (count["int_tower"], count["hit"], count["dcn"]) == (9, 8, 4)
        jobs = ladder_jobs(list(MODELS), 5)
        per_model = {model: [job.seed for job in jobs if job.model == model] for model in MODELS}
        assert per_model["lr"] == per_model["gbdt"] == []
        assert {model: len(set(per_model[model])) for model in ("hit", "dcn")} == {"hit": 5, "dcn": 3}
        assert sum(map(len, per_model.values())) == 5 * (9 + 3 * 8) + 3 * 7 * 4
        assert {job.model for job in ladder_jobs(["dcn", "hit", "lr"], 1)} == {"hit", "dcn"}


class TestResultsOfBefore:
    """The commands of `published` and `temporal` have not changed, what they do has."""

    def write(self, tmp_path, job: Job, **settings) -> None:
        options = parse_options("movielens", None, job.options)
        config = options.config | {"model_arguments": options.model_arguments}
        for name in ("as_released", "history", "own_history_table", "validation_rows", "statistics", "refit"):
            del config[name]
        path = tmp_path / job.file
        path.parent.mkdir(parents=True, exist_ok=True)
        result = {"arguments": job.command(None)[1:], "protocol": job.protocol, "config": config | settings}
        path.write_text(json.dumps(result))

    @pytest.mark.parametrize(
        ("protocol", "problem"),
        [
            (
                "published",
                "validation_rows: as it was before, wanted 'tail'; statistics: as it was before, wanted 'two",
            ),
            ("temporal", "validation_rows: as it was before, wanted 'known'; refit: as it was before, wanted True"),
        ],
        ids=["published", "temporal"],
    )
    def test_are_refused_where_the_rows_are_others_now(self, tmp_path, protocol, problem):
        job = Job(MOVIELENS, protocol, "lr", FIRST_SEED)
        self.write(tmp_path, job)
        path = tmp_path / job.file
        with pytest.raises(InputError, match=rf"^{path} is of other rows than its command means today \({problem}"):
            filed_result(path, job)
        assert filed_result(path, job, of_today=False) is not None

    def test_stand_under_holdout(self, tmp_path):
        job = Job(MOVIELENS, "holdout", "hit", FIRST_SEED)
        self.write(tmp_path, job)
        assert filed_result(tmp_path / job.file, job) is not None

    def test_of_today_stand(self, tmp_path):
        job = Job(MOVIELENS, "temporal", "hit", FIRST_SEED)
        self.write(tmp_path, job, validation_rows="known", statistics="frozen", refit=True)
        assert filed_result(tmp_path / job.file, job) is not None
        other = replace(job, seed=FIRST_SEED + 1)
        self.write(tmp_path, other, validation_rows="next", statistics="frozen", refit=True)
        with pytest.raises(InputError, match=r"validation_rows: .*, wanted 'known'"):
            filed_result(tmp_path / other.file, other)
