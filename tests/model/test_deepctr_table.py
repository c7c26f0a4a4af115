"""docs/deepctr_torch.md names each public part of the installed deepctr-torch, and says what is so of these models."""

from __future__ import annotations

import inspect

import deepctr_torch.callbacks
import deepctr_torch.inputs
import pytest
from deepctr_table import (
    ARGUMENTS,
    AS_THERE,
    ATTRIBUTES,
    CALLBACKS,
    COLUMNS,
    CONSTRUCTORS,
    METHODS,
    MODELS,
    NAMES,
    PAGE,
    REQUIRED,
    Part,
    page,
)
from deepctr_torch.models.basemodel import BaseModel
from torch import nn

import foundation.deepctr
from model.autoint import AutoInt
from model.base import CTRModel
from model.dcn import DCN
from model.deepfm import DeepFM
from model.wdm import WideDeep
from training.click_loss import choose_loss
from training.metrics import FIGURES
from training.optim import OPTIMIZERS

HERE = {"DCN": DCN, "DeepFM": DeepFM, "WDL": WideDeep, "AutoInt": AutoInt}
NEEDED = inspect.Parameter.empty
VERDICTS = {"same", "more", "other", "absent"}


def arguments(function) -> dict[str, object]:
    """Names and defaults, without self."""
    parameters = inspect.signature(function).parameters.values()
    return {part.name: part.default for part in parameters if part.name not in ("self", "cls")}


def public(names) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def named(parts: list[Part]) -> set[str]:
    names = [part.name for part in parts]
    assert len(names) == len(set(names)), "one is named twice"
    assert {part.here for part in parts} <= VERDICTS
    return set(names)


def check_defaults(parts: list[Part], there: dict[str, object], here: dict[str, object]) -> None:
    """What is taken is taken with the default that the table says: that of deepctr-torch unless it names another."""
    for part in parts:
        if part.name not in there:
            continue
        assert (part.name in here) == (part.here != "absent"), part.name
        if part.here == "absent":
            continue
        expected = there[part.name] if part.default is AS_THERE else part.default
        assert here[part.name] == (NEEDED if expected is REQUIRED else expected), part.name
        assert part.default is AS_THERE or there[part.name] != here[part.name], f"{part.name} defaults to the same"
        assert part.default is AS_THERE or part.here in ("more", "other"), f"{part.name} has another default"


def test_the_page_is_that_of_the_table():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tests/deepctr_table.py"


class TestModels:
    def test_every_argument_of_a_constructor_is_named(self):
        there = [arguments(getattr(deepctr_torch.models, name).__init__) for name in MODELS]
        assert named(CONSTRUCTORS) == set().union(*there)

    @pytest.mark.parametrize("name", MODELS)
    def test_constructors_take_them_with_the_defaults_that_are_named(self, name):
        assert HERE[name].__name__ == MODELS[name]
        there, here = arguments(getattr(deepctr_torch.models, name).__init__), arguments(HERE[name])
        check_defaults(CONSTRUCTORS, there, here)

    def test_every_method_is_named_and_is_here_or_not(self):
        assert named(METHODS) == public(vars(BaseModel)) | {"forward"}
        for part in METHODS:
            assert hasattr(CTRModel, part.name) == (part.here != "absent"), part.name

    @pytest.mark.parametrize("method", ARGUMENTS)
    def test_every_argument_of_a_method_is_taken_in_its_place(self, method):
        there, here = arguments(getattr(BaseModel, method)), arguments(getattr(CTRModel, method))
        assert named(ARGUMENTS[method]) == there.keys()
        assert list(here)[: len(there)] == list(there)  # whoever leaves names out means the same
        check_defaults(ARGUMENTS[method], there, here)

    def test_every_attribute_is_named_and_is_here_or_not(self):
        columns = [deepctr_torch.inputs.SparseFeat("a", 3), deepctr_torch.inputs.DenseFeat("b")]
        there, here = BaseModel(columns, columns), DeepFM(columns, columns)
        for model in (there, here):
            model.compile("adam", "mse")
        plain = vars(nn.Module()).keys()
        # `fit` sets the last one.
        assert named(ATTRIBUTES) == public(vars(there).keys() - plain) | vars(there)["_modules"].keys() | {
            "stop_training"
        }
        for part in ATTRIBUTES:
            assert hasattr(here, part.name) == (part.here != "absent"), part.name


class TestNames:
    @pytest.mark.parametrize(
        ("kind", "method", "here"),
        [
            ("Optimisers", BaseModel._get_optim, OPTIMIZERS),
            ("Losses", BaseModel._get_loss_func_single, None),
            ("Metrics", BaseModel._get_metrics, FIGURES),
        ],
        ids=["optimisers", "losses", "metrics"],
    )
    def test_every_name_is_known(self, kind, method, here):
        assert named(NAMES[kind]) == {name for name in method.__code__.co_consts if isinstance(name, str)}
        for part in NAMES[kind]:
            assert choose_loss(part.name) if here is None else part.name in here


class TestClasses:
    @pytest.mark.parametrize(
        ("module", "table", "maker"),
        [(deepctr_torch.callbacks, CALLBACKS, "__init__"), (deepctr_torch.inputs, COLUMNS, "__new__")],
        ids=["callbacks", "columns"],
    )
    def test_are_the_installed_ones_with_every_argument_named(self, module, table, maker):
        classes = {
            name: value
            for name, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__
        }
        assert table.keys() == classes.keys()
        for name, value in classes.items():
            assert getattr(foundation.deepctr, name) is value
            assert named(table[name]) == arguments(getattr(value, maker)).keys(), name
