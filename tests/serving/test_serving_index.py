"""Index files: nothing damaged is served, changes add up to what a rebuild gives, readers see one state."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from serving_helpers import dataset, random_model, ranker_of

from foundation.errors import InputError
from foundation.features import Lists
from preprocessing.dataset import FeatureTable
from serving.entities import Entities, EntityTable, in_key_order, keys_of, sections_of
from serving.ranker import PreRanker
from serving.section_file import BLOCK, VERSION, SectionFile
from serving.section_writer import create
from serving.writer import build_index

ROOT = Path(__file__).resolve().parents[2]


def written(path: Path, arrays: dict[str, np.ndarray], meta: dict | None = None) -> Path:
    with create(path, {name: (array.dtype.str, array.shape) for name, array in arrays.items()}, meta or {}) as places:
        for name, array in arrays.items():
            places[name][...] = array
    return path


def flip(path: Path, place: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


@pytest.fixture(params=["mapped", "read"])
def lazily(request, monkeypatch):
    """Small files as large ones: checked where they are touched, and with rows that are read instead of mapped."""
    monkeypatch.setattr("serving.section_file.CHECK_WHOLE", 0)
    if request.param == "read":
        monkeypatch.setattr("serving.section_file.MAPPED", 0)


class TestFormat:
    @given(
        shapes=st.lists(st.lists(st.integers(0, 70), min_size=1, max_size=3), min_size=1, max_size=4),
        dtype=st.sampled_from(["<f4", "<i8", "|i1", "<u2"]),
        seed=st.integers(0, 9),
    )
    def test_gives_back_what_was_written(self, shapes, dtype, seed, tmp_path_factory):
        rng = np.random.default_rng(seed)
        arrays = {f"a{i}": rng.integers(0, 100, shape).astype(dtype) for i, shape in enumerate(shapes)}
        file = SectionFile(written(tmp_path_factory.mktemp("file") / "x.idx", arrays, {"text": "ü", "list": [1]}))
        assert file.meta == {"text": "ü", "list": [1]}
        for name, array in arrays.items():
            np.testing.assert_array_equal(file.section(name), array)
            if len(array):
                rows = rng.integers(0, len(array), 20)
                np.testing.assert_array_equal(file.rows(name, rows), array[rows])

    def test_reads_and_checks_only_what_is_touched(self, tmp_path, lazily):
        rows = np.arange(100_000, dtype=np.float32).reshape(-1, 10)
        path = written(tmp_path / "x.idx", {"rows": rows, "other": np.zeros(BLOCK)})
        file = SectionFile(path)
        assert not file._checked.any()
        np.testing.assert_array_equal(file.rows("rows", np.array([5, 9000, 5])), rows[[5, 9000, 5]])
        assert 2 <= file._checked.sum() <= 4
        flip(path, path.stat().st_size - BLOCK - 7, 3)  # "other" fills the last blocks
        assert SectionFile(path).rows("rows", np.array([0]))[0, 1] == 1.0
        with pytest.raises(InputError, match="damaged"):
            SectionFile(path).section("other")
        with pytest.raises(InputError, match="damaged"):
            SectionFile(path).verify()

    def test_a_row_across_blocks_is_checked_in_all_of_them(self, tmp_path, lazily):
        path = written(tmp_path / "x.idx", {"rows": np.ones((3, 3 * BLOCK), dtype=np.uint8)})
        header = path.stat().st_size - 9 * BLOCK
        for block in range(3, 6):
            flip(path, header + block * BLOCK + 11, 0)
            with pytest.raises(InputError, match="damaged"):
                SectionFile(path).rows("rows", np.array([1]))
            flip(path, header + block * BLOCK + 11, 0)
        assert SectionFile(path).rows("rows", np.array([1])).sum() == 3 * BLOCK

    @pytest.mark.parametrize("keep", [0, 7, BLOCK - 1, BLOCK, 2 * BLOCK, -1])
    def test_cut_file(self, keep, tmp_path, lazily):
        path = written(tmp_path / "x.idx", {"rows": np.ones(5000)})
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(InputError, match=r"damaged.*Build it again"):
            SectionFile(path)

    def test_file_with_something_behind_it(self, tmp_path):
        path = written(tmp_path / "x.idx", {"rows": np.ones(5000)})
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(InputError, match="damaged"):
            SectionFile(path)

    def test_another_version_is_named(self, tmp_path, monkeypatch):
        monkeypatch.setattr("serving.section_writer.VERSION", VERSION + 1)
        path = written(tmp_path / "x.idx", {"rows": np.ones(5)})
        monkeypatch.undo()
        with pytest.raises(InputError, match=f"has version {VERSION + 1}, this program reads {VERSION}"):
            SectionFile(path)

    def test_a_failed_write_leaves_what_was_there(self, tmp_path):
        path = written(tmp_path / "x.idx", {"rows": np.ones(5)})
        with pytest.raises(ZeroDivisionError), create(path, {"rows": ("<f8", (5,))}, {}) as arrays:
            arrays["rows"][...] = 1 / 0
        assert SectionFile(path).section("rows").tolist() == [1.0] * 5
        assert list(tmp_path.iterdir()) == [path]


class TestTable:
    @given(
        ids=st.one_of(
            st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=30, unique=True),
            st.lists(
                st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=1, max_size=30, unique=True
            ),
        ),
        seed=st.integers(0, 9),
    )
    @example(ids=["a", "a\x00", "\x00", ""], seed=0)
    def test_finds_every_id_with_its_row_and_no_other(self, ids, seed, tmp_path_factory):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(0, 4, len(ids))
        ends = torch.from_numpy(lengths.cumsum())
        lists = Lists(torch.arange(int(lengths.sum()), dtype=torch.int32), ends - torch.from_numpy(lengths), ends)
        table = FeatureTable({"place": torch.arange(len(ids), dtype=torch.int32)}, {"bag": lists})
        texts = {"title": [f"Ä{one}" for one in ids]}
        entities = in_key_order(
            Entities(np.array(ids, dtype=object if isinstance(ids[0], str) else None), table, texts)
        )
        _, content, meta = sections_of(entities)
        read = EntityTable(SectionFile(written(tmp_path_factory.mktemp("table") / "x.idx", content, meta)))
        rows = read.find(keys_of(ids))
        assert read.ids(rows).tolist() == ids
        assert read.text("title", rows) == texts["title"]
        features = read.features(rows, ["place", "bag"])
        assert features["place"].tolist() == list(range(len(ids)))
        assert features["bag"].values.tolist() == lists.values.tolist()
        assert features["bag"].offsets.tolist() == [0, *ends.tolist()]
        others = ["no", "such"] if isinstance(ids[0], str) else [2**41, -(2**41)]
        assert (read.find(keys_of(others))[[one not in ids for one in others]] == -1).all()

    def test_an_id_twice(self):
        entities = Entities(np.array([3, 1, 3]), FeatureTable({}, {}))
        with pytest.raises(InputError, match="3 is there twice"):
            in_key_order(entities)


@pytest.fixture(scope="module")
def data():
    return dataset()


class TestDamage:
    """Whatever happens to a byte of an index, an answer is either right or refused."""

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, data, tmp_path_factory):
        run = tmp_path_factory.mktemp("damage")
        ranker = ranker_of(run, random_model("int_tower", data), data)
        ranker.upsert([{"movie_id": 9999, "price": 5.0, "genres": ["War"]}, {"movie_id": 5000, "price": 9.0}])
        ranker.upsert_users([{"user_id": 107, "income": 1015.0, "liked_movies": [5000, 9999]}])
        return run

    def answer(self, run: Path) -> list:
        ranker = PreRanker.load(run)
        rankings = [ranker.rank([100, 107], k=50), ranker.rank([100, 107], [9999, 5000, 4997], exclude="seen")]
        return [(one.items.tolist(), one.scores.tolist()) for ranking in rankings for one in ranking]

    def answer_or_refusal(self, run: Path) -> list | str:
        try:
            return self.answer(run)
        except InputError as error:
            return str(error)

    @pytest.mark.parametrize("kind", ["base", "delta", "users", "users_delta"])
    @pytest.mark.parametrize("whole", [True, False])
    def test_200_random_bytes(self, kind, whole, run, monkeypatch):
        if not whole:
            monkeypatch.setattr("serving.section_file.CHECK_WHOLE", 0)
            monkeypatch.setattr("serving.section_file.MAPPED", 0)
        expected = self.answer(run)
        path = next((run / "index").glob(f"{kind}-*.idx"))
        size, rng, refused = path.stat().st_size, np.random.default_rng(0), 0
        for _ in range(200 if whole else 50):
            place, bit = int(rng.integers(size)), int(rng.integers(8))
            flip(path, place, bit)
            given = self.answer_or_refusal(run)
            assert given == expected or "damaged" in given, f"byte {place}, bit {bit}"
            refused += "damaged" in given
            with pytest.raises(InputError, match="damaged"):
                SectionFile(path).verify()
            flip(path, place, bit)
        assert self.answer(run) == expected
        assert refused == 200 if whole else refused > 5

    def test_one_bit_of_every_byte_of_the_manifest(self, run):
        expected, path = self.answer(run), run / "index" / "manifest.json"
        size = path.stat().st_size
        for place, bit in zip(range(size), np.random.default_rng(0).integers(8, size=size).tolist(), strict=True):
            flip(path, place, bit)
            assert re.search("damaged|no checksum", self.answer_or_refusal(run)), f"byte {place}, bit {bit}"
            flip(path, place, bit)
        assert self.answer(run) == expected

    def test_missing_file(self, data, tmp_path):
        ranker_of(tmp_path, random_model("dssm", data), data)
        next((tmp_path / "index").glob("users-*.idx")).unlink()
        with pytest.raises(InputError, match="lacks files"):
            PreRanker.load(tmp_path)


@pytest.mark.parametrize("change", ["items", "users"])
def test_readers_and_a_writer_at_once(change, data, tmp_path):
    """`benchmarks.concurrent_upserts` for a moment; its table is for a minute."""
    ranker_of(tmp_path, random_model("int_tower", data), data)
    argv = [sys.executable, "-m", "benchmarks.concurrent_upserts", tmp_path, "--readers", "2", "--seconds", "2"]
    argv += ["--change", change]
    done = subprocess.run(list(map(str, argv)), cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert (found["errors"], found["answers_of_neither"]) == ("[]", "0")
    assert min(int(found["answers_a"]), int(found["answers_b"]), int(found["upserts"])) > 0


def test_manifest_names_a_new_file_for_every_change(data, tmp_path):
    """A reader could otherwise have opened one file and the manifest of another."""
    ranker = ranker_of(tmp_path, random_model("dssm", data), data)
    seen, of_users = set(), set()
    for _ in range(3):
        saved = json.loads((tmp_path / "index" / "manifest.json").read_text())
        seen.add((saved["base"], saved["delta"]))
        of_users.add((saved["users"], saved["users_delta"]))
        ranker.upsert([{"movie_id": 5000}])
        ranker.upsert_users([{"user_id": 107}])
    assert len(of_users) == 3
    build_index(tmp_path, random_model("dssm", data), data)
    saved = json.loads((tmp_path / "index" / "manifest.json").read_text())
    assert len(seen | {(saved["base"], saved["delta"])}) == 4
    assert saved["base"] != next(iter(seen))[0]
