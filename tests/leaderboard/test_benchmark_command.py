"""The command line of `benchmark.py`: what names mean, and that the current folder does not matter."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from script_helpers import assert_short_error, script, write_movielens

import benchmark
from benchmark import changed, chosen, here, main, variants
from experiment.record import ROOT
from leaderboard.ablations.variants import ABLATIONS
from leaderboard.data_sets import MOVIELENS
from leaderboard.jobs import FIRST_SEED, Job
from leaderboard.ladder.rungs import ladder_jobs
from leaderboard.quick import Quick
from model import MODELS, find_model
from preprocessing.protocol import PROTOCOLS


def test_a_model_is_chosen_once_whatever_it_is_called():
    assert chosen("models", ["tim", "dssm", "hit", "HIT", "dssm"], MODELS, find_model) == ["hit", "dssm"]
    assert chosen("protocols", ["temporal", "holdout", "temporal"], PROTOCOLS) == ["temporal", "holdout"]
    assert chosen("models", ["all", "all"], MODELS, find_model) == list(MODELS)


@pytest.mark.parametrize("option", ["models", "protocols"])
def test_all_beside_other_names_is_an_error(option, capsys):
    name = {"models": "hit", "protocols": "holdout"}[option]
    assert script(main, f"--{option}", name, "all") == 2
    assert_short_error(capsys, f"--{option} takes all or names, not both. Received: {name} all.")


@pytest.mark.parametrize(
    ("part", "models", "problem"),
    [
        ("ablations", ["gbdt", "cold"], "There is no ablation of gbdt cold. Those that have one: int_tower hit dssm"),
        ("ablations", ["hit", "cold"], "There is no ablation of cold. Those that have one:"),
        ("ladder", ["dcn", "lr", "gbdt"], "There is no release of lr gbdt. Those that have one: dssm dat mvke"),
    ],
)
def test_models_without_a_part_are_an_error_that_says_which_have_it(part, models, problem, capsys):
    assert script(main, f"--{part}", "--models", *models, "--data_path", "nowhere") == 2
    assert_short_error(capsys, problem)


@pytest.mark.parametrize("models", [["hit"], ["int_tower", "dssm"], list(MODELS)])
def test_models_with_ablations_are_run(models):
    jobs = changed(MOVIELENS, models, ["holdout"], 1)
    asked = {ablation.model for ablation in ABLATIONS if "holdout" in (ablation.protocols or PROTOCOLS)}
    assert {job.model for job in jobs} == set(models) & asked


def test_the_ladder_has_its_own_protocols(capsys):
    assert script(main, "--ladder", "--protocols", "holdout", "--data_path", "nowhere") == 2
    assert_short_error(capsys, "--ladder has the protocol of each rung. Leave out: --protocols.")


def test_the_ladder_runs_its_jobs(elsewhere, monkeypatch, capsys):
    ran: list[Job] = []
    monkeypatch.setattr("leaderboard.runner.Runner.run", lambda _, jobs: ran.extend(jobs))
    assert (
        script(main, "--ladder", "--data_path", "data", "--results", "r", "--models", "hit", "dcn", "--seeds", "4") == 0
    )
    assert ran == ladder_jobs(["hit", "dcn"], 4)
    assert len(ran) == 4 * 8 + 3 * 4
    assert "44 results in r/" in capsys.readouterr().out


def test_places_of_the_repository_are_found_from_every_folder(tmp_path, monkeypatch):
    for folder in (ROOT, ROOT / "tests", tmp_path):
        monkeypatch.chdir(folder)
        assert (folder / here("runs", "benchmark")).resolve() == ROOT / "runs" / "benchmark"
        assert (folder / Quick.default_folder()).resolve().parent == ROOT / "runs" / "quick"
    monkeypatch.chdir(ROOT)
    assert str(here("results")) == "results"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The current folder, with a small MovieLens in `data`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    write_movielens(tmp_path / "data")
    return tmp_path


def test_runs_from_another_folder(elsewhere, capsys):
    own = ["--data_path", "data", "--results", "r", "--runs", "s", "--protocols", "holdout", "--seeds", "1"]
    assert script(main, *own, "--models", "lr") == 0
    (path,) = (elsewhere / "r").rglob("seed*.json")
    text = path.read_text()
    assert (len(list((elsewhere / "s").rglob("result.json"))), str(elsewhere) in text) == (1, False)
    assert str(ROOT) not in text
    assert "1 results in r/" in capsys.readouterr().out

    path.write_text(json.dumps(json.loads(text) | {"data_sha256": "e" * 64}))
    assert script(main, *own, "--models", "lr") == 2
    assert "is about other data (sha256 eeeeeeeeeeee) than those at hand" in capsys.readouterr().err


def test_everything_is_grid_and_variants_then_audit_stages_and_report(elsewhere, monkeypatch, capsys):
    small = ("--epoch", "1", "--batch_size", "256")

    def jobs(*_):
        return [replace(job, arguments=(*small, *job.arguments)) for job in ran(*_)]

    ran = benchmark.entrant_jobs
    monkeypatch.setattr(benchmark, "entrant_jobs", jobs)
    monkeypatch.setattr(benchmark, "variants", lambda *_: [])
    monkeypatch.setattr(benchmark, "ladder_jobs", lambda models, seeds: [])
    own = [
        "--everything",
        "--data_path",
        "data",
        "--runs",
        "s",
        "--protocols",
        "holdout",
        "--seeds",
        "1",
        "--models",
        "lr",
        "dssm",
    ]
    assert script(main, *own, "--results", "r") == 0
    assert len(list((elsewhere / "r").rglob("seed*.json"))) == 2
    (report,) = (page.read_text() for page in (elsewhere / "r").glob("*/README.md"))
    for heading in ("## leaderboard holdout", "## audit", "## survivors holdout"):
        assert heading in report
    assert "survivors-dark.png" in capsys.readouterr().out


def test_everything_has_the_variants_of_the_models_that_have_some_under_the_honest_protocols():
    jobs = variants(MOVIELENS, ["lr", "dssm", "gbdt"], list(PROTOCOLS), 5)
    assert {(job.model, job.protocol, job.variant) for job in jobs} == {
        ("dssm", "holdout", "gamma_learned"),
        ("dssm", "temporal", "gamma_learned"),
        ("dssm", "temporal", "as_of"),
        ("lr", "temporal", "as_of"),
    }
    assert {job.seed - FIRST_SEED for job in jobs} == {0, 1, 2}
    assert variants(MOVIELENS, ["gbdt"], list(PROTOCOLS), 5) == []
