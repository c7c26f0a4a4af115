"""The MovieLens reader: correct on both layouts, and an `InputError` that says where and what for anything else."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from foundation.errors import InputError
from preprocessing.movielens import ML_1M_FILES, ONE_FILE, ONE_FILE_COLUMNS, SCHEMA, read
from preprocessing.raw import RawData

# Users and movies are not in order of id, and movie 7 is not rated. The third rating is a 3.
USERS = "9::F::1::10::48067\n2::M::56::16::00070\n"
MOVIES = (
    "5::Misérables, Les (1995)::Drama|Musical\n"
    "3::Grumpier Old Men (1995)::Comedy\n"
    '7::"Great" Performances: Part (1993)::\n'
)
RATINGS = "9::3::5::978300760\n2::5::1::978302109\n2::3::3::978302110\n9::5::4::978300760\n"


def write_folder(folder: Path, ratings: str = RATINGS, users: str = USERS, movies: str = MOVIES) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in {"ratings.dat": ratings, "users.dat": users, "movies.dat": movies}.items():
        (folder / name).write_bytes(text.encode("latin-1"))
    return folder


def one_file_rows() -> list[list[str]]:
    users = {line.split("::")[0]: line.split("::")[1:] for line in USERS.splitlines()}
    movies = {line.split("::")[0]: line.split("::")[1:] for line in MOVIES.splitlines()}
    ratings = [line.split("::") for line in RATINGS.splitlines()]
    return [rating + users[rating[0]] + movies[rating[1]] for rating in ratings]


def write_one_file(path: Path, rows: list[list[str]], header: tuple[str, ...] = ONE_FILE_COLUMNS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return path


def message(path: Path) -> str:
    """The message of the `InputError` that reading raises: one or two lines."""
    with pytest.raises(InputError) as caught:
        read(path)
    assert 1 <= len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


def assert_same_interactions(left: RawData, right: RawData) -> None:
    for raw, other in ((left, right), (right, left)):
        np.testing.assert_array_equal(raw.label, other.label)
        np.testing.assert_array_equal(raw.timestamp, other.timestamp)
    pd.testing.assert_frame_equal(
        left.users.iloc[left.user].reset_index(drop=True), right.users.iloc[right.user].reset_index(drop=True)
    )
    pd.testing.assert_frame_equal(
        left.items.iloc[left.item].reset_index(drop=True), right.items.iloc[right.item].reset_index(drop=True)
    )


def genres(raw: RawData) -> list[list[str]]:
    ragged = raw.item_lists["genres"]
    return [part.tolist() for part in np.split(ragged.values, ragged.offsets[1:-1])]


class TestFolder:
    def test_hand_written_folder_is_read_as_it_stands(self, tmp_path):
        raw = read(write_folder(tmp_path / "ml"))
        assert raw.schema == SCHEMA
        assert raw.name == "movielens"
        assert raw.users.to_dict("list") == {
            "user_id": [2, 9],
            "gender": ["M", "F"],
            "age": [56, 1],
            "occupation": [16, 10],
            "zipcode": ["00070", "48067"],
        }
        assert raw.items["movie_id"].tolist() == [3, 5, 7]
        assert raw.items["title"].tolist() == [
            "Grumpier Old Men (1995)",
            "Misérables, Les (1995)",
            '"Great" Performances: Part (1993)',
        ]
        assert raw.items["genres"].tolist() == ["Comedy", "Drama|Musical", ""]
        assert genres(raw) == [["Comedy"], ["Drama", "Musical"], []]
        assert raw.user.tolist() == [1, 0, 1]
        assert raw.item.tolist() == [0, 1, 1]
        assert raw.label.tolist() == [1, 0, 1]
        assert raw.timestamp.tolist() == [978300760, 978302109, 978300760]

    def test_types_are_those_of_raw_data(self, tmp_path):
        raw = read(write_folder(tmp_path / "ml"))
        assert (raw.user.dtype, raw.item.dtype) == (np.int32, np.int32)
        assert (raw.label.dtype, raw.timestamp.dtype) == (np.float32, np.int64)
        assert (raw.users["user_id"].dtype, raw.items["movie_id"].dtype) == (np.int64, np.int64)

    @pytest.mark.parametrize("change", [lambda text: text.replace("\n", "\r\n"), lambda text: text.rstrip("\n")])
    def test_line_ends_do_not_matter(self, tmp_path, change):
        plain = read(write_folder(tmp_path / "plain"))
        changed = read(write_folder(tmp_path / "changed", change(RATINGS), change(USERS), change(MOVIES)))
        assert_same_interactions(plain, changed)

    def test_blank_lines_do_not_matter(self, tmp_path):
        plain = read(write_folder(tmp_path / "plain"))
        blank = write_folder(
            tmp_path / "blank", RATINGS.replace("\n2", "\n\n2") + "\n \n", USERS + "\n", MOVIES + "\n\n"
        )
        assert_same_interactions(plain, read(blank))

    def test_fingerprint_changes_with_any_file(self, tmp_path):
        folders = [
            write_folder(tmp_path / "a"),
            write_folder(tmp_path / "b", ratings=RATINGS.replace("::4::", "::5::")),
            write_folder(tmp_path / "c", users=USERS.replace("48067", "48068")),
            write_folder(tmp_path / "d", movies=MOVIES.replace("1993", "1994")),
        ]
        assert len({read(folder).fingerprint for folder in folders}) == 4
        assert read(folders[0]).fingerprint == read(write_folder(tmp_path / "again")).fingerprint


class TestFolderErrors:
    def test_missing_path_is_named(self, tmp_path):
        assert str(tmp_path / "nothing") in message(tmp_path / "nothing")

    @pytest.mark.parametrize("name", ML_1M_FILES)
    def test_missing_file_is_named_with_all_that_are_needed(self, tmp_path, name):
        folder = write_folder(tmp_path / "ml")
        (folder / name).unlink()
        text = message(folder)
        assert f"lacks {name}" in text
        assert all(needed in text for needed in ML_1M_FILES)

    def test_folder_without_any_file_lacks_all(self, tmp_path):
        assert "lacks ratings.dat, users.dat, movies.dat" in message(tmp_path)

    @pytest.mark.parametrize("name", ML_1M_FILES)
    @pytest.mark.parametrize("content", ["", "\n\n \n"])
    def test_empty_file_is_named(self, tmp_path, name, content):
        folder = write_folder(tmp_path / "ml")
        (folder / name).write_text(content)
        assert f"{name} is empty" in message(folder)

    @pytest.mark.parametrize(
        ("broken", "problem"),
        [
            ("9::3::5", "3 columns instead of 4"),
            ("9::3::5::1::1", "5 columns instead of 4"),
            ("9,3,5,1", "1 columns instead of 4"),
            ("9\t3\t5\t1", "1 columns instead of 4"),
            ("x::3::5::1", "user_id must be an integer"),
            ("9::3::5::", "timestamp must be an integer"),
            ("9::3::5::1\x00", "timestamp must be an integer"),
            ("9::99999999999999999999::5::1", "movie_id must be an integer"),
            ("9::3::4.5::1", "rating must be an integer from 1 to 5"),
            ("9::3::0::1", "rating must be an integer from 1 to 5"),
            ("9::3::6::1", "rating must be an integer from 1 to 5"),
            ("8::3::5::1", "user_id is not in users.dat"),
            ("9::4::5::1", "movie_id is not in movies.dat"),
        ],
    )
    @pytest.mark.parametrize("blank", ["", "\n"])
    def test_broken_ratings_are_located_quoted_and_counted(self, tmp_path, broken, problem, blank):
        lines = RATINGS.splitlines()
        folder = write_folder(tmp_path / "ml", "\n".join([lines[0], blank + broken, *lines[1:], broken, broken]) + "\n")
        text = message(folder)
        assert f"ratings.dat, line {3 if blank else 2}: " in text
        assert problem in text
        assert ascii(broken) in text
        assert "Lines affected: 3." in text
        assert "user_id::movie_id::rating::timestamp" in text

    @pytest.mark.parametrize(
        ("files", "place", "problem"),
        [
            ({"users": USERS + "4::M::25::7\n"}, "users.dat, line 3", "4 columns instead of 5"),
            ({"users": USERS + "4::M::old::7::1\n"}, "users.dat, line 3", "age must be an integer"),
            ({"users": USERS + "9::F::1::10::48067\n"}, "users.dat, line 3", "user_id stands on an earlier line"),
            ({"movies": "1::A::B::Drama\n" + MOVIES}, "movies.dat, line 1", "4 columns instead of 3"),
            ({"movies": MOVIES + "5::Other (2000)::Drama\n"}, "movies.dat, line 4", "movie_id stands on an earlier"),
        ],
    )
    def test_broken_entities_are_located(self, tmp_path, files, place, problem):
        text = message(write_folder(tmp_path / "ml", **files))
        assert place in text
        assert problem in text

    def test_nothing_but_threes_is_refused(self, tmp_path):
        assert "no rating other than 3" in message(write_folder(tmp_path / "ml", ratings="9::3::3::1\n"))

    def test_long_lines_are_not_quoted_whole(self, tmp_path):
        assert len(message(write_folder(tmp_path / "ml", ratings="x" * 10_000))) < 600


class TestOneFile:
    def test_folder_and_one_file_give_the_same_data(self, tmp_path):
        folder = read(write_folder(tmp_path / "ml"))
        path = write_one_file(tmp_path / ONE_FILE, one_file_rows())
        raw = read(path)
        assert_same_interactions(folder, raw)
        pd.testing.assert_frame_equal(folder.users, raw.users)
        # The one file cannot know of movies without ratings.
        assert raw.items["movie_id"].tolist() == [3, 5]
        assert genres(raw) == genres(folder)[:2]
        assert (raw.name, raw.schema) == ("movielens", SCHEMA)
        assert raw.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()

    def test_folder_that_holds_only_the_one_file_is_read(self, tmp_path):
        path = write_one_file(tmp_path / ONE_FILE, one_file_rows())
        assert read(tmp_path).fingerprint == read(path).fingerprint

    def test_column_order_extra_columns_and_line_ends_do_not_matter(self, tmp_path):
        plain = read(write_one_file(tmp_path / "plain.txt", one_file_rows()))
        header = ("", *ONE_FILE_COLUMNS[::-1])  # pandas writes its index under an empty name
        path = write_one_file(
            tmp_path / "other.txt", [[str(i), *row[::-1]] for i, row in enumerate(one_file_rows())], header
        )
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
        assert_same_interactions(plain, read(path))

    def test_latin_1_is_understood(self, tmp_path):
        utf8 = write_one_file(tmp_path / "utf8.txt", one_file_rows())
        latin = tmp_path / "latin.txt"
        latin.write_bytes(utf8.read_text(encoding="utf-8").encode("latin-1"))
        assert_same_interactions(read(utf8), read(latin))

    def test_missing_columns_are_named(self, tmp_path):
        path = write_one_file(tmp_path / ONE_FILE, [row[:8] for row in one_file_rows()], ONE_FILE_COLUMNS[:8])
        assert "the header lacks or repeats 'title', 'genres'" in message(path)

    def test_repeated_columns_are_named(self, tmp_path):
        rows = [[*row, "1"] for row in one_file_rows()]
        path = write_one_file(tmp_path / ONE_FILE, rows, (*ONE_FILE_COLUMNS, "age"))
        assert "the header lacks or repeats 'age'" in message(path)

    def test_header_alone_is_refused(self, tmp_path):
        assert "no rows" in message(write_one_file(tmp_path / ONE_FILE, []))

    @pytest.mark.parametrize(
        ("column", "value", "problem"),
        [
            ("rating", "4.5", "rating must be an integer from 1 to 5"),
            ("rating", "9", "rating must be an integer from 1 to 5"),
            ("age", "", "age must be an integer"),
            ("gender", "M", "user_id has another gender on an earlier line"),
            ("age", "18", "user_id has another age on an earlier line"),
            ("title", "Other", "movie_id has another title on an earlier line"),
        ],
    )
    def test_wrong_value_is_located(self, tmp_path, column, value, problem):
        rows = one_file_rows()
        rows[3][ONE_FILE_COLUMNS.index(column)] = value
        text = message(write_one_file(tmp_path / ONE_FILE, rows))
        assert f"{ONE_FILE}, line 5: " in text
        assert problem in text
        assert "Lines affected: 1." in text

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            ("9,3,5,1,F,1,10,48067,Title", "9 columns instead of 10"),
            ("9,3,5,1,F,1,10,48067,Title, The,Drama", "11 columns instead of 10"),
            ('9,3,5,1,F,1,10,48067,Title,"Drama', "malformed quotes"),
        ],
    )
    def test_broken_line_is_located(self, tmp_path, line, problem):
        path = write_one_file(tmp_path / ONE_FILE, one_file_rows())
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join([*lines[:2], line, *lines[2:]]), encoding="utf-8")
        text = message(path)
        assert f"line 3: {problem}" in text


# Mostly well-formed lines, so that examples get past the first check.
FIELD = st.one_of(
    st.integers(-1, 12).map(str), st.sampled_from(["", "F", "4.5", '"', "9" * 20, "\x00", "\r", " 3 ", "é"])
)
LINE = st.one_of(st.lists(FIELD, max_size=6).map("::".join), st.sampled_from(RATINGS.splitlines()))
CSV_LINE = st.one_of(st.lists(FIELD, max_size=12).map(",".join), st.just("9,3,5,1,F,1,10,48067,Title,Drama"))


class TestGarbage:
    @given(ratings=st.one_of(st.binary(), st.lists(LINE).map(lambda lines: "\n".join(lines).encode("latin-1"))))
    @example(ratings=b"9::3::5::1\r2::5::1::2\r")
    @example(ratings=b"\xef\xbb\xbf9::3::5::1\n\n2::5::1::2")
    def test_any_ratings_are_read_correctly_or_refused(self, tmp_path_factory, ratings):
        folder = write_folder(tmp_path_factory.mktemp("fuzz"))
        (folder / "ratings.dat").write_bytes(ratings)
        try:
            raw = read(folder)
        except InputError:
            return
        text = ratings.removeprefix(b"\xef\xbb\xbf").decode("latin-1").replace("\r", "\n")
        rows = [[int(field) for field in line.split("::")] for line in text.split("\n") if line.strip()]
        expected = [row for row in rows if row[2] != 3]
        read_back = zip(
            raw.users["user_id"].to_numpy()[raw.user],
            raw.items["movie_id"].to_numpy()[raw.item],
            raw.label,
            raw.timestamp,
            strict=True,
        )
        assert [tuple(row) for row in read_back] == [(row[0], row[1], float(row[2] > 3), row[3]) for row in expected]

    @given(
        users=st.one_of(st.binary(), st.lists(LINE).map(lambda lines: (USERS + "\n".join(lines)).encode("latin-1"))),
        movies=st.one_of(st.binary(), st.lists(LINE).map(lambda lines: (MOVIES + "\n".join(lines)).encode("latin-1"))),
    )
    def test_any_entities_are_read_or_refused(self, tmp_path_factory, users, movies):
        for name, content in (("users.dat", users), ("movies.dat", movies)):
            folder = write_folder(tmp_path_factory.mktemp("fuzz"))
            (folder / name).write_bytes(content)
            try:
                raw = read(folder)
            except InputError:
                continue
            assert len(raw) == 3
            assert raw.users["user_id"].is_unique
            assert raw.items["movie_id"].is_unique

    @given(
        content=st.one_of(
            st.binary(),
            st.lists(CSV_LINE, min_size=1).map(
                lambda lines: "\n".join([",".join(ONE_FILE_COLUMNS), *lines]).encode("latin-1")
            ),
        )
    )
    def test_any_one_file_is_read_or_refused(self, tmp_path_factory, content):
        path = tmp_path_factory.mktemp("fuzz") / ONE_FILE
        path.write_bytes(content)
        try:
            raw = read(path)
        except InputError:
            return
        assert 1 <= len(raw) <= len(content.splitlines()) - 1
        assert len(raw.users) > raw.user.max()
        assert len(raw.items) > raw.item.max()


class TestRealData:
    def test_movielens_1m_has_its_known_counts(self, ml1m_path):
        raw = read(ml1m_path)
        assert raw.name == "ml-1m"
        assert len(raw) == 739_012
        assert round(float(raw.label.mean()), 3) == 0.778
        assert (len(raw.users), len(raw.items)) == (6040, 3883)
        assert len(set(raw.item_lists["genres"].values)) == 18
        assert raw.item_lists["genres"].lengths.max() == 6
        assert sorted(raw.users["age"].unique()) == [1, 18, 25, 35, 45, 50, 56]
