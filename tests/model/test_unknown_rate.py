"""Unknown ids in training: which ids are replaced, for whom, and when."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from helpers import assert_same_weights
from zoo import NEURAL, build, columns_of, no_l2

from foundation.errors import InputError
from foundation.feature_columns import Column
from foundation.features import Bags
from model.layers.embedding import FeatureEmbedding
from preprocessing.dataset import Dataset
from training.unknown_ids import sparse_names, with_unknown_ids


def fit(model, data: Dataset, epochs: int = 1, **options):
    model.compile("adam", lr=0.01)
    model.fit(data.train, batch_size=64, epochs=epochs, validation_data=data.validation, verbose=0, **options)
    return model


def ids_of(features: dict, columns: list[Column]) -> torch.Tensor:
    return torch.stack([features[name] for name in sparse_names(columns)])  # (F, B)


FEATURES = {
    "user": torch.full((20_000,), 7),
    "city": torch.full((20_000,), 3),
    "genres": Bags(torch.tensor([1, 2]), torch.tensor([0, 2])),
    "income": torch.rand(20_000),
}


class TestReplacement:
    def test_each_id_is_replaced_on_its_own_at_the_rate(self):
        torch.manual_seed(0)
        seen = with_unknown_ids(FEATURES, ["user", "city"], 0.2)
        user, city = seen["user"] == 0, seen["city"] == 0
        assert user.double().mean().item() == pytest.approx(0.2, abs=0.01)
        assert city.double().mean().item() == pytest.approx(0.2, abs=0.01)
        assert (user & city).double().mean().item() == pytest.approx(0.04, abs=0.01)
        assert seen["user"].unique().tolist() == [0, 7]

    def test_the_rest_and_the_original_stay(self):
        seen = with_unknown_ids(FEATURES, ["user"], 0.9)
        assert all(seen[name] is FEATURES[name] for name in ("city", "genres", "income"))
        assert (FEATURES["user"] == 7).all()
        assert seen["user"].dtype == FEATURES["user"].dtype

    def test_a_model_of_lists_and_numbers_alone_has_nothing_to_replace(self):
        assert with_unknown_ids(FEATURES, [], 0.5) is FEATURES


@dataclass
class Seen:
    """What a model's forward passes and losses are given, step by step."""

    by_output: list[torch.Tensor] = field(default_factory=list)
    by_losses: list[torch.Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, model) -> Seen:
        seen, output, losses = cls(), model.output, model.losses

        def recorded_output(features):
            seen.by_output.append(ids_of(features, model.columns))
            return output(features)

        def recorded_losses(features, *rest):
            seen.by_losses.append(ids_of(features, model.columns))
            return losses(features, *rest)

        model.output, model.losses = recorded_output, recorded_losses
        return seen

    @property
    def is_masked(self) -> list[bool]:
        """Of each training step."""
        return [not torch.equal(*pair) for pair in zip(self.by_output, self.by_losses, strict=False)]


@pytest.mark.parametrize("name", NEURAL)
class TestEveryModel:
    def test_reads_unknown_ids_while_its_losses_read_the_true_ones(self, name, data):
        model = build(name, columns_of(data), unknown_rate=0.5)
        seen = Seen.of(model)
        fit(model, data)
        steps = len(seen.by_losses)
        true, read = torch.cat(seen.by_losses, dim=1), torch.cat(seen.by_output[:steps], dim=1)
        assert (true != 0).all()  # every training id is known
        assert ((read == true) | (read == 0)).all()
        share = (read == 0).double().mean().item()
        assert share == pytest.approx(0.5, abs=5 * (0.25 / read.numel()) ** 0.5)  # five standard deviations

    def test_learns_what_an_unknown_id_means(self, name, data):
        """Without it, no loss but l2 ever reaches the rows of id 0."""
        model, plain = (build(name, columns_of(data), unknown_rate=rate, **no_l2(name)) for rate in (0.3, 0.0))
        start = unknown_rows(plain)
        assert all(torch.equal(*pair) for pair in zip(unknown_rows(fit(plain, data)), start, strict=True))
        assert not any(torch.equal(*pair) for pair in zip(unknown_rows(fit(model, data)), start, strict=True))

    def test_rate_zero_draws_nothing(self, name, data):
        default, zero = build(name, columns_of(data)), build(name, columns_of(data), unknown_rate=0.0)
        assert_same_weights(fit(default, data), fit(zero, data))

    @pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
    def test_out_of_range(self, name, rate, data):
        with pytest.raises(InputError, match=r"unknown_rate must (lie in \[0, 1\)|be a finite number)"):
            build(name, columns_of(data), unknown_rate=rate)


def unknown_rows(model) -> list[torch.Tensor]:
    """The row of id 0 of the user's and the item's tables, in every part of the model that looks ids up."""
    layers = [module for module in model.modules() if isinstance(module, FeatureEmbedding)]
    tables = [
        (layer, name) for layer in layers for name in sparse_names(layer.sparse) if name in ("user_id", "movie_id")
    ]
    return [layer.table(name)[0].detach().clone() for layer, name in tables]


class TestWhen:
    def test_not_in_a_forward_pass_outside_of_training_steps(self, data):
        """Nor in evaluation, which `tests/training/test_training.py` sees draw no random number."""
        model = build("dssm", columns_of(data), unknown_rate=0.5)
        seen, batch = Seen.of(model), data.test.batch(torch.arange(20), model.feature_names)
        with torch.no_grad():
            model.train()(batch)
        assert torch.equal(seen.by_output[0], ids_of(batch, model.columns))

    def test_not_while_the_published_loop_trains_in_evaluation_mode(self, data):
        model = build("int_tower", columns_of(data), unknown_rate=0.5)
        seen = Seen.of(model)
        fit(model, data, epochs=2, published_eval_mode=True)
        steps = len(seen.is_masked) // 2
        assert seen.is_masked == [True] * steps + [False] * steps

    def test_trees_refuse_it(self, data):
        with pytest.raises(InputError, match="unknown_rate has no effect on GBDT"):
            build("gbdt", columns_of(data), unknown_rate=0.1)
