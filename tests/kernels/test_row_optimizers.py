"""Row-wise optimisation: the dense update where every row is seen, no change where none is, and a resumable state."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import as_bags, assert_same_weights, random_raw, small_model
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import kernels
from foundation.deepctr import SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from kernels import row_optimizers
from kernels.row_optimizers import RowAdagrad, RowAdam, summed_rows
from model.layers import embedding_optimizer
from model.layers.embedding import FeatureEmbedding
from model.layers.embedding_optimizer import set_row_gradients, table_size, tables_of
from preprocessing.dataset import Dataset
from training.checkpoints import Checkpoints

ROWS, DIM = 12, 3
DENSE = {RowAdam: torch.optim.Adam, RowAdagrad: torch.optim.Adagrad}
PLAIN = {"foreach": False, "fused": False}  # the same operations in the same order
MODELS = ("int_tower", "dssm", "lr")


def table(seed: int = 0) -> nn.Parameter:
    return nn.Parameter(torch.randn(ROWS, DIM, generator=torch.Generator().manual_seed(seed)))


def look_up(weights: nn.Parameter, ids: torch.Tensor, sparse: bool) -> None:
    """A gradient that differs from row to row and from lookup to lookup."""
    weights.grad = None
    found = F.embedding(ids, weights, sparse=sparse)
    (found * torch.linspace(-1, 2, found.numel()).view(found.shape)).sum().backward()


def batches(count: int, size: int, seed: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, ROWS, (size,), generator=generator) for _ in range(count)]


class TestSteps:
    @pytest.mark.parametrize("rows_at_a_time", [1024, 5], ids=["whole", "parts"])
    @pytest.mark.parametrize("decay", [0.0, 0.3])
    @pytest.mark.parametrize("make", DENSE)
    def test_equal_the_dense_ones_to_the_bit_when_every_row_is_seen(self, make, decay, rows_at_a_time, monkeypatch):
        monkeypatch.setattr(row_optimizers, "CPU_ROWS", rows_at_a_time)
        ours, theirs = table(), table()
        by_row = make([{"params": [ours], "weight_decay": decay}], lr=0.1)
        dense = DENSE[make]([theirs], lr=0.1, weight_decay=decay, **PLAIN)
        for step in range(6):
            ids = torch.randperm(ROWS, generator=torch.Generator().manual_seed(step))
            for weights, optimizer in ((ours, by_row), (theirs, dense)):
                look_up(weights, ids, sparse=weights is ours)
                with kernels.use("fast"):
                    optimizer.step()
            assert torch.equal(ours, theirs)

    def test_adagrad_without_l2_equals_the_dense_one_on_any_rows(self):
        ours, theirs = table(), table()
        by_row, dense = RowAdagrad([ours], lr=0.1), torch.optim.Adagrad([theirs], lr=0.1, **PLAIN)
        for ids in batches(20, 5):
            for weights, optimizer in ((ours, by_row), (theirs, dense)):
                look_up(weights, ids, sparse=weights is ours)
                optimizer.step()
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)

    @pytest.mark.parametrize("make", DENSE)
    def test_leave_rows_alone_that_are_not_in_the_batch(self, make):
        weights = table()
        optimizer = make([{"params": [weights], "weight_decay": 0.3}], lr=0.1)
        for ids in batches(8, 3):
            before, state = weights.detach().clone(), {k: v for k, v in optimizer.state[weights].items() if k != "step"}
            state = {name: value.clone() for name, value in state.items()}
            look_up(weights, ids, sparse=True)
            optimizer.step()
            absent = torch.ones(ROWS, dtype=torch.bool).index_fill(0, ids, False)
            assert torch.equal(weights[absent], before[absent])
            assert (weights != before)[~absent].all()
            for name, value in state.items():
                assert torch.equal(optimizer.state[weights][name][absent], value[absent])

    @pytest.mark.parametrize("make", DENSE)
    def test_do_not_depend_on_how_often_and_in_which_order_a_row_is_looked_up(self, make):
        """Repeated rows count with the sum of their gradients, as one lookup with that gradient would."""
        repeated, summed = table(), table()
        ids, gradients = torch.tensor([4, 1, 4, 4]), torch.tensor([[1.0], [2.0], [0.5], [4.0]]).expand(4, DIM)
        totals = torch.zeros(ROWS, DIM).index_add(0, ids, gradients)
        for weights, rows, values in ((repeated, ids, gradients), (summed, torch.tensor([1, 4]), totals[[1, 4]])):
            weights.grad = torch.sparse_coo_tensor(rows[None], values, (ROWS, DIM), check_invariants=True)
            make([weights], lr=0.1).step()
        assert torch.equal(repeated, summed)

    @given(st.lists(st.integers(0, ROWS - 1), max_size=30))
    def test_sums_equal_the_dense_gradient(self, ids):
        sparse, dense = table(), table()
        for weights in (sparse, dense):
            look_up(weights, torch.tensor(ids, dtype=torch.int64), sparse=weights is sparse)
        rows, sums = summed_rows(sparse.grad)
        assert rows.tolist() == sorted(set(ids))
        torch.testing.assert_close(torch.zeros(ROWS, DIM).index_copy(0, rows, sums), dense.grad)


COLUMNS = [
    SparseFeat("user", 6, DIM),
    SparseFeat("city", 4, DIM),
    VarLenSparseFeat(SparseFeat("visited", 4, DIM, embedding_name="city"), maxlen=0),
    VarLenSparseFeat(SparseFeat("genres", 7, DIM), maxlen=0),
]


class TestGradients:
    """Sparse gradients are the dense ones, of rows that the batch holds."""

    @pytest.mark.parametrize("combiner", ["mean", "sum", "max"])
    @pytest.mark.parametrize(
        "genres", [[[1, 2, 2], [], [6, 1]], [[], [], []], [[0, 0], [5], [0, 3]]], ids=["repeated", "empty", "unknown"]
    )
    def test_equal_the_dense_ones(self, combiner, genres):
        columns = [c._replace(combiner=combiner) if isinstance(c, VarLenSparseFeat) else c for c in COLUMNS]
        features = {
            "user": torch.tensor([3, 3, 5]),
            "city": torch.tensor([1, 0, 1]),
            "visited": as_bags([[2, 1], [3], []]),
            "genres": as_bags(genres),
        }
        gradients = []
        for by_row in (False, True):
            torch.manual_seed(0)
            layer = FeatureEmbedding(columns, init_std=1.0)
            set_row_gradients(layer, by_row)
            fields, _ = layer(features)
            (fields * torch.linspace(-1, 2, fields.numel()).view(fields.shape)).sum().backward()
            assert layer.weight.grad.is_sparse == by_row
            gradients.append((fields, layer.weight.grad.to_dense()))
        assert torch.equal(gradients[0][0], gradients[1][0])
        torch.testing.assert_close(gradients[1][1], gradients[0][1], atol=1e-6, rtol=1e-6)

    def test_name_no_row_outside_the_batch(self):
        layer = FeatureEmbedding(COLUMNS, init_std=1.0)
        set_row_gradients(layer, True)
        features = {
            "user": torch.tensor([3]),
            "city": torch.tensor([1]),
            "visited": as_bags([[2]]),
            "genres": as_bags([[6, 5]]),
        }
        layer(features)[0].sum().backward()
        rows, _ = summed_rows(layer.weight.grad)
        expected = [
            layer.start[name] + row
            for name, row in (("user", 3), ("city", 1), ("city", 2), ("genres", 5), ("genres", 6))
        ]
        assert rows.tolist() == sorted(expected)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


def model_of(name: str, dataset: Dataset, embedding_optimizer: str | None = "rowwise", **arguments):
    model = small_model(name, dataset, **arguments)
    model.compile("adam", lr=0.01, embedding_optimizer=embedding_optimizer)
    return model


def fit(model, dataset, epochs: int = 2, **options):
    return model.fit(
        dataset.train,
        epochs=epochs,
        **({"batch_size": 64, "validation_data": dataset.validation, "verbose": 0} | options),
    )


class TestModels:
    @pytest.mark.parametrize("name", MODELS)
    def test_learn_row_by_row_to_the_same_bits_each_time(self, name, dataset):
        models = [model_of(name, dataset) for _ in range(2)]
        losses = [fit(model, dataset, epochs=4).history["loss"] for model in models]
        assert_same_weights(*models)
        assert losses[0] == losses[1]
        assert losses[0][-1] < losses[0][0]

    @pytest.mark.parametrize("name", MODELS)
    def test_change_only_looked_up_rows(self, name, dataset):
        model = model_of(name, dataset)
        before = [module.weight.detach().clone() for module in tables_of(model)]
        liked, other = (int((dataset.train.labels == label).nonzero()[0]) for label in (1, 0))
        model.fit(dataset.train.take(torch.tensor([liked, other])), batch_size=2, epochs=1, verbose=0)
        for module, old in zip(tables_of(model), before, strict=True):
            assert 0 < (module.weight != old).any(dim=1).sum() < len(old)

    @pytest.mark.parametrize("schedule", ["constant", "linear"])
    @pytest.mark.parametrize("name", MODELS)
    def test_resumed_equals_uninterrupted_to_the_bit(self, name, schedule, dataset, tmp_path):
        checkpoints = Checkpoints(tmp_path, {})

        def stop(state):
            if state.epoch == 2:
                checkpoints.save(state)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(model_of(name, dataset), dataset, 4, on_epoch=stop, lr_schedule=schedule)
        resumed, whole = model_of(name, dataset), model_of(name, dataset)
        fit(resumed, dataset, 4, state=checkpoints.load()[0], lr_schedule=schedule)
        fit(whole, dataset, 4, lr_schedule=schedule)
        assert_same_weights(resumed, whole)

    def test_saved_model_does_not_know_how_it_was_trained(self, dataset, tmp_path):
        model = model_of("dssm", dataset)
        fit(model, dataset)
        model.save(tmp_path)
        again = type(model).load(tmp_path)
        assert_same_weights(again, model)
        assert np.array_equal(again.predict(dataset.test), model.predict(dataset.test))

    def test_l2_pulls_the_rows_of_the_batch(self, dataset):
        plain, pulled = (model_of("lr", dataset, l2_reg_linear=l2) for l2 in (0.0, 1.0))
        for model in (plain, pulled):
            fit(model, dataset, epochs=5)
        norms = [model.linear.ids.weight.norm() for model in (plain, pulled)]
        assert norms[1] < 0.5 * norms[0]
        of_tables = pulled.optim.parts[1].param_groups
        assert {group["weight_decay"] for group in of_tables} == {2.0}  # the gradient of 1.0 * w^2 is 2.0 * w

    def test_linear_schedule_slows_tables_and_towers_alike(self, dataset):
        model, rates = model_of("dssm", dataset), []
        step = model.optim.step

        def recording() -> None:
            rates.append([group["lr"] for part in model.optim.parts for group in part.param_groups])
            step()

        model.optim.step = recording
        fit(model, dataset, epochs=2, lr_schedule="linear")
        left = [6, 5, 4, 3, 2, 1]  # of two epochs with three steps each
        assert rates == [pytest.approx([0.01 * steps / 6] * len(rates[0])) for steps in left]

    def test_compiled_anew_as_dense_has_dense_gradients_again(self, dataset):
        model = model_of("dssm", dataset)
        model.compile("adam", lr=0.01, embedding_optimizer="dense")
        fresh = model_of("dssm", dataset, "dense")
        for each in (model, fresh):
            fit(each, dataset)
        assert_same_weights(model, fresh)


class TestChoice:
    def test_by_the_size_of_the_tables(self, dataset, monkeypatch):
        size = table_size(small_model("dssm", dataset))
        for limit, expected in ((size, "rowwise"), (size + 1, "dense")):
            monkeypatch.setattr(embedding_optimizer, "ROWWISE_FROM", limit)
            assert model_of("dssm", dataset, None).embedding_optimizer == expected

    def test_optimizer_without_row_wise_steps_stays_dense(self, dataset, monkeypatch):
        monkeypatch.setattr(embedding_optimizer, "ROWWISE_FROM", 1)
        model = small_model("dssm", dataset)
        model.compile("rmsprop")
        assert model.embedding_optimizer == "dense"
        fit(model, dataset, epochs=1)

    @pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", None])
    def test_asking_for_steps_that_are_not_there_is_an_error(self, optimizer, dataset):
        model = small_model("dssm", dataset)
        optimizer = optimizer or torch.optim.Adam(model.parameters())
        with pytest.raises(InputError, match="Row-wise steps are there for the optimizers named adam, adagrad"):
            model.compile(optimizer, embedding_optimizer="rowwise")

    def test_unknown_choice(self, dataset):
        with pytest.raises(InputError, match=r"one of dense, rowwise\. Received: 'sparse'"):
            model_of("dssm", dataset, "sparse")
