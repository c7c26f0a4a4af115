"""IntTower against its equations, and its switches: each changes the parameters or the scores; none is for show."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import SMALL, fit, slow_cir

from foundation.errors import InputError
from model import build_model
from model.IntTower import IntTower

BASE = SMALL["int_tower"] | {"seed": 3, "init_std": 0.1, "dnn_dropout": 0.0, "cir_weight": 0.0}


def build(data, **switches) -> IntTower:
    model = build_model("int_tower", data.feature_columns(4), **(BASE | switches))
    model.compile("adam", lr=0.01)
    return model


class TestModelFollowsTheEquations:
    """Three levels, two user heads, three item heads of size 4."""

    def light_se(self, layer, embeddings: list[torch.Tensor]) -> torch.Tensor:
        """V = E + softmax(W mean(E) + b) * E, flattened. embeddings: of one row, (D,) each"""
        weight, bias = layer.excitation.weight, layer.excitation.bias
        scores = [sum(w * e.mean() for w, e in zip(weight[f], embeddings, strict=True)) + bias[f] for f in (0, 1)]
        total = sum(map(math.exp, scores))
        return torch.cat([e * (1 + math.exp(score) / total) for e, score in zip(embeddings, scores, strict=True)])

    @torch.no_grad()
    def test_logit_of_each_row(self, data):
        model = build(data, init_std=1.0).eval()
        model.interaction.bias.fill_(0.5)
        batch = data.test.batch(torch.arange(6), model.feature_names)
        logits, genres = model(batch), batch["genres"]
        users, items, block = model.user_embedding, model.item_embedding, model.fe_block
        for row in range(6):
            ids = [i for i in genres.values[genres.offsets[row] : genres.offsets[row + 1]].tolist() if i]
            pooled = sum((items.table("genres")[i] for i in ids), torch.zeros(4)) / max(1, len(ids))
            user = [users.table(name)[int(batch[name][row])] for name in ("user_id", "gender")]
            item = [items.table("movie_id")[int(batch["movie_id"][row])], pooled]
            user_dense = torch.stack([batch[name][row] for name in ("income", "user_mean_rating")])
            item_dense = torch.stack([batch[name][row] for name in ("price", "item_mean_rating")])
            x_u = torch.cat([self.light_se(model.user_light_se, user), user_dense])
            x_v = torch.cat([self.light_se(model.item_light_se, item), item_dense])
            _, *layers = model.user_tower(x_u[None])
            item_heads = (block.item_projection.weight @ model.item_tower(x_v[None])[-1][0]).reshape(3, 4)
            expected = 0.5
            for projection, h in zip(block.user_projections, layers, strict=True):
                for head in (projection.weight @ h[0]).reshape(2, 4):
                    expected += max(float(head @ other) for other in item_heads) / (3 * 2)  # the mean of L * H_u maxima
            assert logits[row].item() == pytest.approx(expected, abs=1e-5)

    def test_cir_compares_the_last_layers_of_both_towers(self, data):
        model = build(data, cir_weight=0.25, cir_temperature=0.5).eval()
        batch, labels = data.train.batch(torch.arange(40), model.feature_names), data.train.labels[:40]
        last = []
        for tower in (model.user_tower, model.item_tower):
            tower.register_forward_hook(lambda tower, inputs, layers: last.append(layers[-1]))
        loss = model.losses(batch, labels, model.output(batch))["cir"]
        expected = 0.25 * slow_cir(*last, labels, batch["user_id"], batch["movie_id"], 0.5)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
        loss.backward()
        trained = {name.split(".")[0] for name, value in model.named_parameters() if value.grad is not None}
        sides = {f"{side}_{part}" for side in ("user", "item") for part in ("embedding", "light_se", "tower")}
        assert trained == sides  # neither the heads nor the bias


class TestSwitches:
    def test_light_se(self, data):
        fields = 2  # user_id and gender; movie_id and genres
        difference = build(data).num_parameters - build(data, light_se=False).num_parameters
        assert difference == 2 * (fields * fields + fields)

    def test_light_se_weighs_the_fields(self, data):
        model, rows = build(data).eval(), torch.arange(20)
        batch = data.test.batch(rows, model.feature_names)
        before = model(batch)
        model.item_light_se.excitation.bias.data += torch.tensor([2.0, -2.0])
        assert not torch.equal(model(batch), before)

    def test_fe_score_last_has_one_level(self, data):
        every, last = build(data), build(data, fe_score="last")
        sizes, heads = SMALL["int_tower"]["dnn_hidden_units"], 2 * 4
        assert every.num_parameters - last.num_parameters == heads * sum(sizes[:-1])

    @torch.no_grad()
    def test_fe_score_last_is_the_last_level_of_all(self, data):
        every, last = build(data).eval(), build(data, fe_score="last").eval()
        weights = every.state_dict()
        kept = {name: weights[name] for name in last.state_dict() if "user_projections" not in name}
        kept["fe_block.user_projections.0.weight"] = weights["fe_block.user_projections.2.weight"]
        divisor = "fe_block.user_vectors"  # levels x heads, which are others here, and refused of a file
        last.load_state_dict(kept | {divisor: last.state_dict()[divisor]})
        last.fe_block.user_vectors.copy_(weights[divisor])
        batch = data.test.batch(torch.arange(20), every.feature_names)
        expected = every.interaction(every.encode_user(batch)[:, -2:], every.encode_item(batch))  # two heads a level
        torch.testing.assert_close(last(batch), expected)

    @pytest.mark.parametrize("units", [(8,), (12, 10), (12, 10, 8, 6)])
    def test_any_number_of_levels(self, data, units):
        model = build(data, dnn_hidden_units=units)
        batch = data.test.batch(torch.arange(5), model.feature_names)
        assert model.encode_user(batch).shape == (5, 2 * len(units), 4)
        assert math.isfinite(fit(model, data, 1).history["loss"][0])

    def test_fe_input_projects_inputs_of_layers_instead_of_outputs(self, data):
        post, pre = build(data), build(data, fe_input="pre")
        units = SMALL["int_tower"]["dnn_hidden_units"]
        width = post.user_embedding.output_size

        def inputs(model):
            return [p.in_features for p in model.fe_block.user_projections], model.fe_block.item_projection.in_features

        assert inputs(post) == ([*units], units[-1])
        assert inputs(pre) == ([width, *units[:-1]], units[-1])  # of the item the last output in both

    def test_weights_of_before_the_item_side_read_its_last_output_are_refused(self, data):
        """With equal layers they have the same shapes, and mean other scores."""
        model = build(data, fe_input="pre", dnn_hidden_units=(16, 16))
        earlier = {name: value for name, value in model.state_dict().items() if name != "item_level"}
        with pytest.raises(RuntimeError, match="item_level"):
            model.load_state_dict(earlier)

    @torch.no_grad()
    def test_fe_input_pre_never_uses_the_last_hidden_layer(self, data):
        for fe_input, used in (("pre", False), ("post", True)):
            model = build(data, fe_input=fe_input).eval()
            batch = data.test.batch(torch.arange(20), model.feature_names)
            before = model(batch)
            model.user_tower.layers[-1][0].weight += 1.0
            assert torch.equal(model(batch), before) is not used

    def test_heads_and_field_dim(self, data):
        sizes = sum(SMALL["int_tower"]["dnn_hidden_units"])
        last = SMALL["int_tower"]["dnn_hidden_units"][-1]
        one = build(data, user_head=2, item_head=3, field_dim=4).num_parameters
        assert build(data, user_head=5, item_head=3, field_dim=4).num_parameters == one + 3 * 4 * sizes
        assert build(data, user_head=2, item_head=4, field_dim=4).num_parameters == one + 4 * last
        assert build(data, user_head=2, item_head=3, field_dim=5).num_parameters == one + 2 * sizes + 3 * last

    @pytest.mark.parametrize(
        "switches",
        [
            {"cir_weight": 0.1},
            {"cir_weight": 0.1, "cir_temperature": 0.5},
            {"unknown_rate": 0.3},
            {"dnn_dropout": 0.5},
            {"init_std": 0.5},
            {"l2_reg_embedding": 0.1},
            {"dnn_use_bn": False},
        ],
        ids=lambda switches: "-".join(switches),
    )
    def test_changes_what_training_arrives_at(self, data, switches):
        plain = {"cir_weight": 0.1} if "cir_temperature" in switches else {}
        scores = []
        for arguments in (plain, switches):
            model = build(data, **arguments)
            fit(model, data, 2)
            scores.append(model.predict(data.test))
        assert np.abs(scores[0] - scores[1]).max() > 1e-6

    def test_cir_pulls_liked_items_nearer_than_others(self, data):
        def margin(model) -> float:
            batch = data.train.batch(torch.arange(len(data.train)), model.feature_names)
            with torch.no_grad():
                latent = model.output(batch).latent
            cosines = F.cosine_similarity(latent["user"], latent["item"])
            liked = data.train.labels == 1
            return (cosines[liked].mean() - cosines[~liked].mean()).item()

        plain, pulled = build(data), build(data, cir_weight=0.5)
        for model in (plain, pulled):
            fit(model, data, 40, validation_data=None)
        assert margin(pulled) > margin(plain) + 0.05

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"user_filed_size": 3}, "user_filed_size=3, but the feature columns have 2 fields"),
            ({"item_filed_size": 1}, "item_filed_size=1, but the feature columns have 2 fields"),
            ({"fe_score": "first"}, "fe_score must be one of all, last. Received: 'first'"),
            ({"fe_input": "both"}, "fe_input must be one of post, pre. Received: 'both'"),
            ({"cir_weight": -1.0}, "cir_weight >= 0"),
            ({"cir_temperature": 0.0}, "cir_temperature > 0"),
            ({"dnn_dropout": 1.0}, "Dropout must lie"),
            ({"user_head": 0}, r"user_head .*must be at least 1. Received: 0"),
        ],
        ids=lambda value: None if isinstance(value, str) else next(iter(value)),
    )
    def test_bad_values_are_refused(self, data, arguments, message):
        with pytest.raises(InputError, match=message.replace("(", r"\(")):
            build(data, **arguments)

    def test_right_field_sizes_are_accepted(self, data):
        same = build(data, user_filed_size=2, item_filed_size=2)
        assert same.num_parameters == build(data).num_parameters

    def test_forward_leaves_nothing_on_the_model(self, data):
        model = build(data)
        before = set(vars(model)), {name: id(value) for name, value in vars(model).items()}
        batch = data.test.batch(torch.arange(5), model.feature_names)
        model.losses(batch, data.test.labels[:5], model.output(batch))
        assert (set(vars(model)), {name: id(value) for name, value in vars(model).items()}) == before
