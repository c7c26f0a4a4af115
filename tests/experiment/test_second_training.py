"""A run of two trainings: the first chooses for how many epochs, the second trains a fresh model that long."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from helpers import random_raw

from experiment.one_run import train_and_report
from experiment.options import parse_options
from experiment.script import Interrupted
from foundation.errors import InputError
from model import build_model, load_model
from preprocessing.dataset import Dataset
from training.result_file import read_result, split_of
from training.run_folder import RunFolder

RAW = random_raw(rows=400)
ARGV = ("--batch_size", "64", "--lr", "0.1", "--dropout", "0.2", "--epoch", "4", "--patience", "2", "--quiet")
SIZES = ("--set", "dnn_hidden_units=[8,6]", "--embedding_dim", "4", "--protocol", "holdout")
TREES = ("--epoch", "12", "--patience", "3", "--quiet", "--protocol", "holdout", "--set", "min_samples_leaf=5")
TIMES = ("seconds", "train_rows_per_second", "run", "files", "sha256")


pytestmark = pytest.mark.usefixtures("quick_picture")


class Stop:
    """Ctrl-C in the given training step of a run, counted over both trainings; steps: taken."""

    def __init__(self, at: int | None = None):
        self.at, self.steps = at, 0

    def watch(self, model):
        original = model.losses

        def losses(*values):
            if self.steps == self.at:
                raise KeyboardInterrupt
            self.steps += 1
            return original(*values)

        model.losses = losses
        return model


def run(out, *more: str, name: str = "dssm", stop: Stop | None = None, refit: str = "--refit") -> dict:
    stop = stop or Stop()
    options = parse_options(
        "movielens", name, [*(TREES if name == "gbdt" else ARGV + SIZES), "--out", str(out), refit, *more]
    )

    def build(data):
        model = build_model(name, data.feature_columns(**options.columns), **options.constructor_arguments)
        model.compile("adam", metrics=["auc", "logloss", "gauc"], lr=options.lr)
        return stop.watch(model)

    return train_and_report(build, Dataset.build(RAW, **options.split), options, 0.0)


def measured(out) -> dict:
    """Everything that a run leaves, but for times."""
    result = {name: value for name, value in read_result(out).items() if name not in TIMES}
    weights = {name: value.tolist() for name, value in load_model(out).state_dict().items()}
    history = [line.split(",")[:4] for line in (out / "history.csv").read_text().splitlines()]
    return {"result": json.dumps(result), "weights": weights, "history": history}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple:
    out, stop = tmp_path_factory.mktemp("refit") / "run", Stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.run_folder.curves_png", lambda *_: b"picture")
        run(out, stop=stop)
    return out, stop.steps


class TestRun:
    def test_tests_the_second_model_and_says_so(self, whole):
        out, _ = whole
        result = read_result(out)
        data = Dataset.build(RAW, **split_of(result))
        assert split_of(result) == {
            "protocol": "holdout",
            "seed": 1023,
            "validation_rows": "random",
            "statistics": "frozen",
            "refit": True,
        }
        assert result["rows"] == {"train": 320, "test": 80} == {"train": len(data.train), "test": len(data.test)}
        assert load_model(out).evaluate(data.test) == pytest.approx(result["test"], abs=1e-6)
        assert result["refit"] == {
            "epochs": result["best_epoch"],
            "chosen_on": {"train": 256, "validation": 64, "test": 80},
        }
        assert result["seconds"].keys() == {"preprocess", "choose", "train", "evaluate"}

    def test_chooses_as_a_run_without_it(self, whole, tmp_path):
        result, alone = read_result(whole[0]), run(tmp_path, refit="--no_refit")
        for name in ("validation", "epochs", "best_epoch"):
            assert result[name] == alone[name]
        assert "refit" not in alone
        assert alone["split"]["refit"] is False
        assert result["test"] != alone["test"]

    def test_second_training_is_a_plain_one_of_as_many_epochs(self, whole):
        """A fresh model, the same seed and the learning rate of all epochs: written out by hand."""
        result = read_result(whole[0])
        options = parse_options("movielens", "dssm", [*ARGV, *SIZES])
        data = Dataset.build(RAW, **options.split, refit=True)
        model = build_model("dssm", data.feature_columns(**options.columns), **options.constructor_arguments)
        model.compile("adam", metrics=["auc"], lr=options.lr)
        schedule = {"epochs": 4, "lr_schedule": options.lr_schedule, "stop_after": result["best_epoch"]}
        model.fit(data.train, batch_size=64, verbose=0, **schedule)
        left = load_model(whole[0]).state_dict()
        assert all(torch.equal(value, left[name]) for name, value in model.state_dict().items())

    def test_trees(self, tmp_path):
        result = run(tmp_path, name="gbdt")
        assert 1 < result["best_epoch"] == result["refit"]["epochs"]
        assert load_model(tmp_path).forest.num_trees == result["best_epoch"]
        data = Dataset.build(RAW, **split_of(result))
        assert load_model(tmp_path).evaluate(data.test) == pytest.approx(result["test"], abs=1e-6)

    def test_a_finished_one_is_taken_as_it_is(self, whole):
        before = {path.name: path.read_bytes() for path in whole[0].iterdir()}
        assert run(whole[0], "--resume", stop=Stop(at=0)) == read_result(whole[0])
        assert {path.name: path.read_bytes() for path in whole[0].iterdir()} == before


class TestInterruption:
    @pytest.mark.parametrize("share", np.linspace(0, 1, 7).round(2))
    def test_at_any_step_of_either_training_changes_no_bit(self, whole, share, tmp_path):
        out, steps = whole
        with pytest.raises(Interrupted):
            run(tmp_path / "run", stop=Stop(at=round(share * (steps - 1))))
        run(tmp_path / "run", "--resume")
        assert measured(tmp_path / "run") == measured(out)

    @pytest.mark.parametrize("at_save", range(9))
    def test_after_any_checkpoint_changes_no_bit(self, whole, at_save, tmp_path, monkeypatch):
        """As of a killed process: nothing runs after the checkpoint is written."""

        class Killed(BaseException):
            pass

        saved, original = [], RunFolder.save_state

        def save(folder, state):
            original(folder, state)
            saved.append(state.place)
            if len(saved) == at_save + 1:
                raise Killed

        monkeypatch.setattr(RunFolder, "save_state", save)
        with pytest.raises(Killed):
            run(tmp_path / "run")
        assert len(saved) == at_save + 1, saved
        run(tmp_path / "run", "--resume")
        assert measured(tmp_path / "run") == measured(whole[0])

    def test_between_the_trainings_says_that_the_second_goes_on(self, whole, tmp_path):
        _, steps = whole
        with pytest.raises(Interrupted, match=r"after epoch \d of the second training is saved"):
            run(tmp_path, stop=Stop(at=steps - 1))
        assert not (tmp_path / "result.json").exists()

    def test_with_other_settings_is_another_run(self, tmp_path):
        with pytest.raises(Interrupted):
            run(tmp_path, stop=Stop(at=7))
        with pytest.raises(InputError, match="refit: True, now None"):
            run(tmp_path, "--resume", refit="--no_refit")
