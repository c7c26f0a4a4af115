"""Rows of ids, by a table or a search: both are those of a dictionary."""

from __future__ import annotations

import numpy as np
import pytest

from serving.id_rows import FEW, WIDEST, IdRows


@pytest.mark.parametrize("asked", [1, FEW, FEW + 1, 2000])
@pytest.mark.parametrize("span", [1, 2, WIDEST, 50])
@pytest.mark.parametrize("first", [-(2**63), -300, 5])
def test_equal_those_of_a_dictionary(first, span, asked):
    rng = np.random.default_rng(span)
    keys = first + np.sort(rng.choice(500 * span, 500, replace=False))
    wanted = first + rng.integers(0, 500 * span + 50, asked)
    wanted[-1] = 2**63 - 1  # far from all
    rows = dict(zip(keys.tolist(), range(len(keys)), strict=True))
    finder = IdRows(keys)
    for _ in range(2):  # the second time with the table that is there
        assert finder.find(wanted).tolist() == [rows.get(one, -1) for one in wanted.tolist()]


def test_of_no_keys():
    assert IdRows(np.zeros(0, dtype=np.int64)).find(np.arange(200)).tolist() == [-1] * 200
