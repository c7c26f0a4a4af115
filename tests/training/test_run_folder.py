"""A run folder after a run that ended, failed or was interrupted."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import random_raw
from run_folder_helpers import RESULTS, STEPS, Run, closing_lines, content, timeless, without

from experiment import one_run
from experiment.record import code_revision
from experiment.script import Interrupted
from foundation.errors import InputError
from model import load_model
from model.dssm import DSSM
from preprocessing.dataset import Dataset
from training.result_file import read_result, split_of

pytestmark = pytest.mark.usefixtures("quick_picture")


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
            name: sha256(content(out)[name]).hexdigest()
            for name in RESULTS - {"result.json", "README.md", "curves.png"}
        } == files
        assert read_result(out) == json.loads(json.dumps(returned)) | {"files": files}
        assert result.pop("sha256")
        assert list(result) == [
            *("dataset", "data_sha256", "protocol", "leaks_labels", "model", "seed", "split", "rows", "test"),
            "validation",
            "calibration",
            *("paper", "parameters", "paper_parameters", "epochs", "best_epoch", "seconds", "train_rows_per_second"),
            *("threads", "config", "versions", "defaults", "identity", "run"),
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
        assert set(content(tmp_path)) == RESULTS - {"result.json", "README.md"} | {"checkpoint.pt"}

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
