"""What a model remembers of its constructor's arguments, however its class is derived."""

from __future__ import annotations

import copy
import inspect
import pickle
import warnings

import numpy as np
import pytest
import torch
from zoo import COLUMNS, ITEM, USER, arrays

from foundation.deepctr import DenseFeat, SparseFeat
from foundation.errors import InputError, InputWarning
from model.deepfm import DeepFM
from model.dssm import DSSM
from model.lr import LR


class Plain(DSSM):
    """Without a constructor of its own."""


class Deep(DSSM):
    """With one that adds an argument and fixes another."""

    def __init__(self, user_feature_columns, item_feature_columns, *, depth: int = 2, **common):
        super().__init__(user_feature_columns, item_feature_columns, dnn_hidden_units=(8,) * depth, **common)
        self.depth = depth


class Deeper(Deep):
    """On the third level, taking positional arguments further by name."""

    def __init__(self, user_feature_columns, item_feature_columns, **common):
        super().__init__(
            item_feature_columns=item_feature_columns, user_feature_columns=user_feature_columns, depth=3, **common
        )


class Counting:
    """Not a model; mixed into one."""

    def __init__(self, *columns, tag: str = "none", **common):
        super().__init__(*columns, **common)
        self.tag = tag


class Mixed(Counting, DSSM):
    pass


class Tagged(DSSM):
    """A constructor that hands nothing on by `**`."""

    def __init__(self, user_feature_columns, item_feature_columns, *, seed: int = 1):
        super().__init__(user_feature_columns, item_feature_columns, dnn_hidden_units=(4,), seed=seed)


@pytest.mark.parametrize(
    ("model_class", "given"),
    [
        (Plain, {"dnn_hidden_units": (4,), "seed": 7}),
        (Deep, {"depth": 1, "seed": 7}),
        (Deeper, {"seed": 7}),
    ],
)
class TestDerived:
    def test_remembers_what_it_was_called_with_alone(self, model_class, given):
        model = model_class(USER, ITEM, **given)
        names = list(inspect.signature(model_class).parameters)[:2]
        assert model.arguments == dict(zip(names, (USER, ITEM), strict=True)) | given
        assert model.settings == {name: value for name, value in given.items() if name != "seed"}

    def test_is_saved_and_read(self, model_class, given, tmp_path):
        model, (x, _) = model_class(USER, ITEM, **given), arrays()
        model.save(tmp_path)
        again = model_class.load(tmp_path)
        assert type(again) is model_class
        assert (again.predict(x) == model.predict(x)).all()

    @pytest.mark.parametrize(
        "copied",
        [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
        ids=["copy", "deep", "pickle"],
    )
    def test_is_remembered_by_copies(self, model_class, given, copied):
        model, (x, _) = model_class(USER, ITEM, **given), arrays()
        assert copied(model).arguments == model.arguments
        assert (copied(model).predict(x) == model.predict(x)).all()

    def test_in_a_file_of_the_whole_model(self, model_class, given, tmp_path):
        model = model_class(USER, ITEM, **given)
        torch.save(model, tmp_path / "model.pt")
        assert torch.load(tmp_path / "model.pt").arguments == model.arguments

    def test_misspelt_arguments_are_reported_under_the_class_that_was_called(self, model_class, given):
        with pytest.raises(TypeError, match=f"^{model_class.__name__} has no argument sed. Known: (.*, )?seed"):
            model_class(USER, ITEM, sed=3)
        with pytest.raises(TypeError, match=f"^{model_class.__name__}: missing a required argument"):
            model_class(USER, **given)
        with pytest.raises(TypeError, match=f"^{model_class.__name__}: too many positional"):
            model_class(USER, ITEM, 3)


def test_a_class_mixed_in_takes_its_own_arguments():
    model = Mixed(USER, ITEM, tag="a", dnn_hidden_units=(4,))
    assert model.tag == "a"
    assert model.arguments == {"columns": (USER, ITEM), "tag": "a", "dnn_hidden_units": (4,)}


def test_arguments_without_effect_are_looked_at_once_and_as_they_were_given():
    """`Deep` itself gives dnn_hidden_units of one layer, beside which this argument does nothing."""
    with pytest.raises(InputError, match="dnn_dropout has no effect on Plain, whose towers"):
        Plain(USER, ITEM, dnn_hidden_units=(4,), dnn_dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Deep(USER, ITEM, depth=1)


def test_warnings_name_the_line_that_calls_a_derived_class():
    class Own(DeepFM):
        def __init__(self, *columns, **common):
            super().__init__(*columns, **common)

    with pytest.warns(InputWarning, match="dnn_dropout has no effect on Own") as caught:
        Own(COLUMNS.all, COLUMNS.all, dnn_hidden_units=(), dnn_dropout=0.5)
    assert [entry.filename for entry in caught] == [__file__]


def test_a_constructor_that_is_called_again_keeps_what_is_remembered():
    model = Plain(USER, ITEM, dnn_hidden_units=(4,), seed=3)
    again = model.arguments
    Plain.__init__(model, USER, ITEM, dnn_hidden_units=(4,), seed=3)
    assert model.arguments is again


def test_a_constructor_that_hands_nothing_on_takes_its_own_arguments_alone():
    assert list(inspect.signature(Tagged).parameters)[2:] == ["seed"]
    with pytest.raises(TypeError, match=r"^Tagged has no argument device\. Known: seed\.$"):
        Tagged(USER, ITEM, device="cpu")


class TestTypes:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (
                {"dnn_hidden_units": 8},
                r"dnn_hidden_units must be of type tuple\[int, ...\] or list\[int\]\. Re.*: 8",
            ),
            ({"dnn_hidden_units": (8, 4.5)}, r"dnn_hidden_units must be of type .* Received: \(8, 4.5\)"),
            ({"seed": None}, "seed must be of type int. Received: None"),
            ({"seed": True}, "seed must be of type int. Received: True"),
            ({"l2_reg_dnn": "x"}, "l2_reg_dnn must be of type float. Received: 'x'"),
            ({"dnn_use_bn": "no"}, "dnn_use_bn must be of type bool. Received: 'no'"),
            ({"unknown_rate": None}, "unknown_rate must be of type float. Received: None"),
            ({"dnn_activation": 3}, "dnn_activation must be of type str or a class of Module. Received: 3"),
            ({"device": "gpu"}, "device must be cpu, cuda or cuda:1, for example. Received: 'gpu'"),
            ({"device": 1}, "device must be of type str or device. Received: 1"),
            ({"gamma": float("inf")}, "gamma must be a finite number. Received: inf"),
            ({"init_std": float("nan")}, "init_std must be a finite number. Received: nan"),
            ({"seed": -1}, r"seed must lie in 0..4294967295\. Received: -1"),
            ({"seed": 10**400}, r"seed must lie in 0..4294967295\. Received: 1000"),
        ],
    )
    def test_of_another_kind_are_refused_by_name(self, given, message):
        for model_class in (DSSM, Plain):
            with pytest.raises(InputError, match=message):
                model_class(USER, ITEM, **given)

    @pytest.mark.parametrize("columns", [None, 3, "user", COLUMNS])
    def test_of_columns(self, columns):
        for make in (lambda: DeepFM(columns, columns), lambda: DSSM(USER, columns), lambda: LR(columns)):
            with pytest.raises(InputError, match=r"feature_columns must be a list of feature columns\. Received: "):
                make()

    @pytest.mark.parametrize("size", [5.0, "5", None])
    def test_of_sizes_of_columns(self, size):
        for column in (SparseFeat("age", size, 4), SparseFeat("age", 5, size)):
            with pytest.raises(InputError, match="of column 'age' must be a whole number"):
                DSSM([*USER, column], ITEM)
        with pytest.raises(InputError, match="dimension of column 'price' must be"):
            LR([DenseFeat("price", size)])

    def test_numbers_of_numpy_and_lists_for_tuples_are_taken(self):
        given = {"dnn_hidden_units": [np.int64(4)], "seed": np.int32(3), "gamma": np.float32(0.5), "init_std": 1}
        assert DSSM(USER, tuple(ITEM), **given).seed == 3

    def test_an_argument_without_a_known_type_is_not_looked_at(self):
        class Own(DSSM):
            def __init__(self, user_columns, item_columns, *, depth: Missing = 2, size=None, **common):  # noqa: F821
                super().__init__(user_columns, item_columns, **common)

        Own(USER, ITEM, depth="three", size=object())
