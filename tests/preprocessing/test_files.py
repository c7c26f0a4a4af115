"""What a text file may look like without any difference, and odd files that every reader refuses in a word."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import InputError
from preprocessing import amazon, files, movielens, taobao
from preprocessing.files import MARK, find_file, unchanged
from preprocessing.planted import read_planted
from preprocessing.raw import RawData

RATINGS = "9::3::5::978300760\n2::5::1::978302109\n2::3::3::978302110\n9::5::4::978300760\n"
USERS = "9::F::1::10::48067\n2::M::56::16::00070\n"
MOVIES = "5::Misérables, Les (1995)::Drama|Musical\n3::Grumpier Old Men (1995)::Comedy\n"
ONE = (
    ",".join(movielens.ONE_FILE_COLUMNS)
    + "\n9,3,5,978300760,F,1,10,48067,Café (1995),Comedy\n2,5,1,978302109,M,56,16,00070,B (1995),Drama\n"
)
REVIEWS = "".join(
    json.dumps({"reviewerID": user, "asin": item, "overall": stars, "unixReviewTime": 100, "reviewText": "é"}) + "\n"
    for user, item, stars in (("A1", "B1", 5.0), ("A2", "B1", 1.0), ("A1", "B2", 4.0))
)
META = "{'asin': 'B1', 'price': 9.5, 'categories': [['Café', 'TV']]}\n{'asin': 'B2', 'categories': []}\n"
AMAZON_ONE = (
    "reviewerID,asin,overall,unixReviewTime,price,categories\n"
    "A1,B1,5.0,100,9.5,\"[['Café', 'TV']]\"\nA2,B1,1.0,100,9.5,\"[['Café', 'TV']]\"\nA1,B2,4.0,200,,\n"
)
PROFILES = ",".join(field.name for field in taobao.PROFILE_FIELDS) + "\n1,0,1,2,3,,1,0,\n2,0,1,2,3,1,1,0,2\n"
ADS = ",".join(field.name for field in taobao.AD_FIELDS) + "\n7,1,1,1,NULL,9.5\n8,1,1,2,3,1\n"
SAMPLE = ",".join(field.name for field in taobao.SAMPLE_FIELDS) + "\n1,100,7,p1,1,0\n2,200,8,p2,0,1\n"


@dataclass(frozen=True)
class Source:
    """A data set: its files, by the name that is read."""

    read: Callable[[Path], RawData]
    files: dict[str, str]

    def write(self, folder: Path, change: Callable[[bytes], bytes] = bytes) -> Path:
        folder.mkdir()
        for name, text in self.files.items():
            (folder / name).write_bytes(change(text.encode()))
        return folder


SOURCES = {
    "movielens": Source(movielens.read, {"ratings.dat": RATINGS, "users.dat": USERS, "movies.dat": MOVIES}),
    "movielens.txt": Source(movielens.read, {movielens.ONE_FILE: ONE}),
    "amazon": Source(amazon.read, {amazon.REVIEWS.removesuffix(".gz"): REVIEWS, amazon.META.removesuffix(".gz"): META}),
    "amazon csv": Source(amazon.read, {amazon.ONE_FILE: AMAZON_ONE}),
    "taobao": Source(taobao.read, {"raw_sample.csv": SAMPLE, "ad_feature.csv": ADS, "user_profile.csv": PROFILES}),
}
FILES = [(source, name) for source in SOURCES for name in SOURCES[source].files]


def content_of(raw: RawData) -> dict:
    """All but where it comes from."""
    columns = {name: getattr(raw, name).tolist() for name in ("user", "item", "label", "timestamp")}
    tables = {name: getattr(raw, name).astype(object).fillna("missing").to_dict("list") for name in ("users", "items")}
    lists = {name: (ragged.values.tolist(), ragged.offsets.tolist()) for name, ragged in raw.item_lists.items()}
    return columns | tables | lists | {"interactions": {k: list(v) for k, v in raw.interactions.items()}}


class TestWhatMakesNoDifference:
    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize(
        "change",
        [
            lambda text: MARK + text,
            lambda text: text.replace(b"\n", b"\r\n"),
            lambda text: MARK + text.replace(b"\n", b"\r\n"),
            lambda text: text.rstrip(b"\n"),
            lambda text: text + b"\n\r\n \n",
        ],
        ids=["mark", "crlf", "mark and crlf", "no last line end", "blank lines"],
    )
    def test_marks_and_line_ends(self, source, change, tmp_path):
        one = SOURCES[source]
        plain, changed = one.read(one.write(tmp_path / "a")), one.read(one.write(tmp_path / "b", change))
        assert content_of(changed) == content_of(plain)

    @pytest.mark.parametrize("source", ["amazon", "amazon csv", "taobao"])
    @pytest.mark.parametrize("mark", [b"", MARK])
    def test_gzip(self, source, mark, tmp_path):
        one = SOURCES[source]
        plain, packed = one.write(tmp_path / "a"), one.write(tmp_path / "b", lambda text: gzip.compress(mark + text))
        for name in one.files:
            (packed / name).rename(packed / f"{name}.gz")
        assert content_of(one.read(packed)) == content_of(one.read(plain))

    @pytest.mark.parametrize("source", ["movielens", "movielens.txt", "amazon csv"])
    def test_latin_1_and_utf_8(self, source, tmp_path):
        one = SOURCES[source]
        latin = one.write(tmp_path / "b", lambda text: text.decode().encode("latin-1"))
        assert content_of(one.read(latin)) == content_of(one.read(one.write(tmp_path / "a")))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def an_endless_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def content(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(change(path.read_bytes())) and None


ODD = {
    "a folder": a_folder,
    "a pipe": a_pipe,
    "a link to itself": a_link_to_itself,
    "a device": an_endless_device,
    "empty": content(lambda text: b""),
    "blank": content(lambda text: b" \n\n"),
    "a mark alone": content(lambda text: MARK),
    "UTF-16": content(lambda text: text.decode().encode("utf-16")),
    "UTF-16 without a mark": content(lambda text: text.decode().encode("utf-16-le")),
    "UTF-32": content(lambda text: text.decode().encode("utf-32")),
    "zero bytes": content(lambda text: bytes(1000)),
    "one line of a megabyte": content(lambda text: b"x" * 2**20),
    "packed under another name": content(gzip.compress),
}


class TestOddFiles:
    @pytest.mark.parametrize(("source", "name"), FILES)
    @pytest.mark.parametrize("odd", ODD)
    def test_are_refused_by_name(self, source, name, odd, tmp_path):
        place = SOURCES[source].write(tmp_path / "data")
        ODD[odd](place / name)
        with pytest.raises(InputError) as error:
            SOURCES[source].read(place)
        assert name in str(error.value)
        assert len(str(error.value)) < 1000

    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize("path", ["x" * 5000, "\0", "data/ratings.dat/below", "loop/x"])
    def test_paths_that_cannot_be(self, source, path, tmp_path):
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(InputError):
            SOURCES[source].read(tmp_path / path)

    @pytest.mark.parametrize(("source", "name"), FILES)
    def test_without_permission(self, source, name, tmp_path, monkeypatch):
        place, real = SOURCES[source].write(tmp_path / "data"), open

        def forbidden(path, *arguments, **keywords):
            if path == place / name:
                raise PermissionError(13, "Permission denied")
            return real(path, *arguments, **keywords)

        monkeypatch.setattr("builtins.open", forbidden)
        with pytest.raises(InputError, match=f"{name} cannot be read: Permission denied"):
            SOURCES[source].read(place)

    @pytest.mark.parametrize(("source", "name"), FILES)
    def test_that_change_while_they_are_read(self, source, name, tmp_path, monkeypatch):
        place, real = SOURCES[source].write(tmp_path / "data"), files._skip_mark

        def written_to(path, file):
            real(path, file)
            if path.name == name:
                path.write_bytes(path.read_bytes() * 2)

        monkeypatch.setattr(files, "_skip_mark", written_to)
        with pytest.raises(InputError, match=r"changed while it was read|line .*: "):
            SOURCES[source].read(place)

    def test_a_file_that_is_replaced_by_one_of_equal_size(self, tmp_path):
        path, other = tmp_path / "a", tmp_path / "b"
        for one in (path, other):
            one.write_bytes(b"same")
            os.utime(one, (5, 5))
        with pytest.raises(InputError, match="changed while it was read"), unchanged([path]):
            other.replace(path)

    def test_two_encodings_in_one_file(self, tmp_path):
        place = SOURCES["movielens"].write(tmp_path / "data")
        (place / "movies.dat").write_bytes(MOVIES.encode() + "7::Café::Drama\n".encode("latin-1"))
        with pytest.raises(InputError, match=r"movies.dat: line 1 is in UTF-8, line 3 is not"):
            movielens.read(place)


class TestUnpacking:
    @pytest.mark.parametrize("name", [amazon.REVIEWS, amazon.META, f"{amazon.ONE_FILE}.gz", "raw_sample.csv.gz"])
    def test_is_bounded(self, name, tmp_path, monkeypatch):
        monkeypatch.setattr(files, "UNPACKED_BYTES", 1 << 20)
        source = next(one for one in SOURCES.values() if {name, name.removesuffix(".gz")} & one.files.keys())
        place = source.write(tmp_path / "data")
        bomb = source.files[name.removesuffix(".gz")].encode() + b"\n" * (1 << 24)
        (place / name).write_bytes(gzip.compress(bomb))
        (place / name.removesuffix(".gz")).unlink()
        assert find_file(place, name) == place / name
        with pytest.raises(InputError, match=f"{name} unpacks to more than"):
            source.read(place)


class TestPlanted:
    def broken(self, path: Path, kind: str) -> None:
        if kind == "archive":
            with path.open("wb") as file:
                np.savez(file, np.zeros(3))
        elif kind == "objects":
            np.save(path, np.array([{}]), allow_pickle=True)
        elif kind == "header":
            path.write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4',\n")
        elif kind == "longer than it is":
            np.save(path, np.zeros(3))
            path.write_bytes(path.read_bytes()[:-8])
        else:
            path.write_bytes(b"\x93NUMPY\x01\x00\x08\x00" + kind.encode())

    @pytest.mark.parametrize("kind", ["archive", "objects", "header", "longer than it is", "((((((((", "'''     ", ""])
    def test_no_array(self, kind, tmp_path):
        self.broken(tmp_path / "a.npy", kind)
        with pytest.raises(InputError, match="is no array"):
            read_planted(tmp_path / "a.npy", 3)


def test_reading_twice_gives_the_same(tmp_path):
    for name, source in SOURCES.items():
        place = source.write(tmp_path / name)
        left, right = source.read(place), source.read(place)
        assert left.fingerprint == right.fingerprint
        assert content_of(left) == content_of(right)
