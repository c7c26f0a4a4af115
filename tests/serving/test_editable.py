"""An edited `fe_score` belongs to the run that was trained with it: another one is told in evaluation and serving."""

from __future__ import annotations

import sys
import warnings

import pytest
import torch
from helpers import random_raw, small_model
from serving_helpers import dataset, random_model, save_run

from experiment.script import run
from model import load_model
from model.base import EditedWarning
from model.editable import version_of
from preprocessing import utils
from preprocessing.dataset import Dataset
from serving.ranker import PreRanker
from serving.writer import build_index

PLAIN = """
def score(users, items):
    return users[-1] * items[-1]
"""
COMMENTED = '''
def score(users, items):
    """What it is."""

    # why
    return (users[-1]
            * items[-1])
'''
TYPED = """
def score(users, items):
    product: object = users[-1] * items[-1]
    return product
"""
OTHER = """
def score(users, items):
    return users[0] * items[-1]
"""
WITH_HELPER = """
LEVEL = {level}

def level_of(users):
    return users[LEVEL]{more}

def score(users, items):
    return level_of(users) * items[-1]
"""


def last_level(user_rep, item_rep, *sizes):
    return (user_rep[-1].sum(1) * item_rep[-1].sum(1)) / 10


def function(tmp_path, text: str):
    """`score` of a module with this text."""
    path = tmp_path / f"module{abs(hash(text))}.py"
    path.write_text(text, encoding="utf-8")
    names = {"__name__": path.stem, "__file__": str(path)}
    exec(compile(text, str(path), "exec"), names)
    return names["score"]


class TestVersion:
    def test_is_of_what_is_done_and_not_of_how_it_is_written(self, tmp_path):
        plain, commented, other = (version_of(function(tmp_path, text)) for text in (PLAIN, COMMENTED, OTHER))
        assert plain == commented
        assert plain != other

    def test_is_not_of_the_types_of_variables(self, tmp_path):
        typed, plain = (function(tmp_path, text) for text in (TYPED, TYPED.replace(": object", "")))
        assert version_of(typed) == version_of(plain)

    def test_is_also_of_what_the_function_uses(self, tmp_path):
        texts = [WITH_HELPER.format(level=level, more=more) for level, more in ((-1, ""), (0, ""), (-1, " * 2"))]
        assert len({version_of(function(tmp_path, text)) for text in texts}) == 3

    def test_of_a_function_without_source(self):
        names: dict = {}
        exec("def one(x): return x\ndef same(x): return x\ndef other(x): return 2 * x", names)
        assert version_of(names["one"]) == version_of(names["same"]) != version_of(names["other"])


def edited(monkeypatch):
    monkeypatch.setattr(utils, "fe_score", last_level)


@pytest.mark.parametrize("name", ["int_tower", "hit"])
class TestAnEditedFunction:
    @pytest.fixture(autouse=True)
    def _loud(self):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            yield

    def trained(self, name):
        data = Dataset.build(random_raw(), "holdout", 0)
        model = random_model(name, data)
        model.compile("adam")
        model.fit(data.train, verbose=0)
        return model, data

    @pytest.mark.parametrize("action", ["evaluate", "predict"])
    def test_is_told_in_the_process_that_trained(self, name, action, monkeypatch):
        model, data = self.trained(name)
        edited(monkeypatch)
        with pytest.warns(EditedWarning, match="fe_score was edited since"):
            getattr(model, action)(data.test)

    def test_is_told_when_the_run_is_loaded_and_served(self, name, tmp_path, monkeypatch):
        model, data = self.trained(name)
        save_run(tmp_path, model, data)
        build_index(tmp_path, model, data)
        edited(monkeypatch)
        with pytest.warns(EditedWarning):
            load_model(tmp_path)
        with pytest.warns(EditedWarning):
            PreRanker.load(tmp_path)

    def test_belongs_to_a_run_that_learned_with_it(self, name, tmp_path, monkeypatch):
        edited(monkeypatch)
        model, data = self.trained(name)
        save_run(tmp_path, model, data)
        with warnings.catch_warnings():
            warnings.simplefilter("error", EditedWarning)
            model.evaluate(data.test)
            load_model(tmp_path)
        monkeypatch.undo()
        with pytest.warns(EditedWarning):
            load_model(tmp_path)


def test_models_without_such_a_function_never_warn(tmp_path, monkeypatch):
    data = dataset()
    model = random_model("dssm", data)
    save_run(tmp_path, model, data)
    edited(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error", EditedWarning)
        load_model(tmp_path).predict(data.test)
    assert small_model("lr", data).editable == {}
    assert torch.is_tensor(data.label)


def test_scripts_print_a_warning_of_input_without_the_line_of_code(capsys, monkeypatch):
    def show(*what) -> None:  # as without pytest, which keeps warnings for itself
        sys.stderr.write(warnings.formatwarning(*what[:4]))

    def main() -> None:
        warnings.warn("fe_score was edited", EditedWarning, stacklevel=1)

    monkeypatch.setattr(warnings, "showwarning", show)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        run(main)
    assert capsys.readouterr().err == "warning: fe_score was edited\n"
