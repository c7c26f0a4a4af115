"""The training loop: order of rows, evaluation, resuming, early stopping, l2, rates. Each model: `models/`."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from helpers import assert_same_weights, fit, make_raw, random_raw, small_model, without_times
from sklearn.metrics import roc_auc_score

from foundation.deepctr import Callback
from foundation.errors import InputError
from model import load_model
from preprocessing.dataset import Dataset
from training import trainer
from training.checkpoints import Checkpoints

MODELS = ("int_tower", "dssm", "lr")
TWO_TOWERS = ("int_tower", "dssm")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


class Keep(Callback):
    """The weights after each epoch, and the mode at its beginning and its end."""

    def on_train_begin(self, logs=None):
        self.weights, self.modes = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.modes.append(self.model.training)

    def on_epoch_end(self, epoch, logs=None):
        self.modes.append(self.model.training)
        self.weights.append({name: value.clone() for name, value in self.model.state_dict().items()})


def test_seed_decides_the_order_of_rows(dataset):
    models = [small_model("lr", dataset, seed=seed) for seed in (1, 2)]  # without dropout the order is all there is
    models[1].load_state_dict(models[0].state_dict())
    for model in models:
        model.compile("sgd", lr=0.1)
        fit(model, dataset, epochs=1)
    assert not np.array_equal(models[0].predict(dataset.test), models[1].predict(dataset.test))


def test_dropout_does_not_depend_on_what_was_drawn_before(dataset):
    models = [small_model("int_tower", dataset, dnn_dropout=0.5) for _ in range(2)]
    for model in models:
        torch.rand(7)
        fit(model, dataset, epochs=1)
    assert_same_weights(*models)


@pytest.mark.parametrize("name", MODELS)
class TestTrainedModel:
    @pytest.fixture
    def trained(self, name, dataset):
        model = small_model(name, dataset)
        fit(model, dataset)
        return model

    def test_evaluate_equals_scikit_learn_on_predict(self, trained, dataset):
        result = trained.evaluate(dataset.test)
        labels, probabilities = dataset.test.labels.numpy(), trained.predict(dataset.test)[:, 0]
        assert result["auc"] == pytest.approx(roc_auc_score(labels, probabilities))
        loss = -np.log(np.where(labels == 1, probabilities, 1 - probabilities)).mean()
        assert result["logloss"] == pytest.approx(loss, abs=1e-6)
        assert set(result) == {"auc", "logloss", "gauc"}

    def test_a_saved_model_can_be_saved_and_trained_again(self, trained, dataset, tmp_path):
        trained.save(tmp_path / "first")
        again = load_model(tmp_path / "first")
        again.save(tmp_path / "second")
        first, second = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("first", "second"))
        assert second["arguments"].pop("device") == "cpu"
        assert first.pop("sha256") != second.pop("sha256")  # of the whole text, the device included
        assert first == second
        again.compile("adam")
        assert math.isfinite(fit(again, dataset, epochs=1).history["loss"][0])


@pytest.mark.parametrize("name", TWO_TOWERS)
class TestTwoTowersAreEvaluatedByEntity:
    def test_evaluation_encodes_each_distinct_entity_once(self, name, dataset, monkeypatch):
        model = small_model(name, dataset)
        encoded = {"encode_user": 0, "encode_item": 0}
        for method in encoded:
            original = getattr(model, method)

            def counting(features, method=method, original=original):
                encoded[method] += len(next(iter(features.values())))
                return original(features)

            monkeypatch.setattr(model, method, counting)
        model.evaluate(dataset.test)
        users = len(set(dataset.test.users.tolist()))
        items = len(set(dataset.raw.item[dataset.protocol.splits["test"]].tolist()))
        assert encoded == {"encode_user": users, "encode_item": items}

    @pytest.mark.parametrize("batch_size", [100, 8192])
    def test_more_users_than_one_chunk(self, name, batch_size):
        rng = np.random.default_rng(0)
        rows = [
            (user, rng.integers(0, 9), rng.integers(0, 2), rng.integers(0, 99)) for user in range(1500) for _ in (0, 1)
        ]
        dataset = Dataset.build(make_raw(rows), "holdout", 0)
        model = small_model(name, dataset)
        split = dataset.train
        order = torch.tensor(rng.permutation(len(split)))
        assert len(set(split.users.tolist())) > 1024
        with torch.no_grad():
            expected = torch.sigmoid(model.eval()(split.batch(order, model.feature_names)))
        predicted = model.predict(split.take(order), batch_size=batch_size)
        np.testing.assert_allclose(predicted[:, 0], expected.numpy(), atol=1e-6)


class TestResumed:
    """A run stopped after epoch k and continued in a new process ends where an uninterrupted one ends, to the bit."""

    def interrupted_and_continued(self, name, dataset, folder, stop: int, epochs: int, **options):
        """-> the resumed model and its history"""
        first = small_model(name, dataset, **options.pop("arguments", {}))
        settings = dict(first.settings)
        checkpoints = Checkpoints(folder, {"seed": 3})

        def save(state):
            if state.epoch == stop:
                checkpoints.save(state)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(first, dataset, epochs, on_epoch=save, **options)
        torch.manual_seed(999)  # a new process
        resumed = small_model(name, dataset, **{key: settings[key] for key in settings})
        state, _ = checkpoints.load()
        fit(resumed, dataset, epochs, state=state, **options)
        return resumed, state.history

    @pytest.mark.parametrize("stop", [1, 3])
    @pytest.mark.parametrize("schedule", ["constant", "linear"])
    @pytest.mark.parametrize("name", MODELS)
    def test_equals_uninterrupted(self, name, schedule, stop, dataset, tmp_path):
        arguments = {"unknown_rate": 0.1}
        options = {"lr_schedule": schedule, "patience": 4}
        resumed, history = self.interrupted_and_continued(
            name, dataset, tmp_path, stop, epochs=4, arguments=arguments, **options
        )
        whole, states = small_model(name, dataset, **arguments), []
        fit(whole, dataset, 4, on_epoch=states.append, **options)
        assert_same_weights(resumed, whole)
        assert without_times(history) == without_times(states[-1].history)

    def test_best_epoch_before_the_interruption_is_restored(self, dataset, tmp_path, monkeypatch):
        aucs = iter([0.9, 0.8, 0.7, 0.6])
        monkeypatch.setattr(trainer, "score_split", lambda *_, **__: {"auc": next(aucs), "logloss": 0.5})
        keep = Keep()
        resumed, history = self.interrupted_and_continued(
            "int_tower", dataset, tmp_path, stop=2, epochs=4, callbacks=[keep]
        )
        assert [logs["val_auc"] for logs in history] == [0.9, 0.8, 0.7, 0.6]
        reference = small_model("int_tower", dataset)
        monkeypatch.undo()
        fit(reference, dataset, 1)
        assert_same_weights(resumed, reference)

    def test_patience_counts_on(self, dataset, tmp_path, monkeypatch):
        aucs = iter([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
        monkeypatch.setattr(trainer, "score_split", lambda *_, **__: {"auc": next(aucs), "logloss": 0.5})
        _, history = self.interrupted_and_continued("lr", dataset, tmp_path, stop=2, epochs=6, patience=3)
        assert len(history) == 4

    def test_finished_run_trains_no_further(self, dataset, tmp_path):
        model, states = small_model("lr", dataset), []
        checkpoints = Checkpoints(tmp_path, {})
        fit(model, dataset, 2, on_epoch=checkpoints.save)
        again = small_model("lr", dataset)
        fit(again, dataset, 2, state=checkpoints.load()[0], on_epoch=states.append)
        assert states == []
        assert_same_weights(again, model)


class Stop(Callback):
    """Ctrl-C between epochs."""

    def __init__(self, epoch: int):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


class TestInterrupted:
    """After Ctrl-C, as after an error, a model in a notebook is what a finished run of as many epochs leaves."""

    @pytest.mark.parametrize("ending", [KeyboardInterrupt, InputError, RuntimeError])
    @pytest.mark.parametrize("name", MODELS)
    def test_in_a_step_leaves_the_best_epoch_in_evaluation_mode(self, name, ending, dataset):
        def stop(state):
            if state.epoch == 2 and state.progress is not None and state.progress.rows > 64:
                raise ending("stopped")

        cut, whole = small_model(name, dataset), small_model(name, dataset)
        with pytest.raises(ending):
            fit(cut, dataset, 4, on_epoch=stop, checkpoint_minutes=1e-9)
        fit(whole, dataset, 2)
        assert not any(module.training for module in cut.modules())
        assert_same_weights(cut, whole)

    def test_leaves_the_full_learning_rate(self, dataset):
        model = small_model("dssm", dataset, lr=0.01)
        with pytest.raises(KeyboardInterrupt):
            fit(model, dataset, 4, lr_schedule="linear", callbacks=[Stop(3)])
        assert [group["lr"] for group in model.optim.param_groups] == [0.01] * len(model.optim.param_groups)


class TestModes:
    @pytest.mark.parametrize("name", MODELS)
    def test_train_mode_in_every_epoch(self, name, dataset):
        keep = Keep()
        model = small_model(name, dataset)
        modes = self.modes_of_steps(model)
        fit(model, dataset, epochs=3, callbacks=[keep])
        assert keep.modes == [True] * 6
        assert set(modes) == {True}
        assert not model.training  # what `predict` would see

    @pytest.mark.parametrize("name", MODELS)
    def test_published_eval_mode_trains_in_evaluation_mode_after_the_first_epoch(self, name, dataset):
        model = small_model(name, dataset, unknown_rate=0.1)
        modes = self.modes_of_steps(model)
        fit(model, dataset, epochs=3, published_eval_mode=True)
        steps = len(modes) // 3
        assert modes == [True] * steps + [False] * 2 * steps

    def test_published_eval_mode_freezes_batch_statistics(self, dataset):
        keep = Keep()
        fit(small_model("int_tower", dataset), dataset, epochs=3, published_eval_mode=True, callbacks=[keep])
        statistics = [name for name in keep.weights[0] if "running" in name]
        assert statistics
        for name in statistics:
            assert torch.equal(keep.weights[0][name], keep.weights[2][name])

    def test_published_eval_mode_needs_a_validation_to_leave_train_mode(self, dataset):
        with pytest.raises(InputError, match="has no effect on IntTower, without validation rows"):
            fit(small_model("int_tower", dataset), dataset, epochs=2, published_eval_mode=True, validation_data=None)

    def test_without_the_switch_the_second_epoch_differs(self, dataset):
        keeps = Keep(), Keep()
        for keep, switch in zip(keeps, (True, False), strict=True):
            fit(small_model("int_tower", dataset), dataset, epochs=2, published_eval_mode=switch, callbacks=[keep])
        equal = [
            all(torch.equal(keeps[0].weights[epoch][name], value) for name, value in keeps[1].weights[epoch].items())
            for epoch in (0, 1)
        ]
        assert equal == [True, False]

    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("name", MODELS)
    def test_evaluate_and_predict_restore_the_mode(self, name, training, dataset):
        model = small_model(name, dataset).train(training)
        model.evaluate(dataset.test)
        assert model.training is training
        model.predict(dataset.test)
        assert model.training is training
        assert all(module.training is training for module in model.modules())

    def test_failed_evaluation_restores_the_mode(self, dataset, monkeypatch):
        model = small_model("dssm", dataset)
        monkeypatch.setattr(model, "encode_item", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model.evaluate(dataset.test)
        assert model.training

    def test_evaluation_uses_no_random_numbers(self, dataset):
        model = small_model("int_tower", dataset, unknown_rate=0.3)
        before = torch.get_rng_state()
        first, second = model.predict(dataset.test), model.predict(dataset.test)
        assert torch.equal(torch.get_rng_state(), before)
        assert np.array_equal(first, second)

    def modes_of_steps(self, model) -> list[bool]:
        """The mode in which each training step runs, filled while `fit` runs."""
        modes, original = [], model.losses

        def recording(*arguments):
            modes.append(model.training)
            return original(*arguments)

        model.losses = recording
        return modes


class TestEarlyStopping:
    def scripted(self, monkeypatch, dataset, aucs, **options):
        """Trains with these validation AUCs. -> model, weights after each epoch, number of epochs"""
        remaining = iter(aucs)
        monkeypatch.setattr(trainer, "score_split", lambda *_, **__: {"auc": next(remaining), "logloss": 0.5})
        keep = Keep()
        model = small_model("int_tower", dataset)
        history = fit(model, dataset, len(aucs), callbacks=[keep], **options)
        return model, keep.weights, len(history.epoch)

    def test_stops_after_patience_and_restores_the_best(self, monkeypatch, dataset):
        model, weights, epochs = self.scripted(monkeypatch, dataset, [0.6, 0.7, 0.69, 0.68, 0.67, 0.9], patience=2)
        assert epochs == 4
        assert all(torch.equal(value, weights[1][name]) for name, value in model.state_dict().items())
        assert not all(torch.equal(weights[1][name], weights[3][name]) for name in weights[1])

    def test_improvement_restarts_the_count(self, monkeypatch, dataset):
        _, _, epochs = self.scripted(monkeypatch, dataset, [0.6, 0.5, 0.7, 0.6, 0.8, 0.7, 0.7, 0.7], patience=2)
        assert epochs == 7

    def test_equal_is_no_improvement(self, monkeypatch, dataset):
        model, weights, epochs = self.scripted(monkeypatch, dataset, [0.6, 0.6, 0.6, 0.9], patience=2)
        assert epochs == 3
        assert all(torch.equal(value, weights[0][name]) for name, value in model.state_dict().items())

    def test_without_patience_all_epochs_run_and_the_best_is_restored(self, monkeypatch, dataset):
        model, weights, epochs = self.scripted(monkeypatch, dataset, [0.6, 0.9, 0.5, 0.4])
        assert epochs == 4
        assert all(torch.equal(value, weights[1][name]) for name, value in model.state_dict().items())

    def test_without_validation_the_last_weights_stay(self, dataset):
        keep, model = Keep(), small_model("int_tower", dataset)
        fit(model, dataset, 3, validation_data=None, callbacks=[keep])
        assert all(torch.equal(value, keep.weights[2][name]) for name, value in model.state_dict().items())

    def test_patience_counts_from_the_initial_epoch(self, dataset):
        model = small_model("lr", dataset)
        history = fit(model, dataset, epochs=7, initial_epoch=5, patience=3)
        assert history.epoch == [5, 6]

    def test_metrics_are_of_the_validation_rows(self, dataset):
        model = small_model("lr", dataset)
        history = fit(model, dataset, epochs=1).history
        for name, value in model.evaluate(dataset.validation).items():
            assert history[f"val_{name}"] == [pytest.approx(value, abs=1e-6)]
