"""What `fit`, `evaluate` and `predict` take as rows: weights, lists of arrays, pandas; and whole models in files."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from compile_helpers import COLUMNS, LOSSES, arrays, compiled, deep_fm
from deepctr_torch.models import DeepFM as Original
from helpers import assert_same_weights, random_raw, slow_gauc, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from foundation.deepctr import DenseFeat, ModelCheckpoint, SparseFeat, VarLenSparseFeat, get_feature_names
from foundation.errors import InputError
from model.deepfm import DeepFM
from model.dssm import DSSM
from model.gbdt import GBDT
from preprocessing.dataset import Dataset
from training.click_loss import ClickLoss
from training.metrics import metrics

WITH_LENGTH = [
    DenseFeat("price"),
    VarLenSparseFeat(SparseFeat("tags", 5, 4), maxlen=3, length_name="count"),
    SparseFeat("user", 9, 4),
    VarLenSparseFeat(SparseFeat("more", 5, 4), maxlen=2, length_name="count"),
]


class TestWeights:
    @settings(max_examples=10)
    @given(st.lists(st.integers(0, 3), min_size=20, max_size=20).filter(lambda weights: sum(weights[:10]) > 0))
    @pytest.mark.parametrize("loss", ["binary_crossentropy", "mse", "function"])
    def test_a_row_of_weight_w_is_the_row_w_times(self, loss, weights):
        x, y = arrays(20)
        loss = LOSSES[loss][0] if loss == "function" else loss
        repeated = np.repeat(np.arange(20), weights)
        if len(repeated) < 2 or len(set(y[repeated])) < 2:
            return
        weighted, plain = (
            deep_fm(l2_reg_embedding=0.0, l2_reg_linear=0.0),
            deep_fm(l2_reg_embedding=0.0, l2_reg_linear=0.0),
        )
        # The mean is over the rows given: 20 of them, or as many as there are after repeating.
        weighted.compile("sgd", loss, lr=1.0)
        plain.compile("sgd", loss, lr=len(repeated) / 20)
        history = weighted.fit(x, y, batch_size=100, epochs=3, verbose=0, sample_weight=np.array(weights)).history
        other = plain.fit(
            {name: value[repeated] for name, value in x.items()}, y[repeated], batch_size=100, epochs=3, verbose=0
        ).history
        for one, two in zip(weighted.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-3)
        assert history["auc"] == pytest.approx(other["auc"], abs=1e-6)
        assert history["logloss"] == pytest.approx(other["logloss"], abs=1e-5)
        assert np.multiply(history["loss"], 20) == pytest.approx(np.multiply(other["loss"], len(repeated)), abs=1e-3)

    def test_all_of_one_weigh_nothing_and_others_do(self):
        (x, y), models = arrays(), [compiled("adam") for _ in range(3)]
        for model, weights in zip(models, (None, np.ones(len(y)), 0.5 + y), strict=True):
            model.fit(x, y, batch_size=64, verbose=0, sample_weight=weights)
        assert_same_weights(*models[:2])
        with pytest.raises(AssertionError, match="these differ"):
            assert_same_weights(*models[1:])

    def test_of_one_in_a_batch_change_no_bit_of_loss_or_gradient(self):
        labels, found = (torch.rand(999) > 0.5).float(), []
        logits = torch.randn(999) * 9
        for weights in (None, torch.ones(999)):
            leaf = logits.clone().requires_grad_()
            value = ClickLoss()(leaf, labels, weights)
            value.backward()
            found.append((value.detach(), leaf.grad))
        assert all(map(torch.equal, *found))

    def test_of_validation_rows_count_in_metrics_and_choose_no_steps(self):
        (x, y), (others, labels) = arrays(), arrays(seed=1)
        weights = np.random.default_rng(0).integers(0, 4, len(labels))
        model = compiled("adam", metrics=["auc", "logloss", "acc"])
        history = model.fit(x, y, verbose=0, validation_data=(others, labels, weights)).history
        result = model.evaluate(others, labels, sample_weight=weights)
        p = model.predict(others)[:, 0]
        assert result["auc"] == pytest.approx(roc_auc_score(labels, p, sample_weight=weights))
        assert result["logloss"] == pytest.approx(log_loss(labels, p, sample_weight=weights), abs=1e-6)
        assert result["acc"] == pytest.approx(np.average((p > 0.5) == labels, weights=weights))
        assert {name: history[f"val_{name}"][0] for name in result} == pytest.approx(result)
        losses = -np.log(np.where(labels == 1, p, 1 - p))
        assert history["val_loss"][0] == pytest.approx((weights * losses).mean(), rel=1e-5)  # over all rows, as Keras
        without = compiled("adam").fit(x, y, verbose=0, validation_data=(others, labels)).history
        assert without["loss"] == history["loss"]
        assert without["val_auc"] != history["val_auc"]

    @given(
        st.lists(
            st.tuples(st.integers(0, 1), st.sampled_from([-1.0, 0.0, 0.5]), st.integers(0, 3), st.integers(0, 3)),
            min_size=1,
            max_size=30,
        )
    )
    def test_in_gauc_are_impressions(self, rows):
        labels, scores, users, weights = (np.array(column) for column in zip(*rows, strict=True))
        if weights.sum() == 0:
            return
        repeated = np.repeat(np.arange(len(rows)), weights)
        weighted = metrics(labels, scores, users, weights, ["gauc", "mse"])
        plain = metrics(labels[repeated], scores[repeated], users[repeated], None, ["gauc", "mse"])
        assert weighted == pytest.approx(plain, nan_ok=True)
        slow = slow_gauc(labels[repeated], scores[repeated], users[repeated])
        assert weighted["gauc"] == pytest.approx(slow, nan_ok=True)

    @pytest.mark.parametrize("make", [np.asarray, pd.Series, list, lambda w: w[:, None], lambda w: pd.DataFrame(w)])
    def test_have_the_forms_of_labels(self, make):
        (x, y), weights = arrays(), np.arange(200.0)
        result = compiled("adam").evaluate(x, make(y) if make is not list else y.tolist(), sample_weight=make(weights))
        assert result == compiled("adam").evaluate(x, y, sample_weight=weights)

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            (np.ones(199), "199 weights for 200 rows"),
            (np.ones((200, 2)), r"one of the weights a row.*Received: \(200, 2\)"),
            (np.r_[np.ones(199), -1], "finite and at least 0. Received 1 others, the first -1"),
            (np.full(200, np.nan), "finite and at least 0. Received 200 others, the first nan"),
            (np.full(200, 1e300), "finite and at least 0"),
            (np.zeros(200), "All weights are 0"),
            (np.full(200, "1"), "Weights must be numbers"),
        ],
        ids=["count", "shape", "negative", "NaN", "too large", "zero", "text"],
    )
    def test_others_are_refused(self, weights, message):
        x, y = arrays()
        for act in (
            lambda: compiled("adam").fit(x, y, verbose=0, sample_weight=weights),
            lambda: compiled("adam").fit(x, y, verbose=0, validation_data=(x, y, weights)),
            lambda: compiled("adam").evaluate(x, y, sample_weight=weights),
        ):
            with pytest.raises(InputError, match=message):
                act()

    def test_beside_a_split_are_refused(self, dataset):
        model = small_model("lr", dataset)
        with pytest.raises(InputError, match="rows of a Split count alike"):
            model.fit(dataset.train, sample_weight=np.ones(len(dataset.train)), verbose=0)

    def test_of_trees(self):
        (x, y), weights = arrays(300), np.random.default_rng(0).integers(0, 4, 300)
        repeated = np.repeat(np.arange(300), weights)
        weighted, plain = (GBDT(COLUMNS, min_samples_leaf=1) for _ in range(2))
        weighted.compile(metrics=["logloss", "acc"])
        plain.compile()
        history = weighted.fit(x, y, epochs=3, verbose=0, sample_weight=weights).history
        other = plain.fit({name: value[repeated] for name, value in x.items()}, y[repeated], epochs=3, verbose=0)
        np.testing.assert_allclose(weighted.predict(x), plain.predict(x), atol=1e-6)
        assert history["logloss"] == pytest.approx(other.history["logloss"])
        assert len(history["acc"]) == 3


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


@pytest.mark.parametrize("given", [{"x": None}, {"validation_data": None}], ids=["rows", "validation rows"])
def test_a_whole_data_set_is_refused_with_the_names_of_its_splits(given, dataset):
    model = small_model("dssm", dataset)
    model.compile("adam")
    with pytest.raises(InputError, match=r"the rows of all its splits\. Give one of them: data\.train or data\.test"):
        model.fit(**({"x": dataset.train} | dict.fromkeys(given, dataset)), verbose=0)
    for use in (model.evaluate, model.predict):
        with pytest.raises(InputError, match=r"data\.train or data\.test"):
            use(dataset)


class TestListsOfArrays:
    @pytest.mark.parametrize("form", [list, tuple])
    def test_are_read_in_the_order_of_the_columns_everywhere(self, form):
        (x, y), model, other = arrays(), compiled("adam"), compiled("adam")
        ordered = form(x[name] for name in ("user", "item", "tags", "price"))
        first = model.fit(x, y, verbose=0, validation_data=(x, y)).history
        second = other.fit(ordered, y, verbose=0, validation_data=(ordered, y)).history
        assert first["val_auc"] == second["val_auc"]
        assert (model.predict(x) == other.predict(ordered)).all()
        assert model.evaluate(x, y) == other.evaluate(ordered, y)

    def test_order_is_deepctr_torch_s(self):
        names = ["price", "tags", "count", "user", "more"]
        assert get_feature_names(WITH_LENGTH) == names
        assert list(Original(WITH_LENGTH, WITH_LENGTH).feature_index) == names

    def test_of_two_towers_are_the_user_s_columns_first(self):
        model = DSSM([SparseFeat("user", 9, 4)], [SparseFeat("item", 11, 4)], dnn_hidden_units=(4,))
        x, _ = arrays()
        assert (model.predict([x["user"], x["item"]]) == model.predict(x)).all()

    @pytest.mark.parametrize("count", [0, 4, 6])
    def test_of_another_length_are_refused_with_the_order(self, count):
        model = DeepFM(WITH_LENGTH, WITH_LENGTH, dnn_hidden_units=(4,))
        with pytest.raises(
            InputError, match=rf"5 arrays, in this order: price, tags, count, user, more\. .*: {count} "
        ):
            model.predict([np.zeros(3)] * count)


class TestForms:
    @pytest.mark.parametrize("form", [pd.Series, lambda y: y[:, None], lambda y: pd.DataFrame({"y": y}), list])
    def test_of_labels_and_features(self, form):
        (x, y), plain, other = arrays(), compiled("adam"), compiled("adam")
        plain.fit(x, y, verbose=0)
        other.fit({name: form(value) if value.ndim == 1 else value for name, value in x.items()}, form(y), verbose=0)
        assert_same_weights(plain, other)

    def test_of_truth_values_which_are_1_and_0(self):
        (x, _), model = arrays(), compiled("adam")
        truths = {"user": x["user"] > 4, "price": x["price"] > 0.5}
        numbers = {name: value.astype(int) for name, value in truths.items()}
        assert (model.predict(x | truths) == model.predict(x | numbers)).all()

    def test_labels_in_two_columns_are_refused(self):
        x, y = arrays()
        with pytest.raises(InputError, match=r"one of the labels a row, in shape .* Received: \(200, 2\)"):
            compiled("adam").fit(x, np.stack([y, y], axis=1), verbose=0)

    def test_no_batch_size_is_the_default(self):
        (x, y), first, second = arrays(600), compiled("adam"), compiled("adam")
        first.fit(x, y, None, verbose=0)
        second.fit(x, y, 256, verbose=0)
        assert_same_weights(first, second)
        assert (first.predict(x, None) == first.predict(x, 8192)).all()
        assert first.evaluate(x, y, None) == first.evaluate(x, y, 8192)

    def test_no_epochs_are_refused(self):
        x, y = arrays()
        with pytest.raises(InputError, match=r"epochs must be at least 1\. Received: 0"):
            compiled("adam").fit(x, y, epochs=0, verbose=0)

    def test_epochs_end_at_their_number_and_in_order_without_shuffling(self):
        (x, y), late, order = arrays(), compiled("adam"), []
        assert late.fit(x, y, epochs=5, initial_epoch=3, verbose=0).epoch == [3, 4]

        def seen(probabilities, labels, reduction):
            order.append(labels.clone())
            return (probabilities - labels).square().sum()

        compiled("adam", seen).fit(x, y, batch_size=50, shuffle=False, verbose=0)
        assert torch.cat(order).tolist() == y.tolist()

    def test_fitting_again_goes_on_from_there(self):
        (x, y), model = arrays(), compiled("adam")
        first = model.fit(x, y, epochs=2, verbose=0).history["loss"]
        second = model.fit(x, y, epochs=2, verbose=0).history["loss"]
        assert (len(first), len(second)) == (2, 2)
        assert second[0] < first[0]


class TestFiles:
    @pytest.mark.parametrize("kind", ["untrained", "adam", "rowwise", "instance"])
    def test_a_whole_model_goes_through_a_file_and_learns_on_alike(self, kind, tmp_path):
        (x, y), model = arrays(), deep_fm()
        if kind != "untrained":
            given = torch.optim.Adagrad(model.parameters()) if kind == "instance" else "adam"
            how = {"embedding_optimizer": "rowwise"} if kind == "rowwise" else {}
            model.compile(given, "mse", ["acc"], **how)
            model.fit(x, y, verbose=0)
        torch.save(model, tmp_path / "model.pt")
        for again in (torch.load(tmp_path / "model.pt"), torch.load(tmp_path / "model.pt", weights_only=False)):
            assert (again.predict(x) == model.predict(x)).all()
            if kind != "untrained":
                assert again.history.history == model.history.history
                other = copy.deepcopy(model)
                for each in (again, other):
                    each.fit(x, y, epochs=2, verbose=0)
                assert_same_weights(again, other)

    def test_of_a_checkpoint_of_the_whole_model(self, tmp_path):
        (x, y), path = arrays(), str(tmp_path / "{epoch}.pt")
        model = compiled("adam", metrics=["acc"])
        model.fit(x, y, epochs=2, verbose=0, validation_split=0.3, callbacks=[ModelCheckpoint(path, "val_acc")])
        assert torch.load(tmp_path / "2.pt").predict(x).shape == (200, 1)

    def test_numpy_numbers_in_columns(self, tmp_path):
        columns = [SparseFeat("user", np.int64(9), np.int32(4)), SparseFeat("item", np.arange(12).max(), 4)]
        model = DeepFM(columns, columns, dnn_hidden_units=(4,))
        torch.save(model, tmp_path / "model.pt")
        assert (torch.load(tmp_path / "model.pt").predict(arrays()[0]) == model.predict(arrays()[0])).all()

    def test_of_weights(self, tmp_path):
        (x, y), model, other = arrays(), compiled("adam"), deep_fm(seed=4)
        model.fit(x, y, verbose=0)
        torch.save(model.state_dict(), tmp_path / "weights.h5")
        other.load_state_dict(torch.load(tmp_path / "weights.h5"))
        assert (model.predict(x) == other.predict(x)).all()

    def test_a_model_of_a_data_set_needs_to_be_trusted(self, dataset, tmp_path):
        model = small_model("lr", dataset)
        model.fit(dataset.train, verbose=0)
        torch.save(model, tmp_path / "model.pt")
        with pytest.raises(Exception, match="DataEncoding"):
            torch.load(tmp_path / "model.pt")
        again = torch.load(tmp_path / "model.pt", weights_only=False)
        assert (again.predict(dataset.test) == model.predict(dataset.test)).all()


def test_predictions_are_float64_in_one_column():
    predicted = compiled("adam").predict(arrays()[0])
    assert (predicted.dtype, predicted.shape) == (np.float64, (200, 1))
