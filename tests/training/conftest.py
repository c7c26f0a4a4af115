"""A training script on data that it has trained on in a fraction of a second."""

from __future__ import annotations

import pytest
from helpers import random_raw

import train_movielens_whole_models as script


@pytest.fixture(scope="module")
def small_data():
    """The script runs in this process: on 300 rows, and without drawing its curves."""
    raw = random_raw()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.run_folder.curves_png", lambda *_: b"picture")
        patch.setattr(script, "load_movielens", lambda *_, **__: raw)
        yield
