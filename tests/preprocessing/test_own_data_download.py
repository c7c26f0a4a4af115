"""Files that `dataset.toml` says where to get: only what is missing is asked for, and only what is right is kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from file_server import serving
from own_data_helpers import write_spec

from foundation.errors import InputError
from preprocessing.own_data import load_own

LOG = b"u,i,y\n1,1,0\n1,2,1\n"
SPEC = '[log]\nfiles = "log.csv"\nuser = "u"\nitem = "i"\nlabel = "y"\n'


@pytest.fixture
def address(tmp_path, monkeypatch):
    """Of a server with the log."""
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "log.csv").write_bytes(LOG)
    with serving(tmp_path / "served") as url:
        yield url.removesuffix("/")


def folder_with(tmp_path: Path, url: str, content: bytes = LOG) -> Path:
    sha256 = hashlib.sha256(content).hexdigest()
    return write_spec(tmp_path / "own", f'{SPEC}[[download]]\nfile = "log.csv"\nurl = "{url}"\nsha256 = "{sha256}"\n')


def test_a_missing_file_is_fetched_once(tmp_path, address):
    folder = folder_with(tmp_path, f"{address}/log.csv")
    assert len(load_own(folder, quiet=True)) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["dataset.toml", "log.csv"]
    folder_with(tmp_path, "http://127.0.0.1:9/nobody")
    assert len(load_own(folder, quiet=True)) == 2


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [("log.csv", b"another", "has the sha256 .* instead of"), ("nothing.csv", LOG, "404|cannot be reached")],
    ids=["another file", "no such file"],
)
def test_nothing_is_kept_of_a_wrong_download(tmp_path, address, path, content, message):
    folder = folder_with(tmp_path, f"{address}/{path}", content)
    with pytest.raises(InputError, match=f"(?s)({message}).*Get log.csv in another way"):
        load_own(folder, quiet=True)
    assert [path.name for path in folder.iterdir()] == ["dataset.toml"]
