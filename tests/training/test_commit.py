"""A run folder is wholly one run, at every moment and after whatever happened while it was written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from faults import Calls, full_disk, in_child, number_of_calls
from helpers import random_raw, small_model

from foundation.errors import InputError
from foundation.front_matter import front_matter
from foundation.run_files import CARD, CARD_COMMENT, CONFIG, HISTORY, RESULT, WEIGHTS, committed, read_config
from model import load_model
from preprocessing.dataset import Dataset
from training.model_files import model_checksum
from training.result_file import read_result
from training.run_folder import RunFolder
from training.training_state import TrainingState

FILES = {CONFIG, WEIGHTS, HISTORY, RESULT, CARD, "curves.png"}
HOW = [pytest.param(True, id="once"), pytest.param(False, id="from then on")]


@pytest.fixture(scope="module", autouse=True)
def _quick_picture():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.run_folder.curves_png", lambda *_: b"picture")
        yield


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


class Run:
    """What a run number `number` leaves, without the training."""

    def __init__(self, number: int, dataset: Dataset):
        self.number, self.model = number, small_model("dssm", dataset, seed=number)
        self.identity = {"dataset": "hand", "data_sha256": "d" * 64, "seed": number}
        self.card = front_matter({"number": number}, CARD_COMMENT)
        self.state = TrainingState(epoch=1, history=[{"epoch": 1, "number": number}])
        self.state.capture(self.model, self.model.optim)

    def result(self) -> dict:
        named = {name: self.identity[name] for name in ("dataset", "data_sha256")}
        return named | {
            "model": "dssm",
            "protocol": "holdout",
            "config": {"seed": self.number},
            "identity": self.identity,
        }

    def train(self, path: Path) -> None:
        with RunFolder(path, self.identity, overwrite=True) as folder:
            folder.save_state(self.state)
            self.finish(folder)

    def finish(self, folder: RunFolder) -> None:
        folder.finish(self.model, self.result(), self.state.history, {"number": self.number}, self.card)

    def save(self, path: Path) -> None:
        self.model.save(path, {"number": self.number})


@pytest.fixture(scope="module")
def runs(dataset) -> tuple[Run, Run]:
    return Run(1, dataset), Run(2, dataset)


def number_of(path: Path) -> int:
    """Which run a saved model is of. Fails where its files are of several."""
    model, config = load_model(path), read_config(path)
    assert model.seed == config["number"]
    return model.seed


def number_of_run(path: Path) -> int:
    """The same of a finished run."""
    number = number_of(path)
    assert read_result(path)["config"]["seed"] == number
    assert committed(path, HISTORY).read_text() == f"epoch,number\n1,{number}\n"
    assert f"number: {number}\n" in committed(path, CARD).read_text()
    model_checksum(path)
    return number


def content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def tidied(path: Path, run: Run) -> set[str]:
    """What lies there when another run has taken the folder and let go of it again."""
    with RunFolder(path, run.identity, resume=True, overwrite=True):
        pass
    return set(content(path))


class TestKilledAtEveryCall:
    def test_of_a_run_over_an_older_result(self, runs, tmp_path):
        old, new = runs
        old.train(tmp_path / "old")
        before, seen = content(tmp_path / "old"), set()
        counted = shutil.copytree(tmp_path / "old", tmp_path / "counted")
        for at in range(number_of_calls(lambda: new.train(counted))):
            place = tmp_path / str(at)

            def act(place=place, at=at):
                with Calls(lambda: os._exit(9), at).watched():
                    new.train(place)

            shutil.copytree(tmp_path / "old", place)
            assert in_child(act) == 9
            number = number_of_run(place)
            seen.add(number)
            if number == old.number:
                assert {name: (place / name).read_bytes() for name in before} == before
            assert tidied(place, new) - {"checkpoint.pt"} <= FILES
            assert number_of_run(place) == number
        assert seen == {1, 2}

    def test_of_a_saved_model_over_another(self, runs, tmp_path):
        old, new = runs
        old.save(tmp_path / "old")
        seen = set()
        counted = shutil.copytree(tmp_path / "old", tmp_path / "counted")
        for at in range(number_of_calls(lambda: new.save(counted))):
            place = shutil.copytree(tmp_path / "old", tmp_path / str(at))

            def act(place=place, at=at):
                with Calls(lambda: os._exit(9), at).watched():
                    new.save(place)

            assert in_child(act) == 9
            seen.add(number_of(place))
            new.save(place)
            assert number_of(place) == 2
            assert set(content(place)) == {CONFIG, WEIGHTS}
        assert seen == {1, 2}


class TestFullDiskAtEveryCall:
    @pytest.mark.parametrize("once", HOW)
    def test_of_a_finished_run(self, once, runs, tmp_path):
        old, new = runs
        old.train(tmp_path / "old")
        place, ends = tmp_path / "run", set()
        for at in range(1000):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(tmp_path / "old", place)
            with RunFolder(place, new.identity, overwrite=True) as folder:
                folder.save_state(new.state)
                before = content(place)
                calls = full_disk(at, once)
                try:
                    with calls.watched():
                        new.finish(folder)
                    failed = False
                except InputError as error:
                    assert "cannot be written" in str(error)  # noqa: PT017
                    failed = True
                number = number_of_run(place)
                if number == old.number:
                    assert failed
                    assert content(place) == before
            ends.add((number, failed))
            if number == 1:  # the trained model is not lost
                with RunFolder(place, new.identity, resume=True) as folder:
                    assert folder.state.epoch == 1
                    new.finish(folder)
            else:
                with RunFolder(place, new.identity, resume=True) as folder:
                    assert (folder.state, folder.result["config"]) == (None, {"seed": 2})
            assert number_of_run(place) == 2
            assert set(content(place)) | {"curves.png"} == FILES
            if calls.count <= at:
                break
        assert ends >= {(1, True), (2, False)}

    def test_of_a_saved_model(self, runs, tmp_path):
        old, new = runs
        old.save(tmp_path)
        before = content(tmp_path)
        for at in range(1000):
            calls = full_disk(at)
            try:
                with calls.watched():
                    new.save(tmp_path)
            except InputError as error:
                assert "No space left on device" in str(error)  # noqa: PT017
                if number_of(tmp_path) == 1:
                    assert content(tmp_path) == before
                    continue
            assert number_of(tmp_path) == 2
            break
        new.save(tmp_path)
        assert set(content(tmp_path)) == {CONFIG, WEIGHTS}


def test_readers_see_one_run_while_writers_replace_it(runs, tmp_path):
    for run in runs:
        run.train(tmp_path)

    def write():
        for number in range(60):
            runs[number % 2].train(tmp_path)

    child = os.fork()
    if child == 0:
        status = 1
        try:
            write()
            status = 0
        finally:
            os._exit(status)
    seen = []
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        result, config = read_result(tmp_path), read_config(tmp_path)
        model = load_model(tmp_path)
        seen += [result["config"]["seed"], config["number"], model.seed]
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert set(seen) == {1, 2}


class TestChangedBytes:
    """One changed byte, and neither the model nor the result is read."""

    @pytest.mark.parametrize("name", [CONFIG, WEIGHTS, RESULT, HISTORY])
    def test_anywhere(self, name, runs, tmp_path):
        runs[0].train(tmp_path)
        whole = (tmp_path / name).read_bytes()
        for place in {*range(0, len(whole), max(1, len(whole) // 60)), len(whole) - 1}:
            changed = bytearray(whole)
            changed[place] ^= 1 << place % 8
            (tmp_path / name).write_bytes(changed)
            with pytest.raises(InputError, match=name):
                read_result(tmp_path)
            if name in (CONFIG, WEIGHTS):
                for read in (load_model, model_checksum):
                    with pytest.raises(InputError, match=name):
                        read(tmp_path)
        (tmp_path / name).write_bytes(whole)
        assert number_of_run(tmp_path) == 1

    @pytest.mark.parametrize("name", [CONFIG, WEIGHTS, RESULT, HISTORY])
    def test_a_file_of_another_run(self, name, runs, tmp_path):
        for run in runs:
            run.train(tmp_path / str(run.number))
        shutil.copy(tmp_path / "2" / name, tmp_path / "1" / name)
        with pytest.raises(InputError, match="its checksum differs"):
            read_result(tmp_path / "1")


class TestSavingOverAFinishedRun:
    def test_is_refused(self, runs, tmp_path):
        runs[0].train(tmp_path)
        before = content(tmp_path)
        with pytest.raises(InputError, match=r"holds a finished run.*overwrite=True"):
            runs[1].save(tmp_path)
        assert content(tmp_path) == before

    def test_takes_its_result_along(self, runs, tmp_path):
        runs[0].train(tmp_path)
        (tmp_path / "explain-42.png").touch()
        runs[1].model.save(tmp_path, {"number": 2}, overwrite=True)
        assert number_of(tmp_path) == 2
        assert set(content(tmp_path)) == {CONFIG, WEIGHTS}

    def test_a_model_that_cannot_be_saved_changes_nothing(self, runs, dataset, tmp_path):
        runs[0].save(tmp_path)
        before = content(tmp_path)
        tied, strange = small_model("dssm", dataset), small_model("dssm", dataset)
        tied.again = tied.user_side
        strange.arguments["init_std"] = object()
        for model in (tied, strange):
            for place in (tmp_path, tmp_path / "new"):
                with pytest.raises(InputError, match="cannot be saved, and nothing was written"):
                    model.save(place)
        assert content(tmp_path) == before

    def test_is_refused_while_a_run_writes_there(self, runs, tmp_path):
        with RunFolder(tmp_path, {}), pytest.raises(InputError, match="in use by process"):
            runs[0].save(tmp_path)
