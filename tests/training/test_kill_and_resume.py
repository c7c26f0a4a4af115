"""The short version of `benchmarks/kill_and_resume.py`."""

from __future__ import annotations

from helpers import random_raw

from benchmarks.kill_and_resume import Setup, over, trials

SMALL = ("--set", "dnn_hidden_units=[8,6]", "--set", "user_head=2", "--set", "field_dim=4", "--embedding_dim", "4")


def test_killed_and_cramped_runs_end_as_the_undisturbed_one(tmp_path, monkeypatch):
    monkeypatch.setattr("training.run_folder.curves_png", lambda *_: b"picture")
    argv = ("--model_name", "int_tower", *SMALL, "--dropout", "0.2", "--lr", "0.01", "--epoch", "3", "--quiet")
    setup = Setup(random_raw(), (*argv, "--batch_size", "32", "--checkpoint_minutes", "1e-9"))
    done = [*trials(setup, tmp_path, kills=3, full=1, seed=1), *over(setup, tmp_path, kills=4, seed=1)]
    assert len(done) == 8
    assert [(what, left) for what, left, equal in done if not equal] == []
