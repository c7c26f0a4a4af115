"""A dict of arrays in place of a data set, as the published scripts and deepctr-torch's examples pass it."""

from __future__ import annotations

import dataclasses
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import SMALL, as_lists, assert_same_weights, plain_arrays, random_raw, small_model
from sklearn.metrics import log_loss, roc_auc_score

from foundation.deepctr import DenseFeat, EarlyStopping, ModelCheckpoint, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from model.dssm import DSSM
from model.IntTower import IntTower
from model.lr import LR
from model.sources import set_apart
from preprocessing.arrays import Arrays
from preprocessing.dataset import Dataset
from training import epoch_lines

USER = [SparseFeat("user_id", 9, 4), SparseFeat("gender", 3, 4), DenseFeat("user_mean_rating")]
ITEM = [
    SparseFeat("movie_id", 11, 4),
    VarLenSparseFeat(SparseFeat("genres", 5, 4), maxlen=3, combiner="mean"),
    DenseFeat("embedding", dimension=2),
]
COLUMNS = USER + ITEM


def arrays(rows: int = 400) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    user, movie = rng.integers(1, 9, rows), rng.integers(1, 11, rows)
    x = {
        "user_id": user,
        "gender": 1 + user % 2,
        "user_mean_rating": rng.random(rows),
        "movie_id": movie,
        "genres": np.where(np.arange(3) < (movie % 4)[:, None], 1 + (movie[:, None] + np.arange(3)) % 4, 0),
        "embedding": rng.random((rows, 2)),
    }
    return x, ((user + movie + rng.integers(0, 4, rows)) % 7 > 3).astype(int)


def int_tower(**arguments) -> IntTower:
    model = IntTower(USER, ITEM, **({"seed": 3, "init_std": 0.1} | SMALL["int_tower"] | arguments))
    model.compile("adam", lr=0.01)
    return model


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
            ({"user_mean_rating": np.array([1.0] * 399 + [np.inf])}, "1 rows with NaN or infinity.* row 399"),
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
                "one of binary_crossentropy, .*probability_crossentropy, or a function.*Received: 'hinge'",
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

    @pytest.mark.parametrize("columns", [[], None, [DenseFeat("a")]])
    def test_a_side_without_an_id(self, columns):
        for sides in ((columns, ITEM), (USER, columns)):
            with pytest.raises(
                InputError, match=r"at least one SparseFeat on the (user|item) side|must be a list of feature columns"
            ):
                DSSM(*sides)


class TestAccepted:
    def test_shapes_and_types_that_mean_the_same(self):
        x, _ = arrays()
        model = int_tower()
        expected = model.predict(x)
        same = {
            "user_id": x["user_id"].reshape(-1, 1).astype(np.uint8),
            "gender": pd.Series(x["gender"]),
            "user_mean_rating": x["user_mean_rating"].reshape(-1, 1),
            "movie_id": x["movie_id"].astype(np.float64),
            "genres": x["genres"].astype(np.int16).tolist(),
            "embedding": x["embedding"].astype(np.float32),
            "a feature that no column names": np.full(400, np.nan),
        }
        assert np.array_equal(model.predict(same), expected)

    def test_padding_may_be_of_any_width(self):
        x, _ = arrays()
        model = int_tower()
        wide = x | {"genres": np.pad(x["genres"], ((0, 0), (0, 5)))}
        shuffled = x | {"genres": x["genres"][:, ::-1].copy()}
        for other in (wide, shuffled):
            np.testing.assert_allclose(model.predict(other), model.predict(x), atol=1e-6)

    def test_list_of_width_one(self):
        x, _ = arrays()
        model = int_tower()
        one = x | {"genres": x["genres"][:, :1]}
        padded = x | {"genres": x["genres"] * np.array([1, 0, 0])}
        np.testing.assert_allclose(model.predict(one), model.predict(padded), atol=1e-6)

    def test_input_is_not_changed(self):
        x, y = arrays()
        before = {name: value.copy() for name, value in x.items()}
        int_tower().fit(x, y, epochs=1, verbose=0)
        for name, value in before.items():
            assert np.array_equal(x[name], value)


class TestPaddedListsEqualBags:
    @pytest.mark.parametrize("name", ["int_tower", "dssm", "lr"])
    def test_scores(self, name):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        model = small_model(name, dataset)
        padded = model.predict(plain_arrays(dataset.test, model.feature_names))
        np.testing.assert_allclose(padded, model.predict(dataset.test), atol=1e-6)

    @pytest.mark.parametrize("combiner", ["mean", "sum", "max"])
    def test_every_combiner(self, combiner):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        columns = [
            column._replace(combiner=combiner) if isinstance(column, VarLenSparseFeat) else column
            for column in dataset.feature_columns(4, history=True).all
        ]
        model = LR(columns, init_std=0.5)
        padded = model.predict(plain_arrays(dataset.test, model.feature_names))
        np.testing.assert_allclose(padded, model.predict(dataset.test), atol=1e-6)

    def test_metrics(self):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        model = small_model("dssm", dataset)
        x, y = plain_arrays(dataset.test, model.feature_names), dataset.test.labels.numpy()
        assert model.evaluate(x, y) == pytest.approx(model.evaluate(dataset.test), abs=1e-6)

    def test_training(self):
        """The same rows in the same order take the model to the same weights."""
        dataset = Dataset.build(random_raw(), "holdout", 0)
        models = [small_model("dssm", dataset, dnn_dropout=0.0) for _ in range(2)]
        for model in models:
            model.compile("sgd", lr=0.1)
        models[0].fit(dataset.train, batch_size=64, epochs=2, verbose=0)
        x = plain_arrays(dataset.train, models[1].feature_names)
        models[1].fit(x, dataset.train.labels.numpy(), batch_size=64, epochs=2, verbose=0)
        for first, second in zip(models[0].parameters(), models[1].parameters(), strict=True):
            torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


class TestArraysAreASourceOfBatches:
    def test_batch_take_and_labels(self):
        x, y = arrays()
        source = Arrays.check(x, y, COLUMNS, "user_id")
        rows = torch.tensor([5, 2, 5])
        batch = source.batch(rows, ["user_id", "genres"])
        assert as_lists(batch["user_id"]) == x["user_id"][[5, 2, 5]].tolist()
        assert as_lists(batch["genres"]) == x["genres"][[5, 2, 5]].tolist()
        taken = source.take(rows)
        assert len(taken) == 3
        assert taken.labels.tolist() == y[[5, 2, 5]].tolist()
        assert taken.users.tolist() == x["user_id"][[5, 2, 5]].tolist()
        assert as_lists(taken.batch(torch.arange(3), ["genres"])["genres"]) == as_lists(batch["genres"])

    def test_distinct_groups_exactly_the_equal_rows(self):
        x, y = arrays()
        source = Arrays.check(x, y, COLUMNS, "user_id")
        for names in (["user_id", "gender"], ["movie_id", "genres"], ["genres"], ["embedding"]):
            keys = [tuple(np.concatenate([np.atleast_1d(x[name][row]) for name in names])) for row in range(400)]
            seen: dict = {}
            first, group = source.distinct(names)
            assert group.tolist() == [seen.setdefault(key, len(seen)) for key in keys]
            assert group[first].tolist() == list(range(len(seen)))


class TestPublishedScriptFlow:
    """Strings for the optimiser and the loss, deepctr-torch's callbacks, (n, 1) predictions."""

    def test_whole_flow(self, tmp_path):
        x, y = arrays(1000)
        path = str(tmp_path / "best.ckpt")
        stopping = EarlyStopping(monitor="val_auc", min_delta=0, verbose=1, patience=3, mode="max")
        checkpoint = ModelCheckpoint(
            filepath=path, monitor="val_auc", verbose=1, save_best_only=True, mode="max", save_weights_only=True
        )
        model = IntTower(
            USER,
            ITEM,
            field_dim=4,
            task="binary",
            dnn_dropout=0.1,
            device="cpu",
            user_head=2,
            item_head=2,
            user_filed_size=2,
            item_filed_size=2,
            dnn_hidden_units=(16, 16, 8),
            init_std=0.1,
        )
        model.compile("adam", "binary_crossentropy", metrics=["auc", "logloss"])
        history = model.fit(
            x, y, batch_size=64, epochs=5, verbose=0, validation_split=0.2, callbacks=[stopping, checkpoint]
        )
        assert history.epoch == list(range(len(history.history["val_auc"])))
        assert model.history is history
        best = torch.load(path, weights_only=True)
        assert all(torch.equal(best[name], value) for name, value in model.state_dict().items())
        probabilities = model.predict(x, batch_size=100)
        assert probabilities.shape == (1000, 1)
        assert probabilities.dtype == np.float64
        assert model.evaluate(x, y) == pytest.approx(
            {"auc": roc_auc_score(y, probabilities), "logloss": log_loss(y, probabilities)}
        )

    def test_model_checkpoint_of_the_whole_model_can_be_read_again(self, tmp_path):
        x, y = arrays()
        path = str(tmp_path / "model-{epoch}.ckpt")
        model = int_tower()
        model.fit(x, y, epochs=2, verbose=0, callbacks=[ModelCheckpoint(path)])
        again = torch.load(path.format(epoch=2), weights_only=False)
        assert_same_weights(model, again)
        assert np.array_equal(again.eval().predict(x), model.predict(x))

    def test_early_stopping_callback_stops(self):
        class Falling(EarlyStopping):
            def on_epoch_end(self, epoch, logs=None):
                super().on_epoch_end(epoch, {"val_auc": -epoch})

        model = int_tower()
        history = model.fit(*arrays(), epochs=9, verbose=0, callbacks=[Falling("val_auc", patience=2)])
        assert history.epoch == [0, 1, 2]

    def test_columns_as_scripts_make_them_can_be_saved(self, tmp_path):
        """`vocabulary_size=data[name].max() + 1` is a numpy integer."""
        x, _ = arrays()
        user = [SparseFeat("user_id", x["user_id"].max() + 1, np.int64(4)), *USER[1:]]
        model = IntTower(user, ITEM, **(SMALL["int_tower"] | {"field_dim": np.int64(4)}))
        model.save(tmp_path)
        assert np.array_equal(IntTower.load(tmp_path).predict(x), model.predict(x))

    @pytest.mark.parametrize(("verbose", "lines"), [(0, 0), (2, 3)])
    def test_verbose(self, verbose, lines, capsys):
        int_tower().fit(*arrays(), epochs=3, verbose=verbose, validation_split=0.5)
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == lines
        assert err == ""
        assert lines == 0 or ("epoch 1/3" in out and "val_auc" in out and "cir" in out)

    def test_progress_bar_shows_named_losses(self, capsys, monkeypatch):
        every_step = partial(epoch_lines.progress_bar, mininterval=0)
        monkeypatch.setattr(epoch_lines, "progress_bar", every_step)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        int_tower().fit(*arrays(), epochs=1, batch_size=64)
        out, err = capsys.readouterr()
        assert out.startswith("epoch 1/1  loss ")
        assert "ctr=" in err
        assert "cir=" in err

    def test_validation_rows_are_drawn_at_random_and_not_trained_on(self):
        """The tail of rows sorted by movie would hold only movies that training never saw."""
        x, y = arrays()
        order = np.argsort(x["movie_id"], kind="stable")
        model = int_tower()
        source = Arrays.check({name: value[order] for name, value in x.items()}, y[order], model.columns, "user_id")
        train, validation = set_apart(source, 0.2, model.seed)
        assert (len(train), len(validation)) == (320, 80)
        assert len(set(validation.features["movie_id"].tolist())) == 10
        rows = [*zip(train.features["embedding"][:, 0].tolist(), train.users.tolist(), strict=True)]
        rows += zip(validation.features["embedding"][:, 0].tolist(), validation.users.tolist(), strict=True)
        assert len(set(rows)) == 400

    def test_validation_data_as_a_tuple(self):
        x, y = arrays()
        history = int_tower().fit(x, y, epochs=2, verbose=0, validation_data=(x, y))
        assert history.history["val_auc"][0] > 0.4
        assert set(history.history) >= {"loss", "ctr", "cir", "auc", "logloss", "val_auc", "val_logloss", "val_gauc"}

    def test_shuffle_off_keeps_the_order(self):
        seen = []

        class Recording(LR):
            def losses(self, features, labels, output):
                seen.extend(features["user_id"].tolist())
                return super().losses(features, labels, output)

        x, y = arrays()
        model = Recording(COLUMNS)
        model.compile("adam")
        model.fit(x, y, batch_size=64, epochs=1, verbose=0, shuffle=False)
        assert seen == x["user_id"].tolist()

    @pytest.mark.parametrize("metrics", [["auc"], ["logloss", "auc"], ["gauc"], ["binary_crossentropy"]])
    def test_evaluate_returns_the_metrics_named_at_compile(self, metrics):
        x, y = arrays()
        model = int_tower()
        everything = model.evaluate(x, y)
        model.compile("adam", "binary_crossentropy", metrics=metrics)
        renamed = {"binary_crossentropy": "logloss"}
        assert model.evaluate(x, y) == {name: everything[renamed.get(name, name)] for name in metrics}

    def test_gauc_without_a_user_is_refused(self):
        x, y = arrays()
        model = LR([DenseFeat("user_mean_rating")])
        model.compile("adam", metrics=["auc", "gauc"])
        with pytest.raises(InputError, match="gauc"):
            model.evaluate(x, y)

    def test_logistic_regression_on_dense_features_alone(self):
        x, y = arrays()
        model = LR([DenseFeat("user_mean_rating"), DenseFeat("embedding", 2)])
        model.compile("adam", lr=0.05)
        history = model.fit(x, y, batch_size=64, epochs=3, verbose=0)
        losses = history.history["logloss"]
        assert losses[-1] < losses[0]
        weights = dict(model.named_parameters())
        dense = next(value for name, value in weights.items() if "dense" in name).detach().numpy()[0]
        inputs = np.column_stack([x["user_mean_rating"], x["embedding"]]).astype(np.float32)
        logits = inputs @ dense + weights["bias"].item()
        np.testing.assert_allclose(model.predict(x)[:, 0], 1 / (1 + np.exp(-logits)), atol=1e-6)


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
