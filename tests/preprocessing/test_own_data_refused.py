"""Every mistake in tables and in `dataset.toml` is answered by one clear line."""

from __future__ import annotations

import gzip

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_data_helpers import write_spec

from foundation.errors import InputError
from preprocessing.dataset import Dataset
from preprocessing.dataset_spec import read_spec
from preprocessing.own_data import load_own

LOG = '[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\nlabel = "y"\n'
USERS = '[users]\nfiles = "users.csv"\nid = "u"\n'
FILES = {"log.csv": "u,i,y,f\n1,1,0,a\n1,2,1,b\n2,1,1,a\n", "users.csv": "u,city\n1,Jena\n2,Paris\n"}

SPECS = {  # -> the file, what the error says
    "unknown key": ('nme = "x"\n' + LOG, "has no key 'nme'. Did you mean 'name'?"),
    "unknown key of the log": (LOG + 'tiem = "t"\n', r"\[log\] has no key 'tiem'. Did you mean 'time'"),
    "unknown section": (LOG + "[kind]\n", "has no key 'kind'. Did you mean 'kinds'"),
    "unknown kind": (LOG + '[kinds]\nf = "sparce"\n', "kinds must be a table with one of sparse, dense, list, vector"),
    "no log": ('name = "x"\n', "lacks 'log'"),
    "no user": ('[log]\nfiles = "log.csv"\nitem = "i"\n', r"\[log\] lacks 'user'"),
    "bad toml": ("[log\n", "is no TOML"),
    "text without quotes": (LOG + "time = t\n", "is no TOML"),
    "key twice": (LOG + 'label = "f"\n', "is no TOML"),
    "number as a text": (LOG + 'above = "3"\n', "above must be a number. Received: '3'"),
    "two rules": (LOG + "above = 3\nfrom = 4\n", "above and from, which are two rules"),
    "rule without a label": (LOG.replace('label = "y"\n', "above = 3\n"), "has above, but no label"),
    "positive and dropped": (LOG + "positive = [1]\ndrop = [1]\n", "drops the label 1, which is positive"),
    "negatives and a label": (LOG + "[negatives]\n", "is for a log without labels"),
    "unknown negatives": (LOG.replace('label = "y"\n', '[negatives]\ntrain = "hard"\n'), "train of the negatives"),
    "one column twice": (LOG + 'time = "y"\n', "takes one column for two things"),
    "unit without a time": (LOG + 'time_unit = "ms"\n', "time_unit, but no time"),
    "list that is no list": (LOG + '[separators]\nf = "|"\n[kinds]\nf = "dense"\n', "splits 'f', which is dense"),
    "size of a number": (LOG + '[kinds]\nf = "dense"\n[vocabulary_sizes]\nf = 9\n', "it has no vocabulary"),
    "small vocabulary": (LOG + "[vocabulary_sizes]\nf = 1\n", "whole number of at least 2"),
    "unknown bad lines": (LOG + 'bad_lines = "keep"\n', "bad_lines must be one of drop. Received: 'keep'"),
    "short sha256": (LOG + '[[download]]\nfile = "a"\nurl = "https://a"\nsha256 = "12"\n', "64 hexadecimal digits"),
    "path as a file": (LOG + '[[download]]\nfile = "../a"\nurl = "https://a"\nsha256 = "12"\n', "the name of a file"),
}
TABLES = {  # -> what is said besides, files that differ, what the error says
    "missing column": ("", {"log.csv": "u,i,labels\n1,1,0\n"}, r"log.csv has no column 'y', which \[log\] needs"),
    "nearest column": (USERS.replace('"u"', '"City "'), {}, "users.csv has no column 'City '.* Did you mean 'city'"),
    "wrong path": (USERS.replace("users.csv", "user.csv"), {}, "No file 'user.csv' in .*Did you mean 'users.csv'"),
    "pattern without a match": (USERS.replace("users.csv", "users-*.csv"), {}, "matches 'users-\\*.csv'"),
    "two rows of one id": (USERS, {"users.csv": "u,city\n1,a\n2,b\n1,c\n"}, "1 id has several rows: 1, again in row 3"),
    "mixed types": (USERS, {"users.csv": "u,city\na,b\nb,c\n"}, "'u' of log.csv holds whole numbers.* are texts"),
    "texts among numbers": (USERS, {"log.csv": "u,i,y\n1,1,0\nx,2,1\n"}, "holds texts, such as '1'"),
    "empty table": (USERS, {"users.csv": "u,city\n"}, "users.csv has a header and no rows"),
    "empty log": ("", {"log.csv": "u,i,y\n"}, "log.csv has no rows"),
    "empty file": ("", {"log.csv": ""}, "log.csv is empty"),
    "one class": ("", {"log.csv": "u,i,y\n1,1,1\n1,2,1\n"}, "all 2 labels are 1"),
    "no label": ("", {"log.csv": "u,i,y\n1,1,1\n1,2,\n"}, "'y' is missing in row 2"),
    "no id": ("", {"log.csv": "u,i,y\n1,1,1\n,2,0\n"}, "'u' is missing in row 2"),
    "another label": ("", {"log.csv": "u,i,y\n1,1,1\n1,2,5\n"}, "must be 0 or 1, and holds 5.*above = 3"),
    "two names": ("", {"log.csv": "u,i,y,u\n1,1,1,1\n"}, "two columns 'u'"),
    "short line": (
        "",
        {"log.csv": "u,i,y\n1,1,1\n1,2\n"},
        r'log.csv: line 3 has 2 parts, and the header has 3\..*bad_lines = "drop" in \[log\]',
    ),
    "long line behind an empty one": ("", {"log.csv": 'u,i,y\n1,1,1\n\n1,2,"0\n",4\n'}, "line 4 has 4 parts"),
    "value behind the last separator": ("", {"log.csv": "u,i,y\n1,1,1,\n1,2,0,x\n2,2,0,\n"}, "line 3 has 4 parts"),
    "quote among lines left out": ('bad_lines = "drop"\n', {"log.csv": 'u,i,y\n1,1,"1\n1,2,0\n2",2,0\n'}, "a quote is"),
    "bytes among lines left out": ('bad_lines = "drop"\n', {"log.csv": b"u,i,y\n1,\xe4,1\n1,2,0,4\n"}, "not in UTF-8"),
    "lines of parquet": (USERS.replace("csv", "parquet") + 'bad_lines = "drop"\n', {"users.parquet": b""}, "bad_lines"),
    "wrong separator": ("", {"log.csv": "u;i;y\n1;1;1\n"}, "no column 'u'.*correct the separator"),
    "open quote": ("", {"log.csv": 'u,i,y,f\n1,1,1,"a\n1,2,0,b\n'}, "a quote is opened and not closed"),
    "quote that swallows": ("", {"log.csv": 'u,i,y,f\n1,1,1,"a\n1,2,0,b\n1,1,1,"\n1,2,0,c\n'}, "a quote is opened"),
    "not utf-8": ("", {"log.csv": b"u,i,y,f\n1,1,1,\xe4\n1,2,0,b\n"}, 'say encoding = "latin-1"'),
    "cut gz": ("", {"log.csv.gz": gzip.compress(b"u,i,y\n1,1,1\n" * 999)[:-20], "log.csv": None}, "no complete gzip"),
    "cut parquet": (USERS.replace("csv", "parquet"), {"users.parquet": b"PAR1abc"}, "no complete parquet file"),
    "no parquet": (USERS.replace("csv", "parquet"), {"users.parquet": b""}, "no complete parquet file"),
    "dates": (USERS, {"users.csv": "u,born\n1,2001-01-01\n2,2002-02-02\n"}, 'Say born = "ignore"'),
    "number beyond ids": ("", {"log.csv": "u,i,y\n1.5,1,1\n2,2,0\n"}, "'u' of log.csv must hold ids"),
    "kind of no column": ('[kinds]\ng = "dense"\n', {}, r"\[kinds\] names 'g', which is no column"),
    "ignored column that is not there": (f'{USERS}[kinds]\nCitty = "ignore"\n', {}, "'Citty'.* Did you mean 'city'"),
    "kind of the label": ('[kinds]\ny = "dense"\n', {}, r"\[kinds\] names 'y'"),
    "side of a user's": (f'{USERS}[sides]\ncity = "item"\n', {}, r"\[sides\] names 'city'"),
    "dense texts": ('[kinds]\nf = "dense"\n', {}, "'f' of log.csv must hold numbers to be dense"),
    "shown feature of the log": ('[kinds]\nf = "display"\n', {}, "of the kind display"),
    "list without parts": (f'{USERS}[kinds]\ncity = "list"\n', {}, "under \\[separators\\]"),
    "one name twice": (USERS, {"users.csv": "u,f\n1,a\n2,b\n"}, "Two features are named 'f'"),
    "late milliseconds": (
        'time = "t"\n',
        {"log.csv": "u,i,y,t\n1,1,0,1700000000000\n2,2,1,1700000000001\n"},
        'Say time_unit = "ms"',
    ),
    "hours as a time": ('time = "t"\n', {"log.csv": "u,i,y,t\n1,1,0,7\n2,2,1,23\n"}, "is from 7 to 23.*another column"),
    "time in words": ('time = "t"\n', {"log.csv": "u,i,y,t\n1,1,0,noon\n2,2,1,night\n"}, "Received: 'noon'"),
    "vectors of two lengths": (
        USERS + '[kinds]\ncity = "vector"\n[separators]\ncity = " "\n',
        {"users.csv": "u,city\n1,1 2\n2,1\n"},
        "vectors of one length",
    ),
    "vector beyond float32": (
        USERS + '[kinds]\ncity = "vector"\n[separators]\ncity = " "\n',
        {"users.csv": "u,city\n1,1 2\n2,1 -1e39\n"},
        "'city' of users.csv has vectors with a number beyond 3.4e38",
    ),
}


def one_line(error: pytest.ExceptionInfo) -> str:
    (line,) = str(error.value).splitlines()
    return line


class TestSpec:
    @pytest.mark.parametrize("case", SPECS)
    def test_mistake_is_told_in_one_line(self, tmp_path, case):
        text, message = SPECS[case]
        write_spec(tmp_path, text)
        with pytest.raises(InputError, match=message) as error:
            read_spec(tmp_path)
        assert str(tmp_path / "dataset.toml") in one_line(error)

    def test_folder_without_a_spec(self, tmp_path):
        with pytest.raises(InputError, match=r"has no dataset.toml.*--describe") as error:
            read_spec(tmp_path)
        assert one_line(error)
        with pytest.raises(InputError, match=r"is no folder"):
            read_spec(tmp_path / "nowhere")


class TestTables:
    @pytest.mark.parametrize("case", TABLES)
    def test_mistake_is_told_in_one_line(self, tmp_path, case):
        more, files, message = TABLES[case]
        write_spec(tmp_path, LOG + more)
        for name, content in (FILES | files).items():
            if content is not None:
                (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        before = sorted(path.name for path in tmp_path.iterdir())
        with pytest.raises(InputError, match=message) as error:
            load_own(tmp_path, cache=tmp_path.parent / "cache")
        assert one_line(error)
        assert sorted(path.name for path in tmp_path.iterdir()) == before

    def test_the_files_are_right_without_the_mistake(self, tmp_path):
        write_spec(tmp_path, LOG + USERS)
        for name, content in FILES.items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        assert len(load_own(tmp_path)) == 3

    def test_columns_of_two_types_in_two_parquet_files(self, tmp_path):
        for name, user in (("a", [1, 2]), ("b", ["x", "y"])):
            pq.write_table(pa.table({"u": user, "i": [1, 2], "y": [0, 1]}), tmp_path / f"{name}.parquet")
        write_spec(tmp_path, LOG.replace("log.csv", "*.parquet"))
        with pytest.raises(InputError, match=r"'u' holds int64 in a.parquet and string in b.parquet") as error:
            load_own(tmp_path)
        assert one_line(error)

    def test_no_network_says_what_to_do(self, tmp_path):
        write_spec(
            tmp_path, f'{LOG}[[download]]\nfile = "log.csv"\nurl = "http://127.0.0.1:9/x"\nsha256 = "{"0" * 64}"\n'
        )
        with pytest.raises(InputError, match=r"cannot be reached.*\nGet log.csv in another way, and put it into"):
            load_own(tmp_path)
        (tmp_path / "log.csv").write_text(FILES["log.csv"], encoding="utf-8")
        assert len(load_own(tmp_path)) == 3  # what is there is not asked for


class TestTemporal:
    def test_seconds_from_another_start_are_times_if_their_unit_is_said(self, tmp_path):
        (tmp_path / "log.csv").write_text("u,i,y,t\n1,1,0,7\n2,2,1,23\n", encoding="utf-8")
        write_spec(tmp_path, LOG + 'time = "t"\ntime_unit = "s"\n')
        assert load_own(tmp_path).timestamp.tolist() == [7, 23]

    @pytest.mark.parametrize("time", [True, False], ids=["equal times", "no time"])
    def test_needs_times(self, tmp_path, time):
        log = pd.DataFrame({"u": range(50), "i": range(50), "y": [0, 1] * 25, "t": [10**9] * 50})
        log.to_csv(tmp_path / "log.csv", index=False)
        write_spec(tmp_path, LOG + ('time = "t"\n' if time else '[kinds]\nt = "ignore"\n'))
        raw = load_own(tmp_path)
        with pytest.raises(InputError, match="needs times, and all 50 rows") as error:
            Dataset.build(raw, "temporal", 0)
        assert one_line(error)
        Dataset.build(raw, "holdout", 0)
