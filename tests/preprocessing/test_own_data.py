"""A data set in files gives the same `RawData` in whatever format it is, and the same as its frames."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_data_helpers import SPEC, assert_same_raw, shop, values_of, write, write_one, write_spec

from foundation.errors import InputError
from preprocessing import table_files
from preprocessing.dataset import Dataset
from preprocessing.frames import raw_from_frames
from preprocessing.negatives import Negatives
from preprocessing.own_data import load_own
from preprocessing.raw import RawData

FORMATS = {
    "csv": (".csv", 1, {}),
    "tsv": (".tsv", 1, {"sep": "\t"}),
    "gz": (".csv.gz", 1, {}),
    "parquet": (".parquet", 1, {}),
    "two characters": (".dat", 1, {"sep": "::"}),
    "semicolons": (".txt", 1, {"sep": ";"}),
    "quoted": (".csv", 1, {"quoting": 2}),
    "many csv": (".csv", 3, {}),
    "many parquet": (".parquet", 3, {}),
}


def spec_of(suffix: str, parts: int = 1, sep: str | None = None, **_) -> str:
    text = SPEC.format(suffix=suffix if parts == 1 else f"-*{suffix}")
    if sep in (None, "\t"):
        return text
    return text.replace('"\nid =', f'"\nseparator = "{sep}"\nid =').replace('"\nuser', f'"\nseparator = "{sep}"\nuser')


def load(folder: Path, format_of: str, frames: dict[str, pd.DataFrame] | None = None, **options) -> RawData:
    suffix, parts, more = FORMATS[format_of]
    write(folder, frames or shop(), suffix, parts, **more)
    write_spec(folder, f'name = "shop"\n{spec_of(suffix, parts, **more)}')
    return load_own(folder, **options)


def of_frames(frames: dict[str, pd.DataFrame]) -> RawData:
    """The same by `raw_from_frames`: what a person would write in pandas."""
    log = frames["log"][frames["log"]["stars"] != 3].drop(columns="row")
    items = frames["items"].drop(columns="title")
    tags = [None if pd.isna(text) else [part.strip() for part in text.split("|")] for text in items["tags"]]
    return raw_from_frames(
        frames["users"].rename(columns={"id": "customer"}),
        items.assign(tags=tags),
        log.assign(stars=(log["stars"] > 3).astype(int)).reset_index(drop=True),
        user_id="customer",
        item_id="article",
        label="stars",
        timestamp="when",
        sides={"position": "item"},
        vocabulary_sizes={"city": 3},
        name="shop",
    )


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """So that tables of some hundred rows come in many batches."""
    monkeypatch.setattr(table_files, "BLOCK_BYTES", 3000)
    monkeypatch.setattr(table_files, "BATCH_ROWS", 37)


class TestFormats:
    @pytest.mark.parametrize("format_of", FORMATS)
    def test_every_format_equals_the_frames(self, tmp_path, format_of):
        raw = load(tmp_path, format_of)
        assert_same_raw(raw, of_frames(shop()), shown=("title",))
        assert raw.items["title"].tolist() == shop()["items"]["title"].tolist()
        assert "title" not in (*raw.schema.item_sparse, *raw.schema.item_lists)

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_models_see_the_same(self, tmp_path, protocol):
        one = Dataset.build(load(tmp_path, "many parquet"), protocol, 0)
        other = Dataset.build(of_frames(shop()), protocol, 0)
        assert one.encoding_json() == other.encoding_json()
        for table in ("users", "items", "per_row"):
            left, right = getattr(one, table), getattr(other, table)
            assert list(left.values) == list(right.values)
            assert all(left.values[name].equal(right.values[name]) for name in left.values)
            assert all(left.lists[name].values.equal(right.lists[name].values) for name in left.lists)

    def test_size_of_the_pieces_changes_nothing(self, tmp_path, monkeypatch):
        small = load(tmp_path, "csv")
        monkeypatch.setattr(table_files, "BLOCK_BYTES", 1 << 20)
        assert_same_raw(load_own(tmp_path), small)

    def test_files_without_a_header(self, tmp_path):
        expected = load(tmp_path / "header", "csv")
        frames = shop()
        write(tmp_path / "none", frames, ".csv", header=False)
        text = spec_of(".csv")
        for table, frame in frames.items():
            text = text.replace(f'"{table}.csv"', f'"{table}.csv"\ncolumns = {list(frame.columns)}')
        assert_same_raw(load_own(write_spec(tmp_path / "none", text)), expected)

    def test_tables_may_lie_elsewhere(self, tmp_path):
        expected = load(tmp_path / "data", "csv")
        folder = write_spec(tmp_path / "spec", (tmp_path / "data" / "dataset.toml").read_text(encoding="utf-8"))
        assert_same_raw(load_own(folder, tmp_path / "data"), expected)
        assert load_own(folder, tmp_path / "data").fingerprint == expected.fingerprint

    def test_latin_1(self, tmp_path):
        write_spec(tmp_path, '[log]\nfiles = "a.csv"\nencoding = "latin-1"\nuser = "u"\nitem = "é"\nlabel = "y"\n')
        (tmp_path / "a.csv").write_bytes("u,é,y\nä,1,0\nö,1,1\n".encode("latin-1"))
        raw = load_own(tmp_path)
        assert raw.users["u"].tolist() == ["ä", "ö"]
        assert raw.schema.item_id == "é"

    def test_quoted_values_may_hold_separators_and_line_ends(self, tmp_path):
        frames = shop()
        frames["log"]["device"] = ["a,b", "two\nlines", 'a "quote"', "::"] * 100
        raw = load(tmp_path, "csv", frames)
        assert values_of(raw.interactions["device"]) == values_of(of_frames(frames).interactions["device"])


def changed(folder: Path, sep: str, change) -> None:
    """Each text of a folder, line by line. change: number of the line in its file, the line -> lines."""
    for path in [path for path in folder.iterdir() if path.name != "dataset.toml"]:
        content = path.read_bytes()
        packed = path.suffix == ".gz"
        lines = (gzip.decompress(content) if packed else content).decode().splitlines()
        text = "".join(f"{new}\n" for number, line in enumerate(lines) for new in change(number, line, sep))
        path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())


class TestLinesWithAnotherNumberOfParts:
    @pytest.mark.parametrize("block", [700, 1 << 20])
    @pytest.mark.parametrize("format_of", ["csv", "tsv", "gz", "two characters", "many csv"])
    def test_left_out_lines_change_nothing_else(self, tmp_path, format_of, block, monkeypatch):
        monkeypatch.setattr(table_files, "BLOCK_BYTES", block)
        expected = load(tmp_path, format_of)
        sep = FORMATS[format_of][2].get("sep", ",")
        added = 0

        def more(number, line, sep):
            nonlocal added
            bad = {3: [f"{line}{sep}x"], 7: ["1"]}.get(number % 9, [])
            added += len(bad)
            return [line, *bad]

        changed(tmp_path, sep, more)
        with pytest.raises(InputError, match=r"line 5 has \d parts, and the header has \d\. .*bad_lines"):
            load_own(tmp_path)
        text = (tmp_path / "dataset.toml").read_text(encoding="utf-8")
        write_spec(tmp_path, text.replace('\nfiles = "', '\nbad_lines = "drop"\nfiles = "'))
        raw = load_own(tmp_path)
        assert_same_raw(raw, expected)
        assert sum(count.dropped.get(table_files.BAD_LINES, 0) for count in raw.counts) == added > 0
        assert [count.kept for count in raw.counts] == [count.kept for count in expected.counts]

    @pytest.mark.parametrize("format_of", ["csv", "gz", "two characters", "many csv"])
    def test_a_separator_at_the_end_of_all_rows(self, tmp_path, format_of):
        expected = load(tmp_path, format_of)
        sep = FORMATS[format_of][2].get("sep", ",")
        changed(tmp_path, sep, lambda number, line, sep: [line + sep if number else line])
        assert_same_raw(load_own(tmp_path), expected)

    def test_a_value_behind_the_last_separator_is_left_out(self, tmp_path):
        (tmp_path / "log.csv").write_text("u,i,y\n1,1,1,\n1,2,0,x\n1,2,0\n2,2,0,\n2,1,1,\n", encoding="utf-8")
        spec = '[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\nlabel = "y"\nbad_lines = "drop"\n'
        raw = load_own(write_spec(tmp_path, spec))
        assert raw.label.tolist() == [1, 0, 1]
        assert raw.counts[-1].dropped == {table_files.BAD_LINES: 2}


class TestTypes:
    """A text has no types. What the first lines look like is not the last word."""

    @pytest.mark.parametrize(
        ("late", "kind"),
        [("1.5", "float"), ("x", "str"), ("", "int")],
        ids=["a fraction", "a text", "nothing"],
    )
    def test_a_late_value_of_another_type_changes_the_column(self, tmp_path, late, kind):
        lines = [f"{n % 7},{n % 5},{n % 2},{n % 3}" for n in range(3000)]
        lines[2900] = f"1,2,0,{late}"
        (tmp_path / "log.csv").write_text("\n".join(["u,i,y,f", *lines]) + "\n", encoding="utf-8")
        raw = load_own(write_spec(tmp_path, '[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\nlabel = "y"\n'))
        assert len(raw) == 3000
        assert raw.label[:4].tolist() == [0, 1, 0, 1]  # nothing is read twice
        held = values_of(raw.interactions["f"])
        assert {type(value).__name__ for value in held if value is not None} == {kind}
        assert str(held[2900]) == (late or "None")
        assert raw.schema.user_dense == (("f",) if kind == "float" else ())

    def test_times_of_every_form_are_the_same(self, tmp_path):
        seconds = 1_700_000_000 + np.arange(40) * 3601
        when = pd.Series(pd.to_datetime(seconds, unit="s"))
        forms = {
            "seconds": (seconds, ""),
            "milliseconds": (seconds * 1000, 'time_unit = "ms"\n'),
            "floats": (seconds + 0.25, ""),
            "datetimes": (when.astype(str), ""),
            "with a zone": (when.dt.strftime("%Y-%m-%dT%H:%M:%SZ"), ""),
        }
        for name, (values, more) in forms.items():
            log = pd.DataFrame({"u": np.arange(40) % 7, "i": np.arange(40) % 3, "t": values, "y": np.arange(40) % 2})
            for suffix in (".csv", ".parquet"):
                folder = tmp_path / f"{name}{suffix}"
                spec = f'[log]\nfiles = "log{suffix}"\nuser = "u"\nitem = "i"\ntime = "t"\nlabel = "y"\n{more}'
                write(folder, {"log": log}, suffix)
                assert load_own(write_spec(folder, spec)).timestamp.tolist() == seconds.tolist()

    def test_dates_are_their_first_second(self, tmp_path):
        text = "u,i,t,y\n1,1,2026-01-02,1\n2,1,1969-12-31,0\n"
        (tmp_path / "log.csv").write_text(text, encoding="utf-8")
        spec = '[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\ntime = "t"\nlabel = "y"\n'
        assert load_own(write_spec(tmp_path, spec)).timestamp.tolist() == [1_767_312_000, -86_400]

    def test_parquet_files_of_several_widths(self, tmp_path):
        log = pd.DataFrame({"u": np.arange(8) % 4, "i": np.arange(8) % 3, "y": np.arange(8) % 2})
        write_one(tmp_path / "a.parquet", log.astype("int32"))
        write_one(tmp_path / "b.parquet", log)
        spec = '[log]\nfiles = ["a.parquet", "b.parquet"]\nuser = "u"\nitem = "i"\nlabel = "y"\n'
        raw = load_own(write_spec(tmp_path, spec))
        assert raw.user.tolist() == [0, 1, 2, 3] * 4

    def test_dictionaries_of_parquet(self, tmp_path):
        table = pa.table({"u": [1, 2, 3, 1], "i": [1, 1, 2, 2], "y": [0, 1, 0, 1]})
        table = table.append_column("f", pa.array(["b", None, "a", "b"]).dictionary_encode())
        pq.write_table(table, tmp_path / "log.parquet")
        raw = load_own(write_spec(tmp_path, '[log]\nfiles = "log.parquet"\nuser = "u"\nitem = "i"\nlabel = "y"\n'))
        assert values_of(raw.interactions["f"]) == ["b", None, "a", "b"]


class TestRules:
    LOG = "u,i,y\n1,1,buy\n1,2,view\n2,1,click\n2,2,view\n3,1,spam\n"

    @pytest.mark.parametrize(
        ("rule", "labels"),
        [
            ('positive = ["buy"]', [1, 0, 0, 0, 0]),
            ('positive = ["buy", "click"]\ndrop = ["spam"]', [1, 0, 1, 0]),
        ],
        ids=["one value", "several, and one that is dropped"],
    )
    def test_texts(self, tmp_path, rule, labels):
        (tmp_path / "log.csv").write_text(self.LOG, encoding="utf-8")
        spec = f'[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\nlabel = "y"\n{rule}\n'
        raw = load_own(write_spec(tmp_path, spec))
        assert raw.label.tolist() == labels
        assert raw.counts[-1].read == 5
        assert sum(raw.counts[-1].dropped.values()) == 5 - len(labels)

    @pytest.mark.parametrize(
        ("rule", "labels"),
        [("above = 3", [0, 0, 0, 1, 1]), ("from = 3", [0, 0, 1, 1, 1]), ("from = 3\ndrop = [3]", [0, 0, 1, 1])],
        ids=["above", "from", "drop"],
    )
    def test_numbers(self, tmp_path, rule, labels):
        (tmp_path / "log.csv").write_text("u,i,y\n1,1,1\n1,2,2\n2,1,3\n2,2,4\n3,1,5\n", encoding="utf-8")
        spec = f'[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\nlabel = "y"\n{rule}\n'
        raw = load_own(write_spec(tmp_path, spec))
        assert raw.label.tolist() == labels
        assert raw.counts[-1].dropped == ({"y 3": 1} if "drop" in rule else {})

    def test_without_a_label_every_row_is_a_positive(self, tmp_path):
        (tmp_path / "log.csv").write_text("u,i\n1,1\n1,2\n2,1\n", encoding="utf-8")
        spec = '[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\n'
        raw = load_own(write_spec(tmp_path, spec))
        assert raw.label.tolist() == [1, 1, 1]
        assert raw.negatives == Negatives()
        more = '[negatives]\ntrain = "popularity"\nper_positive = 2\n'
        assert load_own(write_spec(tmp_path, spec + more)).negatives == Negatives("popularity", 2)
        assert load(tmp_path / "labelled", "csv").negatives is None


class TestConstantColumns:
    def test_are_left_out_of_a_log_and_told(self, tmp_path):
        log = "u,i,taken,hour,gap\n1,1,1,2.5,\n2,1,1,2.5,\n1,2,1,2.5,3\n"
        (tmp_path / "log.csv").write_text(log, encoding="utf-8")
        write_spec(tmp_path, '[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\n')
        raw = load_own(tmp_path)
        assert list(raw.interactions) == ["gap"]  # a gap is a value of its own
        assert raw.schema.fill_mean == ()
        assert "'taken' left out: it has one value in all rows" in str(raw.counts[-1])

    def test_stay_if_dataset_toml_names_them(self, tmp_path):
        (tmp_path / "log.csv").write_text("u,i,taken\n1,1,1\n2,1,1\n", encoding="utf-8")
        write_spec(tmp_path, '[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\n[kinds]\ntaken = "sparse"\n')
        assert list(load_own(tmp_path).interactions) == ["taken"]


class TestEntities:
    def test_ids_of_the_log_alone_are_counted_and_known_by_their_id(self, tmp_path):
        frames = shop()
        frames["users"], frames["items"] = frames["users"].iloc[:20], frames["items"].iloc[3:]
        kept = frames["log"][frames["log"]["stars"] != 3]
        raw = load(tmp_path, "csv", frames)
        assert (raw.described_users, raw.described_items) == (20, 17)
        assert raw.users["customer"].tolist()[:20] == frames["users"]["id"].tolist()
        new = [id for id in kept["customer"].drop_duplicates() if id not in {*frames["users"]["id"]}]
        assert raw.users["customer"].tolist()[20:] == new
        assert values_of(raw.users["level"][20:]) == [None] * len(new)
        assert raw.item_lists["tags"].lengths[17:].tolist() == [0] * 3
        rows = (~kept["customer"].isin(frames["users"]["id"])).sum()
        assert f"{rows} of {len(new)} users without a row in users.csv" in str(raw.counts[-1])
        # What each row of the log is about is not changed by what is known of it.
        whole = load(tmp_path / "whole", "csv")
        for side, key in (("user", "customer"), ("item", "article")):
            ids = [getattr(data, f"{side}s")[key].to_numpy()[getattr(data, side)].tolist() for data in (raw, whole)]
            assert ids[0] == ids[1]

    def test_several_tables_are_joined_and_several_rows_are_lists(self, tmp_path):
        files = {
            "log": "u,i,y\na,3,1\nb,1,0\nb,2,1\na,9,0\n",
            "brand": "i,brand\n2,x\n1,y\n",
            "tags": "i,tag\n1,t1\n3,t3\n1,t2\n2,\n",
        }
        for name, text in files.items():
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        spec = (
            '[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\nlabel = "y"\n[[items]]\nfiles = "brand.csv"\nid = "i"\n'
            '[[items]]\nfiles = "tags.csv"\nid = "i"\nseveral = true\n'
        )
        raw = load_own(write_spec(tmp_path, spec))
        assert raw.items["i"].tolist() == [2, 1, 3, 9]
        assert values_of(raw.items["brand"]) == ["x", "y", None, None]
        lists = np.split(raw.item_lists["tag"].values, raw.item_lists["tag"].offsets[1:-1])
        assert [part.tolist() for part in lists] == [[], ["t1", "t2"], ["t3"], []]
        assert raw.described_items == 3

    def test_vectors_of_floats_are_of_the_kind_vector(self, tmp_path):
        items = pa.table({"i": [2, 1], "emb": [[0.5, 1.0], None], "words": [["a"], ["b", "a"]]})
        pq.write_table(items, tmp_path / "items.parquet")
        (tmp_path / "log.csv").write_text("u,i,y\n1,1,0\n2,2,1\n3,7,1\n", encoding="utf-8")
        spec = (
            '[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\nlabel = "y"\n'
            '[items]\nfiles = "items.parquet"\nid = "i"\n'
        )
        raw = load_own(write_spec(tmp_path, spec))
        assert raw.schema.item_vectors == ("emb",)
        assert raw.item_vectors["emb"].tolist() == [[0.5, 1.0], [0, 0], [0, 0]]
        assert raw.item_vectors["emb"].dtype == np.float32
        assert raw.schema.item_lists == ("words",)

    def test_vectors_in_a_text(self, tmp_path):
        (tmp_path / "items.csv").write_text("i,emb\n2,0.5 1\n1,\n", encoding="utf-8")
        (tmp_path / "log.csv").write_text("u,i,y\n1,1,0\n2,2,1\n", encoding="utf-8")
        spec = (
            '[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\nlabel = "y"\n[items]\nfiles = "items.csv"\nid = "i"\n'
            '[kinds]\nemb = "vector"\n[separators]\nemb = " "\n'
        )
        assert load_own(write_spec(tmp_path, spec)).item_vectors["emb"].tolist() == [[0.5, 1], [0, 0]]


class TestFingerprintAndCache:
    def test_fingerprint_follows_files_and_rules_and_no_comment(self, tmp_path):
        first = load(tmp_path, "csv")
        text = (tmp_path / "dataset.toml").read_text(encoding="utf-8")
        write_spec(tmp_path, f"# a comment\nsource = 'somewhere'\n{text}")
        assert load_own(tmp_path).fingerprint == first.fingerprint
        write_spec(tmp_path, text.replace("above = 3", "from = 5"))
        assert load_own(tmp_path).fingerprint != first.fingerprint
        write_spec(tmp_path, text)
        with open(tmp_path / "log.csv", "a", encoding="utf-8") as file:
            file.write((tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()[-1] + "\n")
        assert load_own(tmp_path).fingerprint != first.fingerprint

    def test_cached_data_are_the_same(self, tmp_path, monkeypatch):
        frames = shop()
        frames["users"] = frames["users"].iloc[:20]
        fresh = load(tmp_path / "data", "parquet", frames, cache=tmp_path / "cache")
        monkeypatch.setattr("preprocessing.own_data.read_entities", None)  # whoever reads again fails
        cached = load_own(tmp_path / "data", cache=tmp_path / "cache")
        assert_same_raw(cached, fresh)
        assert replace(cached.counts[-1], source="") == replace(fresh.counts[-1], source="")
        assert (cached.fingerprint, cached.described_users) == (fresh.fingerprint, fresh.described_users)
        encodings = [Dataset.build(raw, "holdout", 0).encoding_json() for raw in (cached, fresh)]
        assert encodings[0] == encodings[1]

    def test_cache_keeps_vectors_negatives_and_names_of_any_kind(self, tmp_path):
        pq.write_table(pa.table({"i": [1, 2], "a/b é": [[1.0], [2.0]]}), tmp_path / "items.parquet")
        (tmp_path / "log.csv").write_text("u,i,c/d\n1,1,x\n1,2,\n2,1,x\n", encoding="utf-8")
        spec = '[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\n[items]\nfiles = "items.parquet"\nid = "i"\n'
        write_spec(tmp_path, spec)
        fresh, cached = (load_own(tmp_path, cache=tmp_path / "cache") for _ in range(2))
        assert isinstance(cached.user, np.memmap)
        assert cached.item_vectors["a/b é"].tolist() == fresh.item_vectors["a/b é"].tolist() == [[1.0], [2.0]]
        assert values_of(cached.interactions["c/d"]) == ["x", None, "x"]
        assert cached.negatives == fresh.negatives == Negatives()

    def test_a_file_that_changes_while_it_is_read_is_refused(self, tmp_path, monkeypatch):
        from preprocessing import own_data

        load(tmp_path, "csv")
        read = own_data.read_entities

        def read_and_touch(*arguments):
            (tmp_path / "log.csv").write_text("customer,article\n", encoding="utf-8")
            return read(*arguments)

        monkeypatch.setattr(own_data, "read_entities", read_and_touch)
        with pytest.raises(InputError):
            load_own(tmp_path)
