"""Dropout: how many elements it drops, which, and from which draws."""

from __future__ import annotations

import math

import pytest
import torch
from helpers import randn

from foundation.errors import InputError
from kernels.dropout import Dropout


class TestDropout:
    def layer(self, p: float, seed: int = 0) -> Dropout:
        torch.manual_seed(seed)
        return Dropout(p)

    @pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
    def test_share_and_scale(self, p):
        result = self.layer(p)(torch.ones(1000, 400))
        share = (result == 0).double().mean().item()
        assert share == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / 400_000))
        kept = result[result != 0]
        torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), rtol=1e-4, atol=0)
        assert result.mean().item() == pytest.approx(1.0, abs=0.02)

    def test_kept_elements_are_the_input_scaled(self):
        x = randn(50, 30)
        result = self.layer(0.25)(x)
        kept = result != 0
        torch.testing.assert_close(result[kept], x[kept] / 0.75)

    @pytest.mark.parametrize("p", [0.0, 0.5])
    def test_identity_in_evaluation(self, p):
        x = randn(5, 7)
        assert torch.equal(self.layer(p).eval()(x), x)

    def test_zero_is_identity_in_training(self):
        x = randn(5, 7)
        assert torch.equal(self.layer(0.0)(x), x)

    def test_gradient_passes_where_the_value_passed(self):
        x = torch.ones(40, 40, requires_grad=True)
        result = self.layer(0.5)(x)
        result.sum().backward()
        assert torch.equal(x.grad, result.detach())

    def test_elements_are_independent(self):
        """One draw of 64 bits decides about four neighbours: all four alike, none knowing another."""
        p, rows = 0.3, 200_000
        kept = (self.layer(p)(torch.ones(rows, 8)) != 0).double()
        error = 5 * math.sqrt(p * (1 - p) / rows)
        assert kept.mean(dim=0).tolist() == [pytest.approx(1 - p, abs=error)] * 8
        correlation = torch.corrcoef(kept.T) - torch.eye(8)
        assert correlation.abs().max().item() < 5 / math.sqrt(rows)

    def test_rows_are_independent(self):
        kept = (self.layer(0.5)(torch.ones(100_001, 1)) != 0).double().flatten()
        for step in (1, 2, 3, 4, 5):
            pair = torch.corrcoef(torch.stack([kept[:-step], kept[step:]]))[0, 1]
            assert abs(pair.item()) < 5 / math.sqrt(100_000)

    @pytest.mark.parametrize("shape", [(1,), (3,), (5, 7), (2, 3, 5), (0, 4)])
    def test_any_shape(self, shape):
        result = self.layer(0.5)(torch.ones(shape))
        assert result.shape == shape
        assert set(result.flatten().tolist()) <= {0.0, 2.0}

    def test_not_contiguous_input(self):
        x = randn(6, 10).T
        result = self.layer(0.5)(x)
        kept = result != 0
        torch.testing.assert_close(result[kept], 2 * x[kept])

    def test_same_seed_same_mask_and_next_call_another(self):
        x = torch.ones(30, 30)
        layer = self.layer(0.5, seed=7)
        first, second = layer(x), layer(x)
        assert torch.equal(self.layer(0.5, seed=7)(x), first)
        assert not torch.equal(first, second)
        assert not torch.equal(self.layer(0.5, seed=8)(x), first)

    @pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
    def test_out_of_range(self, p):
        with pytest.raises(InputError, match=r"Dropout must lie in \[0, 1\). Received"):
            Dropout(p)

    def test_nearly_one_drops_nearly_all(self):
        result = self.layer(0.99999)(torch.ones(1000, 100))
        assert (result != 0).sum() < 50
