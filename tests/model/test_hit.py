"""HIT against loops written from its equations, and what each of its losses may train."""

from __future__ import annotations

import math

import pytest
import torch
from helpers import randn
from torch import Tensor, nn
from zoo import COLUMNS, ITEM, USER, batch_of, build, columns_of, total_loss

from foundation.errors import InputError
from model.hit import HIT
from model.layers.embedding import FeatureEmbedding
from model.layers.generator import Generators
from model.losses import DISTANCES, generation_loss
from preprocessing import utils

SIZES = {"num_heads": 3, "field_dim": 4, "dnn_hidden_units": (16, 8), "init_std": 0.1, "seed": 1}


def slow_distance(g: list[float], r: list[float], kind: str) -> float:
    if kind == "cosine":
        product = sum(a * b for a, b in zip(g, r, strict=True))
        return 1 - product / math.sqrt(sum(a * a for a in g)) / math.sqrt(sum(b * b for b in r))
    differences = [a - b for a, b in zip(g, r, strict=True)]
    return {
        "euclidean": math.sqrt(sum(x * x for x in differences)),
        "manhattan": sum(abs(x) for x in differences),
        "mae": sum(abs(x) for x in differences) / len(differences),
        "mse": sum(x * x for x in differences) / len(differences),
    }[kind]


class TestGenerators:
    @pytest.mark.parametrize(
        "static", [("gender",), ("liked", "user_id"), ("user_id", "user_mean_rating"), ("user_mean_rating",)]
    )
    def test_equal_a_loop(self, static):
        embedding = FeatureEmbedding(USER, 0.5)
        generators = Generators(embedding, ["target", "non_target"], static, output_size=6)
        fields, dense = randn(3, 3, 4), randn(3, 1, seed=1)
        values = {"user_id": fields[:, 0], "gender": fields[:, 1], "liked": fields[:, 2], "user_mean_rating": dense}
        for kind, mimics in generators(fields, dense).items():
            first, _, last = generators.networks[kind]
            assert last.weight.shape == (6, 6)
            for row in range(3):
                x = [value for name in static for value in values[name][row].tolist()]
                assert first.weight.shape == (6, len(x))
                hidden = [
                    max(0.0, sum(w * v for w, v in zip(weights, x, strict=True)) + b)
                    for weights, b in zip(first.weight.tolist(), first.bias.tolist(), strict=True)
                ]
                mimic = [
                    sum(w * v for w, v in zip(weights, hidden, strict=True)) + b
                    for weights, b in zip(last.weight.tolist(), last.bias.tolist(), strict=True)
                ]
                assert mimics[row].tolist() == pytest.approx(mimic, abs=1e-5)

    def test_embeddings_get_no_gradient(self):
        fields, dense = randn(3, 3, 4).requires_grad_(), torch.zeros(3, 1)
        generators = Generators(FeatureEmbedding(USER), ["target"], None, output_size=6)
        assert generators(fields, dense)["target"].requires_grad
        generators(fields, dense)["target"].sum().backward()
        assert fields.grad is None

    def test_default_is_all_sparse_features(self):
        generators = Generators(FeatureEmbedding(USER), ["target"], None, output_size=6)
        assert generators.places.tolist() == [0, 1]

    @pytest.mark.parametrize("static", [("age",), ("price",), ()])
    def test_unknown_or_no_static_feature_is_an_error(self, static):
        with pytest.raises(InputError, match="Static features must be features of their side: user_id"):
            Generators(FeatureEmbedding(USER), ["target"], static, output_size=6)


class TestGenerationLoss:
    @pytest.mark.parametrize("chosen", [(0, 2, 3), (4,)], ids=["three rows", "one row"])
    @pytest.mark.parametrize("kind", DISTANCES)
    def test_equals_a_loop(self, kind, chosen):
        mimic, original = randn(6, 5), randn(6, 5, seed=1)
        rows = torch.tensor([float(b in chosen) for b in range(6)])
        distances = [slow_distance(mimic[b].tolist(), original[b].tolist(), kind) for b in chosen]
        expected = sum(distances) / len(chosen)
        assert generation_loss(mimic, original, rows, kind).item() == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("kind", DISTANCES)
    def test_no_rows_give_zero(self, kind):
        mimic = randn(4, 5).requires_grad_()
        loss = generation_loss(mimic, randn(4, 5, seed=1), torch.zeros(4), kind)
        loss.backward()
        assert loss.item() == 0
        assert not mimic.grad.any()

    @pytest.mark.parametrize("kind", DISTANCES)
    def test_perfect_mimic_gives_zero_and_finite_gradients(self, kind):
        mimic = randn(4, 5).requires_grad_()
        loss = generation_loss(mimic, mimic.detach().clone(), torch.ones(4), kind)
        loss.backward()
        assert loss.item() == pytest.approx(0, abs=1e-6)
        assert torch.isfinite(mimic.grad).all()

    def test_original_gets_no_gradient(self):
        mimic, original = randn(4, 5).requires_grad_(), randn(4, 5, seed=1).requires_grad_()
        generation_loss(mimic, original, torch.ones(4), "cosine").backward()
        assert mimic.grad.any()
        assert original.grad is None

    def test_descent_brings_mimics_closer(self):
        """The published code changed the sign between two versions and pushed them apart."""
        mimic, original = nn.Parameter(randn(4, 5)), randn(4, 5, seed=1)
        before = torch.cosine_similarity(mimic, original).mean().item()
        generation_loss(mimic, original, torch.ones(4), "cosine").backward()
        moved = mimic.detach() - 0.5 * mimic.grad
        assert torch.cosine_similarity(moved, original).mean().item() > before


class TestModelFollowsTheEquations:
    @pytest.fixture
    def model(self) -> HIT:
        return HIT(USER, ITEM, user_static=("gender",), item_static=("movie_id", "genres"), **SIZES).eval()

    @pytest.fixture
    def features(self) -> dict[str, Tensor]:
        return {
            "user_id": torch.tensor([3, 9]),
            "gender": torch.tensor([1, 2]),
            "liked": torch.tensor([[4, 5, 0, 0, 0], [0, 0, 0, 0, 0]]),
            "user_mean_rating": torch.tensor([0.25, 0.75]),
            "movie_id": torch.tensor([7, 2]),
            "genres": torch.tensor([[1, 3, 0], [2, 0, 0]]),
            "picture": torch.tensor([[0.1, 0.2], [0.3, 0.4]]),
        }

    def test_tower_input_is_features_then_mimics(self, model, features):
        """The mean of the liked movies stands beside the ids; both mimic vectors follow the dense features."""
        seen = []
        model.user_side.tower.register_forward_hook(lambda tower, inputs, output: seen.append(inputs[0]))
        model.encode_user(features)
        embedding, generators = model.user_side.embedding, model.user_generators.networks
        for row, (user, gender, liked, rating) in enumerate([(3, 1, [4, 5], 0.25), (9, 2, [], 0.75)]):
            own = [embedding.table("user_id")[user], embedding.table("gender")[gender]]
            pooled = sum((embedding.table("movie_id")[movie] for movie in liked), torch.zeros(4)) / max(1, len(liked))
            mimics = [generators[kind](own[1]) for kind in ("target", "non_target")]
            expected = torch.cat([*own, pooled, torch.tensor([rating]), *mimics])
            assert torch.allclose(seen[0][row], expected, atol=1e-6)

    def test_score_is_maxsim_of_the_heads_plus_bias(self, model, features):
        model.interaction.bias.data.fill_(0.5)
        users, items = model.encode_user(features).detach(), model.encode_item(features).detach()
        for row in range(2):
            expected = 0.5 + sum(max(float(p @ q) for q in items[row]) for p in users[row])
            assert model(features)[row].item() == pytest.approx(expected, abs=1e-6)

    def test_representers_are_linear_maps_of_the_last_layer(self, model, features):
        last = []
        model.user_side.tower.register_forward_hook(lambda tower, inputs, output: last.append(output[-1]))
        users = model.encode_user(features)
        weight = model.fe_block.user_projections[0].weight
        assert weight.shape == (3 * 4, 8)
        assert torch.allclose(users.flatten(1), last[0] @ weight.T / 3)  # of three heads the mean

    @pytest.mark.parametrize("kind", DISTANCES)
    def test_generation_loss_equals_the_formula(self, kind, data):
        model = HIT(columns_of(data).user, columns_of(data).item, generation_loss=kind, alpha=0.3, **SIZES)
        features, labels = batch_of(model, data.train, slice(0, 24)), data.train.labels[:24]
        output = model.output(features)
        latent, expected = output.latent, 0.0
        for y, generator in ((1, "target"), (0, "non_target")):
            rows = [row for row in range(24) if labels[row] == y]
            for mimic, other in (("user_mimics", "item"), ("item_mimics", "user")):
                pairs = [(latent[mimic][generator][row].tolist(), latent[other][row].tolist()) for row in rows]
                expected += sum(slow_distance(g, r, kind) for g, r in pairs) / len(rows)
        losses = model.losses(features, labels, output)
        assert losses.keys() == {"ctr", "generation"}
        assert losses["generation"].item() == pytest.approx(0.3 * expected, rel=1e-4)

    def test_pasted_fe_score_takes_effect(self, model, features, monkeypatch):
        monkeypatch.setattr(utils, "fe_score", lambda users, items, *sizes: users[0][:, 0] * 0 + 7.0)
        assert model(features).tolist() == [7.0, 7.0]


class TestGradients:
    def gradients(self, data, loss: str, **arguments) -> set[str]:
        """Names of the parameters that one of the losses trains."""
        model = build("hit", columns_of(data), **arguments)
        features, labels = batch_of(model, data.train), data.train.labels
        model.losses(features, labels, model.output(features))[loss].backward()
        return {name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()}

    def test_click_loss_gives_generators_none(self, data):
        trained = self.gradients(data, "ctr")
        assert not [name for name in trained if "generators" in name]
        assert any(name.startswith("user_side") for name in trained)

    def test_generation_loss_gives_generators_all_and_towers_none(self, data):
        trained = self.gradients(data, "generation")
        model = build("hit", columns_of(data))
        assert trained == {name for name, _ in model.named_parameters() if "generators" in name}

    @pytest.mark.parametrize(("labels", "idle"), [(0.0, "networks.target"), (1.0, "networks.non_target")])
    def test_each_generator_learns_from_its_own_rows(self, data, labels, idle):
        model = build("hit", columns_of(data))
        features = batch_of(model, data.train)
        total_loss(model, features, torch.full((len(data.train),), labels)).backward()
        for name, value in model.named_parameters():
            if "generators" in name:
                assert value.grad.any() == (f"{idle}." not in name), name


class TestSwitches:
    @pytest.mark.parametrize("target", [True, False])
    @pytest.mark.parametrize("non_target", [True, False])
    def test_generators_can_be_left_out(self, data, target, non_target):
        model = build("hit", columns_of(data), use_target=target, use_non_target=non_target)
        own = model.user_side.embedding.output_size
        assert model.user_side.tower.sizes[0] == own + (target + non_target) * 3 * 4
        assert list(model.user_generators.networks) == ["target"] * target + ["non_target"] * non_target
        features = batch_of(model, data.train)
        losses = model.losses(features, data.train.labels, model.output(features))
        assert ("generation" in losses) == (target or non_target)

    def test_without_generation_loss_generators_feed_the_towers_frozen(self, data):
        model = build("hit", columns_of(data), generation_loss="none")
        before = model.user_generators.networks["target"][0].weight.clone()
        model.compile("adam", lr=0.01)
        model.fit(data.train, batch_size=32, epochs=1, verbose=0)
        assert torch.equal(model.user_generators.networks["target"][0].weight, before)
        assert model.user_side.tower.sizes[0] > model.user_side.embedding.output_size
        features = batch_of(model, data.train)
        assert model.losses(features, data.train.labels, model.output(features)).keys() == {"ctr"}

    def test_static_features_come_from_the_data_set(self, data):
        model = build("hit", columns_of(data))
        assert data.schema.user_static == ("gender",)
        assert model.settings["user_static"] == ("gender",)
        assert model.user_generators.places.tolist() == [1]

    def test_static_features_can_be_given(self, data):
        model = build("hit", columns_of(data), user_static=("user_id", "liked_movies"))
        assert model.user_generators.places.tolist() == [0, 2]

    def test_columns_without_static_features_use_all_sparse_ones(self):
        assert build("hit", COLUMNS).user_generators.places.tolist() == [0, 1]

    @pytest.mark.parametrize("heads", [1, 6])
    def test_number_of_heads(self, heads, data):
        model = build("hit", columns_of(data), num_heads=heads)
        assert model.encode_user(batch_of(model, data.test)).shape == (len(data.test), heads, 4)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"alpha": 0}, "generation_loss='none'"),
            ({"alpha": -0.1}, "must not be negative"),
            ({"generation_loss": "cos"}, "cosine, euclidean, manhattan, mae, mse, released, none"),
            ({"num_heads": 0}, "at least 1"),
            ({"field_dim": 0}, "at least 1"),
            ({"user_static": ("age",)}, "'age'"),
            ({"item_static": ("gender",)}, "'gender'"),
        ],
    )
    def test_wrong_arguments_are_errors(self, arguments, message):
        with pytest.raises(InputError, match=message):
            build("hit", COLUMNS, **arguments)

    def test_alpha_0_is_fine_without_generators(self):
        build("hit", COLUMNS, alpha=0, use_target=False, use_non_target=False)
