"""The scripts: their options, their errors, one run from raw files to a loaded model, and what importing does."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from helpers import random_raw
from script_helpers import script, write_movielens

import experiment.one_run
import train_amazon_whole_models
import train_movielens_IntTower
import train_movielens_whole_models
import train_taobao_whole_models
from experiment.model_arguments import FILLED_IN, SCRIPT_ARGUMENTS, without_defaults
from experiment.options import parse_options
from experiment.run_name import run_folder
from foundation.errors import InputError
from model import MODELS, default_settings, find_model, load_model, name_of
from model.base import TwoTower
from model.effects import constructor_defaults
from preprocessing.dataset import Dataset
from preprocessing.movielens import read

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_movielens(tmp_path_factory.mktemp("ml-tiny"))


WHOLE, INT_TOWER = train_movielens_whole_models.main, train_movielens_IntTower.main


class TestOptions:
    def test_names_of_models_ignore_case_and_dashes(self):
        for name in ("IntTower", "int-tower", "INT_TOWER", "inttower"):
            assert find_model(name) == "int_tower"
            assert parse_options("movielens", None, ["--model_name", name]).model_name == "int_tower"

    def test_every_model_has_an_entry_that_parses(self):
        for name in MODELS:
            assert parse_options("movielens", None, ["--model_name", name]).model_name == name

    def test_random_seed_is_seed(self):
        assert parse_options("movielens", "lr", ["--random_seed", "7"]).seed == 7
        assert parse_options("movielens", "lr", []).seed == 1023

    def test_given_values_win_over_defaults(self):
        argv = ["--epoch", "4", "--batch_size", "99", "--lr", "0.5", "--dropout", "0.25", "--patience", "2"]
        options = parse_options("movielens", "int_tower", argv)
        assert (options.epochs, options.batch_size, options.lr, options.dropout, options.patience) == (
            4,
            99,
            0.5,
            0.25,
            2,
        )
        assert "dnn_dropout" not in options.model_arguments

    def test_dropout_zero_is_given(self):
        assert parse_options("movielens", "int_tower", ["--dropout", "0"]).dropout == 0.0

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("light_se=False", False),
            ("unknown_rate=0", 0.0),
            ("dnn_hidden_units=[64,32]", (64, 32)),
            ("cir_weight=1", 1),
            ("cir_weight=1e-3", 1e-3),
            ("fe_input=pre", "pre"),
            ("user_filed_size=4", 4),
            ("l2_reg_dnn=0.5", 0.5),
        ],
    )
    def test_set(self, text, value):
        arguments = parse_options("movielens", "int_tower", ["--set", text]).model_arguments
        assert arguments[text.partition("=")[0]] == value

    @pytest.mark.parametrize(("text", "value"), [("gamma=learned", "learned"), ("gamma=5", 5), ("gamma=2.5", 2.5)])
    def test_set_of_a_choice_of_types(self, text, value):
        assert parse_options("movielens", "dssm", ["--set", text]).model_arguments["gamma"] == value

    def test_every_documented_argument_can_be_set_to_its_default(self):
        """What `_suits` refuses must never be what a constructor has as default."""
        for name, entry in MODELS.items():
            for model_class in entry.model_class.__mro__[:-1]:
                for parameter in inspect.signature(model_class.__init__).parameters.values():
                    skipped = parameter.name in ("device", "gpus", "seed", "task", "dnn_dropout")
                    if parameter.kind is parameter.KEYWORD_ONLY and parameter.name in entry.arguments and not skipped:
                        text = json.dumps(parameter.default)
                        options = parse_options("movielens", name, ["--set", f"{parameter.name}={text}"])
                        arguments = {parameter.name: parameter.default} | options.model_arguments
                        assert arguments[parameter.name] == parameter.default

    def test_defaults_that_do_nothing_beside_what_was_asked_for_are_left_out(self):
        options = parse_options("movielens", "int_tower", ["--set", "cir_weight=0"])
        assert options.model_arguments["cir_weight"] == 0
        assert "cir_temperature" not in options.model_arguments
        assert parse_options("movielens", "dssm", ["--set", "dnn_hidden_units=[8]"]).dropout == 0.0

    @pytest.mark.parametrize(
        "argv",
        [
            ["int_tower", "--set", "cir_weight=0", "--set", "cir_temperature=0.1"],  # its own default
            ["dssm", "--epoch", "3", "--patience", "5"],  # the data set's
            ["dssm", "--epoch", "100", "--patience", "100"],  # never stops, where the default would
            ["gbdt", "--epoch", "9", "--patience", "8"],
            ["gbdt", "--lr_schedule", "constant", "--precision", "fp32"],
            ["lr", "--published_eval_mode"],  # whose unknown ids end with the first epoch
            ["hit", "--set", "use_target=false", "--set", "use_non_target=false", "--set", "alpha=0"],
        ],
        ids=" ".join,
    )
    def test_what_has_an_effect_or_says_what_is_so_is_taken(self, argv):
        parse_options("movielens", None, ["--model_name", *argv])

    def test_models_without_sides_have_no_place_for_pid(self):
        for name, entry in MODELS.items():
            argv = ["--model_name", name, "--pid_placement", "request"]
            if issubclass(entry.model_class, TwoTower):
                assert parse_options("taobao", None, argv).pid_placement == "request"
            else:
                with pytest.raises(InputError, match=f"--pid_placement has no effect on {name}, which reads"):
                    parse_options("taobao", None, argv)

    def test_run_folder_by_default(self):
        options = parse_options("movielens", "int_tower", ["--protocol", "holdout", "--seed", "4"])
        assert run_folder(options, "ml-1m", "int_tower") == Path("runs", "ml-1m", "int_tower", "holdout-seed4")

    @pytest.mark.parametrize(
        ("argv", "ending"),
        [
            (["--set", "gamma=learned"], "-gamma=learned"),
            (["--set", "dnn_hidden_units=[64,32]", "--lr", "0.5"], "-lr=0.5-dnn_hidden_units=64,32"),
            (["--dropout", "0.25", "--published_eval_mode"], "-published_eval_mode=true-dropout=0.25"),
            (["--epoch", "6", "--lr", "3e-3", "--quiet", "--device", "cpu", "--max_rows", "99", "--resume"], ""),
        ],
    )
    def test_run_folder_by_default_tells_what_is_unusual(self, argv, ending):
        options = parse_options("movielens", "dssm", argv)
        assert run_folder(options, "ml-1m", "dssm") == Path("runs", "ml-1m", "dssm", f"published-seed1023{ending}")

    def test_run_folder_names_an_edited_function(self):
        options = parse_options("movielens", "hit", ["--lr", "0.5"])
        name = run_folder(options, "ml-1m", "hit", "fe_score-01234567").name
        assert name == "published-seed1023-lr=0.5-edited=fe_score-01234567"

    def test_run_folders_of_long_settings_are_short_and_their_own(self):
        units = [["--set", f"dnn_hidden_units={[128] * layers}"] for layers in (20, 21, 22)]
        names = {run_folder(parse_options("movielens", "dssm", argv), "x", "dssm").name for argv in units}
        assert len(names) == 3
        assert max(map(len, names)) < 40

    @pytest.mark.parametrize("name", MODELS)
    def test_who_says_what_is_so_has_the_run_and_the_folder_of_who_says_nothing(self, name):
        plain = parse_options("movielens", name, [])
        for argument, value in constructor_defaults(MODELS[name].model_class).items():
            if argument in MODELS[name].arguments - SCRIPT_ARGUMENTS - default_settings(name, "movielens").keys():
                given = f"{value:.8f}" if type(value) is float else json.dumps(value)
                if argument in FILLED_IN:
                    continue
                given = given.strip('"')
                told = parse_options("movielens", name, ["--set", f"{argument}={given}"])
                assert run_folder(told, "x", name) == run_folder(plain, "x", name)
                shared = [without_defaults(name, "movielens", options.model_arguments) for options in (told, plain)]
                assert shared[0] == shared[1]

    def test_whole_numbers_are_the_numbers_that_they_equal(self):
        folders = {
            run_folder(parse_options("movielens", name, ["--set", f"{argument}={text}"]), "x", name)
            for name, argument, texts in (
                ("int_tower", "cir_weight", ("2", "2.0", "2e0", "20e-1")),
                ("dssm", "gamma", ("2", "2.0", "2e0", "20e-1")),
            )
            for text in texts
        }
        assert len(folders) == 2

    @pytest.mark.parametrize(
        "argv",
        [
            ["int_tower", "--set", "cir_weight=0.3", "--set", "cir_weight=0.2"],
            ["int_tower", "--set", "cir_weight=0.3", "--set", "cir_weight=0.3"],
            ["int_tower", "--fe_score", "last", "--set", "fe_score=all"],
            ["int_tower", "--set", "fe_score=all", "--fe_score", "last"],
        ],
        ids=" ".join,
    )
    def test_an_argument_that_is_set_twice_is_refused(self, argv):
        with pytest.raises(InputError, match="is set twice"):
            parse_options("movielens", None, ["--model_name", *argv])

    @pytest.mark.parametrize("option", ["--out", "--data_path", "--cache_dir"])
    def test_an_empty_path_is_refused(self, option):
        with pytest.raises(InputError, match=f"{option}: the path is empty"):
            parse_options("taobao", "dssm", [option, ""])

    @pytest.mark.parametrize(
        "argv",
        [
            ["--set", f"dnn_hidden_units=[{10**10}]"],
            ["--set", f"dnn_hidden_units=[{10**400}]"],
            ["--set", "gamma=1e999"],
        ]
        + [["--set", f"l2_reg_dnn={10**400}"]]
        + [[option, "9" * 20] for option in ("--batch_size", "--epoch", "--embedding_dim", "--patience", "--max_rows")],
        ids=lambda argv: " ".join(argv)[:40],
    )
    def test_numbers_beyond_all_sizes_are_refused(self, argv):
        with pytest.raises(InputError, match=r"at most|must be"):
            parse_options("movielens", "dssm", argv)

    def test_both_placements_of_pid_have_a_run_folder(self):
        argv = ["--model_name", "dssm", "--pid_placement"]
        folders = {
            run_folder(parse_options("taobao", None, [*argv, side]), "x", "dssm") for side in ("item", "request")
        }
        assert len(folders) == 2

    def test_config_names_what_decides_the_result(self):
        config = parse_options("movielens", "int_tower", ["--out", "somewhere", "--quiet"]).config
        assert {"protocol", "seed", "epochs", "batch_size", "lr", "lr_schedule", "embedding_dim", "max_rows"} <= set(
            config
        )
        assert not {"out", "quiet", "resume", "data_path"} & set(config)

    def test_fe_score_is_an_argument_of_int_tower(self):
        assert parse_options("movielens", "int_tower", ["--fe_score", "last"]).model_arguments["fe_score"] == "last"

    @pytest.mark.parametrize(("gpus", "expected"), [(0, "cpu"), (2, "cuda")])
    def test_auto_is_a_gpu_where_there_is_one(self, gpus, expected, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        assert parse_options("movielens", "lr", ["--device", "auto"]).device == expected
        assert parse_options("movielens", "lr", ["--device", "cpu"]).device == "cpu"
        with pytest.raises(InputError, match=f"{gpus} CUDA devices"):
            parse_options("movielens", "lr", ["--device", f"cuda:{gpus}"])


LOADERS = {
    train_movielens_IntTower: "load_movielens",
    train_movielens_whole_models: "load_movielens",
    train_amazon_whole_models: "load_amazon",
    train_taobao_whole_models: "load_taobao",
}


@pytest.mark.parametrize("module", LOADERS, ids=lambda module: module.__name__)
class TestWhatIsAskedIsWhatIsTrained:
    """A score with another seed or learning rate than the one beside it would look like any other."""

    def handed_over(self, monkeypatch, module, model_name: str, *argv) -> tuple:
        """The model and the data with which the script begins its run."""
        calls = []

        @contextlib.contextmanager
        def one_run(*given):
            calls.append(given)
            yield SimpleNamespace(is_open=False, result=None, trainings=list)

        monkeypatch.setattr(module, LOADERS[module], lambda *_, **__: random_raw())
        monkeypatch.setattr(module if module is train_movielens_IntTower else experiment.one_run, "one_run", one_run)
        named = [] if module is train_movielens_IntTower else ["--model_name", model_name]
        assert script(module.main, *named, "--device", "cpu", *argv) == 0
        ((build, data, _, _),) = calls
        return build(data), data

    def test_options(self, module, monkeypatch):
        argv = ["--seed", 7, "--protocol", "temporal", "--max_rows", 200, "--lr", 0.25, "--dropout", 0.4]
        argv += ["--embedding_dim", 6, "--embedding_optimizer", "rowwise", "--set", "dnn_hidden_units=[9,8]"]
        model, data = self.handed_over(monkeypatch, module, "dssm", *argv)
        assert (data.protocol.name, data.seed, len(data.raw)) == ("temporal", 7, 200)
        assert (model.seed, model.settings["dnn_dropout"], model.settings["dnn_hidden_units"]) == (7, 0.4, (9, 8))
        assert {column.embedding_dim for column in model.columns if hasattr(column, "embedding_dim")} == {6}
        assert {group["lr"] for group in model.optim.param_groups} == {0.25}
        assert (model.embedding_optimizer, model.metrics_names) == ("rowwise", ["loss", "auc", "logloss", "gauc"])

    @pytest.mark.parametrize("name", ["dssm", "hit"])
    def test_history_goes_to_hit_alone(self, module, name, monkeypatch):
        model, _ = self.handed_over(monkeypatch, module, name)
        has_history = LOADERS[module] == "load_movielens"  # of the scripts' data; these here have one anyway
        assert ("liked_movies" in model.feature_names) == (has_history and name_of(model) == "hit")

    @pytest.mark.parametrize(("asked", "expected"), [("--history", True), ("--no_history", False)])
    def test_history_goes_where_it_is_asked_for(self, module, asked, expected, monkeypatch):
        if LOADERS[module] != "load_movielens":
            pytest.skip("its data have none")
        model, _ = self.handed_over(monkeypatch, module, "hit", asked)
        assert ("liked_movies" in model.feature_names) == expected

    def test_switches_of_the_protocol(self, module, monkeypatch):
        argv = ["--protocol", "temporal", "--validation_rows", "next", "--statistics", "as_of"]
        _, data = self.handed_over(monkeypatch, module, "dssm", *argv)
        expected = Dataset.build(random_raw(), "temporal", 1023, validation_rows="next", statistics="as_of")
        assert data.validation.rows.tolist() == expected.validation.rows.tolist()
        assert torch.equal(
            *(each.test.batch(torch.arange(9), ["item_mean_rating"])["item_mean_rating"] for each in (data, expected))
        )


class TestMaxRows:
    def test_only_the_first_rows_under_a_name_that_says_so(self, folder, capsys, tmp_path):
        argv = ["--model_name", "lr", "--data_path", folder, "--out", tmp_path, "--max_rows", "200", "--epoch", "1"]
        assert script(WHOLE, *argv, "--protocol", "temporal") == 0
        result = json.loads((tmp_path / "result.json").read_text())
        assert result["dataset"] == "movielens-first200"
        assert sum(result["rows"].values()) == 200
        assert "movielens-first200, 200 interactions" in capsys.readouterr().out


class TestWholeScript:
    """`train_movielens_IntTower.py` as a newcomer starts it, in a process of its own."""

    @pytest.fixture(scope="class")
    @classmethod
    def finished(cls, folder, tmp_path_factory):
        place = tmp_path_factory.mktemp("work")
        argv = ["--data_path", folder, "--epoch", "2", "--batch_size", "64", "--protocol", "holdout", "--device", "cpu"]
        environment = os.environ | {"MPLBACKEND": "TkAgg", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, ROOT / "train_movielens_IntTower.py", *map(str, argv)],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return place / "runs" / "movielens" / "int_tower" / "holdout-seed1023-batch_size=64-epochs=2", done

    def test_leaves_the_documented_files(self, finished):
        out, _ = finished
        assert sorted(path.name for path in out.iterdir()) == [
            *("README.md", "config.json", "curves.png", "history.csv", "model.safetensors", "result.json"),
        ]
        assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
        assert len(pd.read_csv(out / "history.csv")) == 2

    def test_result(self, finished, folder):
        out, _ = finished
        result = json.loads((out / "result.json").read_text())
        raw = read(folder)
        assert (result["dataset"], result["data_sha256"]) == ("movielens", raw.fingerprint)
        assert (result["model"], result["protocol"], result["leaks_labels"]) == ("int_tower", "holdout", False)
        assert sum(result["rows"].values()) == len(raw)
        assert result["epochs"] == 2
        assert result["paper"] is None  # these are not the data of the paper

    def test_loaded_model_scores_as_reported(self, finished, folder):
        out, _ = finished
        result = json.loads((out / "result.json").read_text())
        data = Dataset.build(read(folder), "holdout", 1023)
        model = load_model(out)
        assert model.num_parameters == result["parameters"]
        assert model.evaluate(data.test) == pytest.approx(result["test"], abs=1e-6)

    def test_prints_data_protocol_and_a_table_last(self, finished):
        out, done = finished
        lines = done.stdout.splitlines()
        assert lines[0].startswith("Data: movielens, ")
        assert lines[1].startswith("Protocol: holdout, seed 1023")
        table = lines.index("Test results on movielens, protocol holdout, seed 1023")
        assert lines[table + 1].split()[:4] == ["model", "AUC", "logloss", "GAUC"]
        assert lines[table + 3].startswith("IntTower")
        assert lines[-1] == f"Run folder: {out.relative_to(out.parents[3])}"

    def test_shows_losses_while_training_and_no_warning(self, finished):
        _, done = finished
        assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("epoch ")] == ["1/2", "2/2"]
        assert "  cir " in done.stdout
        assert done.stderr == ""
