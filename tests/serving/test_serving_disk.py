"""Writers that fail or are killed at any moment: what was there before answers, and nothing stays behind."""

from __future__ import annotations

import errno
import mmap
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from serving_helpers import dataset, random_model, ranker_of

import serving.section_writer
from foundation.errors import InputError
from foundation.locks import locked
from serving.ranker import PreRanker
from serving.writer import build_index

ITEM = {"movie_id": 9001, "price": 1.0, "genres": []}
USER = {"user_id": 9001, "gender": "F", "income": 1010.0, "liked_movies": [5000]}
FOREIGN = ("notes.txt", "base-1.idx.bak", "base-x.idx", "manifest.json.old", "users.idx")


@pytest.fixture(scope="module")
def data():
    return dataset()


@pytest.fixture(scope="module")
def model(data):
    return random_model("dssm", data)


def change(run: Path) -> None:
    PreRanker.load(run).upsert([{"movie_id": 5000, "price": 9.0}])
    PreRanker.load(run).upsert_users([{"user_id": 107, "income": 1015.0}])


@pytest.fixture(scope="module")
def built(data, model, tmp_path_factory) -> Path:
    """A run with a base, users, their deltas, and files in the index folder that are none of the index's."""
    run = tmp_path_factory.mktemp("built")
    ranker_of(run, model, data)
    change(run)
    for name in FOREIGN:
        (run / "index" / name).write_text("mine")
    return run


@pytest.fixture
def run(built, tmp_path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "run"))


@pytest.fixture(params=["build", "upsert", "compaction", "delete", "users", "compaction of users"])
def write(request, run, data, model, monkeypatch) -> Callable[[], object]:
    """A change of the index. With a folder: in that run."""
    if "compaction" in request.param:
        monkeypatch.setattr("serving.writer.DELTA_ITEMS", 0)
        monkeypatch.setattr("serving.writer.DELTA_SHARE", 0)
    if request.param == "build":
        return lambda: build_index(run, model, data)
    if request.param == "delete":
        return lambda: PreRanker.load(run).delete([4997])
    if "users" in request.param:
        return lambda: PreRanker.load(run).upsert_users([USER])
    return lambda: PreRanker.load(run).upsert([ITEM])


def at_call(patch: pytest.MonkeyPatch, number: int, act: Callable[[], None]) -> None:
    """`act` takes the place of the n-th call by which a file comes to be: open, room, flush, sync, rename."""
    left = [number]

    def counted(function):
        def call(*args, **more):
            left[0] -= 1
            if left[0] == 0:
                act()
            return function(*args, **more)

        return call

    plain, to_write = Path.open, counted(Path.open)

    def opened(path, mode="r", *args, **more):  # a lock serves without a process's number in it
        return (to_write if "w" in mode and path.name != "lock" else plain)(path, mode, *args, **more)

    patch.setattr(Path, "open", opened)
    for name in ("posix_fallocate", "fsync", "replace"):
        patch.setattr(os, name, counted(getattr(os, name)))

    class Map(mmap.mmap):
        flush = counted(mmap.mmap.flush)

    patch.setattr(serving.section_writer, "mmap", SimpleNamespace(mmap=counted(Map)))


def answer(run: Path) -> tuple[list, list]:
    ranking = PreRanker.load(run).rank(107, k=99)
    return ranking.items.tolist(), ranking.scores.tolist()


def files(run: Path) -> list[str]:
    return sorted(os.listdir(run / "index"))


def assert_tidy(run: Path) -> None:
    """The manifest, what it names, the lock, and what was never the index's."""
    assert files(run) == sorted([*PreRanker.load(run).state.manifest.names, "manifest.json", "lock", *FOREIGN])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_write_that_fails_anywhere_changes_nothing(code, run, write):
    before, there = answer(run), files(run)

    def fail():
        raise OSError(code, os.strerror(code))

    for number in range(1, 99):
        with pytest.MonkeyPatch.context() as patch:
            at_call(patch, number, fail)
            said = None
            try:
                write()
            except InputError as error:
                said = str(error)
        if said is None:
            break
        assert f"cannot be written: {os.strerror(code)}" in said
        assert "It is as it was before" in said
        assert files(run) == there
        assert answer(run) == before
    assert number > 5
    assert_tidy(run)


def test_a_killed_writer_leaves_the_old_state_or_the_new_one_and_the_next_write_tidies_up(run, write):
    before, left = answer(run), False
    for number in range(1, 99):
        child = os.fork()
        if child == 0:
            with pytest.MonkeyPatch.context() as patch:
                at_call(patch, number, lambda: os.kill(os.getpid(), signal.SIGKILL))
                write()
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            break
        assert answer(run) == before
        left |= any(name.endswith(".tmp") for name in files(run))
    assert left
    assert number > 5
    PreRanker.load(run).upsert([ITEM])
    assert_tidy(run)


@pytest.mark.parametrize("limit", [0, 100, 4096, 9000])
def test_no_room_for_a_file_is_an_error_and_no_signal(limit, run, write):
    """A limit of the system on the size of files, which is found out as a full disk is."""
    before, there = answer(run), files(run)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(InputError, match="cannot be written: File too large"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(run) == there
    assert answer(run) == before


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP, None])
def test_where_room_cannot_be_reserved_it_is_written(code, run, data, model, monkeypatch):
    before = answer(run)

    def unable(*_):
        raise OSError(code, os.strerror(code))

    if code is None:
        monkeypatch.delattr(os, "posix_fallocate")
    else:
        monkeypatch.setattr(os, "posix_fallocate", unable)
    monkeypatch.setattr(serving.section_writer, "ZEROS", 1000)
    build_index(run, model, data)
    change(run)
    assert answer(run) == before
    resource_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource_limit[1]))
    try:
        with pytest.raises(InputError, match="cannot be written"):
            build_index(run, model, data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, resource_limit)
    assert answer(run) == before


def test_a_failed_first_build_leaves_no_index(data, model, tmp_path, monkeypatch):
    run = tmp_path / "run"
    ranker_of(run, model, data)
    shutil.rmtree(run / "index")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(InputError, match="No space left on device"):
            build_index(run, model, data)
    assert files(run) == ["lock"]
    with pytest.raises(InputError, match="has no item index"):
        PreRanker.load(run)


def test_what_earlier_versions_and_killed_writers_left_goes_at_the_start(run, monkeypatch):
    """Also where the write itself then fails: the room may be what is needed."""
    folder = run / "index"
    for name in ("base-7.idx", "delta-8.idx.tmp", "users-9.idx.0123abcd.tmp", "manifest.json.tmp"):
        (folder / name).write_text("left")
    (folder / "base-6.idx").mkdir()  # cannot be deleted as a file: not in the way
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(InputError, match="full"):
        PreRanker.load(run).upsert([ITEM])
    (folder / "base-6.idx").rmdir()
    assert_tidy(run)


def test_a_damaged_manifest_deletes_nothing_until_a_new_one_is_there(run, data, model, monkeypatch):
    (run / "index" / "manifest.json").write_text("{}")
    there = files(run)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(InputError, match="full"):
            build_index(run, model, data)
    assert files(run) == there
    build_index(run, model, data)
    assert_tidy(run)


class TestFolders:
    """Something else where a file or folder of the index should be."""

    def replaced(self, run: Path, name: str, kind: str) -> None:
        path = run / "index" / name
        path.unlink()
        path.mkdir() if kind == "folder" else os.mkfifo(path)

    @pytest.mark.parametrize("kind", ["folder", "pipe"])
    @pytest.mark.parametrize("name", ["manifest.json", "base-1.idx", "users-1.idx", "delta-2.idx", "users_delta-3.idx"])
    def test_in_the_place_of_a_file(self, name, kind, run, data, model):
        self.replaced(run, name, kind)
        with pytest.raises(InputError, match=rf"{name} is damaged: it is no file"):
            PreRanker.load(run)
        if name == "manifest.json" and kind == "folder":
            with pytest.raises(InputError, match="cannot be written"):
                build_index(run, model, data)
        else:
            build_index(run, model, data)
            PreRanker.load(run).rank(107)

    def test_a_file_in_the_place_of_the_folder(self, data, model, tmp_path):
        run = tmp_path / "run"
        ranker_of(run, model, data)
        shutil.rmtree(run / "index")
        (run / "index").write_text("x")
        with pytest.raises(InputError, match="has no item index"):
            PreRanker.load(run)
        with pytest.raises(InputError, match="cannot be written: File exists"):
            build_index(run, model, data)


def test_an_upsert_without_locks_is_refused(run, monkeypatch):
    monkeypatch.setattr("serving.manifest.locked", lambda path: locked(path / "no" / "such"))
    before, there = answer(run), files(run)
    with pytest.raises(InputError, match="cannot be locked"):
        PreRanker.load(run).upsert([ITEM])
    assert (answer(run), files(run)) == (before, there)


def test_without_pread(run, monkeypatch):
    monkeypatch.setattr("serving.section_file.CHECK_WHOLE", 0)
    monkeypatch.setattr("serving.section_file.MAPPED", 0)
    before = answer(run)
    monkeypatch.delattr(os, "pread")
    assert answer(run) == before
