"""The calls of the published training scripts: what they import, build, train and score, and what is refused."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from script_helpers import write_movielens
from sklearn.metrics import log_loss, roc_auc_score
from torch import Tensor

from foundation.errors import InputError
from layers.interaction import LightSE
from model import MODELS, find_model, load_model
from model.cold import COLD, Cold
from model.deepfm import DeepFM
from model.dssm import DSSM
from model.hit import HIT, HitTower
from model.IntTower import IntTower
from preprocessing.callbacks import EarlyStopping, ModelCheckpoint
from preprocessing.dataProcess import amazonDataProcess, movieDataProcess, setup_seed, taobaoDataProcess
from preprocessing.inputs import DenseFeat, SparseFeat, VarLenSparseFeat, compute_input_dim, get_feature_names
from preprocessing.logging import Logger
from preprocessing.model_select import chooseModel
from preprocessing.sequence import pad_sequences

ROOT = Path(__file__).resolve().parents[2]
ROWS, DIM = 240, 4
USER = [SparseFeat("user_id", 12, embedding_dim=DIM), SparseFeat("gender", 2, embedding_dim=DIM)]
USER += [DenseFeat("user_mean_rating", 1)]
ITEM = [SparseFeat("movie_id", 9, embedding_dim=DIM), DenseFeat("item_mean_rating", 1)]
ITEM += [VarLenSparseFeat(SparseFeat("genres", 1000, embedding_dim=DIM), maxlen=3, combiner="mean", length_name=None)]
RECON = {"user_input_for_recon": [SparseFeat("gender", 2, embedding_dim=DIM)], "item_input_for_recon": ITEM[:1]}
# The published names, but for those of the releases' comments that their `chooseModel` does not know.
NAMES = [
    "int_tower",
    "dssm",
    "poly_encoder",
    "MVKE",
    "dat",
    "deep_fm",
    "dcn",
    "cold",
    "auto_int",
    "wide_and_deep",
    "hit",
]
TARGET = ["rating"]


def frame(seed: int) -> tuple[pd.DataFrame, dict]:
    """Encoded rows as a script has them, with an index out of order, and its dict of inputs: series, padded lists."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "user_id": rng.integers(0, 12, ROWS),
            "gender": rng.integers(0, 2, ROWS),
            "user_mean_rating": rng.random(ROWS),
            "movie_id": rng.integers(0, 9, ROWS),
            "item_mean_rating": rng.random(ROWS),
        },
        index=rng.permutation(ROWS),
    )
    table["rating"] = (table["user_mean_rating"] + rng.normal(0, 0.2, ROWS) > 0.5).astype(int)
    genres = [list(range(1, 2 + movie % 3)) for movie in table["movie_id"]]
    inputs = {name: table[name] for name in table.columns.drop("rating")}
    return table, inputs | {"genres": pad_sequences(genres, maxlen=3, padding="post")}


MODELS_BY_HAND = {
    "IntTower": lambda: IntTower(
        USER,
        ITEM,
        field_dim=8,
        task="binary",
        dnn_dropout=0.3,
        device="cpu",
        user_head=2,
        item_head=2,
        user_filed_size=2,
        item_filed_size=2,
    ),
    "DSSM": lambda: DSSM(USER, ITEM, task="binary", device="cpu"),
    "DeepFM": lambda: DeepFM(USER + ITEM, USER + ITEM, task="binary", dnn_dropout=0.1, device="cpu"),
    "Cold": lambda: Cold(USER + ITEM, USER + ITEM, task="binary", dnn_dropout=0.1, device="cpu"),
    "HitTower": lambda: HitTower(
        USER,
        ITEM,
        **RECON,
        field_dim=8,
        user_head=2,
        item_head=2,
        task="binary",
        dnn_dropout=0.3,
        device="cpu",
        activation_for_recon="relu",
        hidden_units_for_recon=(16, 16),
        use_target=True,
        use_non_target=True,
    ),
}


@pytest.mark.parametrize("name", MODELS_BY_HAND)
def test_a_script_gets_to_its_last_line(name, tmp_path):
    setup_seed(1023)
    (train, train_input), (test, test_input) = frame(0), frame(1)
    model = MODELS_BY_HAND[name]()
    stop = EarlyStopping(monitor="val_auc", min_delta=0, verbose=1, patience=2, mode="max", baseline=None)
    path = tmp_path / "model.ckpt"
    keep = ModelCheckpoint(
        filepath=str(path), monitor="val_auc", mode="max", verbose=1, save_best_only=True, save_weights_only=True
    )
    model.compile("adam", "binary_crossentropy", metrics=["auc", "accuracy", "logloss"], lr=0.01)
    labels = train[TARGET].values
    history = model.fit(
        train_input, labels, batch_size=64, epochs=4, verbose=2, validation_split=0.2, callbacks=[stop, keep]
    ).history
    best = int(np.argmax(history["val_auc"]))
    model.load_state_dict(torch.load(path))
    model.eval()
    assert set(model.evaluate(train_input, labels)) == {"auc", "accuracy", "logloss"}
    scores = model.predict(test_input, batch_size=128)
    assert scores.shape == (ROWS, 1)
    assert log_loss(test[TARGET].values, scores) < 1
    assert roc_auc_score(test[TARGET].values, scores) > 0.7  # the user's mean decides the label
    assert history["val_auc"][best] == max(history["val_auc"])
    model.save(tmp_path / "run")
    again = load_model(tmp_path / "run")
    assert np.array_equal(again.predict(test_input), model.predict(test_input))


class TestHitTower:
    def build(self, **more) -> HIT:
        return HitTower(USER, ITEM, **{**RECON, "field_dim": 8, **more})

    def test_is_hit_by_other_words(self):
        hit = HIT(USER, ITEM, num_heads=3, field_dim=8, user_static=("gender",), item_static=("movie_id",), alpha=0.2)
        other = self.build(user_head=3, item_head=3, alpha=0.2, user_filed_size=2, item_filed_size=2, seed=1024)
        assert type(other) is HIT
        assert other.settings == hit.settings | {"use_target": True, "use_non_target": True}
        for (name, value), (other_name, other_value) in zip(
            hit.state_dict().items(), other.state_dict().items(), strict=True
        ):
            assert (name, value.tolist()) == (other_name, other_value.tolist())

    def test_dense_columns_reach_the_generators(self):
        model = self.build(user_input_for_recon=USER, user_head=2, item_head=2).eval()
        assert model.user_generators.networks["target"][0].in_features == compute_input_dim(USER)

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"user_head": 4}, "one number of heads.*user_head=4, item_head=2"),
            ({"hidden_units_for_recon": (32, 32)}, "two layers of user_head . field_dim = 16 units"),
            ({"hidden_units_for_recon": (16,)}, "two layers"),
            ({"activation_for_recon": "tanh"}, "activation_for_recon='tanh'"),
            ({"only_output_fe": False}, "only_output_fe=False"),
            ({"gamma": 2}, "gamma has no effect on HIT"),
            ({"item_filed_size": 3}, "item_filed_size=3, but the feature columns have 2 fields"),
            ({"user_input_for_recon": ITEM[:1]}, "columns of its side. Received: movie_id"),
            ({"user_input_for_recon": [SparseFeat("gender", 3, DIM)]}, "columns of its side. Received: gender"),
            ({"item_input_for_recon": []}, "Received: none"),
            ({"user_input_for_recon": None}, "Received: None"),
            ({"user_input_for_recon": ["gender"]}, "Received: 'gender'"),
            ({"hidden_units_for_recon": 32}, "two layers"),
            ({"user_head": "2", "item_head": "2"}, "num_heads must be of type int. Received: '2'"),
            ({"num_heads": 3}, "takes user_head and item_head for num_heads"),
            ({"user_static": ("gender",)}, "takes user_input_for_recon for user_static"),
        ],
    )
    def test_what_hit_cannot_honour_is_refused(self, more, message):
        with pytest.raises(InputError, match=message):
            self.build(**more)

    def test_weights_of_another_number_of_heads_are_refused_though_their_shapes_agree(self):
        four = self.build(user_head=4, item_head=4, field_dim=8)
        with pytest.raises(RuntimeError, match=r"weights of 2 user vectors .levels x heads., not of 4"):
            four.load_state_dict(self.build(user_head=2, item_head=2, field_dim=16).state_dict())

    def test_a_misspelt_keyword_is_no_silence(self):
        with pytest.raises(TypeError, match="hidden_units_for_recno"):
            self.build(hidden_units_for_recno=(16, 16))

    def test_without_generators_the_columns_for_them_are_left_alone(self):
        assert not self.build(use_target=False, use_non_target=False).generates


def test_cold_is_one_class():
    assert Cold is COLD


class TestLightSE:
    def test_equals_the_published_equation_by_hand(self):
        layer = LightSE(2, seed=1024, device="cpu", embedding_size=2)
        layer.load_state_dict({"excitation.0.weight": torch.tensor([[0.0, 0.0], [1.0, 0.0]])})
        fields = torch.tensor([[[0.5, 1.5], [2.0, 4.0]]])  # means 1 and 3: softmax(0, 1)
        share = 1 / (1 + np.e)
        expected = [[0.5 * (1 + share), 1.5 * (1 + share)], [2 * (2 - share), 4 * (2 - share)]]
        assert torch.allclose(layer(fields), Tensor([expected]))

    def test_another_shape_is_an_error(self):
        with pytest.raises(InputError, match="expects fields of shape"):
            LightSE(2)(torch.zeros(3, 4, 2))


class TestColumns:
    def test_sizes_by_hand(self):
        assert compute_input_dim(USER) == 2 * DIM + 1
        assert compute_input_dim(USER, include_dense=False) == 2 * DIM
        assert compute_input_dim(USER, include_sparse=False) == 1
        assert compute_input_dim(ITEM, feature_group=True) == 3

    def test_names_are_in_order(self):
        assert get_feature_names(USER + ITEM) == [column.name for column in USER + ITEM]


class TestPadSequences:
    LISTS = ([1], [2, 3, 4], [])

    @pytest.mark.parametrize(
        ("padding", "truncating", "expected"),
        [
            ("post", "pre", [[1, 0], [3, 4], [0, 0]]),
            ("post", "post", [[1, 0], [2, 3], [0, 0]]),
            ("pre", "pre", [[0, 1], [3, 4], [0, 0]]),
            ("pre", "post", [[0, 1], [2, 3], [0, 0]]),
        ],
    )
    def test_by_hand(self, padding, truncating, expected):
        padded = pad_sequences(self.LISTS, maxlen=2, padding=padding, truncating=truncating)
        assert padded.tolist() == expected
        assert padded.dtype == np.int32

    def test_without_maxlen_the_longest_fits(self):
        assert pad_sequences(self.LISTS, value=9).tolist() == [[9, 9, 1], [2, 3, 4], [9, 9, 9]]

    def test_no_lists_and_no_width(self):
        assert pad_sequences([]).shape == (0, 0)
        assert pad_sequences(self.LISTS, maxlen=0).shape == (3, 0)

    def test_another_side_is_an_error(self):
        with pytest.raises(InputError, match="padding must be one of pre, post"):
            pad_sequences(self.LISTS, padding="after")


@pytest.fixture
def log(tmp_path) -> Logger:
    return Logger(str(tmp_path / "log" / "data.log"), level="debug")


class TestLogger:
    def test_writes_each_line_once_to_its_file_and_makes_the_folder(self, log, tmp_path):
        again = Logger(str(tmp_path / "log" / "data.log"))
        again.logger.info("test AUC, 0.9")
        lines = (tmp_path / "log" / "data.log").read_text(encoding="utf-8").splitlines()
        assert len(lines) == 1
        assert lines[0].endswith("INFO: test AUC, 0.9")
        assert isinstance(log.logger, logging.Logger)

    def test_an_unknown_level_is_an_error(self):
        with pytest.raises(InputError, match="one of debug, info"):
            Logger("nowhere.log", level="loud")


def sides(data_name: str) -> dict:
    """Columns with as many fields as the release counts on this data."""
    fields = {"movieLens": (5, 2), "Amazon": (1, 2), "taobao": (9, 6)}[data_name]
    user, item = (
        [SparseFeat(f"{side}{n}", 7, DIM) for n in range(count)] for side, count in zip("ui", fields, strict=True)
    )
    return {"user": [*user, DenseFeat("age")], "item": item}


class TestChooseModel:
    @pytest.mark.parametrize("data_name", ["movieLens", "Amazon", "taobao"])
    @pytest.mark.parametrize("name", NAMES)
    def test_gives_every_published_model(self, name, data_name, log):
        columns = sides(data_name)
        both = columns["user"] + columns["item"]
        model = chooseModel(
            name,
            columns["user"],
            columns["item"],
            both,
            both,
            0.3,
            "cpu",
            log,
            data_name=data_name,
            user_feature_columns_for_recon=columns["user"],
            item_feature_columns_for_recon=columns["item"][:1],
            ouput_head=3,
        )
        assert type(model) is MODELS[find_model(name)].model_class
        settings = model.settings
        assert settings.get("dnn_dropout") == (None if name in ("dssm", "wide_and_deep") else 0.3)
        if name == "hit":
            assert (settings["num_heads"], settings["field_dim"]) == (3, 16)
            assert settings["user_static"] == tuple(column.name for column in columns["user"])
        if name == "int_tower":
            expected = {"movieLens": (2, 64), "Amazon": (32, 64), "taobao": (32, 16)}[data_name]
            assert (settings["user_head"], settings["field_dim"]) == expected
        rng = np.random.default_rng(0)
        x = {column.name: rng.integers(0, 7, 20) for column in both}
        assert model.predict(x).shape == (20, 1)

    def test_another_name_is_an_error(self, log):
        for name in ("kanTim", None):
            with pytest.raises(InputError, match=f"Unknown model '{name}'"):
                chooseModel(name, USER, ITEM, USER + ITEM, USER + ITEM, 0.3, "cpu", log)


class TestDataClasses:
    def test_hold_what_the_scripts_read(self, tmp_path, log):
        setup_seed(7)
        data = movieDataProcess(log, str(write_movielens(tmp_path)), DIM)
        again = movieDataProcess(log, str(tmp_path), DIM)
        assert data.target == TARGET
        assert [column.name for column in data.user_feature_columns_for_recon] == ["gender", "age"]
        assert [column.name for column in data.item_feature_columns_for_recon] == ["movie_id"]
        columns = data.user_feature_columns + data.item_feature_columns
        for part, x in ((data.train, data.train_model_input), (data.test, data.test_model_input)):
            assert set(x) == {column.name for column in columns}
            assert {len(values) for values in x.values()} == {len(part)}
            assert set(np.unique(part[data.target].values)) == {0, 1}
        for column in columns:
            assert np.array_equal(data.train_model_input[column.name], again.train_model_input[column.name])
            if isinstance(column, VarLenSparseFeat):
                assert data.test_model_input[column.name].shape == (len(data.test), column.maxlen)

    def test_statistics_and_histories_are_of_the_part_as_in_the_release(self, tmp_path, log):
        setup_seed(7)
        data = movieDataProcess(log, str(write_movielens(tmp_path)), DIM)
        for part, x in ((data.train, data.train_model_input), (data.test, data.test_model_input)):
            for key, mean in (("user_id", "user_mean_rating"), ("movie_id", "item_mean_rating")):
                means, of_test = (each.groupby(key)["rating"].transform("mean") for each in (part, data.test))
                expected = (means - of_test.min()) / (of_test.max() - of_test.min())
                assert np.allclose(part[mean], expected, atol=1e-6)
            assert part["movie_id"].is_monotonic_increasing
            liked = part[part["rating"] == 1].groupby("user_id")["movie_id"].agg(set)
            for user, ids in zip(part["user_id"], x["liked_movies"], strict=True):
                assert set(ids.tolist()) - {0} == liked.get(user, set())

    def test_a_seed_is_another_split(self, tmp_path, log):
        write_movielens(tmp_path)
        setup_seed(1)
        first = movieDataProcess(log, str(tmp_path), DIM)
        setup_seed(2)
        assert not movieDataProcess(log, str(tmp_path), DIM).test.equals(first.test)

    def test_amazon_in_one_file(self, tmp_path, log):
        rng = np.random.default_rng(0)
        item = rng.integers(0, 9, 200)
        reviews = pd.DataFrame(
            {
                "reviewerID": [f"A{user}" for user in rng.integers(0, 12, 200)],
                "asin": [f"B{number}" for number in item],
                "overall": rng.integers(1, 6, 200).astype(float),
                "unixReviewTime": rng.integers(1_300_000_000, 1_400_000_000, 200),
                "price": item + 0.5,
                "categories": [f"['Electronics', 'C{number % 3}']" for number in item],
            }
        )
        reviews.to_csv(tmp_path / "amazon_eletronics.csv", index=False)
        setup_seed(1023)
        data = amazonDataProcess(log, str(tmp_path / "amazon_eletronics.csv"), DIM)
        assert data.target == ["overall"]
        assert len(data.train) + len(data.test) == 200
        assert [column.name for column in data.item_feature_columns_for_recon] == ["asin", "categories"]

    def test_taobao_in_three_files(self, tmp_path, log):
        rng = np.random.default_rng(0)
        profile = ["userid", "cms_segid", "cms_group_id", "final_gender_code", "age_level", "pvalue_level"]
        profile += ["shopping_level", "occupation", "new_user_class_level "]
        users = pd.DataFrame(rng.integers(0, 3, (12, 9)), columns=profile).assign(userid=range(12))
        ad = ["adgroup_id", "cate_id", "campaign_id", "customer", "brand", "price"]
        ads = pd.DataFrame(rng.integers(0, 3, (9, 6)), columns=ad).assign(adgroup_id=range(9))
        click = rng.integers(0, 2, 200)
        sample = pd.DataFrame(
            {
                "user": rng.integers(0, 12, 200),
                "time_stamp": rng.integers(1_494_000_000, 1_494_600_000, 200),
                "adgroup_id": rng.integers(0, 9, 200),
                "pid": "430548_1007",
                "nonclk": 1 - click,
                "clk": click,
            }
        )
        paths = [tmp_path / name for name in ("raw_sample.csv", "ad_feature.csv", "user_profile.csv")]
        for path, table in zip(paths, (sample, ads, users), strict=True):
            table.to_csv(path, index=False)
        setup_seed(1023)
        data = taobaoDataProcess(log, *map(str, paths), DIM, 0.8)
        assert data.target == ["clk_y"]
        assert 120 < len(data.train) + len(data.test) < 200
        assert len(data.user_feature_columns) == 9
        with pytest.raises(InputError, match="are read from one folder"):
            taobaoDataProcess(log, str(paths[0]), "elsewhere/ad_feature.csv", str(paths[2]), DIM)

    def test_say_once_whose_rows_they_are(self, tmp_path):
        write_movielens(tmp_path)
        program = (
            "from preprocessing.dataProcess import movieDataProcess, setup_seed; setup_seed(5); "
            "[movieDataProcess(None, '.', 4) for _ in range(2)]"
        )
        environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8"
        )
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.splitlines() == [line for line in done.stderr.splitlines() if "are the release's" in line]
        assert done.stderr.count("for seed 5") == 1
