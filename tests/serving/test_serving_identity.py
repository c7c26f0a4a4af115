"""An index is one thing: no file of another run, build or state passes for its own, and no changed byte is served."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from serving_helpers import dataset, random_model, ranker_of, save_run

import serving.follow
from foundation.errors import InputError
from serving.ranker import PreRanker
from serving.section_file import BLOCK, PREFIX, SectionFile
from serving.writer import build_index

KINDS = ("base", "users", "delta", "users_delta")


@pytest.fixture(scope="module")
def data():
    return dataset()


def run_of(run: Path, data, seed: int = 3, price: float = 9.0) -> Path:
    ranker_of(run, random_model("dssm", data, seed), data)
    return changed(run, price)


def changed(run: Path, price: float = 9.0) -> Path:
    """With a delta of items and one of users."""
    ranker = PreRanker.load(run)
    ranker.upsert([{"movie_id": 5000, "price": price}])
    ranker.upsert_users([{"user_id": 107, "income": 1000.0 + price}])
    return run


def file_of(run: Path, kind: str) -> Path:
    return next((run / "index").glob(f"{kind}-*.idx"))


def answer(ranker: PreRanker) -> tuple[list, list]:
    ranking = ranker.rank(107, k=99)
    return ranking.items.tolist(), ranking.scores.tolist()


def other_run(run: Path, data, tmp_path) -> Path:
    return run_of(tmp_path / "other", data, seed=4)


def same_model_built_elsewhere(run: Path, data, tmp_path) -> Path:
    return run_of(tmp_path / "other", data)


def earlier_build(run: Path, data, tmp_path) -> Path:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    build_index(run, random_model("dssm", data), data)
    changed(run)
    return other


def copy_that_went_another_way(run: Path, data, tmp_path) -> Path:
    """One build, and then two histories: names, model and build are the same."""
    other = Path(shutil.copytree(run, tmp_path / "other"))
    for one, price in ((run, 1.0), (other, 2.0)):
        PreRanker.load(one).upsert([{"movie_id": 4997, "price": price}])
        PreRanker.load(one).upsert_users([{"user_id": 100, "income": 1000.0 + price}])
    return other


class TestForeignFiles:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("source", [other_run, same_model_built_elsewhere, earlier_build])
    def test_of_the_right_name_are_refused(self, kind, source, data, tmp_path):
        run = run_of(tmp_path / "run", data)
        other = source(run, data, tmp_path)
        live = PreRanker.load(run)
        expected = answer(live)
        shutil.copy(file_of(other, kind), file_of(run, kind))
        with pytest.raises(InputError, match=rf"/{kind}-\d\.idx belongs to another build.*prerank.py build"):
            PreRanker.load(run)
        assert answer(live) == expected
        with pytest.raises(InputError, match="belongs to another build"):
            live.upsert_users([{"user_id": 107}]) if "users" in kind else live.upsert([{"movie_id": 5000}])
        build_index(run, random_model("dssm", data), data)
        PreRanker.load(run).rank(107)

    @pytest.mark.parametrize("kind", ["delta", "users_delta"])
    def test_a_delta_of_another_history(self, kind, data, tmp_path):
        run = run_of(tmp_path / "run", data)
        other = copy_that_went_another_way(run, data, tmp_path)
        shutil.copy(file_of(other, kind), file_of(run, kind))
        with pytest.raises(InputError, match="belongs to another build"):
            PreRanker.load(run)

    @pytest.mark.parametrize("source", [other_run, same_model_built_elsewhere, earlier_build])
    def test_a_foreign_manifest(self, source, data, tmp_path):
        run = run_of(tmp_path / "run", data)
        other = source(run, data, tmp_path)
        shutil.copy(other / "index" / "manifest.json", run / "index")
        with pytest.raises(InputError, match=r"Build .* again|Build it again"):
            PreRanker.load(run)

    def test_the_whole_index_of_another_run(self, data, tmp_path):
        run = run_of(tmp_path / "run", data)
        other = other_run(run, data, tmp_path)
        shutil.rmtree(run / "index")
        shutil.copytree(other / "index", run / "index")
        with pytest.raises(InputError, match="of another model than the run"):
            PreRanker.load(run)

    def test_a_copied_run_is_itself(self, data, tmp_path):
        run = run_of(tmp_path / "run", data)
        expected = answer(PreRanker.load(run))
        run.rename(tmp_path / "moved")
        assert answer(PreRanker.load(tmp_path / "moved")) == expected


class TestChangedBytes:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, data, tmp_path_factory):
        return run_of(tmp_path_factory.mktemp("bytes") / "run", data)

    def refuses(self, path: Path, place: int, value: int, attempt) -> bool:
        """Whether `attempt` does, with that byte in that place of the file."""
        with path.open("r+b", buffering=0) as file:
            file.seek(place)
            old = file.read(1)
            try:
                file.seek(place)
                file.write(bytes([value]))
                attempt()
            except InputError:
                return True
            else:
                return False
            finally:
                file.seek(place)
                file.write(old)

    @pytest.mark.parametrize("lazily", [False, True])
    @pytest.mark.parametrize("kind", KINDS)
    def test_of_headers_all_are_refused(self, kind, lazily, run, monkeypatch):
        if lazily:
            monkeypatch.setattr("serving.section_file.CHECK_WHOLE", 0)
        path, draw = file_of(run, kind), random.Random(kind)
        header = PREFIX.unpack_from(path.read_bytes())[2]
        content = path.read_bytes()
        for place in range(header):
            value = draw.choice([byte for byte in range(256) if byte != content[place]])
            assert self.refuses(path, place, value, lambda: SectionFile(path)), f"byte {place}: {value}"

    @pytest.mark.parametrize("kind", [*KINDS, "manifest"])
    def test_200_of_a_file_are_refused_when_it_is_loaded(self, kind, run):
        path = run / "index" / "manifest.json" if kind == "manifest" else file_of(run, kind)
        content, draw, expected = path.read_bytes(), random.Random(kind), answer(PreRanker.load(run))
        for place in draw.sample(range(len(content)), 200):
            value = draw.choice([byte for byte in range(256) if byte != content[place]])
            assert self.refuses(path, place, value, lambda: PreRanker.load(run)), f"byte {place}: {value}"
        assert answer(PreRanker.load(run)) == expected

    @pytest.mark.parametrize("kind", KINDS)
    def test_in_a_large_file_every_block_that_is_read_is_checked(self, kind, run, monkeypatch):
        """Files as above the size up to which they are checked whole, with requests that read all there is to read."""
        monkeypatch.setattr("serving.section_file.CHECK_WHOLE", 0)

        def ask():
            ranker = PreRanker.load(run)
            items, users = ranker.state.items, ranker.state.users.ids(ranker.state.users.live())
            everything = items.ids(items.live())
            ranked = ranker.rank(users.tolist(), k=99, exclude="seen"), ranker.score(users.tolist(), everything)
            return [one.logits.tolist() for one in ranked[0]], ranked[1].tolist()

        path, draw, expected = file_of(run, kind), random.Random(kind), ask()
        content, same = path.read_bytes(), []
        for place in draw.sample(range(len(content)), 60):
            value = draw.choice([byte for byte in range(256) if byte != content[place]])
            if not self.refuses(path, place, value, lambda: same.append(ask() == expected)):
                assert same.pop(), f"byte {place}: {value}"  # no request reads it
                assert self.refuses(path, place, value, lambda: SectionFile(path).verify())


class TestLiveReader:
    """It goes on with the state that it has, says so once, and takes the next state that can be opened."""

    @pytest.fixture
    def run(self, data, tmp_path):
        return run_of(tmp_path / "run", data)

    def train_again(self, run, data, seed):
        save_run(run, random_model("dssm", data, seed), data)

    def test_that_missed_a_build_before_the_next_training(self, run, data, caplog):
        """Of the two builds that it could have followed it saw neither."""
        live = PreRanker.load(run)
        expected = answer(live)
        self.train_again(run, data, 4)
        build_index(run, random_model("dssm", data, 4), data)
        self.train_again(run, data, 5)
        for _ in range(3):
            assert answer(live) == expected
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "Answers come from generation 3 as before" in caplog.text
        with pytest.raises(InputError, match="of another model than the run"):
            PreRanker.load(run)
        with pytest.raises(InputError, match="of another model than this reader"):
            live.upsert([{"movie_id": 5000, "price": 1.0}])
        with pytest.raises(InputError, match="of another model than this reader"):
            live.delete([5000])
        with pytest.raises(InputError, match="of another model than this reader"):
            live.upsert_users([{"user_id": 107}])
        build_index(run, random_model("dssm", data, 5), data)
        assert answer(live) == answer(PreRanker.load(run)) != expected

    def test_a_build_for_its_own_model_is_followed_though_the_run_was_trained_again(self, run, data):
        live = PreRanker.load(run)
        build_index(run, random_model("dssm", data), data)
        self.train_again(run, data, 4)
        answer(live)
        assert live.state.manifest.generation == 4

    def gone(run: Path) -> None:
        shutil.rmtree(run / "index")

    def empty(run: Path) -> None:
        for path in (run / "index").iterdir():
            path.unlink()

    def damaged(run: Path) -> None:
        path = run / "index" / "manifest.json"
        path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))

    def folder(run: Path) -> None:
        (run / "index" / "manifest.json").unlink()
        (run / "index" / "manifest.json").mkdir()

    def overwritten(run: Path) -> None:
        """In place, as no program of this project does; also as other builds' files would be."""
        for kind in KINDS:
            with file_of(run, kind).open("r+b") as file:
                file.write(os.urandom(4 * BLOCK))
                file.truncate()

    @pytest.mark.parametrize("harm", [gone, empty, damaged, folder, overwritten])
    def test_whatever_becomes_of_the_folder(self, harm, run, data, caplog):
        live = PreRanker.load(run)
        expected = answer(live)
        harm(run)
        for _ in range(3):
            assert answer(live) == expected
        assert len(caplog.records) == (harm.__name__ != "overwritten")  # whose manifest is as before
        with pytest.raises(InputError):
            PreRanker.load(run)
        there = sorted(run.rglob("*"))
        with pytest.raises(InputError):
            live.upsert([{"movie_id": 5000, "price": 1.0}])
        assert sorted(run.rglob("*")) == there
        if harm.__name__ == "folder":
            (run / "index" / "manifest.json").rmdir()
        build_index(run, random_model("dssm", data), data)
        answer(live)
        assert live.state.manifest == PreRanker.load(run).state.manifest

    def test_files_that_come_back_are_looked_at_again(self, run, data, monkeypatch):
        live = PreRanker.load(run)
        build_index(run, random_model("dssm", data), data)
        users = file_of(run, "users")
        content = users.read_bytes()
        users.write_bytes(content[:-1])
        answer(live)
        assert live.state.manifest.generation == 3
        users.write_bytes(content)
        answer(live)
        assert live.state.manifest.generation == 3  # not on every request
        monkeypatch.setattr(serving.follow, "RETRY_SECONDS", 0.0)
        live._follower._again = 0.0
        answer(live)
        assert live.state.manifest.generation == 4

    def test_a_request_stats_one_file_and_opens_none(self, run, monkeypatch):
        live = PreRanker.load(run)
        live.rank(107)
        calls = []
        for name in ("stat", "open", "listdir", "scandir"):
            real = getattr(os, name)
            monkeypatch.setattr(os, name, lambda *args, real=real, **more: calls.append(args) or real(*args, **more))
        live.rank(107)
        live.score(107, [5000, 4997])
        assert calls == [(run / "index" / "manifest.json",)] * 2
