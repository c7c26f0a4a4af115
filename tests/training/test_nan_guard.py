"""Training stops where a loss or a gradient stops being a number, says where, and leaves the last checkpoint whole."""

from __future__ import annotations

import re
from copy import deepcopy

import pytest
import torch
from helpers import plain_arrays, random_raw, small_model

from foundation.errors import InputError
from preprocessing.dataset import Dataset
from training import nan_guard
from training.checkpoints import Checkpoints
from training.nan_guard import NotFiniteError

STEPS = 12  # 192 training rows in batches of 16


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


def fit(model, dataset, epochs: int = 2, **options):
    options = {"batch_size": 16, "validation_data": dataset.validation, "verbose": 0} | options
    return model.fit(dataset.train, epochs=epochs, **options)


def poison_gradient(model, name: str, at_step: int, value: float = float("nan")) -> None:
    """The gradient of a parameter gets one entry that is no number in the n-th backward pass."""
    passes = 0

    def spoil(gradient):
        nonlocal passes
        passes += 1
        if passes == at_step:
            gradient = gradient.clone()
            gradient.view(-1)[-1] = value
        return gradient

    model.get_parameter(name).register_hook(spoil)


def poison_loss(model, at_step: int) -> list[torch.Tensor]:
    """One loss is NaN in the n-th step. -> the labels of each step"""
    seen, original = [], model.losses

    def losses(features, labels, output):
        seen.append(labels)
        result = original(features, labels, output)
        if len(seen) == at_step:
            result["ctr"] = result["ctr"] * float("nan")
        return result

    model.losses = losses
    return seen


class TestFirstBadStep:
    @pytest.mark.parametrize("at_step", [1, 2, 7, STEPS, STEPS + 1, 2 * STEPS])
    @pytest.mark.parametrize("every", [1, 5, 64])
    def test_of_a_gradient_is_named_with_its_parameter(self, at_step, every, dataset, monkeypatch):
        monkeypatch.setattr(nan_guard, "EVERY", every)
        model = small_model("int_tower", dataset)
        poison_gradient(model, "item_light_se.excitation.weight", at_step)
        with pytest.raises(NotFiniteError) as caught:
            fit(model, dataset)
        epoch, step = divmod(at_step - 1, STEPS)
        assert caught.value.step == step + 1
        assert caught.value.parameters == ["item_light_se.excitation.weight"]
        assert f"Epoch {epoch + 1}, step {step + 1}, training rows " in str(caught.value)
        assert "gradient not finite: item_light_se.excitation.weight." in str(caught.value)

    @pytest.mark.parametrize("value", [float("inf"), float("-inf"), 1e30], ids=str)
    def test_gradients_whose_square_overflows_count(self, value, dataset):
        """Adam divides by the root of the mean square: with an infinite one the parameter would never move again."""
        model = small_model("dssm", dataset)
        poison_gradient(model, "interaction.bias", 3, value)
        with pytest.raises(NotFiniteError, match=r"step 3.*gradient not finite: interaction\.bias"):
            fit(model, dataset)

    @pytest.mark.parametrize("at_step", [1, 5, STEPS + 2])
    def test_of_a_loss_is_named_with_every_loss_and_the_rows(self, at_step, dataset):
        model = small_model("int_tower", dataset)
        labels = poison_loss(model, at_step)
        with pytest.raises(NotFiniteError, match=r"loss ctr nan, cir 0\.\d+; gradient not finite: ") as caught:
            fit(model, dataset)
        assert caught.value.step == (at_step - 1) % STEPS + 1
        assert torch.equal(dataset.train.labels[caught.value.rows], labels[at_step - 1])
        shown = re.search(r"training rows ((?:\d+, ){3}\d+) and 12 more", str(caught.value)).group(1)
        assert [int(row) for row in shown.split(", ")] == caught.value.rows[:4].tolist()

    def test_is_counted_from_the_epochs_beginning_when_resumed_inside(self, dataset):
        model, states = small_model("dssm", dataset), []
        poison_gradient(model, "interaction.bias", 3)
        with pytest.raises(NotFiniteError):
            fit(model, dataset, checkpoint_minutes=1e-9, on_epoch=lambda state: states.append(deepcopy(state)))
        assert len(states) == 2
        again = small_model("dssm", dataset)
        poison_gradient(again, "interaction.bias", 5)
        with pytest.raises(NotFiniteError, match="Epoch 1, step 7"):
            fit(again, dataset, state=states[-1])

    def test_healthy_training_is_not_touched(self, dataset, monkeypatch):
        models = [small_model("int_tower", dataset) for _ in range(2)]
        fit(models[0], dataset)
        monkeypatch.setattr(nan_guard.Guard, "watch", lambda *_: None)
        fit(models[1], dataset)
        for name, value in models[0].state_dict().items():
            assert torch.equal(value, models[1].state_dict()[name])


class TestAdvice:
    def test_first_step_does_not_blame_the_learning_rate(self, dataset):
        model = small_model("int_tower", dataset)
        poison_loss(model, 1)
        with pytest.raises(NotFiniteError, match="No step came before, so the learning rate is not the cause"):
            fit(model, dataset)

    def test_later_steps_do(self, dataset):
        model = small_model("int_tower", dataset)
        model.compile("sgd", lr=1e25)
        with pytest.raises(NotFiniteError, match=r"Lower the learning rate \(--lr\)\.$") as caught:
            fit(model, dataset)
        assert caught.value.step > 1

    def test_bf16_may_be_the_cause(self, dataset):
        model = small_model("int_tower", dataset)
        poison_loss(model, 2)
        with pytest.raises(
            NotFiniteError, match=r"Lower the learning rate \(--lr\) or train with --precision float32\."
        ):
            fit(model, dataset, precision="bfloat16_forced")

    def test_extreme_dense_feature_is_named_with_its_row(self, dataset):
        model = small_model("lr", dataset)
        arrays = plain_arrays(dataset.train, model.feature_names)
        arrays["price"][77] = 3e38
        with pytest.raises(NotFiniteError, match=r"Dense feature 'price' reaches 3e\+38 in row 77: scale"):
            model.fit(arrays, dataset.train.labels.numpy(), batch_size=16, verbose=0)


class TestNothingBadIsSaved:
    @pytest.mark.parametrize("minutes", [1e-9, 5.0])
    def test_the_checkpoint_before_stays_and_is_good(self, minutes, dataset, tmp_path):
        model, checkpoints = small_model("dssm", dataset), Checkpoints(tmp_path, {})
        poison_gradient(model, "user_side.embedding.weight", STEPS + 6)
        with pytest.raises(NotFiniteError, match="Epoch 2, step 6"):
            fit(model, dataset, checkpoint_minutes=minutes, on_epoch=checkpoints.save)
        state, notice = checkpoints.load()
        assert notice is None
        assert (state.epoch, state.progress and state.progress.rows) == (1, 5 * 16 if minutes < 1 else None)
        assert all(torch.isfinite(value).all() for value in state.weights.values())
        again = small_model("dssm", dataset)
        fit(again, dataset, state=state)

    def test_weights_that_break_in_the_last_step(self, dataset, tmp_path):
        """One step an epoch: its loss and gradients are still finite, the weights after it are not."""
        model = small_model("lr", dataset)
        model.compile("sgd", lr=1e39)
        with pytest.raises(InputError, match=r"weights \S+ are not finite.*Lower the learning rate"):
            fit(model, dataset, 1, validation_data=None, batch_size=10_000, on_epoch=Checkpoints(tmp_path, {}).save)
        assert list(tmp_path.iterdir()) == []

    def test_scores_that_are_no_numbers_are_refused(self, dataset):
        model = small_model("lr", dataset)
        model.compile("sgd", lr=1e39)
        with pytest.raises(InputError, match=r"scores are NaN or infinite.*Lower the learning rate"):
            fit(model, dataset, epochs=1, batch_size=10_000)


def test_single_training_row(dataset):
    with pytest.raises(InputError, match=r"at least 2 rows\. Received: 1"):
        small_model("lr", dataset).fit(dataset.train.take(torch.tensor([0])), verbose=0)
