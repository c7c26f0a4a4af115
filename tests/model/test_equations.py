"""The baselines against loops written from their equations."""

from __future__ import annotations

import math

import pytest
import torch
from deepctr_torch.layers.interaction import InteractingLayer as DeepctrInteractingLayer
from helpers import randn
from torch import Tensor
from zoo import batch_of, build, columns_of

from foundation.errors import InputError
from model.layers.attention import CodeAttention, InteractingLayer, KernelAttention, attend
from model.layers.cold_se import ColdSE
from model.layers.embedding import flatten
from model.losses import mimic_loss


def floats(vector) -> list[float]:
    return vector.tolist() if isinstance(vector, Tensor) else vector


def dot(a, b) -> float:
    return sum(x * y for x, y in zip(floats(a), floats(b), strict=True))


def softmax(scores: list[float]) -> list[float]:
    exponentials = [math.exp(score) for score in scores]
    return [value / sum(exponentials) for value in exponentials]


def weighted(weights: list[float], vectors: list) -> list[float]:
    vectors = [floats(vector) for vector in vectors]
    return [sum(w * v[i] for w, v in zip(weights, vectors, strict=True)) for i in range(len(vectors[0]))]


class TestAttention:
    def test_attend_equals_a_loop(self):
        queries, keys, values = randn(2, 4), randn(3, 5, 4, seed=1), randn(3, 5, 6, seed=2)
        result = attend(queries, keys, values, scale=0.7)
        for row in range(3):
            for query in range(2):
                weights = softmax([0.7 * dot(queries[query], key) for key in keys[row]])
                assert result[row, query].tolist() == pytest.approx(weighted(weights, list(values[row])), abs=1e-5)

    def test_rows_do_not_see_each_other(self):
        """The published code multiplied (B, d) by (d, B)."""
        fields, layer = randn(4, 3, 5), CodeAttention(2, 5)
        changed = fields.clone()
        changed[1:] = 0
        assert torch.equal(layer(fields)[0], layer(changed)[0])

    def test_weights_depend_on_the_fields(self):
        """The published code's softmax ran over one entry, and was the constant 1."""
        layer, fields = CodeAttention(2, 5), randn(1, 3, 5)
        assert not torch.allclose(layer(fields)[0, 0], fields[0].mean(dim=0), atol=1e-2)
        assert not torch.allclose(layer(fields)[0, 0], fields[0].sum(dim=0), atol=1e-2)

    def test_poly_codes_equal_a_loop(self):
        layer, fields = CodeAttention(codes=3, dim=4), randn(2, 5, 4)
        result = layer(fields)
        assert result.shape == (2, 3, 4)
        for row in range(2):
            for i, code in enumerate(layer.codes.detach()):
                weights = softmax([dot(code, field) for field in fields[row]])
                assert result[row, i].tolist() == pytest.approx(weighted(weights, list(fields[row])), abs=1e-5)

    def test_virtual_kernels_equal_a_loop(self):
        layer, fields = KernelAttention(kernels=3, size=6, dim=4), randn(2, 5, 4)
        result = layer(fields)
        layer.requires_grad_(False)
        for row in range(2):
            keys = [[dot(w, field) for w in layer.key.weight] for field in fields[row]]
            values = [[dot(w, field) for w in layer.value.weight] for field in fields[row]]
            for k, kernel in enumerate(layer.kernels):
                query = [dot(w, kernel) for w in layer.query.weight]
                weights = softmax([dot(query, key) / math.sqrt(4) for key in keys])
                assert result[row, k].tolist() == pytest.approx(weighted(weights, values), abs=1e-5)


class TestMVKE:
    def test_gate_and_score_equal_a_loop(self, data):
        model = build("mvke", columns_of(data)).requires_grad_(False)
        model.interaction.bias.fill_(0.75)
        users, items = randn(5, 3, 8), randn(5, 8, seed=1)  # further apart than those of fresh towers
        logits, kernels = model.interaction(users, items.unsqueeze(1)), model.attention.kernels
        for row in range(5):
            gate = softmax([dot(items[row], kernel) for kernel in kernels])
            user = weighted(gate, list(users[row]))
            assert logits[row].item() == pytest.approx(dot(user, items[row]) + 0.75, abs=1e-5)

    def test_expert_is_the_tower_of_its_own_attention(self, data):
        model = build("mvke", columns_of(data)).eval()
        features = batch_of(model, data.test, slice(0, 5))
        fields, dense = model.user_side.embedding(features)
        users = model.encode_user(features)
        for k in range(3):
            pooled = model.attention(fields)[:, k]
            expected = model.user_side.tower(torch.cat([pooled, dense], dim=1))[-1]
            expected = expected / expected.shape[1] ** 0.5
            assert torch.allclose(users[:, k], expected, atol=1e-6)

    def test_items_choose_different_experts(self, data):
        model = build("mvke", columns_of(data)).eval()
        gate = model.interaction.gate(model.encode_item(batch_of(model, data.test)).squeeze(1))
        assert torch.allclose(gate.sum(dim=1), torch.ones(len(data.test)))
        assert gate.std(dim=0).min() > 1e-4

    def test_no_kernels_is_an_error(self, data):
        with pytest.raises(InputError, match="num_kernels"):
            build("mvke", columns_of(data), num_kernels=0)


class TestPolyEncoder:
    def test_score_equals_a_loop(self, data):
        model = build("poly_encoder", columns_of(data)).requires_grad_(False)
        model.interaction.bias.fill_(0.75)
        users, items = randn(5, 3, 8), randn(5, 8, seed=1)  # further apart than those of fresh towers
        logits = model.interaction(users, items.unsqueeze(1))
        for row in range(5):
            weights = softmax([dot(items[row], vector) for vector in users[row]])
            user = weighted(weights, list(users[row]))
            assert logits[row].item() == pytest.approx(dot(user, items[row]) + 0.75, abs=1e-5)

    def test_no_codes_is_an_error(self, data):
        with pytest.raises(InputError, match="num_codes"):
            build("poly_encoder", columns_of(data), num_codes=0)


class TestDAT:
    def test_mimic_loss_equals_the_formula(self):
        a, p, y = randn(5, 3), randn(5, 3, seed=1), torch.tensor([1.0, 0, 1, 0, 0])
        total = 0.0
        for b in range(5):
            for i in range(3):
                total += float(y[b] * a[b, i] + (1 - y[b]) * p[b, i] - p[b, i]) ** 2
        assert mimic_loss(a, p, y).item() == pytest.approx(total / 5, rel=1e-5)

    def test_both_losses_are_weighted_and_added(self, data):
        model = build("dat", columns_of(data), mimic_weight=0.25)
        features, labels = batch_of(model, data.train), data.train.labels
        output = model.output(features)
        a_u, a_v = model.user_augmented_embedding.weight, model.item_augmented_embedding.weight
        user = mimic_loss(a_u[features["user_id"].long()], output.latent["item"], labels)
        item = mimic_loss(a_v[features["movie_id"].long()], output.latent["user"], labels)
        expected = 0.25 * (user + item)
        assert model.losses(features, labels, output)["mimic"].item() == pytest.approx(expected.item(), rel=1e-5)

    def test_mimic_loss_trains_augmented_vectors_alone(self, data):
        model = build("dat", columns_of(data))
        features, labels = batch_of(model, data.train), data.train.labels
        user = mimic_loss(model.output(features).latent["user_mimic"], model.output(features).latent["item"], labels)
        user.backward()
        trained = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()}
        assert trained == {"user_augmented_embedding.weight"}

    def test_augmented_vectors_are_learned_and_repeatable(self, data):
        """The published code drew them at random in every forward pass, in evaluation too."""
        model = build("dat", columns_of(data)).eval().requires_grad_(False)
        features = batch_of(model, data.test)
        assert torch.equal(model(features), model(features))
        sides = (model.encode_user, model.user_augmented_embedding), (model.encode_item, model.item_augmented_embedding)
        for encode, table in sides:
            before = encode(features)
            table.weight += 1.0
            assert not torch.allclose(encode(features), before)

    def test_positive_pairs_come_closer(self, data):
        model = build("dat", columns_of(data))
        features, labels = batch_of(model, data.train), data.train.labels
        optimizer = torch.optim.SGD([model.user_augmented_embedding.weight], lr=1.0)
        values = []
        for _ in range(5):
            loss = model.losses(features, labels, model.output(features))["mimic"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            values.append(loss.item())
        assert values[-1] < values[0]

    @pytest.mark.parametrize("weight", [0, -1.0])
    def test_weight_must_be_positive(self, data, weight):
        with pytest.raises(InputError, match="mimic_weight"):
            build("dat", columns_of(data), mimic_weight=weight)


@pytest.mark.parametrize("name", ["dssm", "dat"])
class TestCosineModels:
    @pytest.fixture
    def parts(self, name, data) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, and the outputs of the user's and the item's tower."""
        model = build(name, columns_of(data), gamma=5.0).eval().requires_grad_(False)
        model.interaction.bias.fill_(0.25)
        outputs = []
        for side in (model.user_side, model.item_side):
            side.register_forward_hook(lambda side, inputs, output: outputs.append(output))
        return model(batch_of(model, data.test)), *outputs

    def test_logit_is_the_scaled_cosine_of_both_towers_plus_bias(self, parts):
        for logit, u, v in zip(*parts, strict=True):
            cosine = dot(u, v) / math.sqrt(dot(u, u) * dot(v, v))
            assert logit.item() == pytest.approx(5 * cosine + 0.25, abs=1e-5)

    def test_towers_end_without_a_relu(self, parts):
        """Behind one no cosine is negative, and no logit below the bias."""
        _, users, items = parts
        assert (users < 0).any()
        assert (items < 0).any()


class TestColdSE:
    def test_equals_a_loop(self):
        layer, fields = ColdSE(num_fields=3, dim=4), randn(2, 3, 4)
        result = layer(fields)
        layer.requires_grad_(False)
        for row in range(2):
            joined = [float(value) for field in fields[row] for value in field]
            for f in range(3):
                s = 1 / (1 + math.exp(-dot(layer.excitation.weight[f], joined) - float(layer.excitation.bias[f])))
                assert result[row, f].tolist() == pytest.approx(
                    [s * float(value) for value in fields[row, f]], abs=1e-6
                )


class TestRankingModels:
    """Each is the linear part, the tower and one more thing."""

    def prepared(self, name, data, **arguments):
        """A model that has a bias, and the fields and dense features of four rows."""
        model = build(name, columns_of(data), **arguments).eval().requires_grad_(False)
        model.bias.fill_(0.75)
        return model, *model.embedding(batch_of(model, data.test, slice(0, 4)))

    def rest(self, model, data) -> list[float]:
        """What the four logits hold beside the linear part, the tower and the bias."""
        features = batch_of(model, data.test, slice(0, 4))
        deep = model.tower(flatten(*model.embedding(features)))[-1]
        parts = zip(model(features).tolist(), self.slow_linear(model, data), deep, strict=True)
        return [logit - linear - dot(h, model.head.weight[0]) - 0.75 for logit, linear, h in parts]

    def slow_linear(self, model, data) -> list[float]:
        ids, logits = model.linear.ids, []
        for row in range(4):
            batch = batch_of(model, data.test, slice(row, row + 1))
            total = sum(float(ids.table(c.embedding_name)[int(batch[c.name])]) for c in ids.sparse)
            for column in ids.lists:
                known = [value for value in batch[column.name].values.tolist() if value]
                weights = [float(ids.table(column.embedding_name)[value]) for value in known]
                total += sum(weights) / max(1, len(weights))
            dense = [float(batch[column.name]) for column in ids.dense]
            logits.append(total + dot(model.linear.dense.weight[0], dense))
        return logits

    def test_wide_and_deep_has_nothing_more(self, data):
        model, *_ = self.prepared("wide_and_deep", data)
        assert self.rest(model, data) == pytest.approx([0.0] * 4, abs=1e-5)

    def test_lr_is_the_linear_part_and_a_bias(self, data):
        model = build("lr", columns_of(data)).requires_grad_(False)
        model.bias.fill_(0.75)
        expected = [value + 0.75 for value in self.slow_linear(model, data)]
        assert model(batch_of(model, data.test, slice(0, 4))).tolist() == pytest.approx(expected, abs=1e-5)

    def test_deepfm_adds_all_products_of_two_fields(self, data):
        model, fields, _ = self.prepared("deep_fm", data, init_std=0.5)
        products = [[dot(row[f], row[g]) for f in range(len(row)) for g in range(f)] for row in fields]
        assert self.rest(model, data) == pytest.approx([sum(row) for row in products], abs=1e-4)

    def test_dcn_adds_the_cross_network(self, data):
        model, fields, dense = self.prepared("dcn", data, cross_num=3)
        model.cross.bias.normal_(generator=torch.Generator().manual_seed(0))
        expected = []
        for x0 in flatten(fields, dense).tolist():
            x = x0
            for w, b in zip(model.cross.kernels.squeeze(2), model.cross.bias.squeeze(2), strict=True):
                scale = dot(x, w)
                x = [start * scale + float(offset) + value for start, offset, value in zip(x0, b, x, strict=True)]
            expected.append(dot(x, model.cross_head.weight[0]))
        assert self.rest(model, data) == pytest.approx(expected, abs=1e-4)

    def test_autoint_adds_the_interacting_layers(self, data):
        model, fields, _ = self.prepared("auto_int", data)
        for layer in model.interacting:
            fields = layer(fields)
        expected = [dot(row, model.interacting_head.weight[0]) for row in fields.flatten(1)]
        assert self.rest(model, data) == pytest.approx(expected, abs=1e-5)

    def test_cold_weighs_the_fields_before_the_tower(self, data):
        model, fields, dense = self.prepared("cold", data)
        features = batch_of(model, data.test, slice(0, 4))
        tower = model.head(model.tower(flatten(model.se(fields), dense))[-1]).squeeze(1)
        assert torch.allclose(model(features), model.linear(features) + tower + 0.75, atol=1e-6)

    def test_linear_and_deep_features_may_differ(self, data):
        columns = columns_of(data)
        model = build("wide_and_deep", columns)
        narrow = type(model)(columns.user, columns.item, dnn_hidden_units=(8,))
        assert narrow.feature_names == model.feature_names
        assert narrow(batch_of(narrow, data.test)).shape == (len(data.test),)

    @pytest.mark.parametrize(
        ("name", "arguments", "message"),
        [
            ("dcn", {"cross_num": -1}, "cross_num"),
            ("dcn", {"cross_num": 0, "dnn_hidden_units": ()}, "DCN needs a cross layer or a tower"),
            ("dcn", {"cross_parameterization": "tensor"}, "one of vector, matrix. Received: 'tensor'"),
            ("dcn", {"l2_reg_cross": -1.0}, "l2_reg_cross must be a number of at least 0"),
            ("auto_int", {"att_layer_num": -1}, "att_layer_num"),
            ("auto_int", {"att_layer_num": 0, "dnn_hidden_units": ()}, "AutoInt needs an interacting layer or a tower"),
            ("cold", {"dnn_hidden_units": ()}, "COLD without a tower is LR"),
            ("auto_int", {"att_head_num": 3}, "att_head_num must divide embedding_dim=4"),
            ("auto_int", {"att_head_num": 0}, "att_head_num"),
        ],
    )
    def test_wrong_arguments_are_errors(self, data, name, arguments, message):
        with pytest.raises(InputError, match=message):
            build(name, columns_of(data), **arguments)


class TestInteractingLayer:
    @pytest.mark.parametrize("heads", [1, 2])
    @pytest.mark.parametrize("residual", [True, False])
    def test_equals_a_loop(self, heads, residual):
        layer, fields = InteractingLayer(4, heads, residual).requires_grad_(False), randn(2, 3, 4)
        layer.weight.normal_(generator=torch.Generator().manual_seed(1))
        maps = [layer.weight[:, 4 * i : 4 * i + 4] for i in range(layer.maps)]
        result = layer(fields)
        size = 4 // heads
        for row in range(2):
            query, key, value, *rest = [
                [[dot(field, w[:, j]) for j in range(4)] for field in fields[row]] for w in maps
            ]
            for f in range(3):
                joined = []
                for head in range(heads):
                    part = slice(head * size, (head + 1) * size)
                    weights = softmax([dot(query[f][part], key[g][part]) for g in range(3)])
                    joined += weighted(weights, [v[part] for v in value])
                expected = [max(0.0, x + (rest[0][f][j] if residual else 0.0)) for j, x in enumerate(joined)]
                assert result[row, f].tolist() == pytest.approx(expected, abs=1e-4)

    @pytest.mark.parametrize("residual", [True, False])
    def test_equals_deepctrs_layer(self, residual):
        theirs, ours = DeepctrInteractingLayer(8, 2, residual), InteractingLayer(8, 2, residual)
        weights = [theirs.W_Query, theirs.W_key, theirs.W_Value, *([theirs.W_Res] if residual else [])]
        ours.weight.data = torch.cat(weights, dim=1).detach()
        fields = randn(5, 6, 8)
        assert torch.allclose(ours(fields), theirs(fields), atol=1e-6)
