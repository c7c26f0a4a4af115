"""Layers by hand, and against loops that take one row, one head, one feature at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers import as_bags, as_padded, randn
from torch import nn

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from model.layers.cross import CrossNetwork
from model.layers.embedding import FeatureEmbedding, flatten
from model.layers.light_se import LightSE
from model.layers.tower import Tower


class TestLightSE:
    def test_by_hand(self):
        layer = LightSE(num_fields=2)
        layer.excitation.weight.data = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        layer.excitation.bias.data = torch.tensor([0.0, math.log(3.0)])
        # Means 0 and 0: weights softmax(0, log 3) = (1/4, 3/4).
        assert layer(torch.tensor([[[4.0, -4.0], [1.0, -1.0]]]))[0].tolist() == [
            pytest.approx([5.0, -5.0]),
            pytest.approx([1.75, -1.75]),
        ]
        # Means 1 and 0.5: softmax(1, 1 + log 3) is the same.
        assert layer(torch.tensor([[[0.0, 2.0], [0.5, 0.5]]]))[0].tolist() == [
            pytest.approx([0.0, 2.5]),
            pytest.approx([0.875, 0.875]),
        ]

    def test_equals_a_loop(self):
        layer, fields = LightSE(3), randn(4, 3, 5)
        result = layer(fields).detach()
        layer.requires_grad_(False)
        for row in range(4):
            means = [fields[row, field].sum() / 5 for field in range(3)]
            scores = [
                sum(layer.excitation.weight[i, j] * means[j] for j in range(3)) + layer.excitation.bias[i]
                for i in range(3)
            ]
            total = sum(math.exp(score) for score in scores)
            for field in range(3):
                expected = fields[row, field] * (1 + math.exp(scores[field]) / total)
                torch.testing.assert_close(result[row, field], expected)

    def test_weights_sum_to_one(self):
        torch.testing.assert_close(LightSE(6).weights(100 * randn(9, 6, 4)).sum(dim=1), torch.ones(9))

    @pytest.mark.parametrize("shape", [(4, 3), (4, 2, 5), (3, 4, 5, 1)])
    def test_other_shapes_are_refused(self, shape):
        with pytest.raises(InputError, match=r"shape \(B, 3, D\). Received"):
            LightSE(3)(torch.zeros(shape))


class TestCrossNetwork:
    def test_equals_deepctr_torch(self):
        from deepctr_torch.layers import CrossNet

        torch.manual_seed(0)
        ours, theirs = CrossNetwork(7, 3).double(), CrossNet(7, 3).double()
        assert {name: value.shape for name, value in ours.state_dict().items()} == {
            name: value.shape for name, value in theirs.state_dict().items()
        }
        for parameter in ours.parameters():
            parameter.data.normal_()
        theirs.load_state_dict(ours.state_dict())
        inputs = [randn(5, 7).double().requires_grad_() for _ in range(2)]
        results = [ours(inputs[0]), theirs(inputs[1])]
        torch.testing.assert_close(*results)
        for result in results:
            (result * randn(5, 7, seed=1).double()).sum().backward()
        torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
        for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(own.grad, other.grad)

    def test_starts_like_deepctr_torch(self):
        from deepctr_torch.layers import CrossNet

        networks = []
        for make in (CrossNetwork, CrossNet):
            torch.manual_seed(0)
            networks.append(make(7, 3))
        assert torch.equal(networks[0].kernels, networks[1].kernels)
        assert torch.equal(networks[0].bias, networks[1].bias)


COLUMNS = [
    SparseFeat("user", 6, 3),
    SparseFeat("city", 4, 3),
    SparseFeat("home_city", 4, 3, embedding_name="city"),
    VarLenSparseFeat(SparseFeat("visited", 4, 3, embedding_name="city"), maxlen=0, combiner="mean"),
    VarLenSparseFeat(SparseFeat("genres", 5, 3), maxlen=0, combiner="mean"),
    DenseFeat("age"),
    DenseFeat("position", 2),
]
VISITED, GENRES = [[1, 1, 3], [], [2, 0]], [[4], [1, 2, 3, 4], [0, 0]]


def features(bags: bool = True) -> dict:
    return {
        "user": torch.tensor([5, 0, 2]),
        "city": torch.tensor([3, 3, 0]),
        "home_city": torch.tensor([1, 3, 2]),
        "visited": as_bags(VISITED) if bags else as_padded(VISITED, 5),
        "genres": as_bags(GENRES) if bags else as_padded(GENRES),
        "age": torch.tensor([0.5, 1.0, -1.0]),
        "position": torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    }


class TestFeatureEmbedding:
    def slow(self, layer: FeatureEmbedding, values: dict) -> torch.Tensor:
        """One nn.Embedding a table, one row and one feature at a time; id 0 of a list is not there."""
        tables = {name: nn.Embedding.from_pretrained(layer.table(name).detach()) for name in ("user", "city", "genres")}
        rows = []
        for row in range(3):
            fields = [
                tables[table](values[name][row])
                for name, table in (("user", "user"), ("city", "city"), ("home_city", "city"))
            ]
            for lists, table in ((VISITED, "city"), (GENRES, "genres")):
                known = [tables[table](torch.tensor(value)) for value in lists[row] if value != 0]
                fields.append(torch.stack(known).mean(dim=0) if known else torch.zeros(3))
            rows.append(torch.stack(fields))
        return torch.stack(rows)

    @pytest.mark.parametrize("bags", [True, False], ids=["bags", "padded"])
    def test_equals_one_table_a_feature(self, bags):
        layer = FeatureEmbedding(COLUMNS, init_std=1.0)
        fields, dense = layer(features(bags))
        torch.testing.assert_close(fields, self.slow(layer, features(bags)))
        assert dense.tolist() == [[0.5, 1.0, 2.0], [1.0, 3.0, 4.0], [-1.0, 5.0, 6.0]]

    @pytest.mark.parametrize("bags", [True, False], ids=["bags", "padded"])
    @pytest.mark.parametrize("combiner", ["mean", "sum", "max"])
    def test_gradient_of_a_list_equals_a_loop(self, combiner, bags):
        rng = np.random.default_rng(0)
        lists = [rng.integers(0, 9, rng.integers(0, 6)).tolist() for _ in range(30)]
        layer = FeatureEmbedding([VarLenSparseFeat(SparseFeat("genres", 9, 3), 0, combiner)], init_std=1.0)
        weight, upstream = layer.weight.detach().clone().requires_grad_(), randn(30, 3)
        pooled, _ = layer({"genres": as_bags(lists) if bags else as_padded(lists)})
        (pooled[:, 0] * upstream).sum().backward()
        for row, entry in enumerate(lists):
            known = [weight[value] for value in entry if value != 0]
            if known:
                stacked = torch.stack(known)
                result = stacked.amax(dim=0) if combiner == "max" else getattr(stacked, combiner)(dim=0)
                torch.testing.assert_close(pooled[row, 0], result)
                (result * upstream[row]).sum().backward()
        torch.testing.assert_close(layer.weight.grad, weight.grad, atol=1e-5, rtol=1e-5)

    def test_sizes(self):
        layer = FeatureEmbedding(COLUMNS)
        assert (layer.num_fields, layer.dense_size, layer.output_size) == (5, 3, 5 * 3 + 3)
        assert layer.weight.shape == (6 + 4 + 5, 3)  # user, city, genres
        assert flatten(*layer(features())).shape == (3, layer.output_size)

    def test_flatten_keeps_fields_in_order_and_dense_last(self):
        assert flatten(torch.tensor([[[1, 2], [3, 4]]]), torch.tensor([[5]])).tolist() == [[1, 2, 3, 4, 5]]

    def test_shared_table_learns_from_all_its_features(self):
        layer = FeatureEmbedding(COLUMNS, init_std=1.0)
        layer(features())[0].sum().backward()
        touched = [layer.start["city"] + row for row in range(4) if layer.weight.grad[layer.start["city"] + row].any()]
        assert [row - layer.start["city"] for row in touched] == [0, 1, 2, 3]  # 0 as a plain city, 2 in a list alone
        assert layer.weight.grad[layer.start["city"] + 1].tolist() == pytest.approx([1 + 2 / 3] * 3)

    def test_padding_does_not_count_and_does_not_learn(self):
        layer = FeatureEmbedding([VarLenSparseFeat(SparseFeat("genres", 5, 3), maxlen=0)], init_std=1.0)
        one, many = (layer({"genres": as_padded([[2, 3]], width)})[0] for width in (2, 9))
        torch.testing.assert_close(one, many)
        torch.testing.assert_close(many[0, 0], (layer.table("genres")[2] + layer.table("genres")[3]) / 2)
        many.sum().backward()
        assert not layer.weight.grad[0].any()

    def test_all_unknown_list_is_zero(self):
        layer = FeatureEmbedding(COLUMNS, init_std=1.0)
        fields, _ = layer(features())
        assert not fields[1, 3].any()  # an empty list
        assert not fields[2, 4].any()  # unknown values alone

    def test_int32_and_int64_ids_alike(self):
        layer = FeatureEmbedding(COLUMNS)
        short = features() | {name: features()[name].int() for name in ("user", "city", "home_city")}
        assert torch.equal(layer(short)[0], layer(features())[0])

    def test_weights_of_a_linear_model(self):
        layer = FeatureEmbedding(COLUMNS, dim=1)
        assert layer(features())[0].shape == (3, 5, 1)

    def test_initial_spread(self):
        layer = FeatureEmbedding([SparseFeat("user", 2000, 8)], init_std=0.05)
        assert layer.weight.std().item() == pytest.approx(0.05, rel=0.05)
        assert layer.weight.mean().item() == pytest.approx(0.0, abs=0.003)


class TestTower:
    def test_shapes_of_every_layer(self):
        outputs = Tower(9, (7, 5, 3), dropout=0.5)(randn(4, 9))
        assert [output.shape for output in outputs] == [(4, 9), (4, 7), (4, 5), (4, 3)]

    @pytest.mark.parametrize("use_bn", [True, False])
    def test_equals_linear_norm_relu(self, use_bn):
        tower, x = Tower(4, (3, 2), use_bn=use_bn), randn(8, 4)
        expected = x
        for layer in tower.layers:
            linear = layer[0]
            assert (linear.bias is None) == use_bn  # batch norm has one of its own
            expected = expected @ linear.weight.T + (0.0 if use_bn else linear.bias)
            if use_bn:
                mean, variance = expected.mean(dim=0), expected.var(dim=0, unbiased=False)
                expected = (expected - mean) / (variance + 1e-5).sqrt() * layer[1].weight + layer[1].bias
            expected = expected.clamp(min=0)
        torch.testing.assert_close(tower(x)[-1], expected, atol=1e-5, rtol=1e-5)

    def test_input_comes_first_and_unchanged(self):
        x = randn(4, 9)
        assert torch.equal(Tower(9, (7,), dropout=0.5)(x)[0], x)

    def test_every_layer_drops_out_in_training_only(self):
        tower = Tower(9, (50, 40, 30), dropout=0.5, use_bn=False)
        for training in (True, False):
            tower.train(training)
            repeats = [torch.equal(layer(x), layer(x)) for layer, x in self.inputs(tower)]
            assert repeats == [not training] * 3

    def test_linear_output_ends_in_the_linear_map_of_the_last_layer(self):
        tower, plain = Tower(4, (6, 5, 3), dropout=0.5, linear_output=True).eval(), Tower(4, (6, 5)).eval()
        for ours, theirs in zip(tower.layers[:2], plain.layers, strict=True):
            theirs.load_state_dict(ours.state_dict())
        x, last = randn(20, 4), tower.layers[2]
        output = tower(x)[-1]
        torch.testing.assert_close(output, plain(x)[-1] @ last.weight.T + last.bias)
        assert (output < 0).any()  # a ReLU would leave none

    def inputs(self, tower: Tower):
        return [(layer, randn(4, size)) for layer, size in zip(tower.layers, tower.sizes, strict=False)]

    @pytest.mark.parametrize("units", [(), (5, 0), (-1,)])
    def test_no_layers(self, units):
        with pytest.raises(InputError, match="at least one layer of positive size"):
            Tower(4, units)
