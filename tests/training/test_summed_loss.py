"""The click loss as a sum over the rows of a batch, as the releases take it, in place of the mean."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers import random_raw
from zoo import build, columns_of

from experiment.options import parse_options
from foundation.errors import InputError
from preprocessing.dataset import Dataset
from training.click_loss import choose_loss

BATCH = 64  # of 192 rows: every batch is full
LR = 0.5


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


def fitted(data, optimizer, lr, summed, epochs=2, name="deep_fm", **arguments):
    """-> weights, history"""
    model = build(name, columns_of(data), **arguments)
    model.compile(optimizer, lr=lr, embedding_optimizer="dense")
    model.fit(data.train, batch_size=BATCH, epochs=epochs, verbose=0, summed_loss=summed)
    return model.state_dict(), model.history.history


def far(one: dict, other: dict) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


NO_L2 = {"l2_reg_embedding": 0.0, "l2_reg_linear": 0.0, "dnn_use_bn": False}
L2 = {"l2_reg_embedding": 0.02, "l2_reg_linear": 0.02, "l2_reg_dnn": 0.02, "dnn_use_bn": False}


def divided(l2: dict) -> dict:
    return {name: value / BATCH if name.startswith("l2") else value for name, value in l2.items()}


class TestSteps:
    @pytest.mark.parametrize("l2", [NO_L2, L2], ids=["without l2", "with l2"])
    def test_of_sgd_are_those_of_the_mean_with_the_rate_of_all_rows_and_the_share_of_l2(self, data, l2):
        """B * mean + l2 = B * (mean + l2 / B), and a step of lr / B on it is one of lr on what is in brackets. B is a
        power of two, so that nothing is rounded otherwise."""
        summed, _ = fitted(data, "sgd", LR / BATCH, True, **l2)
        mean, _ = fitted(data, "sgd", LR, False, **divided(l2))
        start = build("deep_fm", columns_of(data), **l2).state_dict()
        assert far(summed, mean) == 0 < 1e-2 < far(summed, start)

    def test_of_adam_hardly_hang_on_the_factor(self, data):
        runs = [fitted(data, "adam", 1e-3, summed, **NO_L2)[0] for summed in (True, False)]
        start = build("deep_fm", columns_of(data), **NO_L2).state_dict()
        assert 0 < far(*runs) < 0.05 * far(runs[0], start)

    def test_l2_weighs_a_row_and_not_a_batch(self, data):
        """Beside the sum, an l2 that shrinks the weights beside the mean does little."""

        def size(summed):
            weights, _ = fitted(data, "adam", 1e-2, summed, epochs=20, **(L2 | {"l2_reg_dnn": 0.0}))
            return sum(float(value.norm()) for name, value in weights.items() if "embedding" in name)

        assert size(True) > 1.2 * size(False)

    def test_other_losses_are_added_as_they_are(self, data):
        """CIR with B times its weight beside the sum is CIR with its weight beside the mean."""
        cir = {"l2_reg_embedding": 0.0, "dnn_use_bn": False}
        summed, _ = fitted(data, "sgd", 0.1 / BATCH, True, name="int_tower", cir_weight=0.1 * BATCH, **cir)
        mean, _ = fitted(data, "sgd", 0.1, False, name="int_tower", cir_weight=0.1, **cir)
        unlike, _ = fitted(data, "sgd", 0.1 / BATCH, True, name="int_tower", cir_weight=0.1, **cir)
        assert far(summed, mean) < 1e-6 < 1e-4 < far(unlike, mean)


class TestReleasedLoop:
    """Summed cross-entropy of probabilities, l2 of whole tables added to it: from weights so large that some rows are
    wrong beyond float32. By plain steps: those of Adam enlarge what is rounded."""

    def start(self, data):
        form = {"fe_input": "pre", "fe_bias": True, "fe_sum": True, "tower_bias": True, "init_std": 0.5}
        model = build("int_tower", columns_of(data), **form, l2_reg_embedding=1e-3)
        for projection in model.fe_block.user_projections:
            projection.weight.data *= 40
        return model

    def plain(self, data):
        """-> weights after an epoch, and the share of rows whose probability is 1 and label 0 at its start"""
        model = self.start(data).train()
        sgd = torch.optim.SGD(model.parameters(), lr=1e-4)
        wrong = []
        for rows in torch.arange(len(data.train)).split(BATCH):
            p = torch.sigmoid(model(data.train.batch(rows, model.feature_names)))
            y = data.train.labels[rows]
            tables = (model.user_embedding.weight, model.item_embedding.weight)
            loss = F.binary_cross_entropy(p, y, reduction="sum") + 1e-3 * sum(table.square().sum() for table in tables)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            wrong.append(((p == 1) & (y == 0)).float().mean().item())
        return model.state_dict(), wrong[0]

    def fitted(self, data, loss):
        model = self.start(data)
        model.compile("sgd", loss, lr=1e-4, embedding_optimizer="dense")
        model.fit(data.train, batch_size=BATCH, epochs=1, verbose=0, shuffle=False, summed_loss=True)
        return model.state_dict()

    def test_has_the_same_steps(self, data):
        plain, wrong = self.plain(data)
        assert wrong > 0.1
        assert far(self.fitted(data, "probability_crossentropy"), plain) < 1e-4
        assert far(self.fitted(data, "binary_crossentropy"), plain) > 1e-2

    def test_a_row_beyond_float32_has_no_gradient(self):
        logits = torch.tensor([1.0, 10.0, 18.0, 40.0], requires_grad=True)
        choose_loss("probability_crossentropy")(logits, torch.zeros(4)).backward()
        assert logits.grad.tolist() == pytest.approx([0.25 * torch.sigmoid(logits[0]).item(), 0.25, 0, 0], abs=1e-4)

    def test_trees_have_none(self):
        with pytest.raises(InputError, match="--loss has no effect on gbdt"):
            parse_options("movielens", "gbdt", ["--loss", "probability_crossentropy"])


def test_what_is_logged_stays_a_mean(data):
    (_, summed), (_, mean) = (fitted(data, "sgd", 1e-12, each, epochs=1, **NO_L2) for each in (True, False))
    assert summed["loss"] == pytest.approx(mean["loss"], abs=1e-9)


def test_a_model_without_a_loss_of_that_name_is_refused(data):
    model = build("dssm", columns_of(data))
    model.compile("adam")
    model.losses = lambda features, labels, output: {"mine": model.click_loss(output.logits, labels)}
    with pytest.raises(InputError, match=r"summed_loss sums the loss named 'ctr'\. This model has mine"):
        model.fit(data.train, batch_size=BATCH, verbose=0, summed_loss=True)


def test_trees_have_none(data):
    with pytest.raises(InputError, match="--summed_loss has no effect on gbdt"):
        parse_options("movielens", "gbdt", ["--summed_loss"])
    model = build("gbdt", columns_of(data))
    model.compile("adam")
    with pytest.raises(InputError, match="summed_loss=True has no effect on GBDT"):
        model.fit(data.train, epochs=3, verbose=0, summed_loss=True)


class TestStopAfter:
    def test_is_the_beginning_of_the_longer_training(self, data):
        """With the learning rate of all epochs: a training of two epochs falls faster."""

        def weights(**options):
            model = build("dssm", columns_of(data), dnn_dropout=0.2)
            model.compile("adam", lr=0.01)
            states = []
            keep = {"on_epoch": lambda state: states.append({k: v.clone() for k, v in state.weights.items()})}
            model.fit(data.train, batch_size=BATCH, verbose=0, lr_schedule="linear", **keep, **options)
            return states

        whole, stopped, short = weights(epochs=4), weights(epochs=4, stop_after=2), weights(epochs=2)
        assert len(stopped) == 2
        assert all(torch.equal(whole[1][name], stopped[1][name]) for name in whole[1])
        assert not all(torch.equal(whole[1][name], short[1][name]) for name in whole[1])

    @pytest.mark.parametrize(("epochs", "stop"), [(2, 3), (2, 0)])
    def test_beyond_the_epochs_is_refused(self, data, epochs, stop):
        model = build("lr", columns_of(data))
        model.compile("adam")
        with pytest.raises(InputError, match="stop_after must be"):
            model.fit(data.train, epochs=epochs, stop_after=stop, verbose=0)
