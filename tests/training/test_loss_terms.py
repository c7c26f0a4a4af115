"""Which losses training minimises, and that l2 is weight decay."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers import fit, random_raw, small_model

from foundation.errors import InputError
from preprocessing.dataset import Dataset

MODELS = ("int_tower", "dssm", "lr")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


class TestL2AsWeightDecay:
    @pytest.mark.parametrize("name", MODELS)
    def test_equals_l2_in_the_loss(self, name, dataset):
        l2 = {"l2_reg_linear": 2e-2} if name == "lr" else {"l2_reg_embedding": 1e-2, "l2_reg_dnn": 3e-2}
        quiet = {"dnn_dropout": 0.0} if name != "lr" else {}
        decayed = small_model(name, dataset, **l2, **quiet)
        plain = small_model(name, dataset, **quiet, **dict.fromkeys(l2, 0.0))
        rows = torch.arange(64)
        for model, explicit in ((decayed, False), (plain, True)):
            model.train()
            for _ in range(3):
                batch = dataset.train.batch(rows, model.feature_names)
                losses = model.losses(batch, dataset.train.labels[rows], model.output(batch))
                loss = sum(losses.values())
                if explicit:
                    loss = loss + sum(
                        decayed.l2_of(key) * value.square().sum() for key, value in model.named_parameters()
                    )
                model.optim.zero_grad()
                loss.backward()
                model.optim.step()
        for (key, first), second in zip(decayed.named_parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(first, second, atol=2e-5, rtol=1e-4, msg=lambda text, key=key: f"{key}: {text}")

    def test_reaches_tables_and_matrices_but_no_bias_and_no_norm(self, dataset):
        model = small_model("int_tower", dataset, l2_reg_embedding=0.25, l2_reg_dnn=0.5)
        decay = {
            id(parameter): group["weight_decay"] for group in model.optim.param_groups for parameter in group["params"]
        }
        assert len(decay) == len(list(model.parameters()))
        for name, parameter in model.named_parameters():
            expected = 0.5 if "embedding" in name else 1.0 if parameter.ndim == 2 else 0.0
            assert decay[id(parameter)] == expected

    def test_linear_part_has_its_own_weight(self, dataset):
        model = small_model("lr", dataset, l2_reg_linear=0.25)
        decays = {group["weight_decay"] for group in model.optim.param_groups if group["params"]}
        assert decays == {0.0, 0.5}

    @pytest.mark.parametrize(
        ("name", "argument"),
        [("lr", "l2_reg_embedding"), ("lr", "l2_reg_dnn"), ("dssm", "l2_reg_linear"), ("int_tower", "l2_reg_linear")],
    )
    def test_of_parts_that_a_model_lacks_is_refused(self, name, argument, dataset):
        with pytest.raises(InputError, match=f"{argument} has no effect on"):
            small_model(name, dataset, **{argument: 0.0})

    @pytest.mark.parametrize("optimizer", ["adam", "adagrad", "rmsprop", "sgd"])
    def test_every_optimizer_shrinks_what_the_loss_does_not_touch(self, optimizer, dataset):
        model = small_model("lr", dataset, l2_reg_linear=0.1)
        model.compile(optimizer, lr=0.01)
        tables = next(layer for layer in model.modules() if hasattr(layer, "table"))
        reserved = [tables.start[name] for name in ("user_id", "gender", "movie_id")]  # no training row has id 0
        before = tables.weight[reserved].square().sum().item()
        fit(model, dataset, epochs=1)
        assert tables.weight[reserved].square().sum().item() < before

    def test_given_optimizer_is_used_as_it_is(self, dataset):
        model = small_model("lr", dataset)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        model.compile(optimizer)
        assert model.optim is optimizer
        with pytest.raises(InputError, match="`lr` has no effect on an optimizer instance"):
            model.compile(optimizer, lr=0.1)


class TestLossTerms:
    @pytest.mark.parametrize("name", MODELS)
    def test_click_loss_is_a_batch_mean(self, name, dataset):
        model = small_model(name, dataset, **({"dnn_dropout": 0.0} if name != "lr" else {})).train()
        rows = torch.arange(50)
        once, twice = (self.losses(model, dataset, part)["ctr"] for part in (rows, rows.repeat(2)))
        assert once.item() == pytest.approx(twice.item(), abs=1e-6)

    def test_click_loss_is_binary_cross_entropy(self, dataset):
        model = small_model("dssm", dataset).eval()
        rows = torch.arange(50)
        with torch.no_grad():
            logits = model(dataset.train.batch(rows, model.feature_names))
        expected = F.binary_cross_entropy(torch.sigmoid(logits), dataset.train.labels[rows])
        assert self.losses(model, dataset, rows)["ctr"].item() == pytest.approx(expected.item(), abs=1e-6)

    def test_cir_is_switched_off_by_weight_zero(self, dataset):
        model = small_model("int_tower", dataset, cir_weight=0.0)
        assert set(self.losses(model, dataset, torch.arange(9))) == {"ctr"}

    def test_history_has_each_term_and_their_sum(self, dataset):
        history = fit(small_model("int_tower", dataset), dataset).history
        for total, ctr, cir in zip(history["loss"], history["ctr"], history["cir"], strict=True):
            assert total == pytest.approx(ctr + cir)

    def losses(self, model, dataset, rows):
        features = dataset.train.batch(rows, model.feature_names)
        return model.losses(features, dataset.train.labels[rows], model.output(features))
