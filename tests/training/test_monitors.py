"""Callbacks act on the names that users of deepctr-torch give them, and one that never could is refused."""

from __future__ import annotations

import pytest
from helpers import fit, random_raw, small_model

from foundation.deepctr import EarlyStopping, ModelCheckpoint
from foundation.errors import InputError
from preprocessing.dataset import Dataset


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


@pytest.mark.parametrize("monitor", ["val_binary_crossentropy", "val_loss", "val_logloss", "val_auc", "loss", "ctr"])
def test_callbacks_act_on(monitor, dataset, tmp_path):
    never = "max" if monitor != "val_auc" else "min"
    stopping = EarlyStopping(monitor=monitor, patience=1, mode=never, min_delta=10.0)  # no epoch is that much better
    checkpoint = ModelCheckpoint(str(tmp_path / "m.ckpt"), monitor=monitor, save_best_only=True, mode="min")
    model = small_model("int_tower", dataset)
    history = fit(model, dataset, 6, callbacks=[stopping, checkpoint]).history
    assert len(history["loss"]) == 2
    assert (tmp_path / "m.ckpt").exists()
    assert history["val_loss"] == history["val_binary_crossentropy"] == history["val_logloss"]


@pytest.mark.parametrize("monitor", ["val_acc", "val_loss_", "accuracy", "val_ctr"])
def test_a_callback_that_waits_for_nothing_is_refused(monitor, dataset):
    model = small_model("lr", dataset)
    with pytest.raises(InputError, match=f"monitors '{monitor}', which no epoch has. Known: "):
        fit(model, dataset, 2, callbacks=[EarlyStopping(monitor=monitor)])


def test_validation_figures_need_validation_rows_before_the_first_step(dataset):
    model, called = small_model("lr", dataset), []
    with pytest.raises(InputError, match="none without validation rows"):
        fit(model, dataset, 2, validation_data=None, callbacks=[EarlyStopping("val_auc")], on_epoch=called.append)
    assert called == []


def test_a_checkpoint_of_each_epoch_monitors_nothing(dataset, tmp_path):
    fit(small_model("lr", dataset), dataset, 1, validation_data=None, callbacks=[ModelCheckpoint(str(tmp_path / "m"))])
    assert (tmp_path / "m").exists()
