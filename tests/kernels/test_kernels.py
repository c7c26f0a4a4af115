"""What is computed in another way than torch would, for speed, equals what torch computes, gradients included."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

import foundation.deepctr  # noqa: F401 (silences deepctr-torch's import)
from kernels.bag_pooling import pool_lists
from kernels.lookup import lookup
from kernels.max_sim import max_sim
from model.layers.cross import CrossNetwork
from model.losses import cir_loss


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("own", "compute", "shapes"),
    [
        ("_LookupBackward", lambda table: lookup(table, torch.tensor([0])), [(2, 3)]),
        ("_BagSumBackward", lambda table: pool_lists(torch.tensor([[1]]), table, 0, "mean"), [(2, 3)]),
        ("_MaxSimBackward", max_sim, [(1, 2, 3), (1, 4, 3)]),
        ("_InfoNCEBackward", lambda users, items: cir_loss(users, items, *torch.ones(3, 2), 0.1), [(2, 3), (2, 3)]),
    ],
    ids=["lookup", "pooling", "MaxSim", "CIR"],
)
def test_training_takes_our_own_gradient(own, compute, shapes):
    """Else the equalities here and elsewhere would compare torch with itself."""
    steps, names = [compute(*(randn(*shape).requires_grad_() for shape in shapes)).grad_fn], set()
    while steps:
        step = steps.pop()
        names.add(type(step).__name__)
        steps += [before for before, _ in step.next_functions if before is not None]
    assert own in names


class TestLookup:
    @pytest.mark.parametrize("size", [1, 2, 32])
    @pytest.mark.parametrize("shape", [(7,), (5, 3), (0, 3)])
    @pytest.mark.parametrize("kind", [torch.int32, torch.int64])
    def test_equals_embedding(self, size, shape, kind):
        ids = torch.randint(0, 6, shape, generator=torch.Generator().manual_seed(0)).to(kind)  # ids come twice
        tables = [randn(9, size).requires_grad_() for _ in range(2)]
        results = [lookup(tables[0], ids), F.embedding(ids, tables[1])]
        assert torch.equal(*results)
        for result in results:
            (result * randn(*result.shape, seed=1)).sum().backward()
        torch.testing.assert_close(tables[0].grad, tables[1].grad)

    def test_gradient_is_the_same_to_the_bit_each_time(self):
        ids = torch.randint(0, 20, (3000, 4), generator=torch.Generator().manual_seed(0))
        upstream, gradients = randn(3000, 4, 32).float(), []
        for _ in range(3):
            table = randn(50, 32).float().requires_grad_()
            lookup(table, ids).backward(upstream)
            gradients.append(table.grad)
        assert torch.equal(gradients[0], gradients[1])
        assert torch.equal(gradients[0], gradients[2])


class TestMaxSim:
    def slow(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return torch.stack(
            [
                sum(max(user @ item for item in one) for user in other)
                for other, one in zip(users.unbind(), items.unbind(), strict=True)
            ]
        )

    @pytest.mark.parametrize(("user_heads", "item_heads", "size"), [(1, 1, 1), (2, 3, 4), (5, 2, 3)])
    def test_equals_head_by_head(self, user_heads, item_heads, size):
        pairs = [(randn(6, user_heads, size), randn(6, item_heads, size, seed=1)) for _ in range(2)]
        for pair in pairs:
            for tensor in pair:
                tensor.requires_grad_()
        results = [max_sim(*pairs[0]), self.slow(*pairs[1])]
        torch.testing.assert_close(*results)
        for result in results:
            (result * randn(6, seed=2)).sum().backward()
        for fast, plain in zip(*pairs, strict=True):
            torch.testing.assert_close(fast.grad, plain.grad)

    def test_gradient(self):
        assert gradcheck(max_sim, (randn(3, 2, 4).requires_grad_(), randn(3, 3, 4, seed=1).requires_grad_()))

    def test_equals_itself_without_gradients(self):
        users, items = randn(4, 3, 5), randn(4, 2, 5, seed=1)
        with torch.no_grad():
            plain = max_sim(users, items)
        assert torch.equal(plain, max_sim(users, items))

    def test_one_item_for_many_users_through_expand(self):
        users, item = randn(4, 3, 5), randn(1, 2, 5, seed=1)
        torch.testing.assert_close(max_sim(users, item.expand(4, 2, 5)), self.slow(users, item.repeat(4, 1, 1)))


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
        inputs = [randn(5, 7).requires_grad_() for _ in range(2)]
        results = [ours(inputs[0]), theirs(inputs[1])]
        torch.testing.assert_close(*results)
        for result in results:
            (result * randn(5, 7, seed=1)).sum().backward()
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
