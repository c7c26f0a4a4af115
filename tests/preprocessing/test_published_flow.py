"""The published scripts' steps, from arrays to an evaluated model."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest
import torch
from array_helpers import COLUMNS, ITEM, USER, arrays, int_tower
from helpers import SMALL, assert_same_weights
from sklearn.metrics import log_loss, roc_auc_score

from foundation.deepctr import DenseFeat, EarlyStopping, ModelCheckpoint, SparseFeat
from foundation.errors import InputError
from model.IntTower import IntTower
from model.lr import LR
from model.sources import set_apart
from preprocessing.arrays import Arrays
from training import epoch_lines


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
