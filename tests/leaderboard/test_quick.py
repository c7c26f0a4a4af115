"""`benchmark.py --quick`: the whole chain, here with two models."""

from __future__ import annotations

import sys

import pytest
from helpers import random_raw

from benchmark import main
from experiment.options import parse_options
from experiment.record import ROOT
from foundation.errors import InputError
from leaderboard.quick import ROWS, Quick
from model import MODELS
from preprocessing.protocol import PROTOCOLS


def test_runs_audits_and_reports_in_a_folder_of_its_own(tmp_path):
    overview, report, *pictures = Quick(tmp_path, ["lr", "gbdt"], ["holdout"], 1, workers=2, rows=1000).run(quiet=True)
    text = report.read_text()
    assert overview == tmp_path / "README.md"
    assert f"[{report.parent.name}]({report.parent.name}/README.md): 2 runs." in overview.read_text()
    assert text.startswith("# Results on synthetic-movielens-first1000\n\n**Generated data**")
    assert "## audit" in text
    assert "paper's AUC" not in text
    assert {line.split(" | ")[0] for line in text.splitlines()} >= {"| LR", "| GBDT"}
    assert report.parent / "figure" / "leaderboard-light.png" in pictures
    assert all(picture.exists() for picture in pictures)
    assert len(list((report.parent / "holdout").rglob("*.json"))) == 2


@pytest.mark.parametrize("model", MODELS)
def test_every_run_is_a_small_one_on_generated_data_and_has_a_valid_command(tmp_path, model):
    small = Quick(tmp_path, [model], list(PROTOCOLS))
    jobs = small.jobs(random_raw(), small.protocols)
    assert {job.protocol for job in jobs} == set(PROTOCOLS)
    assert any(job.variant for job in jobs) == (model == "int_tower")
    for job in jobs:
        options = parse_options("movielens", None, job.options)
        assert (small.data_path, options.max_rows) == ("synthetic", ROWS)
        assert options.epochs <= 30


@pytest.mark.parametrize("folder", ["results", ".", "data"])
def test_never_replaces_a_readme_that_is_no_report_of_its_own(folder):
    before = (ROOT / folder / "README.md").read_bytes()
    with pytest.raises(InputError, match=r"The report would replace .*README\.md\. Give --results another folder"):
        Quick(ROOT / "tests" / ".." / folder, ["lr"], ["holdout"]).run()
    assert (ROOT / folder / "README.md").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quick", "--data_path", "data"], "--quick takes generated data.* Leave out: --data_path"),
        (["--quick", "--report"], "not allowed with argument"),
        (["--quick", "--seeds", "0"], "--seeds must be at least 1. Received: 0."),
        (["--report", "--dataset", "taobao"], "--report shows all data sets .* Leave out: --dataset."),
        (["--tables", "elsewhere"], "--tables writes the tables of --report."),
        (["--ladder", "--dataset", "amazon"], "--ladder climbs from the papers' numbers on MovieLens"),
        (["--tune", "--seeds", "3", "--protocols", "holdout"], "Leave out: --protocols, --seeds."),
        (["--audit", "--models", "hit"], "--audit trains no model. Leave out: --models."),
        (["--stages", "--workers", "2"], "Leave out: --workers."),
        (["--audit", "--seeds", "0"], "--seeds must be at least 1"),
    ],
)
def test_contradictions_are_errors(monkeypatch, arguments, message):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *arguments])
    with pytest.raises(InputError, match=message):
        main()
