"""The data sets whose `dataset.toml` is committed: what is read of them, where they are at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocessing.dataset_spec import read_spec
from preprocessing.own_data import load_own

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"amazon-hin": (169_639, 6_168, 2_753, 0.862), "anime": (419_943, 4_714, 7_390, 0.606)}


def tables_of(name: str) -> Path:
    """Where its tables are. Skips the test where they are not."""
    for place in (ROOT / "data" / name, ROOT.parent / "shared" / "data" / name):
        if len([*place.glob("*.dat")]) > 1:
            return place
    pytest.skip(f"needs the tables of {name}")


@pytest.mark.parametrize("name", SIZES)
def test_name_and_origin_are_told(name):
    spec = read_spec(ROOT / "data" / name)
    assert spec.name == name
    assert "https://github.com/" in (spec.source or "")


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name):
    raw = load_own(ROOT / "data" / name, tables_of(name))
    assert (len(raw), len(raw.users), len(raw.items)) == SIZES[name][:3]
    assert raw.label.mean() == pytest.approx(SIZES[name][3], abs=0.001)


def test_totals_of_anime_that_tell_the_label_are_left_out():
    raw = load_own(ROOT / "data" / "anime", tables_of("anime"))
    assert not {"rating", "members"} & {*raw.items.columns, *raw.schema.item_sparse, *raw.schema.item_dense}
    assert "name" in raw.items.columns
    assert "name" not in raw.schema.item_sparse


def test_what_was_also_viewed_is_a_list_of_amazons_items():
    raw = load_own(ROOT / "data" / "amazon-hin", tables_of("amazon-hin"))
    assert raw.schema.item_lists == ("category", "also_viewed")
    assert raw.schema.user_sparse == ("user",)
    assert raw.counts[-1].dropped == {"rating 3": 26_152}
