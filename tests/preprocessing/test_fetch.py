"""Downloading Amazon's files, against a server on this machine: whole and verified, or not at all."""

from __future__ import annotations

import gzip
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from file_server import serving

from benchmarks.make_amazon import make_amazon
from foundation.errors import InputError
from preprocessing.amazon import META, REVIEWS
from preprocessing.download import RemoteFile
from preprocessing.load import AMAZON_FILES, AMAZON_FOLDER, load_amazon


@pytest.fixture
def served(tmp_path, monkeypatch):
    """(folder that is served, what is known of its two files)"""
    monkeypatch.setenv("no_proxy", "*")
    folder = make_amazon(tmp_path / "served", reviews=300, users=20, items=15, meta=30)
    (folder / "planted_probability.npy").unlink()
    with serving(folder) as url:
        yield folder, [describe(url, folder / name) for name in (REVIEWS, META)]


def describe(url: str, file: Path) -> RemoteFile:
    lines = gzip.decompress(file.read_bytes()).count(b"\n")
    return RemoteFile(url + file.name, file.stat().st_size, lines)


def fetch(tmp_path: Path, files) -> int:
    return len(load_amazon(quiet=True, data_dir=tmp_path / "data", files=files))


def left_behind(tmp_path: Path) -> list:
    return list((tmp_path / "data").rglob("*"))


class TestFetch:
    def test_published_sizes_are_known(self):
        assert [(file.name, file.lines) for file in AMAZON_FILES] == [(REVIEWS, 1_689_188), (META, 498_196)]

    def test_whole_files_are_kept_and_not_asked_for_again(self, served, tmp_path):
        _, files = served
        assert fetch(tmp_path, files) == 300
        assert sorted(file.name for file in (tmp_path / "data" / AMAZON_FOLDER).iterdir()) == sorted([REVIEWS, META])
        assert fetch(tmp_path, [replace(file, url="http://127.0.0.1:9/x") for file in files]) == 300

    @pytest.mark.parametrize("which", [0, 1])
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"size": 10}, "is larger than it should be"),
            ({"size": 10**7}, "was cut off after"),
            ({"lines": 7}, "lines instead of 7"),
        ],
    )
    def test_another_file_than_expected(self, served, tmp_path, which, change, message):
        _, files = served
        files[which] = replace(files[which], **change)
        with pytest.raises(InputError, match=message) as error:
            fetch(tmp_path, files)
        assert "nothing was kept" in str(error.value)
        assert left_behind(tmp_path) == []

    def test_damaged_gzip_file_of_the_right_size(self, served, tmp_path):
        folder, files = served
        content = bytearray((folder / META).read_bytes())
        content[len(content) // 2] ^= 255
        (folder / META).write_bytes(content)
        with pytest.raises(InputError, match=r"no complete gzip file|lines instead of"):
            fetch(tmp_path, files)
        assert left_behind(tmp_path) == []

    def test_no_such_file_on_the_server(self, served, tmp_path):
        folder, files = served
        (folder / META).unlink()
        with pytest.raises(InputError, match=r"cannot be reached.*404"):
            fetch(tmp_path, files)
        assert left_behind(tmp_path) == []

    def test_no_server_says_what_to_do(self, tmp_path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        files = [replace(file, url=f"http://127.0.0.1:{port}/{file.name}") for file in AMAZON_FILES]
        with pytest.raises(InputError, match=r"cannot be reached.*\nGet reviews_Elec.*make_amazon"):
            fetch(tmp_path, files)
        assert left_behind(tmp_path) == []

    def test_folder_that_cannot_be_written(self, served, tmp_path):
        (tmp_path / "data").write_text("mine")
        with pytest.raises(InputError, match="cannot be written"):
            fetch(tmp_path, served[1])
        assert (tmp_path / "data").read_text() == "mine"
