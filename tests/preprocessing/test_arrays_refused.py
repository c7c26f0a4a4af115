"""Arrays and arguments that are refused, each with its reason."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from array_helpers import COLUMNS, ITEM, USER, arrays, int_tower
from helpers import SMALL, random_raw, small_model

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from model.dssm import DSSM
from model.IntTower import IntTower
from model.lr import LR
from preprocessing.arrays import Arrays
from preprocessing.dataset import Dataset


class TestRefused:
    """Each message names the feature and what was received."""

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"gender": None}, "'gender' is missing.*Received: user_id, user_mean_rating"),
            ({"user_id": np.zeros((400, 2), int)}, r"'user_id' must have shape \(rows\). Received: \(400, 2\)"),
            ({"user_id": np.zeros((400, 1, 1), int)}, r"'user_id' must have shape \(rows\)"),
            ({"user_id": 3}, r"'user_id' must have shape \(rows\). Received: \(\)"),
            ({"genres": np.zeros(400, int)}, r"'genres' must have shape \(rows, maxlen\). Received: \(400,\)"),
            ({"embedding": np.zeros(400)}, r"'embedding' must have shape \(rows, 2\). Received: \(400,\)"),
            ({"embedding": np.zeros((400, 3))}, r"'embedding' must have shape \(rows, 2\). Received: \(400, 3\)"),
            ({"user_mean_rating": np.zeros((400, 2))}, r"'user_mean_rating' must have shape \(rows\)"),
            ({"gender": np.full(400, "F")}, "'gender' must be numeric. Received dtype"),
            ({"gender": np.full(400, None)}, "'gender' must be numeric. Received dtype object"),
            ({"gender": [[1], [1, 2]] * 200}, "rows of feature 'gender' differ in length. Pad each list with 0"),
            ({"movie_id": np.full(400, 1.5)}, "'movie_id' must hold whole ids. Received fractions"),
            ({"movie_id": np.full(400, 2**24, dtype=np.float32)}, "'movie_id' holds float32 of 16777216 or more"),
            ({"movie_id": np.full(400, 3, dtype="timedelta64[s]")}, "'movie_id' must be numeric. Received dtype time"),
            ({"user_mean_rating": np.full(400, 0.5 + 1j)}, "must be numeric. Received dtype complex128"),
            ({"movie_id": np.full(400, 11)}, r"'movie_id' has ids from 11 to 11.*vocabulary_size=11.*0\.\.10"),
            ({"movie_id": np.full(400, -1)}, "'movie_id' has ids from -1 to -1"),
            ({"movie_id": np.full(400, np.nan)}, "'movie_id' holds 400 rows with NaN"),
            ({"movie_id": np.full(400, 2**64 - 1, dtype=np.uint64)}, "'movie_id'"),
            ({"genres": np.full((400, 2), 5)}, "'genres' has ids from 5 to 5"),
            ({"genres": np.full((400, 2), 0.5)}, "'genres' must hold whole ids"),
            ({"user_mean_rating": np.array([1.0] * 399 + [np.inf])}, "1 rows with infinity .* row 399"),
            ({"user_mean_rating": np.full(400, 1e60)}, "'user_mean_rating' holds 400 rows"),
            ({"embedding": np.array([[0.0, np.nan]] + [[0.0, 0.0]] * 399)}, "'embedding' holds 1 rows.* row 0"),
            ({"movie_id": np.ones(399, int)}, "'movie_id' has 399 rows, others have 400"),
            ({"genres": np.ones((401, 3), int)}, "'genres' has 401 rows, others have 400"),
        ],
        ids=lambda value: None if isinstance(value, str) else next(iter(value)),
    )
    def test_features(self, change, message):
        x, y = arrays()
        x = {name: value for name, value in (x | change).items() if value is not None}
        for action in (lambda: Arrays.check(x, y, COLUMNS, "user_id"), lambda: int_tower().predict(x)):
            with pytest.raises(InputError, match=message):
                action()

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (np.full(400, 2), "Labels must be 0 or 1. Received 400 others, the first 2"),
            (np.array([0.5] + [0] * 399), "Received 1 others, the first 0.5"),
            (np.array([np.nan] + [0] * 399), "Received 1 others, the first nan"),
            (np.zeros(399), "399 labels for 400 rows"),
            (np.full(400, "1"), "Labels must be 0 or 1"),
        ],
        ids=["two", "half", "nan", "too-few", "text"],
    )
    def test_labels(self, y, message):
        with pytest.raises(InputError, match=message):
            int_tower().fit(arrays()[0], y, verbose=0)

    @pytest.mark.parametrize("x", [np.zeros((3, 4)), None, "rows"])
    def test_no_dict(self, x):
        with pytest.raises(InputError, match=r"a dict of arrays by name, or a list of 6 arrays.*embedding\. Received"):
            int_tower().predict(x)

    def test_no_rows(self):
        x, y = arrays()
        none = {name: value[:0] for name, value in x.items()}
        with pytest.raises(InputError, match="no rows"):
            int_tower().predict(none)
        with pytest.raises(InputError, match="no rows"):
            int_tower().fit(none, y[:0], verbose=0)

    def test_fit_without_labels(self):
        with pytest.raises(InputError, match="Labels are missing"):
            int_tower().fit(arrays()[0], verbose=0)

    def test_evaluate_without_labels(self):
        with pytest.raises(InputError, match="Labels are missing"):
            int_tower().evaluate(arrays()[0])

    def test_labels_of_one_class(self):
        x, y = arrays()
        with pytest.raises(InputError, match="AUC needs both classes"):
            int_tower().evaluate(x, np.ones_like(y))

    def test_fit_before_compile(self):
        model = IntTower(USER, ITEM, **SMALL["int_tower"])
        with pytest.raises(InputError, match=r"Call compile\(...\) before fit"):
            model.fit(*arrays(), verbose=0)

    @pytest.mark.parametrize("share", [1.0, 1.5, -0.1])
    def test_validation_split_outside_its_range(self, share):
        with pytest.raises(InputError, match="validation_split must lie between 0 and 1"):
            int_tower().fit(*arrays(), validation_split=share, verbose=0)

    def test_validation_split_of_no_row(self):
        with pytest.raises(InputError, match="validation_split"):
            int_tower().fit(*arrays(10), validation_split=0.05, verbose=0)

    @pytest.mark.parametrize("validation", [(1,), (1, 2, 3, 4)])
    def test_validation_data_of_another_length(self, validation):
        with pytest.raises(InputError, match=r"validation_data must be a Split or a tuple \(x, y\)"):
            int_tower().fit(*arrays(), validation_data=validation, verbose=0)

    def test_patience_without_validation(self):
        with pytest.raises(InputError, match="`patience` needs validation rows"):
            int_tower().fit(*arrays(), patience=2, verbose=0)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"optimizer": "adamm"}, "one of adam, adagrad, rmsprop, sgd, or an instance of .* Received: 'adamm'"),
            (
                {"loss": "hinge"},
                "one of binary_crossentropy, .*probability_crossentropy, .*or a function.*Received: 'hinge'",
            ),
            ({"metrics": ["auc", "recall"]}, r"Unknown metrics \['recall'\]"),
            ({"lr": 0.0}, "learning rate must be a positive number. Received: 0"),
            ({"lr": float("nan")}, "learning rate must be a positive number"),
            ({"lr": float("inf")}, "learning rate must be a positive number"),
        ],
        ids=lambda value: None if isinstance(value, str) else next(iter(value)),
    )
    def test_compile(self, settings, message):
        with pytest.raises(InputError, match=message):
            int_tower().compile(**settings)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"batch_size": 1}, "batch_size must be at least 2"),
            ({"epochs": 0}, "epochs must be at least 1"),
            ({"precision": "fp16"}, "Unknown precision 'fp16'. Known: float32, bfloat16, bfloat16_forced"),
            ({"lr_schedule": "cosine"}, "Unknown lr_schedule 'cosine'. Known: constant, linear"),
            ({"patience": 0, "validation_split": 0.5}, "patience must be at least 1"),
        ],
        ids=lambda value: None if isinstance(value, str) else next(iter(value)),
    )
    def test_fit_options(self, options, message):
        with pytest.raises(InputError, match=message):
            int_tower().fit(*arrays(), verbose=0, **options)

    def test_misspelt_constructor_argument(self):
        with pytest.raises(TypeError, match="dnn_droput"):
            IntTower(USER, ITEM, dnn_droput=0.3)

    @pytest.mark.parametrize("name", ["l2_reg_embedding", "l2_reg_dnn"])
    @pytest.mark.parametrize("value", [-1e-5, float("nan")])
    def test_l2_out_of_range(self, name, value):
        with pytest.raises(InputError, match=name):
            int_tower(**{name: value})

    def test_task(self):
        with pytest.raises(InputError, match=r"task='binary'.*'regression'"):
            int_tower(task="regression")


class TestColumnsRefused:
    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ([SparseFeat("a", 3, 4), SparseFeat("a", 5, 4)], "Two feature columns are named 'a'"),
            ([SparseFeat("a", 3, 4), DenseFeat("a")], "Two feature columns are named 'a'"),
            ([SparseFeat("a", 0, 4)], "vocabulary_size of column 'a' must be at least 1"),
            ([SparseFeat("a", 3, 0)], "embedding_dim of column 'a' must be at least 1"),
            ([SparseFeat("a", 3, 4), SparseFeat("b", 5, 4, embedding_name="a")], r"'a' and 'b' share.*3, 4.*5, 4"),
            ([SparseFeat("a", 3, 4), SparseFeat("b", 5, 8)], r"share one embedding_dim. Received: 4 of a; 8 of b"),
            ([SparseFeat("a", 3, 4), "b"], "must be SparseFeat, DenseFeat or VarLenSparseFeat. Received: 'b'"),
            ([SparseFeat("a", 3, 4), VarLenSparseFeat(SparseFeat("b", 3, 4), 2, "last")], "combiner 'last'"),
        ],
    )
    def test_contradictions(self, columns, message):
        with pytest.raises(InputError, match=message):
            IntTower(columns, ITEM)

    def test_columns_of_a_ranking_model(self):
        message = (
            "named '.*', one on each side. DSSM has two towers: it takes user_feature_columns, item_feature_columns"
        )
        with pytest.raises(InputError, match=message):
            DSSM(COLUMNS, COLUMNS)

    @pytest.mark.parametrize("columns", [[], None, [DenseFeat("a")]])
    def test_a_side_without_an_id(self, columns):
        for sides in ((columns, ITEM), (USER, columns)):
            with pytest.raises(
                InputError, match=r"at least one SparseFeat on the (user|item) side|must be a list of feature columns"
            ):
                DSSM(*sides)


class TestSplitsAreCheckedToo:
    def test_labels_beside_a_split(self):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        model = small_model("lr", dataset)
        with pytest.raises(InputError, match="A Split brings its own labels"):
            model.fit(dataset.train, dataset.train.labels.numpy(), verbose=0)

    def test_columns_of_other_data(self):
        dataset = Dataset.build(random_raw(users=6), "holdout", 0)
        with pytest.raises(InputError, match="has no feature 'embedding'"):
            LR([*USER, ITEM[2]]).predict(dataset.test)

    def test_too_small_vocabulary(self):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        larger = Dataset.build(random_raw(users=30), "holdout", 0)
        with pytest.raises(InputError, match="'user_id' has vocabulary_size=13"):
            small_model("lr", dataset).predict(larger.test)

    def test_no_rows(self):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        empty = dataset.test.take(torch.tensor([], dtype=torch.int64))
        for action in ("predict", "evaluate", "fit"):
            with pytest.raises(InputError, match="no rows"):
                getattr(small_model("dssm", dataset), action)(empty)

    def test_scores_come_in_the_order_of_the_rows(self):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        model = small_model("int_tower", dataset)
        rows = torch.randperm(len(dataset.test), generator=torch.Generator().manual_seed(0))
        np.testing.assert_allclose(
            model.predict(dataset.test.take(rows)), model.predict(dataset.test)[rows.numpy()], atol=1e-6
        )

    def test_data_without_a_history_makes_columns_without_one(self):
        raw = random_raw()
        raw = dataclasses.replace(raw, schema=dataclasses.replace(raw.schema, history=None))
        dataset = Dataset.build(raw, "holdout", 0)
        assert "liked_movies" not in [column.name for column in dataset.feature_columns(history=True).all]
