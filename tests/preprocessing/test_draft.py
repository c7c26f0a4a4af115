"""A first `dataset.toml` from bare tables can be loaded as it is, and says what it guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from own_data_helpers import assert_same_raw, shop, write, write_one, write_spec

from foundation.errors import InputError
from preprocessing.dataset_spec import read_spec
from preprocessing.draft import draft_spec
from preprocessing.own_data import load_own

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def drafted(folder: Path):
    write_spec(folder, draft_spec(folder))
    return read_spec(folder), load_own(folder)


@pytest.mark.parametrize(("suffix", "sep"), [(".csv", ","), (".dat", "::"), (".txt", ";"), (".parquet", ",")])
def test_the_shop_is_understood(tmp_path, suffix, sep):
    frames = shop()
    frames["log"] = frames["log"].drop(columns="row")
    write(tmp_path, frames, suffix, sep=sep)
    spec, raw = drafted(tmp_path)
    assert (spec.log.user, spec.log.item, spec.log.time, spec.log.label) == ("customer", "article", "when", "stars")
    assert spec.log.above == 3
    assert (spec.users[0].id, spec.items[0].id) == ("id", "article")
    assert dict(spec.kinds) == {"title": "display"}
    assert dict(spec.separators) == {"tags": "|"}
    assert len(raw) == 400


def test_numbered_files_are_one_table(tmp_path):
    write(tmp_path / "one", shop(), ".csv")
    write(tmp_path / "many", shop(), ".csv", parts=3)
    spec, raw = drafted(tmp_path / "many")
    assert spec.log.files == ("log-*.csv",)
    assert_same_raw(raw, drafted(tmp_path / "one")[1])


def test_several_rows_an_id_and_several_tables(tmp_path):
    write(tmp_path, shop(), ".csv")
    ids = shop()["items"]["article"]
    pairs = pd.DataFrame({"article": np.repeat(ids, 2), "material": ["wood", "glass"] * len(ids)})
    write_one(tmp_path / "materials.csv", pairs)
    spec, raw = drafted(tmp_path)
    assert {(one.files[0], one.several) for one in spec.items} == {("items.csv", False), ("materials.csv", True)}
    assert "material" in raw.item_lists


def test_positives_alone(tmp_path):
    write_one(tmp_path / "log.csv", shop()["log"][["customer", "article", "when"]])
    spec, _ = drafted(tmp_path)
    assert spec.log.label is None
    assert spec.negatives is not None


def test_without_a_header_the_usual_order_is_taken(tmp_path):
    log = shop()["log"][["customer", "article", "stars", "when"]]
    (tmp_path / "ratings.dat").write_text(log.to_csv(index=False, header=False, sep="\t"), encoding="utf-8")
    spec, raw = drafted(tmp_path)
    assert spec.log.separator == "\t"
    assert (spec.log.user, spec.log.item, spec.log.label, spec.log.time) == tuple(f"ratings_{n}" for n in range(1, 5))
    assert len(raw) == 400


def test_tables_that_say_nothing(tmp_path):
    with pytest.raises(InputError, match="holds no table"):
        draft_spec(tmp_path)
    write_one(tmp_path / "a.csv", pd.DataFrame({"x": [1, 2], "z": [0.5, 1.5]}))
    with pytest.raises(InputError, match=r"No table of .* has columns that look like users and items .*a.csv: x, z"):
        draft_spec(tmp_path)


def test_lines_with_another_number_of_parts_and_separators_at_their_ends(tmp_path):
    frames = shop()
    write(tmp_path, frames, ".dat", sep="\t")
    plain = drafted(tmp_path)[1]
    for name, bad in (("users", []), ("items", ["1\t2", "3\tx\t" + "y\t" * 9])):
        header, *rows = (tmp_path / f"{name}.dat").read_text(encoding="utf-8").splitlines()
        text = "\n".join([header, bad[0] if bad else "", *(f"{row}\t" for row in rows), *bad[1:]])
        (tmp_path / f"{name}.dat").write_text(text, encoding="utf-8")
    text = draft_spec(tmp_path)
    assert text.count("bad_lines") == 1
    assert f'bad_lines = "drop" # 2 of the first {len(frames["items"]) + 2} lines have' in text
    spec, raw = drafted(tmp_path)
    assert (spec.users[0].bad_lines, spec.items[0].bad_lines) == (None, "drop")
    assert_same_raw(raw, plain)


def test_a_table_that_cannot_be_read_keeps_no_other_out(tmp_path):
    write(tmp_path, shop(), ".csv")
    (tmp_path / "notes.txt").write_text("some words\nand one\nmore\n", encoding="utf-8")
    assert "# notes.txt is not read. " in draft_spec(tmp_path)
    spec, _ = drafted(tmp_path)
    assert (spec.log.files, len(spec.users), len(spec.items)) == (("log.csv",), 1, 1)


def test_another_log_is_no_table_of_items(tmp_path):
    frames = shop()
    write(tmp_path, frames, ".csv")
    write_one(tmp_path / "views.csv", frames["log"][["customer", "article"]].iloc[::3])
    assert '# another log: files = "views.csv"' in draft_spec(tmp_path)
    spec, _ = drafted(tmp_path)
    assert [one.files for one in spec.items] == [("items.csv",)]


def test_labels_that_are_all_equal_are_positives_alone(tmp_path):
    write_one(tmp_path / "log.csv", shop()["log"][["customer", "article", "when"]].assign(purchase=1.0))
    spec, raw = drafted(tmp_path)
    assert (spec.log.label, dict(spec.kinds)) == (None, {"purchase": "ignore"})
    assert spec.negatives is not None
    assert raw.interactions == {}


def test_many_distinct_texts_are_no_titles(tmp_path):
    frames = shop()
    count = len(frames["items"])
    frames["items"]["author"] = [f"author {n * 3 // 5}" for n in range(count)]
    write(tmp_path, frames, ".csv")
    spec, _ = drafted(tmp_path)
    assert dict(spec.kinds) == {"title": "display"}


@pytest.mark.skipif(not (SHARED / "anime").is_dir(), reason="no real data at hand")
def test_real_tables(tmp_path):
    for name in ("anime_info.dat", "anime_ratings.dat"):
        (tmp_path / name).symlink_to(SHARED / "anime" / name)
    spec, _ = drafted(tmp_path)
    assert (spec.log.user, spec.log.item, spec.log.label) == ("User_ID", "Anime_ID", "Feedback")
    assert spec.log.least == 8
    assert (spec.items[0].id, spec.kinds["name"], spec.separators["genre"]) == ("anime_ids", "display", ", ")
