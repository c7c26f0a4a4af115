"""The metrics of an epoch, and the learning rate in it."""

from __future__ import annotations

import pytest
import torch
from helpers import fit, random_raw, small_model

from foundation.deepctr import Callback
from preprocessing.dataset import Dataset
from training import trainer


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


class TestEpochMetrics:
    """Over all rows of the epoch, not a mean over batches. A learning rate of almost 0 keeps the model as it is."""

    def still(self, dataset, rows: int):
        model = small_model("lr", dataset, l2_reg_linear=0.0)
        model.compile("sgd", lr=1e-30)
        return model, dataset.train.take(torch.arange(rows))

    def test_equal_evaluation_on_the_same_rows(self, dataset):
        model, train = self.still(dataset, 150)
        history = model.fit(train, batch_size=40, epochs=1, verbose=0).history
        result = model.evaluate(train)
        assert history["auc"] == [pytest.approx(result["auc"])]
        assert history["logloss"] == [pytest.approx(result["logloss"], abs=1e-6)]
        assert history["loss"] == [pytest.approx(result["logloss"], abs=1e-6)]

    def test_single_left_over_row_is_not_counted(self, dataset):
        model, train = self.still(dataset, 121)
        history = model.fit(train, batch_size=40, epochs=1, verbose=0, shuffle=False).history
        result = model.evaluate(train.take(torch.arange(120)))
        assert history["auc"] == [pytest.approx(result["auc"], abs=1e-12)]
        assert history["loss"] == [pytest.approx(result["logloss"], abs=1e-6)]

    def test_single_left_over_row_is_another_one_each_epoch(self, dataset):
        model, train = self.still(dataset, 121)
        history = model.fit(train, batch_size=40, epochs=3, verbose=0).history
        assert len(set(history["auc"])) > 1

    def test_batch_of_one_class_is_no_problem(self, dataset):
        model = small_model("lr", dataset)
        order = torch.argsort(dataset.train.labels)
        history = model.fit(dataset.train.take(order), batch_size=8, epochs=1, verbose=0, shuffle=False).history
        assert 0 <= history["auc"][0] <= 1

    def test_what_they_take_is_not_the_time_of_the_steps(self, dataset, monkeypatch):
        clock, compute = iter(range(1_000)), trainer.metrics

        def slow(*arguments):
            monkeypatch.setattr(trainer.time, "perf_counter", lambda: 1e6)  # as if they took days
            return compute(*arguments)

        monkeypatch.setattr(trainer.time, "perf_counter", lambda: float(next(clock)))
        monkeypatch.setattr(trainer, "metrics", slow)
        history = small_model("lr", dataset).fit(dataset.train, epochs=1, verbose=0).history
        assert history["seconds"][0] < 1_000


class TestLearningRate:
    def rates(self, model, dataset, epochs=2, **options) -> list[float]:
        rates, original = [], model.optim.step

        def recording(*arguments, **keywords):
            rates.append(model.optim.param_groups[0]["lr"])
            return original(*arguments, **keywords)

        model.optim.step = recording
        fit(model, dataset, epochs, **options)
        return rates

    def test_constant(self, dataset):
        assert set(self.rates(small_model("lr", dataset, lr=0.25), dataset)) == {0.25}

    def test_linear_falls_evenly_to_zero(self, dataset):
        model = small_model("lr", dataset, lr=0.25)
        rates = self.rates(model, dataset, epochs=2, lr_schedule="linear")
        assert len(dataset.train) == 3 * 64
        assert rates == pytest.approx([0.25 * left / 6 for left in (6, 5, 4, 3, 2, 1)])

    def test_later_fit_starts_from_the_full_rate(self, dataset):
        model = small_model("lr", dataset, lr=0.25)
        fit(model, dataset, lr_schedule="linear")
        assert self.rates(model, dataset, lr_schedule="linear")[0] == 0.25
        assert set(self.rates(model, dataset)) == {0.25}

    def test_callback_may_change_a_constant_rate(self, dataset):
        class Halve(Callback):
            def on_epoch_end(self, epoch, logs=None):
                for group in self.model.optim.param_groups:
                    group["lr"] /= 2

        rates = self.rates(small_model("lr", dataset, lr=0.25), dataset, epochs=3, callbacks=[Halve()])
        assert sorted(set(rates)) == [0.0625, 0.125, 0.25]
