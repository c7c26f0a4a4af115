"""The settings that a run shows when it begins."""

from __future__ import annotations

import dataclasses
import re

import pytest
from helpers import random_raw

from experiment.options import parse_options
from experiment.shown_settings import settings_text
from model import MODELS, build_model
from model.dssm import DSSM
from model.editable import version_of
from preprocessing import utils
from preprocessing.dataset import Dataset


def shown(*argv, script: str = "movielens", model_class=None, raw=None, place: str | None = None) -> str:
    """What a training script of this data set shows with these options."""
    options = parse_options(script, None, ["--device", "cpu", *map(str, argv)])
    data = Dataset.build(raw or random_raw(), options.protocol, options.seed)
    columns = data.feature_columns(options.embedding_dim, history=MODELS[options.model_name].history)
    arguments = options.model_arguments | ({} if options.dropout is None else {"dnn_dropout": options.dropout})
    if model_class is None:
        model = build_model(options.model_name, columns, seed=options.seed, **arguments)
    else:
        model = model_class(columns.user, columns.item, seed=options.seed)
    model.compile("adam", lr=options.lr, embedding_optimizer=options.embedding_optimizer)
    return settings_text(model, data, options, place)


def settings(text: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", text))


def marked(text: str) -> set[str]:
    return {name for name, value in settings(text).items() if value.endswith("*")}


class TestEditedFunctions:
    @pytest.mark.parametrize("name", ["int_tower", "hit"])
    def test_are_named_and_marked(self, name, monkeypatch):
        assert "edited" not in settings(shown("--model_name", name))
        monkeypatch.setattr(utils, "fe_score", lambda users, items, *sizes: (users[-1] * items[-1]).sum(1))
        version = version_of(utils.fe_score)[:8]
        assert settings(shown("--model_name", name))["edited"] == f"fe_score-{version}*"

    def test_of_a_model_without_any_are_none(self, monkeypatch):
        monkeypatch.setattr(utils, "fe_score", lambda *given: None)
        assert "edited" not in settings(shown("--model_name", "dssm"))


class TestMarks:
    @pytest.mark.parametrize("script", ["movielens", "amazon", "taobao"])
    @pytest.mark.parametrize("name", MODELS)
    def test_no_default_of_any_model_is_marked(self, name, script):
        text = shown("--model_name", name, script=script)
        assert settings(text)
        assert marked(text) == set()

    def test_exactly_what_was_asked_for_is(self):
        text = shown(
            *("--model_name", "int_tower", "--protocol", "holdout", "--seed", 7, "--lr", 0.5, "--batch_size", 64),
            *("--dropout", 0.25, "--set", "dnn_hidden_units=[8,6]", "--set", "cir_weight=0.05", "--fe_score", "last"),
            *("--embedding_optimizer", "rowwise", "--checkpoint_minutes", 5),
        )
        assert marked(text) == {
            *("protocol", "seed", "lr", "batch_size", "dnn_dropout", "dnn_hidden_units", "fe_score"),
            "embedding_optimizer",
        }
        assert settings(text)["dnn_hidden_units"] == "[8,6]*"  # as --set takes it
        assert settings(text)["cir_weight"] == "0.05"

    def test_what_does_nothing_is_left_out(self):
        assert "cir_temperature" not in shown("--model_name", "int_tower", "--set", "cir_weight=0")
        assert not settings(shown("--model_name", "gbdt")).keys() & {"batch_size", "embedding_dim"}

    def test_of_a_model_of_ones_own(self):
        class Mine(DSSM):
            pass

        text = shown("--model_name", "dssm", model_class=Mine)
        assert "Model: Mine, " in text
        assert marked(text) == set()


class TestOtherLines:
    def test_data_rows_model_and_device(self):
        lines = shown("--model_name", "dssm", "--protocol", "holdout").splitlines()
        assert lines[0].startswith("Data: by-hand, ")
        assert lines[1] == "Protocol: holdout, seed 1023: 192 train, 48 validation, 60 test rows"
        assert "Leaks test labels: no" in lines
        assert any(
            re.match(r"Model: DSSM, [\d,]+ parameters, [\d,]+ of them in embeddings, all updated", x) for x in lines
        )
        assert any(line.startswith("Device: cpu, ") for line in lines)

    def test_a_protocol_that_leaks_says_so(self):
        assert "Leaks test labels: yes" in shown("--model_name", "dssm")

    def test_where_it_goes_on(self):
        assert "Continued" not in shown("--model_name", "dssm")
        assert shown("--model_name", "dssm", place="after epoch 2").endswith("as it was after epoch 2")

    def test_no_line_is_long(self):
        assert max(map(len, shown("--model_name", "int_tower").splitlines())) <= 100

    def test_a_name_cannot_move_the_cursor(self):
        text = shown("--model_name", "dssm", raw=dataclasses.replace(random_raw(), name="by\x1b[2J\rhand"))
        assert all(line.isprintable() for line in text.splitlines())
