"""Two processes under torchrun train what one trains, speak with one voice, and end together."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ranks
import torch
from helpers import random_raw
from hypothesis import given
from hypothesis import strategies as st
from script_helpers import write_movielens
from zoo import NEURAL

from experiment import torchrun
from experiment.options import parse_options
from foundation.errors import InputError
from preprocessing.dataset import Dataset
from training.distributed import Group, Ranks

ROOT = Path(__file__).resolve().parents[2]


def start(*argv) -> subprocess.Popen:
    """`torchrun --nproc_per_node=2 ...`"""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", *map(str, argv)]
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "models")))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)


def torchrun_to_end(*argv) -> subprocess.CompletedProcess:
    """The same, waited for."""
    with start(*argv) as job:
        try:
            out, err = job.communicate(timeout=300)  # a limit for what hangs, not a time to keep
        except subprocess.TimeoutExpired:
            job.terminate()  # which ends its processes, too
            raise
    return subprocess.CompletedProcess(job.args, job.returncode, out, err)


class TestShares:
    @given(st.integers(1, 60), st.integers(1, 5))
    def test_weighted_means_of_all_processes_average_to_the_mean_of_the_batch(self, count, size):
        batch = torch.arange(100, 100 + count)
        values = torch.linspace(-3, 5, 200, dtype=torch.float64) ** 3
        shares = [Ranks(rank, size).share(batch) for rank in range(size)]
        average = sum(weight * values[rows].mean() for rows, weight in shares) / size
        assert average.item() == pytest.approx(values[batch].mean().item(), rel=1e-9)
        assert set(torch.cat([rows for rows, _ in shares]).tolist()) == set(batch.tolist())

    @given(st.integers(1, 60), st.integers(2, 5))
    def test_no_process_computes_batch_statistics_of_one_row_unless_the_batch_has_one(self, count, size):
        shares = [Ranks(rank, size).share(torch.arange(count))[0] for rank in range(size)]
        assert min(map(len, shares)) >= min(2, count)
        if count >= 2 * size:
            assert sum(map(len, shares)) == count
            assert max(map(len, shares)) - min(map(len, shares)) <= 1

    def test_process_alone_has_the_whole_batch(self):
        batch = torch.arange(7)
        rows, weight = Group().share(batch)
        assert rows is batch
        assert weight == 1.0

    def test_batch_too_small_to_share(self):
        with pytest.raises(InputError, match="A batch of 5 rows cannot be shared out to 3 processes"):
            Ranks(0, 3).check(5)
        Ranks(0, 3).check(6)
        Group().check(2)

    def test_each_process_has_random_numbers_of_its_own_by_step(self):
        def draw(rank, *numbers):
            Ranks(rank, 2).seed(*numbers)
            return torch.rand(3).tolist()

        draws = [draw(rank, 7, epoch, seen) for rank in (0, 1) for epoch in (0, 1) for seen in (0, 64)]
        assert len({tuple(each) for each in draws}) == len(draws)
        assert draw(1, 7, 0, 64) == draw(1, 7, 0, 64)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[dict]:
    """What each of two processes computed in `ranks.py`."""
    place = tmp_path_factory.mktemp("ranks")
    done = torchrun_to_end(ROOT / "tests" / "ranks.py", place)
    assert done.returncode == 0, done.stderr
    return [torch.load(place / f"rank{rank}.pt") for rank in (0, 1)]


def assert_close(left: dict, right: dict, tolerance: float) -> None:
    assert left.keys() == right.keys()
    far = {name: float((left[name] - right[name]).abs().max()) for name in left}
    assert max(far.values()) <= tolerance, far


class TestTwoProcesses:
    @pytest.mark.parametrize("update", ["dense", "rowwise"])
    @pytest.mark.parametrize("name", NEURAL)
    def test_train_the_weights_of_one(self, name, update, found, data):
        alone = ranks.exact(name, data, update)
        start = {key: value.clone() for key, value in alone.state_dict().items()}
        history = ranks.fit(alone, data)
        together = found[0][name, update]
        assert_close(together["weights"], alone.state_dict(), 1e-5)
        assert any(float((start[key] - value).abs().max()) > 1e-3 for key, value in alone.state_dict().items())
        for key, values in history.items():
            assert together["history"][key] == pytest.approx(values, abs=1e-4), key

    @pytest.mark.parametrize("name", NEURAL)
    def test_measure_what_one_measures(self, name, found, data):
        assert found[0][name, "dense"]["before"] == pytest.approx(
            ranks.exact(name, data, "dense").evaluate(data.test), abs=1e-6
        )

    def test_weigh_rows_as_one_does(self, found, data):
        (alone, history), together = ranks.weighted(data), found[0]["weights of rows"]
        assert_close(together["weights"], alone.state_dict(), 1e-5)
        assert together["history"].keys() == history.keys() >= {"acc", "val_acc", "val_loss"}
        for key, values in history.items():
            assert together["history"][key] == pytest.approx(values, abs=1e-4), key

    def test_sum_the_click_loss_as_one_does(self, found, data):
        (alone, history), together = ranks.summed(data), found[0]["summed loss"]
        start = ranks.exact("dat", data, "dense").state_dict()
        assert_close(together["weights"], alone.state_dict(), 1e-5)
        assert any(float((start[key] - value).abs().max()) > 1e-2 for key, value in alone.state_dict().items())
        for key, values in history.items():
            assert together["history"][key] == pytest.approx(values, abs=1e-4), key

    def test_hold_the_same_to_the_bit(self, found):
        for key in found[0]:
            left, right = (each[key] for each in found)
            assert left["history"] == right["history"]
            for part in ("weights", "whole", "resumed"):
                if part in left:
                    assert all(torch.equal(value, right[part][name]) for name, value in left[part].items()), key

    @pytest.mark.parametrize("update", ["dense", "rowwise"])
    def test_resumed_equal_uninterrupted_to_the_bit(self, update, found):
        whole, resumed = found[0][update]["whole"], found[0][update]["resumed"]
        assert [name for name, value in whole.items() if not torch.equal(value, resumed[name])] == []

    @pytest.mark.parametrize("update", ["dense", "rowwise"])
    def test_resumed_inside_an_epoch_equal_uninterrupted_to_the_bit(self, update, found):
        whole, ends = found[0][update]["whole"], found[0][update]["resumed inside"]
        assert len(ends) == ranks.EPOCHS
        for end in ends:
            assert [name for name, value in whole.items() if not torch.equal(value, end[name])] == []


class TestProcessesThatDoNotAgree:
    """All are told before the first step what differs, and no one waits for the others."""

    @pytest.fixture(scope="class")
    @classmethod
    def ends(cls, tmp_path_factory) -> list[dict]:
        place = tmp_path_factory.mktemp("disagreeing")
        done = torchrun_to_end(ROOT / "tests" / "disagreeing_ranks.py", place)
        assert done.returncode == 0, done.stderr
        return [json.loads((place / f"rank{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]

    @pytest.mark.parametrize(
        ("case", "what"),
        [
            ("one label", "the training rows"),
            ("one label of validation", "the validation rows"),
            ("split", "the training rows"),
            ("protocol", "the training rows"),
            ("seed", "the seed"),
            ("settings", "the model"),
            ("epochs", "the options"),
            ("batch size", "the options"),
        ],
    )
    def test_are_refused(self, case, what, ends):
        assert ends[0][case] == ends[1][case]
        assert "The processes do not train the same: " in ends[0][case]
        assert f"{what} " in ends[0][case].partition(" of process 1 are not those")[0].replace(",", " ") + " "

    def test_others_train(self, ends):
        assert ends[0]["the same"] is ends[1]["the same"] is None


def error_lines(done: subprocess.CompletedProcess) -> list[str]:
    """Lines that begin with `error:`; torchrun's table repeats them behind a name."""
    return [line for line in done.stderr.splitlines() if line.startswith("error:")]


class TestFailures:
    """One message, and the end of all processes."""

    def failing(self, how: str) -> subprocess.CompletedProcess:
        done = torchrun_to_end(ROOT / "tests" / "failing_rank.py", how)
        assert done.returncode != 0
        return done

    def test_killed_process_is_named(self):
        done = self.failing("killed")
        (line,) = error_lines(done)
        assert line.startswith("error: process 1 (pid ")
        assert "of 2 was killed or crashed, so all stop." in line
        assert "Traceback" not in done.stderr[: done.stderr.index("error:")]

    def test_wrong_input_of_one_process_is_told_once(self):
        done = self.failing("input")
        assert error_lines(done) == ["error: This row is wrong."]
        assert "This was process 1 of 2" in done.stderr

    def test_error_of_the_program_is_shown_and_named(self):
        done = self.failing("bug")
        assert error_lines(done) == ["error: process 1 of 2 (counted from 0) failed, so all stop."]
        assert done.stderr.count("\nZeroDivisionError: by accident") == 1

    def test_process_that_was_done_is_not_blamed(self):
        done = self.failing("late")
        assert error_lines(done) == ["error: process 0 of 2 (counted from 0) failed, so all stop."]
        assert "ZeroDivisionError: by accident" in done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_movielens(tmp_path_factory.mktemp("ml-tiny"))


class TestDevices:
    """Each process takes the GPU of its number on the machine."""

    @pytest.fixture(autouse=True)
    def second_of_two_gpus(self, monkeypatch):
        monkeypatch.setattr(torchrun, "local_rank", lambda: 1)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    @pytest.mark.parametrize(("asked", "expected"), [("auto", "cuda:1"), ("cuda", "cuda:1"), ("cpu", "cpu")])
    def test_by_number(self, asked, expected):
        assert parse_options("movielens", "lr", ["--device", asked]).device == expected

    def test_no_other(self):
        with pytest.raises(InputError, match="Received: --device cuda:0"):
            parse_options("movielens", "lr", ["--device", "cuda:0"])

    def test_too_few(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        with pytest.raises(InputError, match="more processes than the 1 CUDA devices"):
            parse_options("movielens", "lr", [])


class TestScript:
    @pytest.fixture(scope="class")
    @classmethod
    def finished(cls, folder, tmp_path_factory):
        out = tmp_path_factory.mktemp("run")
        argv = ["--model_name", "dssm", "--data_path", folder, "--protocol", "holdout", "--epoch", "2", "--out", out]
        done = torchrun_to_end("train_movielens_whole_models.py", *argv, "--batch_size", "64", "--device", "cpu")
        assert done.returncode == 0, done.stderr
        return out, done

    def test_files_are_written_once_and_whole(self, finished):
        out, _ = finished
        names = sorted(path.name for path in out.iterdir())
        assert names == ["README.md", "config.json", "curves.png", "history.csv", "model.safetensors", "result.json"]
        assert json.loads((out / "result.json").read_text())["epochs"] == 2

    def test_only_the_main_process_speaks(self, finished):
        _, done = finished
        assert done.stdout.count("Data: movielens") == 1
        assert done.stdout.count("Run folder: ") == 1
        assert done.stdout.count("epoch 1/2") == 1
        assert "Warning" not in done.stderr

    def test_ctrl_c_says_what_was_saved_once(self, folder, tmp_path):
        argv = ["--model_name", "dssm", "--data_path", folder, "--protocol", "holdout", "--device", "cpu", "--quiet"]
        argv += ["--epoch", 10_000, "--patience", 10_000, "--batch_size", 64, "--out", tmp_path / "run"]
        job = start("train_movielens_whole_models.py", *argv)
        checkpoint = tmp_path / "run" / "checkpoint.pt"
        for _ in range(600):
            if checkpoint.exists() or job.poll() is not None:
                break
            time.sleep(0.1)
        job.send_signal(signal.SIGINT)
        _, err = job.communicate(timeout=300)
        assert len(re.findall(r"Interrupted\. The run as it was .* is saved in .* with --resume to continue", err)) == 1
        assert checkpoint.exists()
        assert (tmp_path / "run" / "model.safetensors").exists()
        assert not (tmp_path / "run" / "result.json").exists()

    def test_wrong_input_of_all_processes_is_told_once(self):
        done = torchrun_to_end("train_movielens_whole_models.py", "--model_name", "gbdt")
        assert done.returncode != 0
        assert error_lines(done) == ["error: gbdt trains in one process. Start the script without torchrun."]
