"""The options of the published scripts: what they set here, what they say, and what they contradict."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from script_helpers import assert_short_error, script, write_movielens

import train_movielens_IntTower
import train_movielens_whole_models
import train_taobao_whole_models
from experiment import published_flags
from experiment.options import parse_options
from experiment.run_name import run_folder
from foundation.errors import InputError
from model import load_model

HIT = ["--model_name", "hit"]


def options_of(*argv: str, dataset: str = "movielens"):
    return parse_options(dataset, None, [*HIT, *argv])


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


class TestAWholeCommandLine:
    def test_trains_into_the_fold_and_says_once_what_differs(self, tmp_path, capsys, no_gpu):
        data, fold = write_movielens(tmp_path), tmp_path / "checkpoints"
        argv = ["--model_name", "hit", "--data_path", data, "--ckpt_fold", fold, "--use_cuda", "True"]
        argv += [
            "--cuda_number",
            "cuda:1",
            "--embedding_dim",
            "4",
            "--epoch",
            "1",
            "--batch_size",
            "64",
            "--lr",
            "0.001",
        ]
        argv += ["--dropout", "0.3", "--random_seed", "1023", "--ouput_head", "3"]
        assert script(train_movielens_whole_models.main, *argv) == 0
        out, err = capsys.readouterr()
        notes = [line for line in err.splitlines() if line.startswith("note: ")]
        assert notes == [
            f"note: --ckpt_fold: the weights of a model are {fold}/MODEL/model.safetensors, and not {fold}/MODEL.ckpt.",
            "note: --cuda_number cuda:1: there is no CUDA, so this trains on the CPU.",
        ]
        assert f"Run folder: {fold}/hit" in out
        assert load_model(fold / "hit").settings["num_heads"] == 3

    def test_an_edited_model_line_decides_the_folder(self):
        options = parse_options("movielens", "int_tower", ["--ckpt_fold", "fold"])
        assert run_folder(options, "ml-1m", "dcn") == Path("fold/dcn")

    def test_without_them_nothing_is_said(self, capsys):
        parse_options("taobao", None, HIT)
        assert capsys.readouterr() == ("", "")


class TestDevice:
    @pytest.mark.parametrize("text", ["true", "True", "TRUE", "1"])
    def test_true_takes_a_gpu(self, two_gpus, text):
        assert options_of("--use_cuda", text).device == "cuda"

    @pytest.mark.parametrize("text", ["false", "False", "0"])
    def test_false_is_false(self, two_gpus, text):
        assert options_of("--use_cuda", text).device == "cpu"

    @pytest.mark.parametrize("more", [[], ["--use_cuda", "true"], ["--device", "cuda:1"]], ids=" ".join)
    def test_the_number_chooses(self, two_gpus, more):
        assert options_of("--cuda_number", "cuda:1", *more).device == "cuda:1"

    def test_without_cuda_it_is_the_cpu_and_is_said(self, no_gpu, capsys):
        assert options_of("--use_cuda", "true").device == "cpu"
        assert capsys.readouterr().err == "note: --use_cuda true: there is no CUDA, so this trains on the CPU.\n"

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["--use_cuda", "no way"], "'no way' is neither true nor false"),
            (["--cuda_number", "1"], "'1' is not cuda or cuda:N"),
            (["--cuda_number", "cuda:7"], "Device 'cuda:7' is not there"),
            (["--use_cuda", "false", "--cuda_number", "cuda:1"], "--cuda_number has no effect beside --use_cuda false"),
            (["--use_cuda", "false", "--device", "cuda"], "--use_cuda false contradicts --device cuda"),
            (["--use_cuda", "true", "--device", "cpu"], "--use_cuda true contradicts --device cpu"),
            (["--cuda_number", "cuda:1", "--device", "cuda:0"], "--cuda_number cuda:1 contradicts --device cuda:0"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_contradictions_and_other_words_are_errors(self, two_gpus, argv, message):
        with pytest.raises(InputError, match=message):
            options_of(*argv)

    def test_under_torchrun_the_number_is_not_chosen(self, two_gpus, monkeypatch):
        monkeypatch.setattr(published_flags, "local_rank", lambda: 0)
        with pytest.raises(InputError, match="Leave --cuda_number out"):
            options_of("--cuda_number", "cuda:1")


class TestOthers:
    @pytest.mark.parametrize(
        ("main", "argv", "message"),
        [
            ("whole", [*HIT, "--ckpt_fold", "a", "--out", "b"], "--ckpt_fold and --out say the same thing"),
            ("whole", [*HIT, "--ckpt_fold", ""], "the path is empty"),
            (
                "whole",
                [*HIT, "--ouput_head", "2", "--set", "num_heads=2"],
                "--ouput_head and --set num_heads say the same",
            ),
            ("whole", [*HIT, "--ouput_head", "0"], "at least 1"),
            ("whole", ["--model_name", "dcn", "--ouput_head", "2"], "--ouput_head has no effect on dcn"),
            ("int_tower", ["--ouput_head", "2"], "or give --set user_head=N and --set item_head=N"),
            ("whole", [*HIT, "--ad_path", "ad_feature.csv"], "--ad_path"),
            ("taobao", [*HIT, "--ad_path", "ad_feature.csv"], "--profile_path, --ad_path, --user_path all three"),
            ("taobao", [*HIT, "--ad_path", "ad_feature.csv", "--data_path", "a"], "--data_path say the same thing"),
        ],
    )
    def test_contradictions_are_short_errors(self, capsys, main, argv, message):
        scripts = {
            "whole": train_movielens_whole_models,
            "int_tower": train_movielens_IntTower,
            "taobao": train_taobao_whole_models,
        }
        assert script(scripts[main].main, *argv) == 2
        assert_short_error(capsys, message)

    def test_three_files_of_one_folder_are_the_data_path(self):
        argv = ["--profile_path", "a/raw_sample.csv", "--ad_path", "a/ad_feature.csv.gz"]
        assert options_of(*argv, "--user_path", "a/user_profile.csv", dataset="taobao").data_path == "a"

    @pytest.mark.parametrize("user", ["b/user_profile.csv", "a/users.csv", "a/ad_feature.csv"])
    def test_others_are_refused(self, user):
        argv = ["--profile_path", "a/raw_sample.csv", "--ad_path", "a/ad_feature.csv", "--user_path", user]
        with pytest.raises(InputError, match="are read from one folder, under the names raw_sample"):
            options_of(*argv, dataset="taobao")
