"""Run folders that are in the way, cannot be written, or move."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from pathlib import Path

import pytest
from helpers import random_raw
from run_folder_helpers import RESULTS, STEPS, Run, closing_lines, content, timeless

from experiment.script import Interrupted
from foundation.errors import InputError
from training.result_file import read_result
from training.run_folder import LOCK, RunFolder

pytestmark = pytest.mark.usefixtures("quick_picture")


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
