"""`compile` with the metrics, losses and optimisers of deepctr-torch, by name and by instance."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compile_helpers import COLUMNS, LOSSES, arrays, compiled, deep_fm
from helpers import assert_same_weights
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, roc_auc_score
from torch import nn

from foundation.deepctr import EarlyStopping, ModelCheckpoint
from foundation.errors import InputError
from model.base import Output
from model.gbdt import GBDT
from model.lr import LR
from preprocessing.arrays import Arrays
from training.click_loss import ClickLoss, choose_loss

NAMES = ["auc", "accuracy", "acc", "logloss", "binary_crossentropy", "mse", "gauc"]


class TestMetrics:
    def test_evaluate_has_exactly_those_named_and_scikit_learn_s_values(self):
        model, (x, y) = compiled("adam", "binary_crossentropy", NAMES), arrays()
        model.fit(x, y, epochs=2, verbose=0)
        result, p = model.evaluate(x, y), model.predict(x)[:, 0]
        assert list(result) == NAMES
        expected = {
            "auc": roc_auc_score(y, p),
            "accuracy": accuracy_score(y, p > 0.5),
            "logloss": log_loss(y, p),
            "mse": mean_squared_error(y, p),
        }
        expected |= {"acc": expected["accuracy"], "binary_crossentropy": expected["logloss"]}
        assert {name: result[name] for name in expected} == pytest.approx(expected, abs=1e-6)

    def test_history_goes_by_these_names(self):
        model, (x, y) = compiled("adam", metrics=NAMES), arrays()
        history = model.fit(x, y, epochs=2, validation_split=0.3, verbose=0).history
        named = {"loss", *NAMES, *(f"val_{name}" for name in NAMES)} - {"gauc"}  # of validation rows alone
        assert named <= history.keys()
        assert {len(values) for values in history.values()} == {2}
        assert history["acc"] == history["accuracy"]
        assert history["val_binary_crossentropy"] == history["val_logloss"]

    def test_history_of_validation_rows_equals_evaluate(self):
        model, (x, y), others = compiled("adam", metrics=["acc", "mse"]), arrays(), arrays(seed=1)
        history = model.fit(x, y, verbose=0, validation_data=others).history
        assert {name: history[f"val_{name}"][0] for name in ("acc", "mse")} == pytest.approx(model.evaluate(*others))

    @pytest.mark.parametrize("given", [None, [], ["auc", "acc"], ("mse",)], ids=str)
    def test_metrics_names_start_with_the_loss(self, given):
        assert compiled("adam", metrics=given).metrics_names == ["loss", *(given or [])]

    def test_one_class_has_an_accuracy_and_no_auc(self):
        x, y = arrays()
        assert compiled("adam", metrics=["acc"]).evaluate(x, np.ones_like(y))["acc"] in np.arange(201) / 200
        with pytest.raises(InputError, match="AUC needs both classes"):
            compiled("adam", metrics=["acc", "auc"]).evaluate(x, np.ones_like(y))

    @pytest.mark.parametrize("given", ["auc", ["auc", "recall"], [roc_auc_score]], ids=["text", "unknown", "function"])
    def test_others_are_refused(self, given):
        with pytest.raises(InputError, match=r"^(Unknown metrics|metrics must be)"):
            compiled("adam", metrics=given)

    @pytest.mark.parametrize("monitor", ["val_acc", "val_binary_crossentropy", "val_loss", "val_auc", "acc", "loss"])
    def test_callbacks_act_on(self, monitor, tmp_path):
        model, (x, y) = compiled("adam", metrics=["binary_crossentropy", "acc"]), arrays()
        path = tmp_path / "m.ckpt"
        mode = "min" if monitor in ("val_auc", "val_acc", "acc") else "max"
        stopping = EarlyStopping(monitor, patience=1, mode=mode, min_delta=10.0)  # no epoch is that much better
        callbacks = [stopping, ModelCheckpoint(str(path), monitor, save_best_only=True, mode=mode)]
        history = model.fit(x, y, epochs=5, validation_split=0.3, verbose=0, callbacks=callbacks).history
        assert (len(history["loss"]), path.exists()) == (2, True)

    def test_the_history_starts_with_the_loss_as_there(self):
        assert next(iter(compiled("adam").fit(*arrays(), verbose=0).history)) == "loss"

    @pytest.mark.parametrize(("monitor", "count"), [("val_auc", 0), ("val_loss", 1)])
    def test_weights_of_another_epoch_than_that_of_fit_are_warned_of(self, monitor, count):
        (x, y), stopping = arrays(), EarlyStopping(monitor, patience=1, restore_best_weights=True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            compiled("adam").fit(x, y, validation_split=0.3, verbose=0, callbacks=[stopping])
        assert sum("restore_best_weights has no effect" in str(one.message) for one in caught) == count

    def test_a_file_name_of_what_was_not_named_is_refused_before_training(self, tmp_path):
        (x, y), model, start = arrays(), compiled("adam"), compiled("adam")
        saving = ModelCheckpoint(str(tmp_path / "{epoch:02d}-{val_acc:.2f}"))
        with pytest.raises(InputError, match=r"'val_acc'.*Name it at compile, metrics=\['acc'\]"):
            model.fit(x, y, validation_split=0.3, verbose=0, callbacks=[saving])
        assert_same_weights(model, start)

    def test_a_callback_that_waits_for_what_was_not_named_is_told_how(self):
        x, y = arrays()
        with pytest.raises(InputError, match=r"'val_acc'.*Name it at compile, metrics=\['acc'\]"):
            compiled("adam").fit(x, y, validation_split=0.3, verbose=0, callbacks=[EarlyStopping("val_acc")])


def only_sums(probabilities, labels, reduction):
    return (probabilities - labels).square().sum()


ROWS = st.lists(st.tuples(st.floats(-6, 6), st.integers(0, 1), st.floats(0, 9)), min_size=1, max_size=9)


class TestLoss:
    @pytest.mark.parametrize("name", LOSSES)
    @given(rows=ROWS)
    def test_is_the_mean_over_rows_of_weight_times_loss(self, name, rows):
        given, by_hand = LOSSES[name]
        logits, labels, weights = (np.array(column, dtype=np.float32) for column in zip(*rows, strict=True))
        p = 1 / (1 + np.exp(-logits.astype(np.float64)))
        tensors = [torch.from_numpy(part) for part in (logits, labels, weights)]
        loss = choose_loss(given)
        assert loss(*tensors[:2]).item() == pytest.approx(by_hand(p, labels).mean(), rel=1e-3, abs=1e-6)
        assert loss(*tensors).item() == pytest.approx((weights * by_hand(p, labels)).mean(), rel=1e-3, abs=1e-6)

    @pytest.mark.parametrize(
        "given",
        ["binary_crossentropy", "logloss", None, F.binary_cross_entropy],
        ids=["name", "other", "none", "torch"],
    )
    def test_cross_entropy_is_torch_s_of_logits_to_the_bit(self, given):
        logits, labels = torch.randn(50, requires_grad=True) * 30, (torch.rand(50) > 0.5).float()
        assert torch.equal(
            choose_loss(given)(logits, labels), F.binary_cross_entropy_with_logits(logits, labels, reduction="mean")
        )

    def test_only_its_sum_is_asked_for_where_rows_have_no_weights(self):
        x, y = arrays()
        by_name, own = compiled("sgd", "mse"), compiled("sgd", only_sums)
        for model in (by_name, own):
            model.fit(x, y, verbose=0)
        for first, second in zip(by_name.parameters(), own.parameters(), strict=True):
            torch.testing.assert_close(first, second)
        with pytest.raises(InputError, match="one number a row with reduction='none'"):
            own.fit(x, y, verbose=0, sample_weight=np.arange(len(y)))

    def test_is_what_fit_minimises_and_reports(self):
        model, (x, y) = compiled("sgd", "mse", ["mse"], lr=1e-6), arrays()
        history = model.fit(x, y, batch_size=50, verbose=0, validation_data=arrays(seed=1)).history
        assert history["loss"] == pytest.approx(history["mse"], rel=1e-4)  # in steps that are too small to matter
        assert history["val_loss"] == pytest.approx(history["val_mse"], rel=1e-5)
        assert history["val_loss"] != pytest.approx(history["val_logloss"], rel=1e-2)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("hinge", "logloss, mse, mae, probability_crossentropy, in_batch, or a function"),
            (["mse", "mse"], "one loss, because these models have one output"),
            (F.binary_cross_entropy_with_logits, "given probabilities, and this one expects logits"),
            (nn.BCEWithLogitsLoss(), "given probabilities, and this one expects logits"),
            (nn.BCELoss, r"callable as loss\(probabilities, labels, reduction="),
            (lambda p, y: (p - y).sum(), r"callable as loss\(probabilities, labels, reduction="),
            (nn.Linear(1, 1), "a module with an attribute `reduction`"),
        ],
        ids=["name", "list", "of logits", "module of logits", "class", "no reduction", "no loss"],
    )
    def test_others_are_refused(self, given, message):
        with pytest.raises(InputError, match=message):
            compiled("adam", given)

    def test_one_that_returns_no_number_is_refused(self):
        x, y = arrays()
        with pytest.raises(InputError, match=r"one number with reduction='sum'. Received: shape \(200,\)"):
            compiled("adam", lambda p, y, reduction: p - y).fit(x, y, verbose=0)

    def test_trees_learn_from_the_logloss_alone(self):
        model = GBDT(COLUMNS)
        with pytest.raises(InputError, match="GBDT learns from the logloss alone"):
            model.compile(loss="mse")

    def test_of_a_model_s_own_losses_goes_through_super(self):
        class Twice(LR):
            def losses(self, features, labels, output):
                return {"ctr": 2 * super().losses(features, labels, output)["ctr"]}

        model, labels = Twice(COLUMNS), torch.tensor([1.0, 0.0])
        model.compile("adam", "mse")
        output = Output(torch.zeros(2), weights=torch.tensor([1.0, 3.0]))
        assert model.losses({}, labels, output)["ctr"].item() == 2 * (0.25 + 3 * 0.25) / 2
        assert ClickLoss()(torch.zeros(2), labels).item() == pytest.approx(np.log(2))


BY_INSTANCE = {
    "sgd": functools.partial(torch.optim.SGD, lr=0.1),
    "adam": functools.partial(torch.optim.Adam, lr=0.01),
    "adagrad": functools.partial(torch.optim.Adagrad, lr=0.01),
    "rmsprop": functools.partial(torch.optim.RMSprop, lr=0.01),
}
L2 = {"l2_reg_embedding": 1e-2, "l2_reg_linear": 2e-2, "l2_reg_dnn": 3e-2}


class TestOptimizerInstance:
    @pytest.mark.parametrize("name", BY_INSTANCE)
    def test_takes_the_steps_of_the_same_optimizer_by_name_l2_included(self, name):
        (x, y), start = arrays(), deep_fm(**L2)
        by_name = compiled(name, lr=0.1 if name == "sgd" else 0.01, model=deep_fm(**L2))
        model = deep_fm(**L2)
        by_instance = compiled(BY_INSTANCE[name](model.parameters()), model=model)
        without = compiled(name, lr=0.1 if name == "sgd" else 0.01, model=deep_fm(**dict.fromkeys(L2, 0.0)))
        for each in (by_name, by_instance, without):
            each.fit(x, y, batch_size=50, epochs=3, verbose=0)
        furthest = 0.0
        for one, other, plain, first in zip(
            *(each.parameters() for each in (by_name, by_instance, without, start)), strict=True
        ):
            torch.testing.assert_close(other, one, atol=2e-6, rtol=2e-5)
            assert first.numel() == 1 or not torch.equal(first, one)
            furthest = max(furthest, (one - plain).abs().max().item())
        assert furthest > 1e-3  # l2 matters

    def test_own_decay_stays_beside_l2(self):
        (x, y), model, l2 = arrays(), LR(COLUMNS, l2_reg_linear=0.5, init_std=0.1), 0.5
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        batch = Arrays.check(x, y, COLUMNS, None).batch(torch.arange(len(y)), model.feature_names)
        ClickLoss()(model(batch), torch.from_numpy(y).float()).backward()
        slopes = {name: value.grad.clone() for name, value in model.named_parameters()}
        model.compile(torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.3))
        model.fit(x, y, batch_size=len(y), verbose=0, shuffle=False)
        for name, value in model.named_parameters():
            slope = slopes[name] + (2 * l2 * before[name] if name.startswith("linear") else 0)
            # The first step of Adam has the size of the learning rate in the direction of the gradient.
            expected = before[name] * (1 - 0.01 * 0.3) - 0.01 * slope / (slope.abs() + 1e-8)
            torch.testing.assert_close(value, expected, atol=2e-5, rtol=1e-4)

    def test_l2_is_added_once_however_often_it_is_compiled_and_not_at_all_outside_fit(self):
        (x, y), models = arrays(), [deep_fm(**L2) for _ in range(2)]
        optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
        for model, optimizer, times in zip(models, optimizers, (1, 3), strict=True):
            for _ in range(times):
                model.compile(optimizer)
            model.fit(x, y, verbose=0)
            model.fit(x, y, verbose=0)
        assert_same_weights(*models)
        before = [value.detach().clone() for value in models[0].parameters()]
        optimizers[0].zero_grad(set_to_none=False)
        optimizers[0].step()
        assert all(map(torch.equal, before, models[0].parameters()))

    def test_of_a_part_of_the_model_leaves_the_rest_alone(self):
        (x, y), model, start = arrays(), deep_fm(**L2), deep_fm(**L2)
        bias = [value for name, value in model.named_parameters() if name == "bias"]
        compiled(torch.optim.SGD(bias, lr=0.1), model=model).fit(x, y, verbose=0)
        changed = [
            name
            for (name, value), first in zip(model.named_parameters(), start.parameters(), strict=True)
            if not torch.equal(value, first)
        ]
        assert changed == ["bias"]

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (torch.optim.LBFGS, "LBFGS computes the loss several times a step, by a closure"),
            (torch.optim.SparseAdam, "SparseAdam needs sparse gradients"),
            (lambda _: torch.optim.Adam(deep_fm().parameters()), "Adam given has no parameter of this model"),
            (lambda _: torch.optim.Adam, "optimizer must be one of adam, adagrad, rmsprop, sgd, or an instance"),
        ],
        ids=["LBFGS", "SparseAdam", "another model", "class"],
    )
    def test_others_are_refused(self, make, message):
        model = deep_fm()
        with pytest.raises(InputError, match=message):
            model.compile(make(model.parameters()))

    def test_row_wise_steps_have_names_alone(self):
        model = deep_fm()
        with pytest.raises(InputError, match="Row-wise steps are there for the optimizers named"):
            model.compile(torch.optim.Adam(model.parameters()), embedding_optimizer="rowwise")
