"""How a script ends: interrupted, in an error, out of memory; and what importing it does not do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from script_helpers import assert_short_error, script

import train_movielens_IntTower
import train_movielens_whole_models
from experiment.script import Interrupted, run

ROOT = Path(__file__).resolve().parents[2]


WHOLE, INT_TOWER = train_movielens_whole_models.main, train_movielens_IntTower.main


class TestEndOfAScript:
    def test_ctrl_c_in_training_says_what_was_saved(self, capsys):
        def main():
            raise Interrupted("2 epochs are saved.")

        with pytest.raises(SystemExit) as exit_:
            run(main)
        assert exit_.value.code == 130
        assert capsys.readouterr().err == "\n2 epochs are saved.\n"

    def test_ctrl_c_elsewhere_says_no_more_than_is_known(self, capsys):
        def main():
            raise KeyboardInterrupt

        with pytest.raises(SystemExit) as exit_:
            run(main)
        assert exit_.value.code == 130
        assert capsys.readouterr().err == "\nInterrupted.\n"

    def test_errors_of_the_program_are_not_hidden(self):
        def main():
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            run(main)

    @pytest.mark.parametrize("main", [WHOLE, INT_TOWER])
    def test_help_has_what_switches_an_option_off_behind_it(self, main, capsys):
        assert script(main, "--help") == 0
        words = capsys.readouterr().out.partition("\noptions:")[2].split()
        for name in ("history", "refit", "summed_loss", "published_eval_mode"):
            assert words.index(f"--{name}") < words.index(f"--no_{name}")

    @pytest.mark.parametrize(
        ("release", "heads"),
        [([], 4), (["--as_released"], 32), (["--as_released", "hit"], 2)],
        ids=["own", "bare", "hit"],
    )
    def test_help_of_a_released_form_has_its_defaults(self, release, heads, capsys):
        assert script(WHOLE, "--model_name", "int_tower", *release, "--help") == 0
        assert f"  user_head: int; default {heads}\n" in capsys.readouterr().out

    @pytest.mark.parametrize("main", [WHOLE, INT_TOWER])
    def test_help_lists_options_and_defaults(self, main, capsys):
        assert script(main, "--help") == 0
        out = capsys.readouterr().out
        for option in ("--data_path", "--protocol", "--seed", "--epoch", "--resume", "--quiet", "--set", "--out"):
            assert option in out
        assert "int_tower: embedding_dim=32" in out


class TestImporting:
    def test_every_package_prints_nothing_starts_no_thread_and_opens_no_socket(self):
        code = """
import socket, sys, threading, warnings
events = []

class Refused(socket.socket):
    def __init__(self, *arguments, **keywords):
        events.append("socket")
        raise OSError("no network here")

def refuse(*arguments, **keywords):
    events.append("name")
    raise OSError("no network here")

def start(thread):
    events.append(f"thread {thread.name}")

socket.socket, socket.getaddrinfo, socket.create_connection = Refused, refuse, refuse
threading.Thread.start = start

import importlib, pkgutil
import benchmarks, experiment, model, preprocessing, serving, training
for package in (preprocessing, training, model, serving, experiment):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
import prerank, train_movielens_IntTower, train_movielens_whole_models
if events or threading.active_count() != 1:
    sys.exit(f"{events} {threading.enumerate()}")
"""
        done = subprocess.run(
            [sys.executable, "-W", "error::UserWarning", "-c", code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "allocate",
    [
        lambda: torch.empty(2**45),
        lambda: torch.empty(2**31, 2**31, 2**31),
        lambda: torch.empty(2**40).normal_(),
        lambda: np.empty(2**50),
        lambda: bytearray(2**50),
    ],
    ids=["torch", "torch's sizes", "torch at random", "numpy", "python"],
)
def test_a_lack_of_memory_is_a_message(allocate, capsys):
    with pytest.raises(SystemExit) as end:
        run(allocate)
    assert end.value.code == 2
    assert_short_error(capsys, "There is not enough memory: ")


def test_other_errors_of_torch_stay_errors():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run(lambda: torch.ones(2, 3) @ torch.ones(2, 3))
