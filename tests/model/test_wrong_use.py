"""What a person can get wrong with a model, and what they are told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from helpers import random_raw
from zoo import COLUMNS, DIM, ITEM, NAMES, NEURAL, TWO_TOWERS, USER, arrays, build

from experiment.options import parse_options
from foundation.deepctr import DenseFeat, SparseFeat
from foundation.errors import InputError, InputWarning
from foundation.feature_columns import FeatureColumns
from model import MODELS, build_model, load_model
from model.dcn import DCN
from model.deepfm import DeepFM
from model.devices import device_of
from model.wdm import WideDeep
from preprocessing.dataset import Dataset


def fit(name: str, x: dict, y) -> None:
    model = build(name, COLUMNS)
    model.compile(lr=0.01)
    model.fit(x, y, batch_size=32, verbose=0)


class TestName:
    def test_of_a_model_in_any_spelling(self):
        columns = FeatureColumns(USER, ITEM)
        for name in ("int_tower", "IntTower", "int-tower"):
            assert type(build_model(name, columns)) is MODELS["int_tower"].model_class
        assert type(build_model("two_tower", columns)) is MODELS["dssm"].model_class

    @pytest.mark.parametrize("name", ["IntTowre", "", None])
    def test_of_no_model(self, name):
        with pytest.raises(InputError, match=f"Unknown model '{name}'. Known: {', '.join(MODELS)}."):
            build_model(name, FeatureColumns(USER, ITEM))


class TestHistory:
    def made(self, name: str, **history) -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            build_model(name, Dataset.build(random_raw(), "holdout", 0).feature_columns(8, **history))
        assert all(one.filename == __file__ for one in caught)
        return [str(one.message) for one in caught if issubclass(one.category, InputWarning)]

    def test_a_model_that_is_made_for_one_says_that_it_has_none(self):
        (message,) = self.made("hit")
        assert "HIT is made to read the items that a user liked" in message
        assert "feature_columns(history=True)" in message

    @pytest.mark.parametrize("history", [True, False])
    def test_not_where_somebody_chose(self, history):
        assert self.made("hit", history=history) == []

    def test_not_of_other_models(self):
        assert self.made("dssm") == []


@pytest.mark.parametrize("name", TWO_TOWERS)
class TestSides:
    @pytest.mark.parametrize("columns", [[], [DenseFeat("user_mean_rating")]])
    def test_no_user_columns(self, name, columns):
        with pytest.raises(InputError, match="at least one SparseFeat on the user side"):
            MODELS[name].model_class(columns, ITEM)

    @pytest.mark.parametrize("columns", [[], [DenseFeat("price")]])
    def test_no_item_columns(self, name, columns):
        with pytest.raises(InputError, match="at least one SparseFeat on the item side"):
            MODELS[name].model_class(USER, columns)

    def test_one_feature_on_both_sides(self, name):
        with pytest.raises(InputError, match="named 'gender'"):
            MODELS[name].model_class(USER, [*ITEM, USER[1]])


@pytest.mark.parametrize("name", NAMES)
class TestColumns:
    def test_one_name_with_two_sizes(self, name):
        with pytest.raises(InputError, match="named 'gender'"):
            build(name, FeatureColumns([*USER, SparseFeat("gender", 7, DIM)], ITEM))

    def test_one_table_with_two_sizes(self, name):
        other = SparseFeat("seen", 99, DIM, embedding_name="movie_id")
        with pytest.raises(InputError, match="share the embedding table 'movie_id'"):
            build(name, FeatureColumns([*USER, other], ITEM))

    def test_empty_vocabulary(self, name):
        with pytest.raises(InputError, match=r"vocabulary_size of column 'age' must be at least 1\. Received: 0"):
            build(name, FeatureColumns([*USER, SparseFeat("age", 0, DIM)], ITEM))

    def test_something_else_than_a_column(self, name):
        with pytest.raises(InputError, match="must be SparseFeat"):
            build(name, FeatureColumns([*USER, "age"], ITEM))


FLATTENING = ("lr", "wide_and_deep", "dcn", "dssm", "dat")  # these read fields as one vector, or one number each


@pytest.mark.parametrize("name", [name for name in NEURAL if name not in FLATTENING])
def test_embedding_sizes_must_agree(name):
    title = MODELS[name].model_class.__name__
    with pytest.raises(
        InputError, match=f"^{title} .* share one embedding_dim. Received: 4 of user_id, .*; 5 of age. G"
    ):
        build(name, FeatureColumns([*USER, SparseFeat("age", 8, DIM + 1)], ITEM))


@pytest.mark.parametrize("name", [name for name in NEURAL if "dnn_hidden_units" in MODELS[name].arguments])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dnn_hidden_units": (16, 0)}, "at least one layer"),
        ({"dnn_dropout": 1.0}, "Dropout"),
        ({"task": "regression"}, "task='binary'"),
    ],
)
def test_wrong_tower(name, arguments, message):
    with pytest.raises(InputError, match=message):
        build(name, COLUMNS, **arguments)


@pytest.mark.parametrize("name", TWO_TOWERS)
def test_no_tower(name):
    with pytest.raises(InputError, match="at least one layer"):
        build(name, COLUMNS, dnn_hidden_units=())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("gpus", "message"),
    [
        ([0, 1], r"gpus=\[0, 1\] asks one process .* torchrun --nproc_per_node=2"),
        ([97], r"gpus=\[97\] names no GPU of this machine"),
        (["cpu"], "names no GPU"),
        ([1.5], r"gpus must be of type list\[int \| str \| torch.device\] or None. Received: \[1.5\]"),
        (0.5, "gpus must be of type list"),
    ],
)
def test_gpus(name, gpus, message):
    with pytest.raises(InputError, match=message):
        build(name, COLUMNS, gpus=gpus)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="device='cuda:97' is not there"):
        build("dssm", COLUMNS, device="cuda:97")


class TestOneGpu:
    """On machines without one, torch is made to say that there are two; nothing is moved there."""

    @pytest.fixture(autouse=True)
    def two_gpus(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    @pytest.mark.parametrize("gpus", [[1], ["cuda:1"], [torch.device("cuda:1")]], ids=["number", "text", "device"])
    def test_is_the_device(self, gpus):
        assert device_of(torch.device("cpu"), gpus, named=False) == torch.device("cuda:1")
        for device in ("cuda", "cuda:1"):
            assert device_of(torch.device(device), gpus, named=True) == torch.device("cuda:1")

    @pytest.mark.parametrize("device", ["cpu", "cuda:0"])
    def test_beside_another_device_is_refused(self, device):
        with pytest.raises(InputError, match=rf"gpus=\[1\] and device='{device}' are two places"):
            device_of(torch.device(device), [1], named=True)


@pytest.mark.parametrize("name", ["int_tower", "hit"])
def test_heads_that_do_not_fit(name):
    heads = {"int_tower": "user_head", "hit": "num_heads"}[name]
    for arguments in ({heads: 0}, {heads: -1}, {"field_dim": 0}):
        with pytest.raises(InputError, match="at least 1"):
            build(name, COLUMNS, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "int_tower",
            {"cir_temperature": 0.3, "cir_weight": 0},
            "cir_temperature has no effect on IntTower, whose cir_w",
        ),
        (
            "int_tower",
            {"dnn_hidden_units": (8,), "fe_score": "last"},
            "fe_score has no effect on IntTower, whose towers",
        ),
        (
            "hit",
            {"use_target": False, "use_non_target": False, "alpha": 0.3},
            "alpha has no effect on HIT, which has no",
        ),
        ("hit", {"generation_loss": "none", "alpha": 0.3}, "alpha has no effect on HIT, whose generation_loss is none"),
        ("dssm", {"dnn_hidden_units": (8,), "dnn_dropout": 0.3}, "dnn_dropout has no effect on DSSM, whose towers"),
        ("lr", {"l2_reg_dnn": 0.0}, "l2_reg_dnn has no effect on LR, which has no towers"),
        ("dssm", {"dnn_hidden_units": (8,), "dnn_activation": "dice"}, "dnn_activation has no effect on DSSM, whose t"),
        ("dcn", {"cross_num": 0, "l2_reg_cross": 0.1}, "l2_reg_cross has no effect on DCN, which has no cross layers"),
        ("auto_int", {"att_layer_num": 0, "att_res": False}, "att_res has no effect on AutoInt, which has no inter"),
        ("int_tower", {"gamma": 2}, "gamma has no effect on IntTower, whose gamma is 1"),
        ("hit", {"gamma": 2}, "gamma has no effect on HIT"),
        ("mvke", {"gamma": 2}, "gamma has no effect on MVKE"),
        ("poly_encoder", {"gamma": "learned"}, "gamma has no effect on PolyEncoder"),
    ],
)
def test_argument_without_effect(name, arguments, message):
    with pytest.raises(InputError, match=message):
        build(name, COLUMNS, **arguments)


def test_arguments_written_out_at_their_defaults():
    build("int_tower", COLUMNS, cir_weight=0.0, cir_temperature=0.1)
    build("dssm", COLUMNS, dnn_hidden_units=(8,), dnn_dropout=0.0, dnn_use_bn=True)
    build("hit", COLUMNS, use_target=False, use_non_target=False, alpha=0, user_static=None)
    for name in ("int_tower", "hit", "mvke", "poly_encoder"):
        build(name, COLUMNS, gamma=1)  # as the published constructors have it


def test_what_deepctr_torchs_users_give_without_effect_is_a_warning_in_the_line_that_gives_it():
    with pytest.warns(InputWarning, match="dnn_dropout has no effect on DeepFM, which has no tower.") as caught:
        DeepFM(COLUMNS.all, COLUMNS.all, dnn_hidden_units=(), dnn_dropout=0.5)
    assert [entry.filename for entry in caught] == [__file__]
    with pytest.warns(InputWarning, match="dnn_use_bn has no effect on WideDeep, which has no tower."):
        WideDeep(COLUMNS.all, [], dnn_use_bn=True)
    with pytest.warns(InputWarning, match="l2_reg_linear has no effect on DCN, whose linear part has no columns."):
        DCN([], COLUMNS.all, l2_reg_linear=0.1)
    with pytest.warns(InputWarning, match="l2_reg_embedding has no effect on DeepFM, which has no part that reads emb"):
        DeepFM(COLUMNS.all, COLUMNS.all, use_fm=False, dnn_hidden_units=[], l2_reg_embedding=0.1)
    with pytest.raises(InputError, match="--dropout has no effect on deep_fm, which has no tower"):
        parse_options("movielens", "deep_fm", ["--set", "dnn_hidden_units=[]", "--dropout", "0.5"])


def test_a_folder_of_before_the_refusal_is_loaded(tmp_path):
    """Data sets' defaults used to reach the constructor where they did nothing."""
    model = build("int_tower", COLUMNS, cir_weight=0.0)
    model.arguments["cir_temperature"] = 0.2
    model.save(tmp_path)
    assert load_model(tmp_path).settings["cir_weight"] == 0.0


@pytest.mark.parametrize("name", NAMES)
class TestUnknownArguments:
    def test_are_reported_under_the_class_that_was_called(self, name):
        title = MODELS[name].model_class.__name__
        with pytest.raises(
            TypeError, match=f"^{title} has no argument gama, sed. Known: .*l2_reg_|^{title} has.*device"
        ):
            build(name, COLUMNS, gama=3, sed=1)

    def test_missing_ones_too(self, name):
        model_class = MODELS[name].model_class
        with pytest.raises(TypeError, match=f"^{model_class.__name__}: missing a required argument"):
            model_class(seed=1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"published_eval_mode": True, "epochs": 2}, "published_eval_mode=True has no effect on"),
        ({"initial_epoch": 2, "epochs": 2}, "initial_epoch"),
        ({"initial_epoch": -1}, "initial_epoch"),
        (
            {"validation_split": 0.25, "validation_data": arrays(1)},
            "validation_split has no effect beside validation_d",
        ),
    ],
)
def test_options_of_fit_without_effect(name, options, message):
    model = build(name, COLUMNS)
    model.compile(lr=0.01)
    with pytest.raises(InputError, match=message):
        model.fit(*arrays(), batch_size=32, verbose=0, **options)


@pytest.mark.parametrize("name", NAMES)
class TestInput:
    def test_missing_feature(self, name):
        x, y = arrays()
        del x["movie_id"]
        with pytest.raises(InputError, match="'movie_id' is missing"):
            fit(name, x, y)

    @pytest.mark.parametrize(
        ("feature", "value"),
        [
            ("gender", np.zeros((64, 2), dtype=int)),
            ("genres", np.zeros(64, dtype=int)),
            ("picture", np.zeros((64, 3))),
            ("user_mean_rating", np.zeros((64, 2))),
        ],
    )
    def test_wrong_shape(self, name, feature, value):
        x, y = arrays()
        with pytest.raises(InputError, match=f"'{feature}' must have shape"):
            fit(name, x | {feature: value}, y)

    @pytest.mark.parametrize(("feature", "value"), [("user_id", 65), ("user_id", -1), ("genres", 6), ("liked", 11)])
    def test_id_beyond_the_vocabulary(self, name, feature, value):
        x, y = arrays()
        x[feature][5] = value
        with pytest.raises(InputError, match=f"'{feature}' has ids from"):
            fit(name, x, y)

    @pytest.mark.parametrize("label", [2, -1, 0.5, np.nan])
    def test_label_outside_0_and_1(self, name, label):
        x, y = arrays()
        y = y.astype(float)
        y[3] = label
        with pytest.raises(InputError, match="Labels must be 0 or 1"):
            fit(name, x, y)

    def test_fit_before_compile(self, name):
        with pytest.raises(InputError, match="compile"):
            build(name, COLUMNS).fit(*arrays())

    def test_predict_with_a_missing_feature(self, name):
        x, _ = arrays()
        del x["genres"]
        with pytest.raises(InputError, match="'genres' is missing"):
            build(name, COLUMNS).predict(x)
