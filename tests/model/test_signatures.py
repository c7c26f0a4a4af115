"""What a constructor takes, as people and their tools see it."""

from __future__ import annotations

import inspect
import pickle
import pydoc
from inspect import Parameter
from typing import Unpack, get_args, get_origin, get_type_hints

import pytest
from zoo import COLUMNS, NAMES, build

from experiment.options import parse_options
from foundation.errors import InputError
from model import MODELS
from model.base import CTRModel, TwoTower
from model.effects import constructor_defaults
from model.signature import WideDeepArguments


def classes() -> list[type]:
    """Every class of a model with a constructor of its own."""
    known = {each for name in NAMES for each in MODELS[name].model_class.__mro__ if issubclass(each, CTRModel)}
    return sorted((each for each in known if "__init__" in vars(each)), key=lambda each: each.__name__)


@pytest.mark.parametrize("name", NAMES)
class TestSignature:
    def test_has_every_argument_with_default_and_type(self, name):
        model_class = MODELS[name].model_class
        parameters = inspect.signature(model_class).parameters
        named = {key: entry for key, entry in parameters.items() if entry.kind is Parameter.KEYWORD_ONLY}
        defaults = constructor_defaults(model_class)
        assert {key: entry.default for key, entry in named.items()} == {key: defaults[key] for key in named}
        assert named.keys() == MODELS[name].arguments
        assert {"seed", "device", "gpus", "task"} < named.keys()
        hints: dict = {}
        for each in reversed(model_class.__mro__):
            hints |= get_type_hints(each.__init__)
        assert all(entry.annotation == hints[key] for key, entry in named.items())
        others = [entry.kind for key, entry in parameters.items() if key not in named]
        assert set(others) == {Parameter.POSITIONAL_OR_KEYWORD}

    def test_what_it_binds_the_constructor_takes(self, name):
        """And nothing else."""
        model_class = MODELS[name].model_class
        signature = inspect.signature(model_class)
        lists = [COLUMNS.all] * sum(entry.default is Parameter.empty for entry in signature.parameters.values())
        lists = [COLUMNS.user, COLUMNS.item] if issubclass(model_class, TwoTower) else lists
        bound = signature.bind(*lists, seed=5, device="cpu")
        assert model_class(*bound.args, **bound.kwargs).seed == 5
        with pytest.raises(TypeError):
            signature.bind(*lists, sed=5)
        for lacking in model_class.without_effect.keys() & constructor_defaults(model_class).keys():
            with pytest.raises(TypeError):
                signature.bind(*lists, **{lacking: 0.1})

    def test_help_shows_it(self, name):
        text = pydoc.render_doc(MODELS[name].model_class, renderer=pydoc.plaintext)
        assert "gpus: list[int | str | torch.device] | None = None" in text

    def test_is_of_the_class_and_not_of_its_objects(self, name):
        model = build(name, COLUMNS)
        assert not hasattr(model, "__signature__")
        assert list(inspect.signature(model.forward).parameters) == ["features"]
        assert pickle.loads(pickle.dumps(model)).seed == model.seed


@pytest.mark.parametrize("model_class", classes(), ids=lambda each: each.__name__)
def test_what_a_type_checker_reads_is_what_the_base_class_takes(model_class):
    """`**common` of a constructor says by its `TypedDict` what `inspect.signature` finds out by itself."""
    hints = get_type_hints(model_class.__init__)
    own = inspect.signature(model_class.__init__).parameters.keys()
    every = inspect.signature(model_class).parameters
    rest = {name: entry.annotation for name, entry in every.items() if name not in own}
    if model_class is CTRModel:
        assert rest == {}
        return
    assert get_origin(hints["common"]) is Unpack
    (arguments,) = get_args(hints["common"])
    assert get_type_hints(arguments) == rest
    assert not arguments.__required_keys__


def test_a_base_class_that_takes_more_shows_it_in_every_model_built_on_it():
    taken = {name for name in NAMES if WideDeepArguments.__optional_keys__ <= MODELS[name].arguments}
    assert taken == {"wide_and_deep", "deep_fm", "dcn", "auto_int", "cold"}


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("int_tower", "dnn_activation=dice", "dice"),
        ("hit", "dnn_activation=torch.nn.GELU", "torch.nn.GELU"),
        ("deep_fm", "use_fm=false", False),
        ("dcn", "cross_parameterization=matrix", "matrix"),
        ("dcn", "l2_reg_cross=1e-5", 1e-5),
        ("dcn", "dnn_hidden_units=[]", ()),
        ("wide_and_deep", "dnn_hidden_units=[32, 32]", (32, 32)),
    ],
)
def test_command_line_takes_the_arguments(name, setting, value):
    arguments = parse_options("amazon", name, ["--set", setting]).model_arguments
    assert arguments[setting.partition("=")[0]] == value


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("int_tower", "dnn_activation=3", "must be of type str"),
        ("deep_fm", "use_fm=1", "must be of type bool"),
        ("dcn", "l2_reg_cross=much", "must be of type float"),
        ("dcn", "cross_parameterization=[1]", "must be of type str"),
        ("wide_and_deep", "dnn_hidden_units=32", r"must be of type tuple\[int"),
        ("wide_and_deep", "dnn_hidden_units=[3.5]", r"must be of type tuple\[int"),
        ("dssm", "gpus=[0]", "with an argument of dssm"),
        ("mvke", "gamma=2", "--set gamma has no effect on mvke, whose gamma is 1"),
    ],
)
def test_command_line_checks_them(name, setting, message):
    with pytest.raises(InputError, match=message):
        parse_options("amazon", name, ["--set", setting])


def test_the_reason_holds_for_the_released_score_as_well():
    with pytest.raises(InputError, match=r"no effect on mvke, whose gamma is 1\. Leave"):
        parse_options("amazon", "mvke", ["--set", "cosine=True", "--set", "gamma=2"])


def test_a_model_of_ones_own_shows_its_arguments_too():
    class Own(CTRModel):
        def __init__(self, columns, *, depth: Missing = 2, **common):  # noqa: F821 (a type that is not there)
            super().__init__(columns, **common)

    parameters = inspect.signature(Own).parameters
    assert list(parameters)[:2] == ["columns", "depth"]
    assert parameters["depth"].default == 2
    assert "l2_reg_embedding" in parameters
