"""One data set and one ranker a file of tests."""

from __future__ import annotations

import pytest
from serving_helpers import dataset, random_model, ranker_of

from preprocessing.dataset import Dataset
from serving.ranker import PreRanker


@pytest.fixture(scope="module")
def data() -> Dataset:
    return dataset()


@pytest.fixture(scope="module")
def ranker(data, tmp_path_factory) -> PreRanker:
    return ranker_of(tmp_path_factory.mktemp("run"), random_model("int_tower", data), data)
