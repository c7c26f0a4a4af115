"""Files that cannot be read or written end a script with status 2 and one message that names them."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch._dynamo  # noqa: F401 (every optimiser imports it, for seconds: here, it is there in every child)
from faults import full_disk, in_child
from script_helpers import ARGV, TRAINING, assert_short_error
from script_helpers import script as run_script

import train_movielens_whole_models as script
from experiment.script import run
from model import load_model
from training.commit import is_pending
from training.result_file import read_result

pytestmark = pytest.mark.usefixtures("small_data")
ROOT = Path(__file__).resolve().parents[2]


def train(out: Path, *more) -> int:
    return run_script(script.main, *ARGV, *TRAINING, "--out", out, *more)


class TestFullDisk:
    """At whichever moment: what was there before stays whole, and with room again the run goes on."""

    def test_of_a_run_over_an_older_result(self, tmp_path):
        assert train(tmp_path / "old") == 0
        before = load_model(tmp_path / "old").state_dict()
        ends = set()
        for at in range(0, 1000, 5):
            out, log = shutil.copytree(tmp_path / "old", tmp_path / str(at)), tmp_path / f"{at}.log"

            def act(out=out, log=log, at=at):
                sys.argv = ["train.py", *ARGV, *TRAINING, "--seed", "7", "--overwrite", "--out", str(out)]
                sys.stdout = sys.stderr = log.open("w")
                try:
                    with full_disk(at).watched() as calls:
                        run(script.main)
                finally:
                    sys.stderr.flush()
                os._exit(0 if calls.count <= at else 3)  # whether it came to that

            status = in_child(act)
            if status == 2:
                assert "No space left on device" in log.read_text()
                assert "Traceback" not in log.read_text()
                committed = is_pending(out)  # in force, but not in their places
                assert read_result(out)["seed"] == (7 if committed else 1023)
                after = load_model(out).state_dict()
                assert all((after[name] == value).all() for name, value in before.items()) == (not committed)
                assert train(out, "--seed", 7, "--overwrite", "--resume") == 0
            assert (status, read_result(out)["seed"]) in ((0, 7), (2, 7), (3, 7))
            ends.add(status)
            if status == 0:
                break
        assert ends >= {0, 2}


class TestPlaces:
    @pytest.mark.parametrize(
        "name",
        ["README.md", "config.json", "model.safetensors", "result.json", "history.csv", "curves.png", "checkpoint.pt"],
    )
    def test_a_folder_where_a_file_should_be(self, name, tmp_path, capsys):
        (tmp_path / name).mkdir()
        assert train(tmp_path) == 2
        err = capsys.readouterr().err
        assert f"cannot be written: {name}: Is a directory" in err
        assert "Traceback" not in err

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.EROFS, errno.EIO, errno.ENOSPC])
    def test_any_error_names_the_file_and_the_reason(self, number, capsys):
        def main():
            raise OSError(number, os.strerror(number), "some/file")

        assert run_script(main) == 2
        assert_short_error(capsys, f"some/file: {os.strerror(number)}.")

    def test_without_a_file(self, capsys):
        def main():
            raise OSError("3 requested and 0 written")

        assert run_script(main) == 2
        assert_short_error(capsys, "3 requested and 0 written")


def test_output_that_nobody_reads_ends_in_silence():
    code = "from experiment.script import run\nrun(lambda: [print('x' * 100) for _ in range(10_000)])"
    job = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    job.stdout.readline()
    job.stdout.close()
    assert (job.stderr.read(), job.wait()) == ("", 141)
    job.stderr.close()


def test_every_module_can_be_imported_where_the_system_is_not_posix():
    code = """
import os, sys
import pandas, pyarrow.csv, scipy.stats, sklearn.ensemble, torch, tqdm  # which have their own ways
sys.modules["fcntl"] = None
for name in [name for name in sys.modules if name.partition(".")[0] == "filelock"]:
    del sys.modules[name]
for name in ("pread", "posix_fallocate", "register_at_fork"):
    if hasattr(os, name):
        delattr(os, name)
import importlib, pkgutil
import experiment, foundation, leaderboard, model, preprocessing, serving, training
failed = []
for package in (foundation, preprocessing, training, model, serving, experiment, leaderboard):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        try:
            importlib.import_module(module.name)
        except Exception as error:
            failed.append(f"{module.name}: {error!r}")
for name in ("prerank", "benchmark", "train_movielens_IntTower", "train_movielens_whole_models",
             "train_amazon_whole_models", "train_taobao_whole_models"):
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(f"{name}: {error!r}")
print("; ".join(failed))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
