"""Parsed tables in the cache: used when they are right, rebuilt whenever they might not be."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.make_amazon import make_amazon
from benchmarks.make_taobao import make_taobao
from foundation.errors import InputError
from foundation.sealed import seal
from preprocessing import amazon, cache, taobao
from preprocessing.cache import MANIFEST, read_cached
from preprocessing.dataset import Dataset
from preprocessing.folders import new_folder, remove_left_behind
from preprocessing.raw import RawData


class Reader:
    """`read` of a data set, which counts its calls."""

    def __init__(self, module):
        self.module, self.calls = module, 0

    def read(self, path) -> RawData:
        self.calls += 1
        return self.module.read(path)

    def __call__(self, path, folder) -> RawData:
        return read_cached(self.read, path, self.module.find_files(path), folder)


@pytest.fixture(params=["amazon", "taobao"])
def source(request, tmp_path):
    """(reader, folder with raw files, folder for the cache)"""
    if request.param == "amazon":
        make_amazon(tmp_path / "raw", reviews=600, users=40, items=25, meta=60)
        return Reader(amazon), tmp_path / "raw", tmp_path / "cache"
    make_taobao(tmp_path / "raw", rows=900, profiles=40, ads=25, click_rate=0.3)
    return Reader(taobao), tmp_path / "raw", tmp_path / "cache"


def entry(folder):
    """The one entry of a cache."""
    (place,) = folder.iterdir()
    return place


def everything_in(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def assert_same(left: RawData, right: RawData) -> None:
    assert (left.name, left.fingerprint, left.schema) == (right.name, right.fingerprint, right.schema)
    assert left.counts == right.counts
    assert (left.described_users, left.described_items) == (right.described_users, right.described_items)
    for name in ("user", "item", "label", "timestamp", "best_score"):
        expected, received = getattr(left, name), getattr(right, name)
        assert expected.dtype == received.dtype
        assert expected.tolist() == received.tolist()
    for name in ("users", "items"):
        pd.testing.assert_frame_equal(getattr(left, name), getattr(right, name), check_dtype=False)
    for protocol in ("published", "holdout"):
        first, second = (Dataset.build(raw, protocol, 0) for raw in (left, right))
        assert first.encoding_json() == second.encoding_json()
        for table in ("users", "items", "per_row"):
            tables = [getattr(data, table) for data in (first, second)]
            assert tables[0].values.keys() == tables[1].values.keys()
            assert all(tables[0].values[name].equal(tables[1].values[name]) for name in tables[0].values)
            assert all(tables[0].lists[name].values.equal(tables[1].lists[name].values) for name in tables[0].lists)


class TestSecondStart:
    def test_reads_no_text_and_gives_the_same(self, source):
        reader, raw, folder = source
        first, second = reader(raw, folder), reader(raw, folder)
        assert reader.calls == 1
        assert_same(first, second)

    def test_what_a_user_does_to_the_arrays_stays_in_memory(self, source):
        reader, raw, folder = source
        reader(raw, folder).label[:] = 0
        reader(raw, folder).label[:] = 0
        assert reader(raw, folder).label.any()
        assert reader.calls == 1

    def test_without_a_folder_nothing_is_written(self, source):
        reader, raw, folder = source
        reader(raw, None)
        reader(raw, None)
        assert reader.calls == 2
        assert not folder.exists()

    def test_two_places_have_two_entries(self, source, tmp_path):
        reader, raw, folder = source
        raw.rename(tmp_path / "other")
        first = reader(tmp_path / "other", folder)
        (tmp_path / "other").rename(raw)
        assert_same(first, reader(raw, folder))
        assert len(list(folder.iterdir())) == 2


class TestStale:
    def test_changed_files_are_read_again_and_replace_the_entry(self, source):
        reader, raw, folder = source
        reader(raw, folder)
        file = reader.module.find_files(raw)[-1]
        np.save(file, 1 - np.load(file))  # planted probabilities: the smallest change that stays readable
        changed = reader(raw, folder)
        assert reader.calls == 2
        assert changed.fingerprint == reader.module.read(raw).fingerprint
        assert_same(changed, reader(raw, folder))
        assert reader.calls == 2
        assert len(list(folder.iterdir())) == 1

    def test_same_size_and_time_do_not_deceive(self, source):
        reader, raw, folder = source
        reader(raw, folder)
        file = reader.module.find_files(raw)[-1]
        before = file.stat()
        np.save(file, 1 - np.load(file))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert file.stat().st_size == before.st_size
        reader(raw, folder)
        assert reader.calls == 2

    def test_a_file_replaced_while_it_was_read_is_not_kept_under_the_old_fingerprint(self, source):
        reader, raw, folder = source
        file = reader.module.find_files(raw)[-1]
        before = np.load(file)

        def read_late(path):
            np.save(file, 1 - before)
            return reader.read(path)

        read_cached(read_late, raw, reader.module.find_files(raw), folder)
        np.save(file, before)
        assert reader(raw, folder).best_score.tolist() == before.tolist()
        assert reader.calls == 2

    def test_another_version_of_the_code(self, source, monkeypatch):
        reader, raw, folder = source
        reader(raw, folder)
        monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
        reader(raw, folder)
        assert reader.calls == 2


class TestCannotBeWritten:
    """The run goes on, with a warning on standard error, and nothing of anybody's is touched."""

    @pytest.mark.parametrize("place", ["file", "file/cache", "x" * 300, "looped/cache"])
    def test_no_folder_can_be_there(self, source, tmp_path, place, capsys):
        reader, raw, _ = source
        (tmp_path / "file").write_text("mine")
        (tmp_path / "looped").symlink_to(tmp_path / "looped")
        assert_same(reader(raw, tmp_path / place), reader.module.read(raw))
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("WARNING: the cache ")
        assert "--cache_dir" in err
        assert len(err.splitlines()) == 1
        assert (tmp_path / "file").read_text() == "mine"

    def test_a_file_in_place_of_the_entry(self, source, capsys):
        reader, raw, folder = source
        reader(raw, folder)
        place = entry(folder)
        shutil.rmtree(place)
        place.write_text("mine")
        capsys.readouterr()
        assert_same(reader(raw, folder), reader.module.read(raw))
        assert "cannot be written: Not a directory" in capsys.readouterr().err
        assert place.read_text() == "mine"
        assert list(folder.iterdir()) == [place]

    @pytest.mark.parametrize("call", ["mkdir", "rename"])
    def test_a_folder_without_permission(self, source, call, monkeypatch, capsys):
        reader, raw, folder = source

        def forbidden(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, call, forbidden)
        assert_same(reader(raw, folder), reader.module.read(raw))
        assert "Permission denied" in capsys.readouterr().err


class TestBesideOthers:
    """What other processes do to the folder in the middle of a reading leads to a right result, never to a mix."""

    @pytest.mark.parametrize("step", ["open_regular", "sha256_from", "map_array"])
    @pytest.mark.parametrize("change", ["deleted", "replaced", "emptied"])
    def test_at_every_step_of_a_reader(self, source, step, change, monkeypatch, capsys):
        reader, raw, folder = source
        right = reader(raw, folder)
        place, calls = entry(folder), 0
        real = getattr(cache, step)

        def disturbed(*arguments):
            nonlocal calls
            calls += 1
            if calls == 2:
                place.rename(folder / "away")
                if change == "replaced":  # by files of equal names and other content
                    shutil.copytree(folder / "away", place)
                    for file in place.glob("*.npy"):
                        np.save(file, 1 - np.load(file))
                elif change == "emptied":
                    place.mkdir()
            return real(*arguments)

        monkeypatch.setattr(cache, step, disturbed)
        assert_same(reader(raw, folder), right)
        monkeypatch.undo()
        assert calls >= 2
        shutil.rmtree(folder / "away")
        assert_same(reader(raw, folder), right)
        assert capsys.readouterr().err == ""

    def test_another_writer_that_is_faster(self, source, monkeypatch, capsys):
        reader, raw, folder = source
        right = reader(raw, folder / "other")
        real = Path.rename

        def late(path, target):
            if path.name == "complete":
                shutil.copytree(entry(folder / "other"), target)
            return real(path, target)

        monkeypatch.setattr(Path, "rename", late)
        assert_same(reader(raw, folder / "mine"), right)
        monkeypatch.undo()
        assert_same(reader(raw, folder / "mine"), right)
        assert reader.calls == 2
        assert capsys.readouterr().err == ""


class TestDamaged:
    def test_any_file_with_a_changed_byte_cut_or_gone(self, source):
        reader, raw, folder = source
        right = reader(raw, folder)
        calls = 1
        for name in sorted(file.name for file in entry(folder).iterdir()):
            for damage in ("flip", "cut", "delete", "empty"):
                file = entry(folder) / name
                content = bytearray(file.read_bytes())
                content[len(content) // 2] ^= 1
                if damage == "flip":
                    file.write_bytes(content)
                elif damage == "delete":
                    file.unlink()
                else:
                    file.write_bytes(content[:-1] if damage == "cut" else b"")
                assert reader(raw, folder).user.tolist() == right.user.tolist()
                calls += 1
                assert reader.calls == calls, (name, damage)
        assert_same(right, reader(raw, folder))
        assert reader.calls == calls

    @pytest.mark.parametrize("content", ["{}", "[]", "null", '{"sha256": ""}', seal({"content": 1})])
    def test_manifest_of_another_kind(self, source, content):
        reader, raw, folder = source
        reader(raw, folder)
        (entry(folder) / MANIFEST).write_text(content)
        reader(raw, folder)
        assert reader.calls == 2

    def test_manifest_that_was_edited(self, source):
        reader, raw, folder = source
        reader(raw, folder)
        manifest = entry(folder) / MANIFEST
        document = json.loads(manifest.read_text())
        document["name"] = "ml-1m"
        manifest.write_text(json.dumps(document))
        assert reader(raw, folder).name.startswith("generated")

    def test_failed_writing_is_a_warning_and_leaves_nothing(self, source, monkeypatch, capsys):
        reader, raw, folder = source

        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(np, "save", full)
        assert_same(reader(raw, folder), reader.module.read(raw))
        assert "No space left on device" in capsys.readouterr().err
        assert list(folder.iterdir()) == []

    def test_next_start_removes_what_a_killed_one_left_but_nothing_that_is_still_written(self, source):
        reader, raw, folder = source
        reader(raw, folder)
        place = entry(folder)
        killed, running = (folder / f".{place.name}-{name}" for name in ("killed", "running"))
        for temporary, age in ((killed, 25), (running, 1)):
            (temporary / "complete").mkdir(parents=True)
            before = time.time() - age * 3600
            os.utime(temporary, (before, before))
        reader(raw, folder)
        assert not killed.exists()
        assert running.exists()

    def test_what_is_still_written_is_never_taken_for_left_behind(self, source):
        _, _, folder = source
        with new_folder(folder / "place", []) as complete:
            os.utime(complete.parent, (0, 0))
            remove_left_behind(folder / "place")
            assert complete.is_dir()
        assert everything_in(folder) == ["place"]

    def test_wrong_files_are_errors_and_leave_no_entry(self, source):
        reader, raw, folder = source
        file = next(file for file in reader.module.find_files(raw) if file.suffix != ".npy")
        file.write_bytes(b"")
        with pytest.raises(InputError):
            reader(raw, folder)
        assert not folder.exists()
