"""Every kernel equals the plain function beside it, in value and gradient, and the switch chooses between the two."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from helpers import as_bags, as_padded, fit, randn
from torch import Tensor, nn
from zoo import build, columns_of, dataset

import kernels
from foundation.errors import InputError
from foundation.features import Bags
from kernels.bag_pooling import pool_lists
from kernels.dropout import Dropout
from kernels.info_nce import info_nce
from kernels.linear import AVAILABLE, linear, product
from kernels.lookup import lookup
from kernels.max_sim import max_sim
from kernels.row_optimizers import RowAdagrad, RowAdam, RowOptimizer, summed_rows
from kernels.short_softmax import short_softmax

FLOATS = (torch.float64, torch.float32, torch.bfloat16)
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.05}
LISTS = [[1, 2, 2], [], [5, 0, 4], [0]]


@dataclass(frozen=True)
class Case:
    """plain: what `KERNELS=plain` calls. shapes: of what `compute` takes. dtypes: those with a fast path.

    has_gradient: whether `compute` does; sparse: whether that is sparse.
    """

    name: str
    plain: str
    shapes: list[tuple[int, ...]]
    compute: Callable[..., Tensor]
    dtypes: tuple[torch.dtype, ...] = FLOATS
    has_gradient: bool = True
    sparse: bool = False


def drop(x: Tensor) -> Tensor:
    torch.manual_seed(0)
    return Dropout(0.3)(x)


def contrast(users: Tensor, items: Tensor) -> Tensor:
    excluded = torch.tensor([[False, True, False, False], [True, False, False, True], [False] * 4])
    return info_nce(users, items, excluded, torch.tensor([0, 2, 2]))


def descend(make: Callable[..., RowOptimizer]) -> Callable[[Tensor], Tensor]:
    """Some steps on rows that come twice, once, never, and a step on none."""

    def steps(weights: Tensor) -> Tensor:
        table = nn.Parameter(weights.clone())
        optimizer = make([{"params": [table], "weight_decay": 0.3}], lr=0.1)
        for seed, ids in enumerate(([4, 1, 4], [0, 1], [], [2, 1, 1, 4])):
            values = randn(len(ids), table.shape[1], seed=seed).to(table.dtype)
            places = torch.tensor([ids], dtype=torch.int64)
            table.grad = torch.sparse_coo_tensor(places, values, table.shape, check_invariants=True)
            optimizer.step()
        return torch.cat([table.detach(), *(optimizer.state[table][name] for name in optimizer.kept)])

    return steps


def sums(values: Tensor) -> Tensor:
    rows, summed = summed_rows(torch.sparse_coo_tensor([[5, 2, 5, 0]], values, (9, 3), check_invariants=True))
    return torch.cat([rows.unsqueeze(1), summed], dim=1)


def lookups() -> list[Case]:
    ids = torch.tensor([[1, 0, 1], [5, 5, 2]])
    kinds = {"int64": ids, "int32": ids.int(), "no ids": ids[:0]}
    return [
        Case(
            f"lookup of {size} numbers by {kind}",
            "lookup:plain_lookup",
            [(6, size)],
            lambda table, ids=ids: lookup(table, ids),
        )
        for kind, ids in kinds.items()
        for size in (1, 4)
    ]


def poolings() -> list[Case]:
    counted = Bags(as_bags(LISTS).values, as_bags(LISTS).offsets, zero_counts=True)
    kinds = {"bags": as_bags(LISTS), "padded": as_padded(LISTS), "0 counts": counted}
    kinds |= {
        "empty lists": as_bags([[], []]),
        "no lists": as_bags([]),
        "no columns": torch.zeros(2, 0, dtype=torch.int64),
    }
    return [
        Case(
            f"{mode} of {kind}{', sparse gradient' if sparse else ''}",
            "bag_pooling:plain_pool_lists",
            [(9, 4)],
            lambda table, ids=ids, mode=mode, sparse=sparse: pool_lists(ids, table, 3, mode, sparse),
            (torch.float64, torch.float32),
            sparse=sparse,
        )
        for mode in ("mean", "sum", "max")
        for kind, ids in kinds.items()
        for sparse in (False, True)
    ]


ONEDNN = {"plain": "linear:plain_linear", "dtypes": (torch.float32,)}
ROWS = {"dtypes": (torch.float64, torch.float32), "has_gradient": False}
SOFTMAX, MAX_SIM = "short_softmax:plain_softmax", "max_sim:plain_max_sim"
CASES = [
    *lookups(),
    *poolings(),
    Case("linear", shapes=[(5, 3), (4, 3), (4,)], compute=linear, **ONEDNN),
    Case("linear without bias", shapes=[(5, 3), (4, 3)], compute=linear, **ONEDNN),
    Case("linear of no rows", shapes=[(0, 3), (4, 3), (4,)], compute=linear, **ONEDNN),
    Case("product", shapes=[(5, 3), (4, 3)], compute=torch.no_grad()(product), has_gradient=False, **ONEDNN),
    Case("dropout", "dropout:plain_dropout", [(7, 9)], drop),
    Case("dropout of no rows", "dropout:plain_dropout", [(0, 9)], drop),
    Case("MaxSim", MAX_SIM, [(6, 2, 4), (6, 3, 4)], max_sim),
    Case("MaxSim of one head", MAX_SIM, [(6, 1, 1), (6, 1, 1)], max_sim),
    Case("MaxSim with one item", MAX_SIM, [(6, 2, 4), (1, 3, 4)], lambda u, v: max_sim(u, v.expand(6, 3, 4))),
    Case("MaxSim of no rows", MAX_SIM, [(0, 2, 4), (0, 3, 4)], max_sim),
    Case("InfoNCE", "info_nce:plain_info_nce", [(3, 5), (4, 5)], contrast),
    *(Case(f"softmax along {dim}", SOFTMAX, [(3, 2, 5)], lambda x, dim=dim: short_softmax(x, dim)) for dim in range(3)),
    Case("softmax of large scores", SOFTMAX, [(3, 4)], lambda x: short_softmax(x + 1000, 1)),  # exp(1000) is infinite
    Case("softmax of no rows", SOFTMAX, [(0, 4)], lambda x: short_softmax(x, 1)),
    Case("summed rows", "row_optimizers:plain_summed_rows", [(4, 3)], sums, **ROWS),
    Case("Adam by row", "row_optimizers:RowAdam.plain_update", [(6, 3)], descend(RowAdam), **ROWS),
    Case("Adagrad by row", "row_optimizers:RowAdagrad.plain_update", [(6, 3)], descend(RowAdagrad), **ROWS),
]
SMOOTH = [case for case in CASES if case.has_gradient and not case.sparse and torch.float64 in case.dtypes]
every_kernel = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
both_ways = pytest.mark.parametrize("choice", kernels.CHOICES)


def inputs(case: Case, dtype: torch.dtype) -> list[Tensor]:
    return [randn(*shape, seed=seed).to(dtype).requires_grad_() for seed, shape in enumerate(case.shapes)]


def value_and_gradients(case: Case, dtype: torch.dtype) -> list[Tensor]:
    given = inputs(case, dtype)
    if not case.has_gradient:
        return [case.compute(*(x.detach() for x in given))]
    value = case.compute(*given)
    (value * randn(value.numel(), seed=9).view_as(value)).sum().backward()
    assert all(x.grad.is_sparse == case.sparse for x in given)
    return [value.detach(), *(x.grad.to_dense() for x in given)]


def test_each_has_a_case():
    modules = {module.name for module in pkgutil.iter_modules(kernels.__path__)}
    assert {case.plain.partition(":")[0] for case in CASES} == modules


@every_kernel
def test_equals_the_plain_function(case):
    for dtype in case.dtypes:
        results = []
        for choice in kernels.CHOICES:
            with kernels.use(choice):
                results.append(value_and_gradients(case, dtype))
        torch.testing.assert_close(*results, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("case", SMOOTH, ids=[case.name for case in SMOOTH])
def test_gradient_equals_finite_differences(case):
    with kernels.use("fast"):
        assert torch.autograd.gradcheck(case.compute, inputs(case, torch.float64))


@every_kernel
@both_ways
def test_the_switch_chooses(case, choice, monkeypatch):
    """Else the equalities here would compare a function with itself."""
    if case.plain.startswith("linear") and not AVAILABLE:
        pytest.skip("this torch has no oneDNN")
    place, calls = f"kernels.{case.plain}", []
    plain = pkgutil.resolve_name(place)
    monkeypatch.setattr(place.replace(":", "."), lambda *given: calls.append(case) or plain(*given))
    with kernels.use(choice):
        value_and_gradients(case, case.dtypes[-1])
    assert bool(calls) == (choice == "plain")


@every_kernel
def test_equal_to_the_bit_each_time(case):
    with kernels.use("fast"):
        for left, right in zip(*(value_and_gradients(case, torch.float32) for _ in range(2)), strict=True):
            assert torch.equal(left, right)


def test_sums_of_many_lookups_are_equal_to_the_bit_each_time():
    ids, gradients = torch.randint(0, 20, (3000, 4), generator=torch.Generator().manual_seed(0)), []
    for _ in range(3):
        table = randn(50, 32).requires_grad_()
        lookup(table, ids).backward(randn(3000, 4, 32, seed=1))
        gradients.append(table.grad)
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])


class TestTraining:
    """With dropout, lists and all losses: the same draws, and the same weights to rounding."""

    def trained(self, name: str, optimizer: str, embedding_optimizer: str):
        data = dataset()
        model = build(name, columns_of(data), dnn_dropout=0.2)
        model.compile(optimizer, lr=0.01, embedding_optimizer=embedding_optimizer)
        fit(model, data)
        return model, model.predict(data.test)

    @pytest.mark.parametrize("name", ["int_tower", "hit", "deep_fm", "mvke"])
    @pytest.mark.parametrize(("optimizer", "by_row"), [("adagrad", "dense"), ("adam", "rowwise")])
    def test_gives_the_same_model(self, name, optimizer, by_row):
        models = []
        for choice in kernels.CHOICES:
            with kernels.use(choice):
                models.append(self.trained(name, optimizer, by_row))
        (fast, fast_scores), (plain, plain_scores) = models
        torch.testing.assert_close(dict(fast.state_dict()), dict(plain.state_dict()), rtol=1e-4, atol=1e-5)
        assert fast_scores == pytest.approx(plain_scores, abs=1e-5)


class TestSwitch:
    def test_ends_with_its_block(self):
        before = kernels.fast()
        for choice, other in (("plain", "fast"), ("fast", "plain")):
            with kernels.use(choice):
                assert kernels.fast() == (choice == "fast")
                with kernels.use(other):
                    assert kernels.fast() == (other == "fast")
                assert kernels.fast() == (choice == "fast")
        assert kernels.fast() == before

    @pytest.mark.parametrize(("value", "expected"), [(None, "True"), ("fast", "True"), ("plain", "False")])
    def test_is_read_from_the_environment(self, value, expected):
        finished = self.python("import kernels; print(kernels.fast())", value)
        assert finished.stdout.strip() == expected

    def test_another_value_ends_a_script_before_it_does_anything(self):
        code = "from experiment.script import run; run(lambda: print('at work'))"
        finished = self.python(code, "slow")
        assert finished.returncode == 2
        assert finished.stdout == ""
        assert finished.stderr == "error: KERNELS must be one of fast, plain. Received: 'slow'.\n"

    def test_another_choice(self):
        with pytest.raises(InputError, match=r"one of fast, plain\. Received: 'slow'"), kernels.use("slow"):
            pass

    def python(self, code: str, value: str | None) -> subprocess.CompletedProcess:
        environment = {name: text for name, text in os.environ.items() if name != kernels.VARIABLE}
        if value is not None:
            environment[kernels.VARIABLE] = value
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, encoding="utf-8"
        )
