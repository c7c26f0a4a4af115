"""The in-batch softmax loss: its value, its gradient, which models and rows it is for, and what it leaves out."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import randn, random_raw
from torch import Tensor
from zoo import TWO_TOWERS, batch_of, build, columns_of, dataset

from foundation.errors import InputError
from model import load_model
from model.all_pairs import all_pairs, pair_logits
from model.base import TwoTower
from model.interaction import InnerProduct, SumOfMaxima
from model.losses import in_batch_loss
from preprocessing import utils
from preprocessing.dataset import Dataset
from preprocessing.negatives import Negatives
from training.in_batch import TrainingPairs
from training.protocols import Candidates, Output


@pytest.fixture(scope="module")
def positives() -> Dataset:
    raw = random_raw(rows=500)
    raw = raw.take(np.flatnonzero(raw.label))
    return Dataset.build(replace(raw, negatives=Negatives("in_batch", 2)), "holdout", 0)


def slow_in_batch(logits: Tensor, users: list[int], items: list[int], train: list[tuple[int, int]]) -> Tensor:
    """The loss of a batch in two loops, as the equation stands. train: user and item of every training row."""
    share = {item: sum(other == item for _, other in train) / len(train) for item in items}
    terms = []
    for b, user in enumerate(users):
        corrected = {
            c: logits[b, c] - math.log(share[item])
            for c, item in enumerate(items)
            if c == b or (user, item) not in set(train)
        }
        terms.append(torch.stack(list(corrected.values())).logsumexp(0) - corrected[b])
    return torch.stack(terms).mean()


def pairs_of(data: Dataset) -> list[tuple[int, int]]:
    user, item = data.train.pairs
    return list(zip(user.tolist(), item.tolist(), strict=True))


class TestLoss:
    def test_equals_a_plain_loop(self, positives):
        train = pairs_of(positives)
        rows = torch.tensor([3, 17, 40, 41, 42, 5, 60, 61])
        logits = randn(len(rows), len(rows))
        users, items = zip(*(train[row] for row in rows), strict=True)
        assert len(set(items)) < len(items) or len(set(users)) < len(users)  # something is left out
        candidates = TrainingPairs.of(positives.train).batch(rows)
        assert candidates.excluded.any()
        expected = slow_in_batch(logits, list(users), list(items), train)
        assert in_batch_loss(logits, candidates).item() == pytest.approx(expected.item(), rel=1e-5)

    def test_negatives_are_left_out_that_the_user_has_anywhere_in_training(self, positives):
        """Not in the batch alone: of two rows, where no user of the batch has the other's item in it."""
        train, pairs = pairs_of(positives), TrainingPairs.of(positives.train)
        for one in range(0, len(train), 5):
            for other in range(1, len(train), 7):
                if one == other:
                    continue
                excluded = pairs.batch(torch.tensor([one, other])).excluded
                assert not excluded.diagonal().any()
                assert bool(excluded[0, 1]) == ((train[one][0], train[other][1]) in set(train))

    def test_gradient_is_that_of_finite_differences(self, positives):
        candidates = TrainingPairs.of(positives.train).batch(torch.arange(6))
        candidates = replace(candidates, log_share=candidates.log_share.double())
        logits = randn(6, 6).double().requires_grad_()
        assert torch.autograd.gradcheck(lambda each: in_batch_loss(each, candidates), (logits,))

    def test_a_constant_added_to_all_logits_changes_nothing(self, positives):
        """So the bias of an interaction learns nothing, and no sigmoid of a logit is a click probability."""
        candidates, logits = TrainingPairs.of(positives.train).batch(torch.arange(9)), randn(9, 9)
        losses = [in_batch_loss(logits + added, candidates) for added in (0.0, 5.0)]
        assert torch.allclose(*losses, atol=1e-5)

    def test_the_correction_keeps_a_popular_item_from_scoring_too_low(self):
        """Users take items by popularity, each user alike. The softmax over all items has its minimum at scores of the
        log of the items' shares, up to a constant; without the correction it is near equal scores."""
        count = (200 / torch.arange(1, 31)).ceil().long()
        item = torch.arange(len(count)).repeat_interleave(count)
        share = (count / count.sum()).log()
        slopes = []
        for log_share in (share[item], torch.zeros(len(item))):
            candidates = Candidates(log_share, (item[:, None] == item).fill_diagonal_(False))
            scores = torch.zeros(len(count), requires_grad=True)
            optimiser = torch.optim.Adam([scores], lr=0.05)
            for _ in range(150):
                optimiser.zero_grad()
                in_batch_loss(scores[item].expand(len(item), -1), candidates).backward()
                optimiser.step()
            slopes.append(np.polyfit(share, scores.detach(), 1)[0])
        assert slopes[0] == pytest.approx(1, abs=0.25)
        assert abs(slopes[1]) < 0.35


class TestPairs:
    @pytest.mark.parametrize("name", TWO_TOWERS)
    def test_vectors_of_an_output_give_its_logits_and_those_of_all_pairs(self, name, positives):
        model = build(name, columns_of(positives)).eval()
        output = model.output(batch_of(model, positives.train, slice(12)))
        users, items = torch.cat(list(output.vectors[0]), dim=1), output.vectors[1]
        logits = pair_logits(model.interaction, users, items)
        assert torch.allclose(logits.diagonal(), output.logits, atol=1e-5)
        assert torch.allclose(logits, all_pairs(model.interaction, users, items), atol=1e-5)

    @pytest.mark.parametrize("interaction", [InnerProduct("learned"), SumOfMaxima(2, 3, 2)], ids=["product", "maxima"])
    def test_gradient_equals_that_of_the_plain_way(self, interaction):
        heads = (1, 1) if isinstance(interaction, InnerProduct) else (4, 3)
        users, items = randn(5, heads[0], 3), randn(6, heads[1], 3, seed=1)
        gradients = []
        for score in (pair_logits, all_pairs):
            inputs = [each.clone().requires_grad_() for each in (users, items)]
            score(interaction, *inputs).square().sum().backward()
            gradients.append([each.grad for each in inputs])
        for fast, plain in zip(*gradients, strict=True):
            assert torch.allclose(fast, plain, atol=1e-5)

    def test_an_edited_fe_score_is_followed(self, monkeypatch):
        original = utils.fe_score
        monkeypatch.setattr(utils, "fe_score", lambda *given: 2.0 * original(*given))
        interaction, users, items = SumOfMaxima(2, 3), randn(4, 2, 3), randn(5, 3, 3, seed=1)
        assert torch.allclose(pair_logits(interaction, users, items), all_pairs(interaction, users, items), atol=1e-5)


def trained(name: str, data: Dataset, **options) -> TwoTower:
    model = build(name, columns_of(data), dnn_dropout=0.0)
    model.compile("adam", "in_batch", ["auc", "logloss", "gauc"], lr=0.01)
    model.fit(data.train, validation_data=data.validation, **({"batch_size": 32, "epochs": 3, "verbose": 0} | options))
    return model


class TestTraining:
    @pytest.mark.parametrize("name", TWO_TOWERS)
    def test_the_loss_of_each_model_falls(self, name, positives):
        history = trained(name, positives, epochs=4).history.history
        assert history["loss"][-1] < history["loss"][0]
        assert "auc" not in history
        assert "val_auc" in history

    def test_it_is_trained_on_the_candidates_of_each_batch(self, positives):
        """The first step's loss of DSSM is that of the plain loop over its batch."""
        model = build("dssm", columns_of(positives), dnn_dropout=0.0)
        model.compile("adam", "in_batch", lr=0.01)
        rows = torch.arange(len(positives.train))
        expected = model.train().output(batch_of(model, positives.train, rows))
        logits = pair_logits(model.interaction, *(expected.vectors[0][0], expected.vectors[1]))
        users, items = (part.tolist() for part in positives.train.pairs)
        slow = slow_in_batch(logits.detach(), users, items, pairs_of(positives))
        model.fit(positives.train, batch_size=len(rows), epochs=1, verbose=0, shuffle=False)
        assert model.history.history["loss"][0] == pytest.approx(slow.item(), rel=1e-4)

    def test_scores_do_not_depend_on_the_batch(self, positives):
        model = trained("int_tower", positives)
        whole = model.predict(positives.test)
        assert np.allclose(whole, model.predict(positives.test, batch_size=7), atol=1e-6)

    def test_it_learns_what_users_like(self):
        """Users have items of their own parity alone, so that most negatives are of the other one."""
        raw = random_raw(rows=900, users=30, items=60)
        item = np.random.default_rng(1).integers(0, 30, len(raw)) * 2 + raw.user % 2
        raw = replace(raw, item=item.astype(np.int32), label=np.ones_like(raw.label), negatives=Negatives("in_batch"))
        data = Dataset.build(raw, "holdout", 0)
        assert trained("dssm", data, epochs=8).evaluate(data.test)["auc"] > 0.85

    def test_probabilities_are_not_measured_even_after_loading(self, positives, tmp_path):
        model = trained("dssm", positives)
        scores = model.evaluate(positives.test)
        assert math.isnan(scores["logloss"])
        assert 0 < scores["auc"] < 1
        model.save(tmp_path / "run")
        assert json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))["loss"] == "in_batch"
        assert math.isnan(load_model(tmp_path / "run").evaluate(positives.test)["logloss"])


class TestWrongUse:
    def test_a_ranking_model_refuses_it(self, positives):
        model = build("deep_fm", columns_of(positives))
        with pytest.raises(InputError, match="has no effect on DeepFM, which has no vectors"):
            model.compile("adam", "in_batch")

    def test_labelled_rows_refuse_it(self):
        data = dataset()
        model = build("dssm", columns_of(data))
        model.compile("adam", "in_batch")
        with pytest.raises(InputError, match="learns from positives alone"):
            model.fit(data.train, verbose=0)

    @pytest.mark.parametrize("name", ["dssm", "deep_fm"])
    def test_positives_alone_refuse_every_other_loss(self, name, positives):
        model = build(name, columns_of(positives))
        model.compile("adam")
        with pytest.raises(InputError, match=r"positives alone.*needs loss='in_batch'"):
            model.fit(positives.train, verbose=0)

    def test_a_model_that_does_not_tell_its_vectors_is_told_how(self, positives):
        model = build("dssm", columns_of(positives))
        model.compile("adam", "in_batch")
        output = model.output
        model.output = lambda features: Output(output(features).logits)
        with pytest.raises(InputError, match=r"needs the vectors of DSSM.*vectors="):
            model.fit(positives.train, verbose=0)
