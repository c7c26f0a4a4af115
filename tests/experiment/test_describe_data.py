"""`train_own_data.py --describe` and `Dataset.describe()`: what data are, in numbers that can be counted by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import random_raw
from script_helpers import assert_short_error, script
from shop import SPEC, write_shop

import train_own_data
from foundation.shown import columns
from preprocessing.column_profile import late_rows, profile_columns
from preprocessing.dataset import Dataset
from preprocessing.frames import raw_from_frames
from preprocessing.own_data import load_own
from preprocessing.raw import RawData


def by_hand() -> RawData:
    """20 rows, of which the last two are late: of a new user in a new city, and of a known user and a new colour."""
    users = pd.DataFrame({"user": [1, 2, 3], "city": ["Bonn", None, "Lyon"], "same": ["x", "x", "x"]})
    items = pd.DataFrame({"item": [7, 8], "price": [2.0, np.nan], "tags": [["a", "b"], []]})
    log = pd.DataFrame(
        {
            "user": [1, 2] * 9 + [3, 1],
            "item": [7] * 20,
            "time": range(20),
            "colour": ["red"] * 19 + ["blue"],
            "liked": [0, 1] * 10,
        }
    )
    keys = {"user_id": "user", "item_id": "item", "label": "liked", "timestamp": "time"}
    return raw_from_frames(users, items, log, **keys)


class TestColumns:
    def test_by_hand(self):
        found = {one.name: one for one in profile_columns(by_hand())}
        assert {name: one.kind for name, one in found.items()} == {
            "user": "id",
            "city": "sparse",
            "same": "sparse",
            "colour": "sparse",
            "item": "id",
            "price": "dense",
            "tags": "list",
        }
        distinct = {"user": 3, "city": 2, "same": 1, "item": 2, "price": 1, "tags": 2, "colour": 2}
        assert {name: one.distinct for name, one in found.items()} == distinct
        assert found["city"].missing == pytest.approx(1 / 3)
        assert (found["price"].missing, found["tags"].missing) == (0.5, 0.5)
        assert (found["user"].new, found["city"].new, found["colour"].new) == (0.5, 0.5, 0.5)
        assert (found["item"].new, found["tags"].new, found["same"].new) == (0, 0, 0)
        assert found["price"].new is None
        assert (found["user"].side, found["item"].side, found["colour"].side) == ("user", "item", "log, user")

    def test_new_values_equal_a_plain_count(self):
        raw = random_raw(rows=400, users=60, items=80)
        late = late_rows(raw)
        assert late.sum() == 40
        assert raw.timestamp[late].min() >= raw.timestamp[~late].max()
        found = {one.name: one for one in profile_columns(raw)}
        for name, entity in (("user_id", raw.user), ("movie_id", raw.item)):
            seen = set(entity[~late].tolist())
            assert found[name].new == pytest.approx(np.mean([one not in seen for one in entity[late]]))
        genres = [
            set(part) for part in np.split(raw.item_lists["genres"].values, raw.item_lists["genres"].offsets[1:-1])
        ]
        seen = set().union(*(genres[item] for item in raw.item[~late]))
        assert found["genres"].new == pytest.approx(np.mean([bool(genres[item] - seen) for item in raw.item[late]]))

    def test_without_times_nothing_is_new(self):
        raw = replace(by_hand(), timestamp=np.zeros(20, dtype=np.int64))
        assert {one.new for one in profile_columns(raw)} == {None}

    @pytest.mark.parametrize(
        ("values", "note"),
        [
            (["x"] * 40, "the same value everywhere"),
            ([None] * 40, "no value at all"),
            ([f"name {n}" for n in range(40)], "nearly a value of its own for each user"),
            ([f"{n},50 €" for n in range(40)], "numbers that are written as text"),
            ([["a|b", "b", "a", "c|a", "b|c", "c", "a|b|c", "c|b|a"][n % 8] for n in range(40)], "separator '|'"),
            (["red", "blue"] * 20, ""),
        ],
        ids=["one value", "none", "titles", "numbers", "lists", "a category"],
    )
    def test_of_no_use_are_named(self, values, note):
        users = pd.DataFrame({"user": range(40), "given": pd.Series(values, dtype=object)})
        log = pd.DataFrame({"user": list(range(40)) * 2, "item": [1, 2] * 40, "liked": [0, 1] * 40})
        kinds = {"given": "sparse"}
        raw = raw_from_frames(users, None, log, user_id="user", item_id="item", label="liked", kinds=kinds)
        (found,) = [one.note for one in profile_columns(raw) if one.name == "given"]
        assert note in found if note else found == ""


class TestPage:
    def test_of_a_data_set(self):
        text = Dataset.build(by_hand(), "holdout", 0).describe()
        assert "Rows: 20, 50.0% positive, from 1970-01-01 to 1970-01-01" in text
        assert "Users: 3, seen once: 1 (33.3%), rows of one: 9 in the median, 10 at most" in text
        assert "Items: 2, seen once: 0 (0), in no row: 1" in text

    def test_counts_of_each_split_are_those_of_the_protocols(self):
        raw = random_raw(rows=400)
        text = Dataset.build(raw, "holdout", 3).describe()
        for protocol in ("holdout", "temporal"):
            data = Dataset.build(raw, protocol, 3)
            for split, rows in data.protocol.splits.items():
                assert re.search(rf"{protocol} +{split} +{len(rows)} +{raw.label[rows].mean():.1%}", text)

    def test_fits_a_terminal_and_obeys_nobody(self, tmp_path):
        spec = SPEC.replace('name = "shop"', f'name = "{"long " * 4}"')
        folder = write_shop(tmp_path, spec=spec)
        table = (
            (folder / "articles.csv").read_text(encoding="utf-8").replace("Article 0", "\x1b[31m" + "very long " * 30)
        )
        (folder / "articles.csv").write_text(table.replace("brand,", f"{'b' * 70},"), encoding="utf-8")
        lines = Dataset.build(load_own(folder), "holdout", 0).describe().splitlines()
        assert max(map(columns, lines)) <= 100
        assert all(line.isprintable() for line in lines)

    def test_a_protocol_that_cannot_split_says_why(self):
        raw = replace(by_hand(), timestamp=np.zeros(20, dtype=np.int64))
        text = Dataset.build(raw, "holdout", 0).describe()
        assert "without times" in text
        assert "temporal: The temporal protocol needs times" in text


class TestCommand:
    def test_describes_and_names_what_is_not_read(self, tmp_path, capsys):
        folder = write_shop(tmp_path / "shop")
        assert script(train_own_data.main, "--describe", folder, "--no_cache") == 0
        out = capsys.readouterr().out
        assert "Data: shop: 800 interactions of 40 users and 30 items" in out
        assert "Not read: stock of articles.csv" in out
        assert "never trained: title" in out

    def test_writes_a_first_dataset_toml_and_never_over_one(self, tmp_path, capsys):
        folder = write_shop(tmp_path / "shop")
        (folder / "dataset.toml").unlink()
        assert script(train_own_data.main, "--describe", folder, "--no_cache") == 0
        written = (folder / "dataset.toml").read_text(encoding="utf-8")
        out = capsys.readouterr().out
        assert written.strip() in out
        assert "Check it before you train" in out
        assert len(load_own(folder)) == 800
        (folder / "dataset.toml").write_text(written + "# mine\n", encoding="utf-8")
        assert script(train_own_data.main, "--describe", folder, "--no_cache") == 0
        assert "Check it" not in capsys.readouterr().out
        assert (folder / "dataset.toml").read_text(encoding="utf-8").endswith("# mine\n")

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["--describe"], "--describe"),
            (["--describe", "nowhere"], "nowhere is no folder"),
            (["--describe", "empty"], "empty"),
            (["--describe", "shop", "--model_name", "lr"], "--model_name"),
            (["--describe", "shop", "--data_path", "empty"], ".csv"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_bad_input_is_one_line_and_writes_nothing(self, argv, message, tmp_path, monkeypatch, capsys):
        write_shop(tmp_path / "shop")
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path)
        before = sorted(Path().rglob("*"))
        assert script(train_own_data.main, *argv) == 2
        assert_short_error(capsys, message)
        assert sorted(Path().rglob("*")) == before
