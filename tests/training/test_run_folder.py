"""A run folder after a run that ended, failed or was interrupted."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import re
import shutil
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import make_raw, random_raw

from experiment import one_run
from experiment.one_run import train_and_report
from experiment.options import parse_options
from experiment.record import code_revision
from experiment.script import Interrupted
from foundation.errors import InputError
from model import build_model, load_model
from model.dssm import DSSM
from preprocessing.dataset import Dataset
from training.calibration import calibration
from training.result import closing_table, curves_png
from training.result_file import read_result, split_of
from training.run_folder import LOCK, RunFolder

RESULTS = {"result.json", "history.csv", "curves.png", "model.safetensors", "config.json"}
TRAINING = ("--batch_size", "64", "--lr", "0.01", "--lr_schedule", "constant", "--quiet")
SIZES = {
    "int_tower": (
        *("--set", "dnn_hidden_units=[8,6]", "--set", "user_head=2", "--set", "field_dim=4"),
        *("--set", "cir_weight=0.1", "--embedding_dim", "4"),
    ),
    "lr": (),
}


@pytest.fixture(autouse=True)
def _quick_picture(monkeypatch):
    """Drawing takes longer than these runs. The `finished` run draws a real one."""
    monkeypatch.setattr("training.run_folder.curves_png", lambda *_: b"picture")


class Run:
    """One run of a script in this process, on hand-made data. stop: raises this in the given training step."""

    def __init__(self, out, *argv, raw=None, stop=None, at_step=0, model_name="int_tower"):
        argv = [*TRAINING, *SIZES[model_name], "--out", out, *argv]
        self.options = parse_options("movielens", model_name, [str(argument) for argument in argv])
        self.data = Dataset.build(raw or random_raw(), self.options.protocol, self.options.seed)
        arguments = dict(self.options.model_arguments)
        if self.options.dropout is not None:
            arguments["dnn_dropout"] = self.options.dropout
        columns = self.data.feature_columns(self.options.embedding_dim)
        self.model = build_model(model_name, columns, seed=self.options.seed, **arguments)
        self.model.compile("adam", lr=self.options.lr)
        self.steps = 0
        if stop is not None:
            original = self.model.losses

            def losses(*values):
                self.steps += 1
                if self.steps > at_step:
                    raise stop
                return original(*values)

            self.model.losses = losses

    def __call__(self) -> dict:
        return train_and_report(lambda data: self.model, self.data, self.options, preprocess_seconds=0.5)


def closing_lines(capsys) -> list[str]:
    """What was printed, from the title of the closing table on."""
    lines = capsys.readouterr().out.splitlines()
    return lines[next(place for place, line in enumerate(lines) if line.startswith("Test results")) :]


STEPS = 3  # 192 training rows in batches of 64


def content(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def without(settings: dict, name: str) -> dict:
    return {key: value for key, value in settings.items() if key != name}


def timeless(result: dict) -> dict:
    return {name: value for name, value in result.items() if name not in ("seconds", "train_rows_per_second", "run")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "deep" / "folder"
    run = Run(out, "--epoch", 3, "--protocol", "holdout")
    return out, run, run()


class TestFinishedRun:
    def test_leaves_exactly_the_results(self, finished):
        out, _, _ = finished
        assert set(content(out)) == RESULTS

    def test_result_has_the_documented_entries(self, finished):
        out, run, returned = finished
        result = json.loads((out / "result.json").read_text())
        files = result.pop("files")
        assert result["identity"].items() >= {"dataset": "by-hand", "model_name": "int_tower", "seed": 1023}.items()
        assert {
            name: sha256(content(out)[name]).hexdigest() for name in RESULTS - {"result.json", "curves.png"}
        } == files
        assert read_result(out) == json.loads(json.dumps(returned)) | {"files": files}
        assert result.pop("sha256")
        assert list(result) == [
            *("dataset", "data_sha256", "protocol", "leaks_labels", "model", "seed", "split", "rows", "test"),
            "validation",
            "calibration",
            *("paper", "parameters", "paper_parameters", "epochs", "best_epoch", "seconds", "train_rows_per_second"),
            *("threads", "config", "versions", "identity", "run"),
        ]
        assert (result["dataset"], result["protocol"], result["model"]) == ("by-hand", "holdout", "int_tower")
        assert result["rows"] == {"train": 192, "validation": 48, "test": 60}
        assert (result["leaks_labels"], result["seed"], result["epochs"]) == (False, 1023, 3)
        assert result["paper"] is None  # there is no published number for this data
        assert result["parameters"] == sum(parameter.numel() for parameter in run.model.parameters())
        assert set(result["seconds"]) == {"preprocess", "train", "evaluate"}
        assert result["seconds"]["preprocess"] == 0.5
        assert set(result["test"]) == set(result["validation"]) == {"auc", "logloss", "gauc"}

    def test_scores_are_those_of_the_saved_model(self, finished):
        out, run, result = finished
        model = load_model(out)
        assert np.array_equal(model.predict(run.data.test), run.model.predict(run.data.test))
        assert model.evaluate(run.data.test) == result["test"]
        assert model.evaluate(run.data.validation) == result["validation"]

    def test_best_epoch_is_the_one_in_the_history(self, finished):
        out, _, result = finished
        history = pd.read_csv(out / "history.csv")
        assert history["epoch"].tolist() == [1, 2, 3]
        assert history["val_auc"].idxmax() + 1 == result["best_epoch"]
        assert history["val_auc"].max() == pytest.approx(result["validation"]["auc"])
        assert {"loss", "ctr", "cir", "auc", "logloss", "val_logloss", "val_gauc", "seconds"} <= set(history)

    def test_config_decides_the_result(self, finished):
        _, run, result = finished
        assert result["config"]["model_arguments"]["dnn_hidden_units"] == [8, 6]
        assert result["config"]["epochs"] == 3
        assert run.options.lr == result["config"]["lr"]
        assert set(result["versions"]) >= {"python", "torch", "numpy", "pandas", "deepctr-torch", "scikit-learn"}

    def test_config_json_names_data_columns_and_encodings(self, finished):
        out, run, _ = finished
        config = json.loads((out / "config.json").read_text())
        assert (config["class"], config["model"], config["dataset"]) == ("IntTower", "int_tower", "by-hand")
        assert config["protocol"] == "holdout"
        assert config["vocabularies"]["movie_id"] == run.data.vocabularies["movie_id"].tolist()
        assert config["scalers"]["price"] == {"low": 2.5, "high": 14.5}

    def test_picture_is_a_png(self, finished):
        out, _, _ = finished
        assert (out / "curves.png").read_bytes().startswith(b"\x89PNG\r\n")

    def test_same_command_gives_the_same_result(self, finished, tmp_path):
        _, _, first = finished
        second = Run(tmp_path / "again", "--epoch", 3, "--protocol", "holdout")()
        assert timeless(first) == timeless(second)

    def test_same_command_may_be_run_again(self, finished):
        out, _, first = finished
        assert timeless(Run(out, "--epoch", 3, "--protocol", "holdout")()) == timeless(first)
        assert set(content(out)) == RESULTS


def test_every_option_of_training_reaches_fit(tmp_path, monkeypatch):
    """A score of other settings than those in `result.json` would look like any other."""

    class Reached(Exception):
        pass

    def fit(train, validation_data, state, on_epoch, callbacks, **given):
        assert callbacks is None
        assert train.rows.tolist() == run.data.protocol.splits["train"].tolist()
        assert validation_data.rows.tolist() == run.data.protocol.splits["validation"].tolist()
        raise Reached(given)

    argv = ["--epoch", 4, "--patience", 2, "--lr_schedule", "linear", "--precision", "bf16_forced"]
    run = Run(tmp_path, *argv, "--published_eval_mode", "--checkpoint_minutes", 7)
    monkeypatch.setattr(run.model, "fit", fit)
    with pytest.raises(Reached) as reached:
        run()
    (given,) = reached.value.args
    assert given == {
        "batch_size": 64,
        "epochs": 4,
        "patience": 2,
        "precision": "bfloat16_forced",
        "published_eval_mode": True,
        "summed_loss": False,
        "lr_schedule": "linear",
        "checkpoint_minutes": 7.0,
        "verbose": 0,
    }


class TestEditedScript:
    """The model counts, not --model_name: a script whose model line was edited reports what it trained."""

    def train(self, out, model_class):
        run = Run(out, "--epoch", 1)
        columns = run.data.feature_columns(4)
        run.model = model_class(columns.user, columns.item, dnn_hidden_units=(6,), seed=1023)
        run.model.compile("adam")
        return run, run()

    def test_another_model_of_the_table(self, tmp_path, capsys):
        run, result = self.train(tmp_path, DSSM)
        assert result["model"] == result["config"]["model_name"] == "dssm"
        assert result["config"]["model_arguments"]["dnn_hidden_units"] == [6]
        assert closing_lines(capsys)[3].startswith("DSSM")
        assert np.array_equal(load_model(tmp_path).predict(run.data.test), run.model.predict(run.data.test))

    def test_model_of_ones_own(self, tmp_path, capsys):
        class Mine(DSSM):
            pass

        run, result = self.train(tmp_path, Mine)
        assert (result["model"], result["paper"]) == ("Mine", None)
        assert closing_lines(capsys)[3].startswith("Mine")
        assert np.array_equal(Mine.load(tmp_path).predict(run.data.test), run.model.predict(run.data.test))


class TestClosingTable:
    def printed(self, capsys, tmp_path, *argv, **keywords) -> tuple[dict, list[str]]:
        result = Run(tmp_path / "run", "--epoch", 1, *argv, **keywords)()
        return result, closing_lines(capsys)

    def test_names_data_protocol_and_seed_and_defines_gauc(self, capsys, tmp_path):
        result, lines = self.printed(capsys, tmp_path, "--protocol", "temporal", "--seed", 5)
        assert lines[0] == "Test results on by-hand, protocol temporal, seed 5"
        assert f"{result['test']['auc']:.4f}" in lines[3]
        assert f"{result['test']['logloss']:.4f}" in lines[3]
        assert any("weighted by the user's impressions" in line for line in lines)
        assert not any("leaks" in line for line in lines)
        assert lines[-1] == f"Run folder: {tmp_path / 'run'}"

    def test_says_how_far_probabilities_are_off(self, capsys, tmp_path):
        run = Run(tmp_path / "run", "--epoch", 1, "--protocol", "holdout")
        result = run()
        expected = calibration(run.data.test.labels.numpy(), run.model.predict(run.data.test)[:, 0])
        assert result["calibration"]["ece"] == pytest.approx(expected["ece"])
        assert sum(result["calibration"]["bins"]["count"]) == result["rows"]["test"]
        assert any(f"by {expected['ece']:.4f} on average" in line for line in closing_lines(capsys))

    def test_published_says_that_it_leaks_and_names_the_others(self, capsys, tmp_path):
        result, lines = self.printed(capsys, tmp_path, "--protocol", "published")
        assert result["leaks_labels"] is True
        warning = next(line for line in lines if "leaks test labels" in line)
        assert "--protocol holdout" in warning
        assert "--protocol temporal" in warning

    def test_paper_beside_ours(self, capsys, tmp_path):
        raw = dataclasses.replace(random_raw(), name="ml-1m")
        result, lines = self.printed(capsys, tmp_path, "--protocol", "holdout", raw=raw)
        assert result["paper"] == {"auc": 0.8974, "logloss": 0.3128}
        assert lines[3].endswith("0.8974     0.3128")
        assert result["paper_parameters"] == 1_180_000
        assert f"Parameters: {result['parameters']:,}; the paper's model has 1.18 million." in lines
        assert any("under the published protocol, which leaks" in line for line in lines)

    def test_best_possible_auc_of_generated_data(self, capsys, tmp_path):
        raw = random_raw()
        raw = dataclasses.replace(raw, best_score=np.where(raw.label == 1, 0.9, 0.1))
        result, lines = self.printed(capsys, tmp_path, "--protocol", "holdout", raw=raw)
        assert 0.5 < result["best_possible_auc"] < 1
        assert "best possible AUC" in lines[1]
        assert f"{result['best_possible_auc']:.4f}" in lines[3]

    @pytest.mark.parametrize(("best", "above"), [(0.1, True), (1.0, False)])
    def test_an_auc_above_the_best_possible_one_is_called_a_leak(self, best, above, capsys, tmp_path):
        result, _ = self.printed(capsys, tmp_path, "--protocol", "published")
        table = closing_table(result | {"best_possible_auc": best}, "IntTower")
        assert ("above the best possible one is what this leak looks like" in table) == above

    def test_users_of_one_class_leave_no_nan_in_the_json(self, capsys, tmp_path):
        rows = [(row, row % 5, row // 3 % 2, row) for row in range(200)]  # a user a row
        result, lines = self.printed(capsys, tmp_path, "--protocol", "holdout", raw=make_raw(rows))
        assert result["test"]["gauc"] is None
        assert "NaN" not in (tmp_path / "run" / "result.json").read_text()
        assert "nan" not in closing_table(result, "IntTower")
        assert len(lines[3].split()) == 6

    def test_columns_are_aligned(self, capsys, tmp_path):
        _, lines = self.printed(capsys, tmp_path, "--protocol", "holdout")
        starts = [place for place, rule in enumerate(lines[2]) if rule == "-" and lines[2][place - 1 : place] != "-"]
        for line in (lines[1], lines[3]):
            assert all(line[place] != " " and (place == 0 or line[place - 1] == " ") for place in starts)


class TestCurves:
    def test_need_no_display(self, monkeypatch):
        monkeypatch.setenv("MPLBACKEND", "TkAgg")
        monkeypatch.delenv("DISPLAY", raising=False)
        history = [{"epoch": 1, "loss": 0.5, "auc": 0.6, "logloss": 0.5, "val_auc": 0.6, "val_logloss": 0.5}]
        assert curves_png(history, "IntTower").startswith(b"\x89PNG")

    def test_without_validation(self):
        history = [{"epoch": epoch, "loss": 0.5, "auc": 0.6, "logloss": 0.5} for epoch in (1, 2)]
        assert curves_png(history, "IntTower").startswith(b"\x89PNG")


class TestInterruptedRun:
    def interrupt(self, out, *argv, at_step=STEPS + 1, **keywords) -> str:
        run = Run(out, "--epoch", 4, *argv, stop=KeyboardInterrupt(), at_step=at_step, **keywords)
        with pytest.raises(Interrupted) as caught:
            run()
        return str(caught.value)

    def test_in_the_middle_of_the_second_epoch(self, tmp_path):
        message = self.interrupt(tmp_path)
        assert "as it was after epoch 1" in message
        assert "--resume" in message
        assert str(tmp_path) in message
        assert set(content(tmp_path)) == RESULTS - {"result.json"} | {"checkpoint.pt"}

    def test_leaves_the_model_of_the_best_finished_epoch(self, tmp_path):
        self.interrupt(tmp_path / "interrupted")
        one = Run(tmp_path / "one", "--epoch", 1)
        one()
        again = load_model(tmp_path / "interrupted")
        assert np.array_equal(again.predict(one.data.test), one.model.predict(one.data.test))
        assert len(pd.read_csv(tmp_path / "interrupted" / "history.csv")) == 1

    def test_in_the_first_epoch_says_that_nothing_was_saved(self, tmp_path):
        message = self.interrupt(tmp_path, at_step=1)
        assert message == "Interrupted before the first checkpoint. Nothing was saved."
        assert content(tmp_path) == {}

    @pytest.mark.parametrize("at_step", [STEPS, 2 * STEPS + 1])
    def test_resumed_equals_uninterrupted(self, tmp_path, at_step):
        self.interrupt(tmp_path / "resumed", at_step=at_step)
        torch.manual_seed(999)
        resumed = Run(tmp_path / "resumed", "--epoch", 4, "--resume")
        result = resumed()
        whole = Run(tmp_path / "whole", "--epoch", 4)
        assert timeless(result) == timeless(whole())
        assert np.array_equal(resumed.model.predict(whole.data.test), whole.model.predict(whole.data.test))
        assert set(content(tmp_path / "resumed")) == RESULTS
        files = [content(tmp_path / name)["model.safetensors"] for name in ("resumed", "whole")]
        assert files[0] == files[1]

    def test_of_an_earlier_version_it_is_continued(self, tmp_path, monkeypatch):
        """Which wrote precisions otherwise, and knew no `lr_schedule`."""
        identity = one_run._identity
        with monkeypatch.context() as patch:
            written = {"precision": "fp32"}
            patch.setattr(one_run, "_identity", lambda *given: without(identity(*given) | written, "lr_schedule"))
            self.interrupt(tmp_path)
        resumed = Run(tmp_path, "--epoch", 4, "--resume")()
        assert resumed["run"]["resumed"] == "after epoch 1"
        assert resumed["identity"]["precision"] == "float32"

    def test_interrupted_again_while_resuming(self, tmp_path):
        self.interrupt(tmp_path)
        message = self.interrupt(tmp_path, "--resume", at_step=1)
        assert "after epoch 1" in message
        assert timeless(Run(tmp_path, "--epoch", 4, "--resume")()) == timeless(Run(tmp_path / "w", "--epoch", 4)())

    def test_while_the_test_rows_are_scored(self, tmp_path, monkeypatch):
        run = Run(tmp_path, "--epoch", 2)
        monkeypatch.setattr(run.model, "evaluate", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(Interrupted, match=r"after epoch 2 is saved.*--resume"):
            run()
        assert "result.json" not in content(tmp_path)
        assert timeless(Run(tmp_path, "--epoch", 2, "--resume")()) == timeless(Run(tmp_path / "w", "--epoch", 2)())

    def test_is_not_overwritten_by_a_new_run(self, tmp_path):
        self.interrupt(tmp_path)
        before = content(tmp_path)
        with pytest.raises(InputError, match=r"An interrupted run lies in .*--resume.*another --out"):
            Run(tmp_path, "--epoch", 4)()
        assert content(tmp_path) == before

    @pytest.mark.parametrize(
        ("argv", "keywords", "message"),
        [
            (["--seed", 7], {}, "seed: 1023, now 7"),
            (["--protocol", "temporal"], {}, "protocol: 'published', now 'temporal'"),
            (["--lr", 0.5], {}, "lr: 0.01, now 0.5"),
            (["--dropout", 0.7], {}, "dnn_dropout: 0.0, now 0.7"),
            ([], {"model_name": "lr"}, "model_name: 'int_tower', now 'lr'"),
            ([], {"raw": dataclasses.replace(random_raw(), fingerprint="1" * 64)}, "data_sha256"),
            ([], {"raw": dataclasses.replace(random_raw(), name="other")}, "dataset: 'by-hand', now 'other'"),
        ],
        ids=["seed", "protocol", "lr", "dropout", "model", "data", "data-name"],
    )
    def test_is_not_resumed_by_another_command(self, tmp_path, argv, keywords, message):
        self.interrupt(tmp_path)
        before = content(tmp_path)
        with pytest.raises(InputError, match=f"belongs to another run .*{message}"):
            Run(tmp_path, "--epoch", 4, "--resume", *argv, **keywords)()
        assert content(tmp_path) == before

    def test_nothing_to_resume_is_a_start_that_is_told(self, tmp_path, capsys):
        result = Run(tmp_path / "resumed", "--epoch", 1, "--resume")()
        assert "There is nothing to resume in" in capsys.readouterr().err
        assert timeless(result) == timeless(Run(tmp_path / "whole", "--epoch", 1)())


class TestEarlierResult:
    """Nothing of it changes until the new run is complete."""

    @pytest.fixture
    def earlier(self, tmp_path):
        Run(tmp_path, "--epoch", 1, "--seed", 1)()
        return content(tmp_path)

    def test_survives_an_interrupted_run(self, tmp_path, earlier):
        with pytest.raises(Interrupted, match="after epoch 1"):
            Run(tmp_path, "--epoch", 4, "--overwrite", stop=KeyboardInterrupt(), at_step=STEPS + 1)()
        after = content(tmp_path)
        assert after.pop("checkpoint.pt")
        assert after == earlier

    def test_survives_an_interruption_before_anything_was_saved(self, tmp_path, earlier):
        with pytest.raises(Interrupted, match="Nothing was saved"):
            Run(tmp_path, "--epoch", 4, "--overwrite", stop=KeyboardInterrupt())()
        assert content(tmp_path) == earlier

    def test_survives_a_failed_run(self, tmp_path, earlier):
        with pytest.raises(InputError, match="The loss is nan"):
            Run(tmp_path, "--epoch", 4, "--overwrite", stop=InputError("The loss is nan"), at_step=1)()
        assert content(tmp_path) == earlier

    def test_is_replaced_by_a_complete_run(self, tmp_path, earlier):
        Run(tmp_path, "--epoch", 1, "--seed", 2, "--overwrite")()
        after = content(tmp_path)
        assert set(after) == set(earlier) == RESULTS
        assert json.loads(after["result.json"])["seed"] == 2


class TestNotWritable:
    @pytest.mark.parametrize("place", ["file", "file/below", "file/below/deeper"])
    def test_a_file_is_in_the_way(self, tmp_path, place):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(InputError, match=r"The run folder .* cannot be written: .* [Uu]se another --out"):
            Run(tmp_path / place, "--epoch", 1)()
        assert (tmp_path / "file").read_text() == "mine"

    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
    @pytest.mark.parametrize("name", [LOCK, "checkpoint.pt", "config.json", "result.json"])
    def test_what_is_no_file_is_in_the_way_of_one_and_named(self, tmp_path, name, make):
        make(tmp_path / name)
        with pytest.raises(InputError, match=rf"{re.escape(name)}\b.*: \w.* (use|Use) another "):
            RunFolder(tmp_path, {})
        assert (tmp_path / name).exists()

    def test_is_noticed_before_training(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        run = Run(tmp_path / "file", "--epoch", 1, stop=AssertionError("trained"))
        with pytest.raises(InputError):
            run()
        assert run.steps == 0


class TestFinishedRunInTheWay:
    """A result is replaced by the same run, or by another one that was told to."""

    @pytest.fixture
    def earlier(self, tmp_path):
        Run(tmp_path, "--epoch", 1)()
        return content(tmp_path)

    OTHERS = (
        (("--lr", 0.5), {}, "lr: 0.01, now 0.5"),
        (("--seed", 7), {}, "seed: 1023, now 7"),
        (("--set", "item_head=2"), {}, r"model_arguments.item_head: None, now 2"),
        ((), {"model_name": "lr"}, "model_name: 'int_tower', now 'lr'"),
        ((), {"raw": dataclasses.replace(random_raw(), fingerprint="1" * 64)}, "data_sha256"),
    )

    @pytest.mark.parametrize("resume", [(), ("--resume",)], ids=["anew", "resume"])
    @pytest.mark.parametrize(("argv", "keywords", "message"), OTHERS, ids=lambda value: str(value)[:20])
    def test_another_is_refused_before_training(self, tmp_path, earlier, argv, keywords, message, resume):
        run = Run(tmp_path, "--epoch", 1, *argv, *resume, stop=AssertionError("trained"), **keywords)
        with pytest.raises(InputError, match=f"finished run with other settings or data .*{message}.*--overwrite"):
            run()
        assert content(tmp_path) == earlier

    @pytest.mark.parametrize(("argv", "keywords", "message"), OTHERS, ids=lambda value: str(value)[:20])
    def test_another_replaces_it_if_told_to(self, tmp_path, earlier, argv, keywords, message):
        result = Run(tmp_path, "--epoch", 1, "--overwrite", *argv, **keywords)()
        assert timeless({**read_result(tmp_path), "files": 0}) == timeless({**result, "files": 0})

    def test_overwrite_is_harmless_where_there_is_nothing(self, tmp_path):
        assert timeless(Run(tmp_path / "a", "--epoch", 1, "--overwrite")()) == timeless(
            Run(tmp_path / "b", "--epoch", 1)()
        )

    def test_resumed_it_is_told_again_and_nothing_is_trained(self, tmp_path, earlier, capsys):
        run = Run(tmp_path, "--epoch", 1, "--resume", stop=AssertionError("trained"))
        result = run()
        assert result == read_result(tmp_path)
        assert closing_lines(capsys)[-1] == f"Run folder: {tmp_path}"
        assert content(tmp_path) == earlier

    def test_that_is_damaged_goes_only_if_told_to(self, tmp_path, earlier):
        (tmp_path / "result.json").write_bytes(earlier["result.json"][:-3])
        with pytest.raises(InputError, match=r"result\.json is damaged.*Replace it with --overwrite"):
            Run(tmp_path, "--epoch", 1)()
        Run(tmp_path, "--epoch", 1, "--overwrite")()
        assert read_result(tmp_path)["epochs"] == 1

    def test_an_interrupted_one_over_it_goes_on(self, tmp_path, earlier):
        with pytest.raises(Interrupted, match="--resume"):
            Run(tmp_path, "--epoch", 3, "--overwrite", stop=KeyboardInterrupt(), at_step=STEPS + 1)()
        assert timeless(Run(tmp_path, "--epoch", 3, "--resume")()) == timeless(Run(tmp_path / "w", "--epoch", 3)())


class TestRecord:
    """When, how and from what a run was made, beside what it measured."""

    def test_of_a_run(self, tmp_path, monkeypatch):
        monkeypatch.setattr("sys.argv", ["train.py", "--epoch", "1"])
        monkeypatch.chdir(tmp_path)
        Run(tmp_path / "run", "--epoch", 1, "--data_path", "here")()
        record = read_result(tmp_path / "run")["run"]
        assert record["command"] == ["train.py", "--epoch", "1"]
        assert record["data_path"] == str(tmp_path / "here")
        assert record["resumed"] is None
        started, ended = (datetime.fromisoformat(record[name]) for name in ("started", "ended"))
        assert started <= ended
        assert started.utcoffset() == timedelta(0)
        assert set(record["code"]) == {"revision", "changed"}

    def test_says_where_it_was_resumed(self, tmp_path):
        with pytest.raises(Interrupted):
            Run(tmp_path, "--epoch", 3, stop=KeyboardInterrupt(), at_step=STEPS + 1)()
        assert Run(tmp_path, "--epoch", 3, "--resume")()["run"]["resumed"] == "after epoch 1"

    def test_without_git(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        assert code_revision() == {"revision": None, "changed": None}


class TestFolderThatMoves:
    """A run writes into the folder that it began in, or nowhere."""

    def moving(self, path, how):
        """A run whose folder is touched in its second epoch."""
        run = Run(path, "--epoch", 3)
        original = run.model.losses

        def losses(*values):
            run.steps += 1
            if run.steps == STEPS + 1:
                how()
            return original(*values)

        run.model.losses = losses
        return run

    @pytest.mark.parametrize("again", ["nothing", "an empty folder", "another run"])
    @pytest.mark.parametrize("how", ["moved", "deleted"])
    def test_is_noticed(self, tmp_path, how, again):
        path, there = tmp_path / "run", []

        def touch():
            path.rename(tmp_path / "elsewhere")
            if how == "deleted":
                shutil.rmtree(tmp_path / "elsewhere")
            if again == "an empty folder":
                path.mkdir()
            if again == "another run":
                Run(path, "--epoch", 1, "--seed", 5)()
                there.append(content(path))

        with pytest.raises(InputError, match=r"was moved, deleted or replaced.*--out and --resume"):
            self.moving(path, touch)()
        assert (content(path) if path.exists() else {}) == (there[0] if there else {})
        if how == "moved":
            moved = Run(tmp_path / "elsewhere", "--epoch", 3, "--resume")()
            assert timeless(moved) == timeless(Run(tmp_path / "whole", "--epoch", 3)())

    def test_relative_paths_are_those_of_the_start(self, tmp_path, monkeypatch):
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path)
        self.moving(Path("run"), lambda: monkeypatch.chdir(tmp_path / "other"))()
        assert set(content(tmp_path / "run")) == RESULTS
        assert list((tmp_path / "other").iterdir()) == []


class TestPicture:
    """It never costs a result."""

    @pytest.mark.parametrize("problem", [ZeroDivisionError("no"), OSError("no"), MemoryError("no"), ImportError("no")])
    def test_that_cannot_be_drawn_is_a_warning(self, problem, tmp_path, monkeypatch, capsys):
        def fail(*_):
            raise problem

        Run(tmp_path, "--epoch", 1)()
        monkeypatch.setattr("training.run_folder.curves_png", fail)
        Run(tmp_path, "--epoch", 1)()
        (said,) = capsys.readouterr().err.splitlines()[-1:]
        assert re.fullmatch(r"WARNING: \S*curves.png cannot be (drawn|written): \w+: no. All else is there.", said)
        assert set(content(tmp_path)) == RESULTS - {"curves.png"}  # the older run's is gone
        assert read_result(tmp_path)["epochs"] == 1


class TestGrowingHistory:
    """`history.csv` after every epoch, and whose it is."""

    HISTORY, APART = "history.csv", "history.growing.csv"

    @staticmethod
    def seen(out, *argv, name="history.csv", **keywords) -> list[int]:
        """How many rows the file had at the start of each epoch, 0 without one."""
        run = Run(out, "--epoch", 3, *argv, **keywords)
        rows, original = [], run.model.losses

        def losses(*values):
            rows.append(len(pd.read_csv(out / name)) if (out / name).exists() else 0)
            return original(*values)

        run.model.losses = losses
        with contextlib.suppress(Interrupted, InputError):
            run()
        return rows[::STEPS]

    def test_has_a_row_for_every_epoch_that_is_done(self, tmp_path):
        assert self.seen(tmp_path) == [0, 1, 2]
        assert len(pd.read_csv(tmp_path / self.HISTORY)) == 3
        assert set(content(tmp_path)) == RESULTS

    def test_goes_on_after_a_resume(self, tmp_path):
        with pytest.raises(Interrupted):
            Run(tmp_path, "--epoch", 3, stop=KeyboardInterrupt(), at_step=STEPS)()
        assert self.seen(tmp_path, "--resume") == [1, 2]

    @pytest.mark.parametrize("left", ["", "epoch,loss\n1,0.1\n2,0.2\n3,0.3\n"], ids=["none", "of-later-epochs"])
    def test_of_a_killed_run_is_made_to_agree_with_its_checkpoint(self, tmp_path, left):
        with pytest.raises(Interrupted):
            Run(tmp_path, "--epoch", 3, stop=KeyboardInterrupt(), at_step=STEPS)()
        for name in RESULTS - {"result.json"}:  # which a killed run does not come to write
            (tmp_path / name).unlink()
        if left:
            (tmp_path / self.HISTORY).write_text(left)
        assert self.seen(tmp_path, "--resume") == [1, 2]

    def test_stays_that_of_an_earlier_result_until_the_new_one_is_whole(self, tmp_path):
        Run(tmp_path, "--epoch", 1, "--seed", 1)()
        before = content(tmp_path)
        again = ("--overwrite", "--resume")
        assert self.seen(tmp_path, *again, name=self.APART, stop=InputError("bad"), at_step=2 * STEPS) == [0, 1, 2]
        after = content(tmp_path)
        assert after.items() >= before.items()
        assert self.APART not in after
        assert self.seen(tmp_path, *again, name=self.APART) == [2]
        assert set(content(tmp_path)) == RESULTS
        assert len(pd.read_csv(tmp_path / self.HISTORY)) == 3

    def test_does_not_come_to_lie_beside_a_model_of_something_else(self, tmp_path):
        other = Run(tmp_path / "other", "--epoch", 1)
        other.model.save(tmp_path)
        before = content(tmp_path)["config.json"]
        run = Run(tmp_path, "--epoch", 3, stop=InputError("bad"), at_step=2 * STEPS)
        with pytest.raises(InputError, match="bad"):
            run()
        assert self.HISTORY not in content(tmp_path)
        assert content(tmp_path)["config.json"] == before

    def test_that_cannot_be_written_costs_no_run(self, tmp_path, monkeypatch, capsys):
        def fail(*_):
            raise OSError(errno.EACCES, "Permission denied")

        monkeypatch.setattr("training.growing_history.write_atomic", fail)
        Run(tmp_path, "--epoch", 3)()
        assert len(pd.read_csv(tmp_path / self.HISTORY)) == 3
        assert capsys.readouterr().err.count("WARNING: ") == 1


class TestSplitOfEarlierResults:
    def test_temporal_validated_on_the_rows_that_came_next(self):
        split = split_of({"protocol": "temporal", "seed": 3})
        assert split == {"protocol": "temporal", "seed": 3, "validation_rows": "next"}
        raw = random_raw(times=500)
        order = np.argsort(raw.timestamp, kind="stable")
        assert Dataset.build(raw, **split).validation.rows.tolist() == order[240:270].tolist()

    def test_holdout_is_as_it_was(self):
        assert split_of({"protocol": "holdout", "seed": 3}) == {"protocol": "holdout", "seed": 3}

    def test_published_is_refused(self):
        with pytest.raises(InputError, match="published protocol had other rows"):
            split_of({"protocol": "published", "seed": 3})
