"""`--track`: a tracker is told everything once, and a run is the same with it and without it."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import get_args

import numpy as np
import pytest
from helpers import assert_same_weights
from script_helpers import assert_short_error, script
from tracker_helpers import SmallRun, StandIn

import train_movielens_whole_models
from experiment import one_run as run_module
from experiment import tracking
from experiment.options import Tracker, parse_options
from experiment.run_name import run_folder
from experiment.script import Interrupted
from foundation.errors import InputError
from foundation.run_files import TRACKING
from training.run_folder import ReadOnlyFolder

EPOCHS = ("--epoch", 4)


pytestmark = pytest.mark.usefixtures("quick_picture")


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch):
    """Not those of whoever runs the tests."""
    for name in ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "WANDB_RUN_ID", "WANDB_PROJECT", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=get_args(Tracker))
def name(request) -> str:
    return request.param


@pytest.fixture
def stand_in(name, monkeypatch) -> StandIn:
    return StandIn(name, monkeypatch)


def timeless(result: dict) -> dict:
    return {key: value for key, value in result.items() if key not in ("seconds", "train_rows_per_second", "run")}


def history_of(out: Path) -> list[dict]:
    rows = np.genfromtxt(out / "history.csv", delimiter=",", names=True)
    return [dict(zip(rows.dtype.names, row.tolist(), strict=True)) for row in rows]


class TestWhatATrackerIsTold:
    def test_settings_each_epoch_and_the_test_metrics(self, tmp_path, name, stand_in, capsys):
        result = SmallRun(tmp_path, *EPOCHS, "--track", name)()
        (told,) = stand_in.runs.values()
        assert told.settings["dataset"] == "by-hand"
        assert str(told.settings["model_arguments.dnn_hidden_units"]) == "[8, 6]"
        assert str(told.settings["lr"]) == "0.003"
        assert "track" not in told.settings
        expected = history_of(tmp_path)
        assert told.numbers == [1, 2, 3, 4]
        for (number, figures), line in zip(told.epochs, expected, strict=True):
            assert {"epoch": number, **figures} == pytest.approx(line)
        assert told.result["test_auc"] == result["test"]["auc"]
        assert told.result["validation_logloss"] == result["validation"]["logloss"]
        assert told.result["best_epoch"] == result["best_epoch"]
        assert told.ends == ["closed" if name == "tensorboard" else "finished"]
        assert capsys.readouterr().err == ""

    def test_trees_are_told_too(self, tmp_path, name, stand_in):
        SmallRun(tmp_path, *EPOCHS, "--track", name, model_name="gbdt")()
        assert stand_in.last.numbers == [1, 2, 3, 4]

    def test_an_interrupted_run_is_closed_and_goes_on_as_the_same(self, tmp_path, name, stand_in):
        with pytest.raises(Interrupted):
            SmallRun(tmp_path, *EPOCHS, "--track", name, stop_at=3)()
        assert stand_in.last.numbers == [1, 2]
        assert stand_in.last.ends == ["closed" if name == "tensorboard" else "killed"]
        SmallRun(tmp_path, *EPOCHS, "--track", name, "--resume")()
        (told,) = stand_in.runs.values()
        assert told.numbers == [1, 2, 3, 4]
        assert told.ends[-1] in ("closed", "finished")
        assert told.result

    def test_what_it_missed_comes_when_the_run_goes_on(self, tmp_path, name, stand_in, capsys):
        stand_in.fails_at = {"tensorboard": 3, "mlflow": 4, "wandb": 3}[name]  # the second epoch
        with pytest.raises(Interrupted):
            SmallRun(tmp_path, *EPOCHS, "--track", name, stop_at=4)()
        assert stand_in.last.numbers == ([] if name == "wandb" else [1])
        assert capsys.readouterr().err.count("warning: ") == 1
        stand_in.fails_at = None
        SmallRun(tmp_path, *EPOCHS, "--track", name, "--resume")()
        (told,) = stand_in.runs.values()
        assert told.numbers == [1, 2, 3, 4]

    def test_a_killed_run_goes_on_without_a_gap_and_tells_nothing_twice(self, tmp_path, name, stand_in, monkeypatch):
        ends = tracking.Tracking.__exit__
        monkeypatch.setattr(tracking.Tracking, "__exit__", lambda *_: None)
        with pytest.raises(Interrupted):
            SmallRun(tmp_path, *EPOCHS, "--track", name, stop_at=3)()
        monkeypatch.setattr(tracking.Tracking, "__exit__", ends)
        assert stand_in.last.ends == []
        SmallRun(tmp_path, *EPOCHS, "--track", name, "--resume")()
        (told,) = stand_in.runs.values()
        assert told.numbers == [1, 2, 3, 4]

    @pytest.mark.parametrize("content", [None, "", "{", "[]", '{"%s": 3}', '{"%s": {"id": "x"}}'])
    def test_without_its_file_a_run_that_goes_on_is_told_whole(self, tmp_path, content, monkeypatch):
        stand_in = StandIn("mlflow", monkeypatch)
        with pytest.raises(Interrupted):
            SmallRun(tmp_path, *EPOCHS, "--track", "mlflow", stop_at=3)()
        (tmp_path / TRACKING).unlink()
        if content is not None:
            (tmp_path / TRACKING).write_text(content.replace("%s", "mlflow"), encoding="utf-8")
        SmallRun(tmp_path, *EPOCHS, "--track", "mlflow", "--resume")()
        assert [told.numbers for told in stand_in.runs.values()] == [[1, 2], [1, 2, 3, 4]]

    def test_another_tracker_that_joins_is_told_whole(self, tmp_path, monkeypatch):
        first, second = StandIn("mlflow", monkeypatch), StandIn("wandb", monkeypatch)
        with pytest.raises(Interrupted):
            SmallRun(tmp_path, *EPOCHS, "--track", "mlflow", stop_at=3)()
        SmallRun(tmp_path, *EPOCHS, "--track", "wandb", "--resume")()
        assert (first.last.numbers, second.last.numbers) == ([1, 2], [1, 2, 3, 4])
        assert json.loads((tmp_path / TRACKING).read_text())["mlflow"]["epochs"] == 2

    def test_a_new_run_in_the_same_folder_is_another(self, tmp_path, name, stand_in):
        SmallRun(tmp_path, *EPOCHS, "--track", name)()
        before = json.loads((tmp_path / TRACKING).read_text())[name]["id"]
        old = tmp_path / "tensorboard" / "events.out.tfevents.1.host"
        if name == "tensorboard":
            old.parent.mkdir()
            old.write_text("")
        SmallRun(tmp_path, *EPOCHS, "--track", name)()
        assert stand_in.last.numbers == [1, 2, 3, 4]
        if name == "tensorboard":
            assert not old.exists()
        else:
            assert json.loads((tmp_path / TRACKING).read_text())[name]["id"] != before

    def test_a_finished_run_has_nothing_to_tell(self, tmp_path, name, stand_in, capsys):
        SmallRun(tmp_path, *EPOCHS)()
        SmallRun(tmp_path, *EPOCHS, "--resume", "--track", name)()
        assert stand_in.runs == {}
        assert capsys.readouterr().err == ""

    def test_the_main_process_alone_tells(self, tmp_path, name, stand_in):
        one = SmallRun(tmp_path, *EPOCHS, "--track", name)
        of_the_main_one = SimpleNamespace(path=tmp_path, state=None)
        for folder in (of_the_main_one, ReadOnlyFolder(tmp_path, {}, resume=False)):
            with run_module._tracking(one.data, one.options, folder, {}) as found:
                assert (found is not None) == (folder is of_the_main_one)
        assert len(stand_in.runs) == 1


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The model and the result of a run that nobody tracks."""
    one = SmallRun(tmp_path_factory.mktemp("plain"), *EPOCHS)
    return one.model, one()


class TestARunIsTheSame:
    def assert_same(self, plain, one: SmallRun, result: dict) -> None:
        model, expected = plain
        assert_same_weights(model, one.model)
        assert timeless(result) == timeless(expected)

    def test_with_a_tracker(self, tmp_path, name, stand_in, plain):
        one = SmallRun(tmp_path, *EPOCHS, "--track", name)
        self.assert_same(plain, one, one())

    # Opening, an epoch, the result or the end, or nothing at all: a tracker is called six to eight times.
    @pytest.mark.parametrize("call", [1, 4, 6, 7, 9])
    def test_when_the_tracker_fails(self, tmp_path, name, stand_in, plain, call, capsys):
        stand_in.fails_at = call
        one = SmallRun(tmp_path, *EPOCHS, "--track", name)
        self.assert_same(plain, one, one())
        err = capsys.readouterr().err
        assert err.count("\n") == (1 if stand_in.calls >= call else 0)
        if err:
            assert err.startswith(f"warning: {name} does not track this run any further (OSError: ")
            assert stand_in.calls == call  # and it is left alone

    def test_a_long_error_is_one_line(self, tmp_path, name, stand_in, capsys):
        stand_in.fails_at, stand_in.error = 1, RuntimeError("no\nroute\x1b[31m " * 100)
        SmallRun(tmp_path, *EPOCHS, "--track", name)()
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "\x1b" not in err

    def test_ctrl_c_inside_the_tracker_is_no_error_of_it(self, tmp_path, name, stand_in):
        stand_in.fails_at, stand_in.error = {"tensorboard": 3, "mlflow": 4, "wandb": 3}[name], KeyboardInterrupt()
        with pytest.raises((Interrupted, KeyboardInterrupt)):
            SmallRun(tmp_path, *EPOCHS, "--track", name)()

    def test_in_its_settings_and_its_folder(self, name, stand_in):
        tracked, plain = (parse_options("movielens", "dssm", argv) for argv in (["--track", name], []))
        assert tracked.track == name
        assert dataclasses.replace(tracked, track=None) == plain
        assert tracked.config == plain.config
        assert run_folder(tracked, "ml-1m", "dssm") == run_folder(plain, "ml-1m", "dssm")


class TestPackages:
    def test_each_choice_has_its_class(self):
        assert list(tracking.TRACKERS) == list(get_args(Tracker))

    def test_a_missing_one_is_one_line_before_anything_is_read(self, tmp_path, name, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setitem(sys.modules, name, None)  # cannot be imported
        assert (
            script(train_movielens_whole_models.main, "--model_name", "lr", "--data_path", "no", "--track", name) == 2
        )
        assert_short_error(capsys, f"needs the package {name}. Install it: pip install {name}")
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_of_its_name_is_not_the_package(self, name, monkeypatch):
        module = ModuleType(name)
        module.__file__ = None  # as of a folder without __init__.py
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
        with pytest.raises(InputError, match=f"pip install {name}"):
            tracking.require(name)

    def test_a_broken_one_is_not_called_missing(self, tmp_path, name, monkeypatch):
        (tmp_path / f"{name}.py").write_text("import no_such_module_of_its_own", encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, name, raising=False)
        with pytest.raises(InputError, match=r"installed but cannot be imported \(ModuleNotFoundError: .*no_such_mod"):
            tracking.require(name)

    def test_nothing_is_imported_unless_asked_for(self, tmp_path, monkeypatch):
        monkeypatch.delitem(sys.modules, "experiment.tracking")
        SmallRun(tmp_path, "--epoch", 1)()
        assert "experiment.tracking" not in sys.modules
        assert not (tmp_path / TRACKING).exists()

    def test_an_unknown_tracker_is_refused(self):
        with pytest.raises(InputError, match="invalid choice: 'comet'"):
            parse_options("movielens", "lr", ["--track", "comet"])


class TestRealPackages:
    """Where they are installed, which requirements.txt leaves to the user: what they wrote is read back."""

    def run(self, out: Path, name: str) -> list[float]:
        """Interrupted and resumed. -> the validation AUC of each epoch"""
        with pytest.raises(Interrupted):
            SmallRun(out, *EPOCHS, "--track", name, stop_at=3)()
        SmallRun(out, *EPOCHS, "--track", name, "--resume")()
        return [line["val_auc"] for line in history_of(out)]

    def test_tensorboard(self, tmp_path):
        pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install tensorboard")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        expected = self.run(tmp_path, "tensorboard")
        events = EventAccumulator(str(tmp_path / "tensorboard"))
        events.Reload()
        assert [event.step for event in events.Scalars("val_auc")] == [1, 2, 3, 4]
        assert [event.value for event in events.Scalars("val_auc")] == pytest.approx(expected)
        assert [event.step for event in events.Scalars("test_auc")] == [4]

    def test_mlflow(self, tmp_path, monkeypatch):
        mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed: pip install mlflow")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
        expected = self.run(tmp_path / "run", "mlflow")
        client = mlflow.MlflowClient()
        (run,) = client.search_runs([client.get_experiment_by_name("by-hand").experiment_id])
        values = client.get_metric_history(run.info.run_id, "val_auc")
        assert [(one.step, one.value) for one in values] == list(enumerate(pytest.approx(expected).expected, 1))
        assert run.info.status == "FINISHED"
        assert run.data.params["lr"] == "0.003"
        assert "test_auc" in run.data.metrics

    def test_wandb(self, tmp_path, monkeypatch, capfd):
        pytest.importorskip("wandb", reason="wandb is not installed: pip install wandb")
        monkeypatch.setenv("WANDB_MODE", "offline")
        self.run(tmp_path, "wandb")
        assert "warning: wandb does not track" not in capfd.readouterr().err
        assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 2  # the run, and what came when it went on
        assert json.loads((tmp_path / TRACKING).read_text())["wandb"]["epochs"] == 4
