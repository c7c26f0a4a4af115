"""Lists that come with their lengths (`length_name`): so many ids count, id 0 among them, as deepctr-torch has it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foundation.deepctr import SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from kernels.bag_pooling import pool_lists
from model.deepfm import DeepFM
from preprocessing.arrays import Arrays

WIDTH, IDS = 4, 9
TABLE = torch.randn(IDS, 3, generator=torch.Generator().manual_seed(0))
ROWS = st.lists(st.tuples(st.lists(st.integers(0, IDS - 1), min_size=WIDTH, max_size=WIDTH), st.integers(0, WIDTH)))


def columns(mode: str = "mean") -> list:
    return [SparseFeat("a", IDS, 3), VarLenSparseFeat(SparseFeat("h", IDS, 3), WIDTH, mode, "n")]


def slow(ids: list[int], length: int, mode: str) -> torch.Tensor:
    counted = [TABLE[one] for one in ids[:length]]
    if not counted:
        return torch.zeros(3)
    return torch.stack(counted).max(0).values if mode == "max" else sum(counted) / (length if mode == "mean" else 1)


def as_arrays(rows) -> dict[str, np.ndarray]:
    ids, lengths = np.array([row for row, _ in rows]), np.array([length for _, length in rows])
    return {"a": np.zeros(len(rows), dtype=int), "h": ids, "n": lengths.reshape(-1, 1)}


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
@given(rows=ROWS.filter(bool), seed=st.integers(0, 5))
def test_pooling_equals_a_loop(mode, rows, seed):
    source = Arrays.check(as_arrays(rows), None, columns(mode), "a")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    for part in (source.batch(order, ["h"]), source.take(order).to("cpu").batch(torch.arange(len(rows)), ["h"])):
        expected = torch.stack([slow(*rows[place], mode) for place in order.tolist()])
        torch.testing.assert_close(pool_lists(part["h"], TABLE, 0, mode), expected)


@given(rows=ROWS.filter(bool))
def test_rows_are_alike_only_if_what_counts_is(rows):
    source = Arrays.check(as_arrays(rows), None, columns(), "a")
    _, group = source.distinct(["h"])
    for one in range(len(rows)):
        for other in range(len(rows)):
            if group[one] == group[other]:
                assert rows[one] == rows[other]


def test_lengths_decide_a_models_score():
    model = DeepFM(columns(), columns(), init_std=1.0, dnn_hidden_units=(4,))
    x = {"a": np.ones(4, int), "h": np.array([[0, 5, 7, 0]] * 4), "n": np.array([0, 1, 3, 4])}
    assert len(np.unique(model.predict(x).round(6))) == 4
    x["h"][:, 3] = 8  # behind the length of all but the last
    assert (model.predict(x)[:3] == model.predict({**x, "h": np.array([[0, 5, 7, 0]] * 4)})[:3]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": None}, "'n' is missing"),
        ({"n": np.array([5])}, r"'n' must lie in 0..4, the width of 'h'. Received: 5 to 5"),
        ({"n": np.array([-1])}, "Received: -1 to -1"),
        ({"n": np.array([1.5])}, "must hold whole numbers"),
        ({"n": np.array(["2"])}, "must hold whole numbers"),
        ({"n": np.array([1, 2])}, "'n' has 2 rows, others have 1"),
    ],
)
def test_wrong_lengths_are_refused(changes, message):
    x = as_arrays([([1, 2, 3, 4], 2)]) | changes
    x = {name: value for name, value in x.items() if value is not None}
    with pytest.raises(InputError, match=message):
        Arrays.check(x, None, columns(), "a")
