"""One trained model and its run, for the tests of encodings."""

from __future__ import annotations

from pathlib import Path

import pytest
from encoding_helpers import from_frames, trained

from preprocessing.dataset import Dataset


@pytest.fixture(scope="module")
def data() -> Dataset:
    return from_frames()


@pytest.fixture(scope="module")
def model(data):
    return trained(data)


@pytest.fixture(scope="module")
def run(model, tmp_path_factory) -> Path:
    """Saved without a word about the encoding."""
    folder = tmp_path_factory.mktemp("run")
    model.save(folder)
    return folder
