"""One tiny data set for all tests of models."""

import pytest
from zoo import dataset

from preprocessing.dataset import Dataset


@pytest.fixture(scope="session")
def data() -> Dataset:
    return dataset()
