"""Options whose defaults hang on release and protocol: what a run does, what it is called, what is refused."""

from __future__ import annotations

import pytest

from experiment.defaults import without_new_options
from experiment.options import parse_options
from experiment.run_name import run_folder
from foundation.errors import InputError
from model import MODELS, default_settings
from model.released import released_settings
from preprocessing.protocol import PROTOCOLS


def options(*argv: str, name: str = "int_tower", dataset: str = "movielens"):
    return parse_options(dataset, None, ["--model_name", name, "--device", "cpu", *argv])


def folder(*argv: str, name: str = "int_tower") -> str:
    return run_folder(options(*argv, name=name), "ml-1m", name).name


class TestRelease:
    @pytest.mark.parametrize("dataset", ["movielens", "amazon", "taobao"])
    @pytest.mark.parametrize("release", ["inttower", "hit"])
    def test_its_settings_are_the_defaults(self, release, dataset):
        found = options("--as_released", release, dataset=dataset)
        settings = released_settings("int_tower", dataset, release)
        loop = ("published_eval_mode", "summed_loss", "loss")
        for name in ("batch_size", "lr", "epochs", "patience", "embedding_dim", *loop):
            assert getattr(found, name) == settings[name]
        assert found.dropout == settings["dnn_dropout"]
        assert found.history == (settings["history"] and dataset == "movielens")
        assert found.model_arguments["tower_std"] == 1e-4

    @pytest.mark.parametrize(("name", "own"), [("int_tower", "inttower"), ("dssm", "inttower"), ("mvke", "hit")])
    def test_without_a_value_is_that_of_the_models_code(self, name, own):
        assert options("--as_released", name=name) == options("--as_released", own, name=name)
        assert options("--as_released", name=name).config["as_released"] == own

    def test_what_is_given_beside_it_overrides_it(self):
        found = options("--as_released", "--set", "user_head=4", "--set", "tower_std=null", "--batch_size", "64")
        assert (found.model_arguments["user_head"], found.model_arguments["item_head"]) == (4, 32)
        assert (found.model_arguments["tower_std"], found.batch_size) == (None, 64)
        assert options("--as_released", "hit").history
        assert not options("--as_released", "hit", "--no_history").history

    def test_its_loop_can_be_lifted(self):
        released = options("--as_released")
        assert (released.published_eval_mode, released.summed_loss) == (True, True)
        lifted = options("--as_released", "--no_published_eval_mode", "--no_summed_loss")
        assert (lifted.published_eval_mode, lifted.summed_loss) == (False, False)

    def test_what_has_no_effect_beside_what_is_given_is_left_out(self):
        """One epoch has no second one that evaluation mode could spoil; `fit` would refuse it."""
        assert not options("--as_released", "--epoch", "1").published_eval_mode

    @pytest.mark.parametrize("name", ["lr", "gbdt"])
    def test_a_model_of_no_release_is_refused(self, name):
        with pytest.raises(InputError, match=f"Neither release holds {name}"):
            options("--as_released", name=name)

    def test_a_release_without_the_model_is_refused(self):
        with pytest.raises(InputError, match="The release of inttower does not hold hit"):
            options("--as_released", "inttower", name="hit")
        with pytest.raises(InputError, match="as_released"):
            options("--as_released", "other")

    def test_its_name_stands_in_the_folder_and_its_settings_do_not(self):
        assert folder("--as_released") == "published-seed1023-as_released=inttower"
        assert folder("--as_released", "hit") == "published-seed1023-as_released=hit"
        lifted = folder("--as_released", "--set", "tower_std=null", "--no_summed_loss")
        assert lifted == "published-seed1023-as_released=inttower-summed_loss=false-tower_std=null"

    def test_what_one_epoch_leaves_without_effect_is_not_in_the_folders_name(self):
        assert folder("--as_released", "--epoch", "1") == "published-seed1023-as_released=inttower-epochs=1"
        assert folder("--as_released", "--no_published_eval_mode").endswith("-published_eval_mode=false")


class TestHistory:
    @pytest.mark.parametrize("name", MODELS)
    def test_is_hits_by_default_and_anyones_if_asked_for(self, name):
        assert options(name=name).history == (name == "hit")
        assert options("--history", name=name).history
        assert not options("--no_history", name=name).history

    @pytest.mark.parametrize("dataset", ["amazon", "taobao"])
    def test_of_data_that_have_none_is_refused(self, dataset):
        with pytest.raises(InputError, match="--history"):
            options("--history", dataset=dataset)
        assert not options(name="hit", dataset=dataset).history


class TestProtocolSwitches:
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_asked_for_defaults_are_the_same_run(self, protocol):
        known = PROTOCOLS[protocol]
        asked = ["--validation_rows", known.validation_rows[0], "--statistics", known.statistics[0]]
        asked.append("--refit" if known.refits else "--no_refit")
        plain = ["--protocol", protocol]
        assert options(*plain, *asked) == options(*plain)
        assert folder(*plain, *asked) == folder(*plain) == f"{protocol}-seed1023"

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    @pytest.mark.parametrize("switch", ["validation_rows", "statistics"])
    def test_every_choice_of_the_protocol_and_no_other(self, protocol, switch):
        for other in PROTOCOLS.values():
            for choice in getattr(other, switch):
                argv = ["--protocol", protocol, f"--{switch}", choice]
                if choice in getattr(PROTOCOLS[protocol], switch):
                    assert options(*argv).split[switch] == options(*argv).config[switch] == choice
                else:
                    with pytest.raises(InputError, match=f"The {protocol} protocol has {switch} .*Received: {choice}"):
                        options(*argv)

    def test_another_choice_stands_in_the_folder(self):
        assert folder("--protocol", "temporal", "--validation_rows", "next") == "temporal-seed1023-validation_rows=next"
        assert folder("--protocol", "temporal", "--no_refit") == "temporal-seed1023-refit=false"


class TestEarlierResults:
    @pytest.mark.parametrize("name", MODELS)
    def test_of_holdout_are_those_of_now(self, name):
        """Settings of before these options say nothing about them; those of now say what was done then."""
        config = options("--protocol", "holdout", name=name).config
        new = {"as_released", "history", "own_history_table", "validation_rows", "statistics", "refit", "loss"}
        assert new <= config.keys()
        assert without_new_options(config) == {key: value for key, value in config.items() if key not in new}

    def test_of_temporal_are_those_of_its_rows_of_then(self):
        then = ["--protocol", "temporal", "--validation_rows", "next", "--no_refit"]
        assert not without_new_options(options(*then).config).keys() & {"validation_rows", "statistics", "refit"}
        assert without_new_options(options("--protocol", "temporal").config)["validation_rows"] == "known"

    def test_of_published_are_no_ones(self):
        for rows in PROTOCOLS["published"].validation_rows:
            kept = without_new_options(options("--validation_rows", rows).config)
            assert kept["validation_rows"] == rows


@pytest.mark.parametrize("name", MODELS)
def test_without_a_release_the_defaults_are_this_projects(name):
    found, settings = options(name=name), default_settings(name, "movielens")
    assert all(getattr(found, key) == settings[key] for key in ("lr", "epochs", "patience"))
    assert found.as_released is None
    assert not any((found.summed_loss, found.published_eval_mode, found.refit, found.own_history_table))
