"""The numbers on pages that are of MovieLens-1M itself, where it is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model import build_model
from preprocessing.dataset import Dataset
from preprocessing.load import load_movielens

ROOT = Path(__file__).resolve().parents[2]
PAGE, SCRIPTS = (
    " ".join((ROOT / "docs" / name).read_text(encoding="utf-8").split())
    for name in ("published_code.md", "published_scripts.md")
)


@pytest.fixture(scope="module")
def data(ml1m_path) -> Dataset:
    return Dataset.build(load_movielens(str(ml1m_path)), "published", 1023)


class TestRows:
    def test_are_as_many_as_the_page_says(self, data):
        raw, splits = data.raw, data.protocol.splits
        size = {name: len(rows) for name, rows in splits.items()}
        test = int(np.ceil(0.2 * len(raw)))
        first = len(raw) - test
        dropped = first - size["train"] - size["validation"], test - size["test"]
        movies = len(np.unique(raw.item))
        assert f"{len(raw):,} rows of {movies:,} movies" in PAGE
        assert f"{first:,} and {test:,} rows" in PAGE
        assert f"drops out of it: {dropped[0]} and {dropped[1]} rows" in PAGE
        assert f"{size['train']:,} rows train, {size['validation']:,} validate, {size['test']:,} test" in PAGE

    def test_are_of_movies_that_training_knows_or_not_as_the_page_says(self, data):
        raw, splits = data.raw, data.protocol.splits
        seen = np.unique(raw.item[splits["train"]])
        ids = raw.items[raw.schema.item_id].to_numpy()[seen]
        known = np.isin(raw.item[splits["validation"]], seen)
        unseen = ~np.isin(raw.item[splits["test"]], seen)
        assert f"Training sees {len(seen):,} movies, none with an id above {ids.max():,}." in PAGE
        assert f"All but {known.sum()} validation rows, and {unseen.mean():.1%}".replace("%", " %") in PAGE


def test_padded_histories_take_what_the_page_says(data):
    splits, users = data.protocol.splits, data.raw.user
    parts = [np.concatenate([splits["train"], splits["validation"]]), splits["test"]]
    longest = max(np.bincount(users[rows], weights=data.raw.label[rows]).max() for rows in parts)
    assert f"{len(parts[0]):,} x {int(longest):,} numbers" in SCRIPTS


def test_int_tower_with_the_defaults_has_the_readmes_parameters(data):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    arguments = {"user_head": 4, "item_head": 4, "field_dim": 64, "dnn_hidden_units": (300, 300, 128)}
    model = build_model("int_tower", data.feature_columns(32), **arguments)
    assert f"Model: IntTower, {sum(parameter.numel() for parameter in model.parameters()):,} parameters" in readme
