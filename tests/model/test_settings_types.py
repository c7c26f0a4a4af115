"""Settings of `compile`, `fit`, `predict` and `evaluate`: numbers of numpy are numbers, anything else is refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import random_raw, small_model

from foundation.deepctr import Callback, EarlyStopping
from foundation.errors import InputError
from model import build_model
from preprocessing.dataset import Dataset


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


class TestSettings:
    @pytest.mark.parametrize("kind", [int, np.int64, np.int8, np.uint16])
    def test_whole_numbers_of_any_type_are_the_same(self, dataset, kind):
        one, other = (small_model("dssm", dataset) for _ in "ab")
        for model, number in ((one, int), (other, kind)):
            model.fit(dataset.train, batch_size=number(64), epochs=number(1), initial_epoch=number(0), verbose=0)
        assert one.predict(dataset.test, batch_size=kind(64)).tolist() == other.predict(dataset.test).tolist()

    @pytest.mark.parametrize("wrong", ["64", 64.5, [64], 2**70, -(2**70), True])
    @pytest.mark.parametrize("name", ["batch_size", "epochs", "initial_epoch"])
    def test_anything_else_is_refused(self, dataset, name, wrong):
        model = small_model("dssm", dataset)
        with pytest.raises(InputError, match=f"{name.replace('_', '.')} must be a whole number"):
            model.fit(dataset.train, verbose=0, **{name: wrong})
        if name == "batch_size":
            for ask in (model.predict, model.evaluate):
                with pytest.raises(InputError, match="batch_size must be"):
                    ask(dataset.test, batch_size=wrong)

    @pytest.mark.parametrize("wrong", [0, -1])
    def test_no_batch_is_refused(self, dataset, wrong):
        with pytest.raises(InputError, match="batch_size must be at least 1"):
            small_model("dssm", dataset).predict(dataset.test, batch_size=wrong)

    @pytest.mark.parametrize("wrong", ["x", [None], [Callback], Callback(), [object()]])
    def test_callbacks_that_are_none_are_refused(self, dataset, wrong):
        with pytest.raises(InputError, match="callbacks must be a list of Callback objects"):
            small_model("dssm", dataset).fit(dataset.train, verbose=0, callbacks=wrong)

    @pytest.mark.parametrize("monitor", [None, 3])
    def test_monitors_that_are_no_names_are_refused(self, dataset, monitor):
        callback = EarlyStopping(monitor=monitor, mode="max")
        with pytest.raises(InputError, match="A callback monitors"):
            small_model("dssm", dataset).fit(dataset.train, verbose=0, callbacks=[callback])

    @pytest.mark.parametrize("name", ["dssm", "gbdt"])
    @pytest.mark.parametrize("lr", ["0.1", [0.1], 0, -1.0, float("nan"), float("inf")])
    def test_learning_rates(self, dataset, name, lr):
        with pytest.raises(InputError, match="learning rate must be a positive number"):
            build_model(name, dataset.feature_columns(4)).compile(lr=lr)

    @pytest.mark.parametrize("share", ["0.2", [0.2], 1, -0.1])
    def test_validation_splits(self, dataset, share):
        model = small_model("dssm", dataset)
        with pytest.raises(InputError, match="validation_split must lie between 0 and 1"):
            model.fit(dataset.train, verbose=0, validation_split=share)
