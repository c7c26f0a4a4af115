"""A script whose model line makes another model than its options were read for: what it is called, what it refuses."""

from __future__ import annotations

import pytest
from helpers import random_raw
from run_folder_helpers import RESULTS

from experiment.as_built import as_built
from experiment.one_run import train_and_report
from experiment.options import parse_options
from experiment.run_name import run_folder
from foundation.errors import InputError
from model import build_model
from model.dcn import DCN
from model.dssm import DSSM
from preprocessing.dataset import Dataset

pytestmark = pytest.mark.usefixtures("quick_picture")
DATA = Dataset.build(random_raw(), "holdout", 1023)
SCRIPT = ("--protocol", "holdout", "--device", "cpu")


def options(*argv: str, name: str = "int_tower"):
    return parse_options("movielens", name, [*SCRIPT, *argv])


def dcn(chosen, **arguments):
    """As the line of the script that trains IntTower, with DCN in its place."""
    columns = DATA.feature_columns(**chosen.columns).all
    return DCN(columns, columns, dnn_dropout=chosen.dropout or 0.0, device="cpu", seed=chosen.seed, **arguments)


def dssm(chosen):
    columns = DATA.feature_columns(**chosen.columns)
    return DSSM(columns.user, columns.item, dnn_dropout=chosen.dropout or 0.0, device="cpu", seed=chosen.seed)


def place(chosen, model) -> str:
    built = as_built(chosen, model)
    return str(run_folder(built, "x", built.model_name))


class TestRefused:
    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["--set", "user_head=1"], "--set user_head has no effect on DCN, the model that the script makes"),
            (["--fe_score", "last"], "--fe_score has no effect on DCN"),
            (["--set", "cir_weight=0.05"], "--set cir_weight has no effect on DCN"),  # IntTower's own default
            (["--set", "l2_reg_dnn=0.5"], r"--set l2_reg_dnn did not reach the model.*DCN with l2_reg_dnn=0.*: 0.5"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_options_that_the_model_does_not_have_or_was_not_given(self, argv, message):
        chosen = options(*argv)
        with pytest.raises(InputError, match=message):
            as_built(chosen, dcn(chosen))

    def test_before_anything_is_written(self, tmp_path):
        chosen = options("--set", "user_head=1", "--out", str(tmp_path / "run"))
        with pytest.raises(InputError, match="user_head"):
            train_and_report(lambda data: dcn(chosen), DATA, chosen, 0.0)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["int_tower", "dssm", "deep_fm", "lr", "gbdt", "hit"])
    def test_nothing_of_a_line_that_passes_all_on(self, name):
        more = ["--dropout", "0.25"] if name in ("int_tower", "dssm", "deep_fm", "hit") else []
        more += ["--set", "max_leaf_nodes=7"] if name == "gbdt" else ["--set", "init_std=0.5"]
        chosen = options(*more, name=name)
        model = build_model(name, DATA.feature_columns(**chosen.columns), **chosen.constructor_arguments)
        assert as_built(chosen, model) is chosen


class TestRunFolder:
    def test_is_named_by_the_model_and_its_settings(self):
        chosen = options()
        settings = "dnn_use_bn=false-init_std=0.0001-l2_reg_embedding=1e-05"
        assert place(chosen, dcn(chosen)) == f"runs/x/dcn/holdout-seed1023-{settings}"

    def test_of_two_settings_there_are_two(self):
        chosen = options()
        assert place(chosen, dcn(chosen)) != place(chosen, dcn(chosen, cross_num=5))

    def test_with_the_models_defaults_it_is_that_of_the_other_script(self):
        chosen, plain = options(), options(name="dssm")
        model = build_model("dssm", DATA.feature_columns(**plain.columns), **plain.constructor_arguments)
        assert place(chosen, model) == "runs/x/dssm/holdout-seed1023"

    def test_of_a_class_that_is_not_in_the_table_is_as_before(self):
        class Mine(DSSM):
            pass

        chosen = options()
        columns = DATA.feature_columns(**chosen.columns)
        assert as_built(chosen, Mine(columns.user, columns.item)) is chosen

    def test_trains_and_is_its_own(self, tmp_path):
        chosen = options("--epoch", "1", "--quiet", "--out", str(tmp_path))

        def build(data):
            model = dssm(chosen)
            model.compile("adam", metrics=["auc", "logloss", "gauc"], lr=chosen.lr)
            return model

        result = train_and_report(build, DATA, chosen, 0.0)
        assert (result["model"], result["config"]["model_name"]) == ("dssm", "dssm")
        assert {path.name for path in tmp_path.iterdir()} == RESULTS


class TestAFinishedRun:
    def test_is_named_before_it_is_replaced(self, tmp_path, capsys):
        argv = ("--epoch", "1", "--quiet", "--out", str(tmp_path))

        def run(*more: str) -> str:
            chosen = options(*argv, *more, name="dssm")

            def build(data):
                model = build_model("dssm", data.feature_columns(**chosen.columns), **chosen.constructor_arguments)
                model.compile("adam", metrics=["auc", "logloss", "gauc"], lr=chosen.lr)
                return model

            train_and_report(build, DATA, chosen, 0.0)
            return capsys.readouterr().err

        said = f"A finished run is in {tmp_path}; it will be replaced when this one ends. --resume prints it instead.\n"
        assert run() == ""
        assert run() == said
        assert run("--resume") == ""
        assert run("--overwrite") == ""
