"""What a script says to bad input: one line, exit status 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest
from script_helpers import assert_short_error, script, write_movielens

import train_movielens_IntTower
import train_movielens_whole_models
from model import MODELS


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_movielens(tmp_path_factory.mktemp("ml-tiny"))


WHOLE, INT_TOWER = train_movielens_whole_models.main, train_movielens_IntTower.main


class TestBadInput:
    """Exit status 2, one or two lines on standard error, no traceback, and nothing written."""

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["--model_name", "int_towre"], f"Known: {', '.join(MODELS)}. Did you mean 'int_tower'?"),
            (["--model_name", "lr", "--epochs", "3"], "Unrecognized arguments: --epochs 3. Did you mean '--epoch'?"),
            (["--model_name", "lr", "--lr_shedule=x"], "Did you mean '--lr_schedule'?"),
            (["--model_name", "int_tower", "--set", "cir_wieght=1"], "Did you mean 'cir_weight'?"),
            ([], "--model_name"),
            (["--model_name", "lr", "--protocol", "honest"], "published"),
            (["--model_name", "lr", "--device", "gpu"], "Unknown device 'gpu'. Known: auto, cpu, cuda, cuda:N."),
            (["--model_name", "lr", "--device", "mps"], "Unknown device 'mps'"),
            (["--model_name", "lr", "--device", "cpu:1"], "Unknown device 'cpu:1'"),
            (["--model_name", "lr", "--device", "cuda:99"], "Device 'cuda:99' is not there"),
            (["--model_name", "lr", "--precision", "fp16"], "float32"),
            (["--model_name", "lr", "--epoch", "0"], "0 is out of range, it must be at least 1"),
            (["--model_name", "lr", "--epoch", "-3"], "at least 1"),
            (["--model_name", "lr", "--epoch", "1.5"], "'1.5' is not a whole number"),
            (["--model_name", "lr", "--epoch", "many"], "'many' is not a whole number"),
            (["--model_name", "lr", "--batch_size", "1"], "at least 2"),
            (["--model_name", "lr", "--batch_size", "0"], "at least 2"),
            (["--model_name", "dssm", "--dropout", "1"], "1 is out of range, it must be at least 0 and below 1"),
            (["--model_name", "dssm", "--dropout", "-0.1"], "at least 0"),
            (["--model_name", "dssm", "--dropout", "nan"], "nan is out of range"),
            (["--model_name", "lr", "--lr", "0"], "0 is out of range, it must be above 0"),
            (["--model_name", "lr", "--lr=-1e-3"], "above 0"),
            (["--model_name", "lr", "--lr", "inf"], "inf is out of range"),
            (["--model_name", "lr", "--lr", "nan"], "nan is out of range"),
            (["--model_name", "lr", "--lr", "fast"], "'fast' is not a number"),
            (["--model_name", "lr", "--lr_schedule", "cosine"], "linear"),
            (["--model_name", "lr", "--patience", "0"], "at least 1"),
            (["--model_name", "dssm", "--embedding_dim", "0"], "at least 1"),
            (["--model_name", "lr", "--max_rows", "0"], "at least 1"),
            (["--model_name", "lr", "--seed", "-1"], "at least 0"),
            (["--model_name", "lr", "--seed", "99999999999999999999"], "at most 4294967295"),
            (["--model_name", "lr", "--batchsize", "64"], "--batchsize"),
            (["--model_name", "lr", "--quit"], "--quit"),
            (["--model_name", "lr", "--epochs", "3"], "--epochs"),
            (["--model_name", "lr", "--prot", "holdout"], "--prot"),
            (["--model_name", "lr", "ml-1m"], "ml-1m"),
            (["--model_name", "lr", "--fe_score", "last"], "--fe_score has no effect on lr. Leave it out."),
            (["--model_name", "dssm", "--fe_score", "last"], "--fe_score has no effect on dssm"),
            (["--model_name", "lr", "--dropout", "0.3"], "--dropout has no effect on lr"),
            (["--model_name", "lr", "--embedding_dim", "8"], "--embedding_dim has no effect on lr"),
            (
                ["--model_name", "lr", "--set", "unknown_rate=0", "--published_eval_mode"],
                "--published_eval_mode has no effect on lr, which trains as it evaluates. Leave it out, or switch",
            ),
            (["--model_name", "dssm", "--epoch", "1", "--published_eval_mode"], "whose only epoch it leaves as it is"),
            (
                ["--model_name", "int_tower", "--set", "cir_temperature=0.3", "--set", "cir_weight=0"],
                "--set cir_temperature has no effect on int_tower, whose cir_weight is 0. Leave it out, or set",
            ),
            (
                ["--model_name", "dssm", "--set", "dnn_hidden_units=[8]", "--dropout", "0.3"],
                "--dropout has no effect on dssm, whose towers of one layer are linear maps. Leave it out, or give",
            ),
            (
                ["--model_name", "dssm", "--epoch", "5", "--patience", "4"],
                "--patience has no effect on dssm, which trains",
            ),
            (["--model_name", "gbdt", "--epoch", "9", "--patience", "9"], "--patience has no effect on gbdt"),
            (["--model_name", "gbdt", "--published_eval_mode"], "on gbdt, which trains as it evaluates. Leave it out."),
            (["--model_name", "gbdt", "--batch_size", "64"], "--batch_size has no effect on gbdt"),
            (["--model_name", "gbdt", "--lr_schedule", "linear"], "--lr_schedule has no effect on gbdt"),
            (["--model_name", "gbdt", "--precision", "bf16"], "--precision has no effect on gbdt"),
            (["--model_name", "gbdt", "--checkpoint_minutes", "1"], "--checkpoint_minutes has no effect on gbdt"),
            (["--model_name", "gbdt", "--set", "unknown_rate=0.1"], "Received 'unknown_rate=0.1'"),
            (["--model_name", "dssm", "--set", "l2_reg_linear=0.1"], "Received 'l2_reg_linear=0.1'"),
            (["--model_name", "int_tower", "--fe_score", "first"], "last"),
            (
                ["--model_name", "int_tower", "--set", "cir_wieght=0.1"],
                "'cir_wieght=0.1'. Did you mean 'cir_weight'?",
            ),
            (["--model_name", "int_tower", "--set", "cir_weight"], "--set expects NAME=VALUE"),
            (["--model_name", "int_tower", "--set", "seed=3"], "--set expects NAME=VALUE"),
            (["--model_name", "lr", "--set", "user_head=3"], "with an argument of lr. Received 'user_head=3'"),
            (
                ["--model_name", "int_tower", "--set", "cir_weight=much"],
                "cir_weight of int_tower must be of type float",
            ),
            (["--model_name", "int_tower", "--set", "cir_weight=NaN"], "cir_weight of int_tower must be of type float"),
            (["--model_name", "int_tower", "--set", "user_head=2.5"], "user_head of int_tower must be of type int"),
            (["--model_name", "int_tower", "--set", "user_head=true"], "user_head of int_tower must be of type int"),
            (["--model_name", "int_tower", "--set", "light_se=perhaps"], "light_se of int_tower must be of type bool"),
            (["--model_name", "int_tower", "--set", "light_se=1"], "light_se of int_tower must be of type bool"),
            (["--model_name", "int_tower", "--set", "dnn_hidden_units=300"], "must be of type tuple[int, ...]"),
            (["--model_name", "int_tower", "--set", "dnn_hidden_units=[300,0.5]"], "must be of type tuple[int, ...]"),
            (["--model_name", "int_tower", "--set", "fe_input=3"], "fe_input of int_tower must be of type str"),
            (["--model_name", "lr", "--data_path", "no/such/place"], "'no/such/place'"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_is_refused(self, argv, message, monkeypatch, capsys, tmp_path):
        monkeypatch.chdir(tmp_path)
        assert script(WHOLE, *argv) == 2
        assert_short_error(capsys, message)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["--set", "fe_input=both"], "fe_input must be one of post, pre. Received: 'both'"),
            (["--set", "dnn_hidden_units=[]"], "at least one layer"),
            (["--set", "user_head=0"], "user_head (HIT: num_heads) must be at least 1. Received: 0."),
            (["--set", "cir_temperature=0"], "cir_temperature"),
            (["--set", "l2_reg_embedding=-1"], "l2_reg_embedding must be a number of at least 0"),
            (["--set", "init_std=-1"], "init_std"),
            (["--set", "unknown_rate=1"], "unknown_rate"),
            (["--set", "user_filed_size=9"], "user_filed_size=9"),
            (["--max_rows", "1"], "one class only"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_is_refused_once_the_data_is_read(self, argv, message, folder, monkeypatch, capsys, tmp_path):
        monkeypatch.chdir(tmp_path)
        common = ["--data_path", folder, "--out", tmp_path / "run", "--quiet"]
        assert script(INT_TOWER, *common, *argv) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ")
        assert message in err
        assert 1 <= len(err.splitlines()) <= 2
        assert not (tmp_path / "run" / "result.json").exists()

    def test_out_below_a_file(self, folder, capsys, tmp_path):
        (tmp_path / "file").write_text("mine")
        argv = ["--model_name", "lr", "--data_path", folder, "--out", tmp_path / "file" / "run", "--quiet"]
        assert script(WHOLE, *argv) == 2
        assert "cannot be written" in capsys.readouterr().err
        assert (tmp_path / "file").read_text() == "mine"

    def test_diverged_training(self, folder, capsys, tmp_path):
        argv = ["--model_name", "lr", "--data_path", folder, "--out", tmp_path / "run", "--quiet", "--lr", "1e39"]
        assert script(WHOLE, *argv) == 2
        err = capsys.readouterr().err
        assert "Lower the learning rate (--lr)" in err
        assert not (tmp_path / "run" / "result.json").exists()

    def test_script_of_one_model_takes_no_other(self, capsys):
        assert script(INT_TOWER, "--model_name", "dssm") == 2
        assert "--model_name" in capsys.readouterr().err
