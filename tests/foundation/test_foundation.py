"""Whole files, sealed JSON, locks between processes, and signals at moments when they must not come in between."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pytest

from foundation.atomic import remove_left_behind, replacing, temporary_of, write_atomic
from foundation.errors import InputError, at_least, one_of
from foundation.interrupts import held_back
from foundation.json_files import read_json
from foundation.locks import BusyError, locked
from foundation.sealed import seal, unseal

HOLD = """
import sys
from pathlib import Path
from foundation.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


class TestWriteAtomic:
    def test_writers_of_one_file_leave_one_of_their_contents_and_nothing_beside_it(self, tmp_path):
        contents = [bytes([number]) * 200_000 for number in range(4)]

        def write(content):
            for _ in range(20):
                write_atomic(tmp_path / "x.bin", content)

        threads = [threading.Thread(target=write, args=(content,)) for content in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (tmp_path / "x.bin").read_bytes() in contents
        assert os.listdir(tmp_path) == ["x.bin"]

    def test_a_failed_write_keeps_the_old_content(self, tmp_path, monkeypatch):
        write_atomic(tmp_path / "x", "old")
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(OSError, match="full"):
            write_atomic(tmp_path / "x", "new")
        assert (tmp_path / "x").read_text() == "old"
        assert os.listdir(tmp_path) == ["x"]

    def test_a_block_that_fails_keeps_the_old_content(self, tmp_path):
        write_atomic(tmp_path / "x", "old")

        def fail():
            with replacing(tmp_path / "x") as temporary:
                temporary.write_text("half")
                _ = 1 / 0

        with pytest.raises(ZeroDivisionError):
            fail()
        assert (tmp_path / "x").read_text() == "old"
        assert os.listdir(tmp_path) == ["x"]

    def test_what_a_killed_writer_left_goes_and_nothing_else(self, tmp_path):
        mine = temporary_of(tmp_path / "base-1.idx")
        others = [temporary_of(tmp_path / "notes.txt"), tmp_path / "base-1.idx", tmp_path / "base-1.idx.tmp"]
        for path in (mine, *others):
            path.touch()
        remove_left_behind(tmp_path, re.compile(r"base-\d+\.idx"))
        assert sorted(tmp_path.iterdir()) == sorted(others)


class TestSealed:
    DOCUMENT = {"auc": 0.1234, "name": "Zoë", "fingerprint": "0" * 64, "sizes": [1, 2]}  # noqa: RUF012

    def test_gives_back_what_was_sealed(self):
        assert unseal(seal(self.DOCUMENT).encode(), Path("x"), "") == self.DOCUMENT

    def test_no_changed_byte_passes(self):
        content = seal(self.DOCUMENT).encode()
        for place in range(len(content)):
            for other in (0, 9, 10, 32, content[place] ^ 1, content[place] ^ 32):
                if other != content[place]:
                    changed = content[:place] + bytes([other]) + content[place + 1 :]
                    with pytest.raises(InputError, match=r"x\.json"):
                        unseal(changed, Path("x.json"), "Train again.")

    @pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe", b'{"auc": 1}', seal({"a": 1}).encode()[:-1]])
    def test_what_was_never_sealed_is_refused(self, content):
        with pytest.raises(InputError, match=r"x\.json .* Train again\."):
            unseal(content, Path("x.json"), "Train again.")


class TestLocked:
    @pytest.fixture
    def owner(self, tmp_path):
        """Another process that holds `tmp_path / "lock"`."""
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, tmp_path / "lock"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()
        process.communicate()

    def test_names_the_process_that_holds_it(self, owner, tmp_path):
        with pytest.raises(BusyError, match=f"in use by process {owner.pid}"), locked(tmp_path / "lock", wait=False):
            pass

    def test_a_killed_owner_holds_nothing(self, owner, tmp_path):
        owner.kill()
        owner.wait()
        with locked(tmp_path / "lock", wait=False):
            assert (tmp_path / "lock").read_text() == str(os.getpid())

    def test_is_free_again_afterwards(self, tmp_path):
        for _ in range(2):
            with locked(tmp_path / "lock", wait=False):
                pass

    @pytest.mark.parametrize("wait", [True, False])
    def test_a_file_system_without_locks_is_said(self, tmp_path, monkeypatch, wait):
        def broken(*_):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(filelock.FileLock, "_acquire", broken)
        with pytest.raises(InputError, match="cannot be locked: No locks available"), locked(tmp_path / "lock", wait):
            pass

    def test_a_folder_in_its_place_is_said(self, tmp_path):
        (tmp_path / "lock").mkdir()
        with pytest.raises(InputError, match="cannot be locked"), locked(tmp_path / "lock"):
            pass


class TestHeldBack:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_acts_when_the_block_has_ended(self, number):
        done, acted = [], []
        before = signal.signal(number, lambda *_: acted.append(len(done)))
        try:
            with held_back():
                for _ in range(3):
                    signal.raise_signal(number)
                done.append(1)
        finally:
            signal.signal(number, before)
        assert acted == [1]  # once, however often it came

    def test_ctrl_c_still_raises(self):
        done = []

        def block():
            with held_back():
                signal.raise_signal(signal.SIGINT)
                done.append(1)

        with pytest.raises(KeyboardInterrupt):
            block()
        assert done == [1]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    def test_an_error_of_the_block_is_not_lost(self):
        with pytest.raises(OSError, match="full"), held_back():
            raise OSError("full")

    def test_works_in_a_thread(self):
        seen = []

        def block():
            with held_back():
                seen.append(1)

        thread = threading.Thread(target=block)
        thread.start()
        thread.join()
        assert seen == [1]


class TestValues:
    def test_the_least_is_allowed_and_less_is_not(self):
        at_least("rows", 1, 1)
        with pytest.raises(InputError, match=r"rows must be at least 1\. Received: 0\."):
            at_least("rows", 0, 1)

    def test_a_choice_is_allowed_and_another_word_is_not(self):
        one_of("side", "user", ("user", "item"))
        with pytest.raises(InputError, match=r"side must be one of user, item\. Received: 'ad'\."):
            one_of("side", "ad", ("user", "item"))


class TestReadJson:
    def test_what_was_written_comes_back(self, tmp_path):
        (tmp_path / "x.json").write_text('["ü", 1]', encoding="utf-8")
        assert read_json(tmp_path / "x.json", list) == ["ü", 1]

    @pytest.mark.parametrize(
        ("content", "message"),
        [(b"{", "is not valid JSON"), (b"\xff", "is not valid JSON"), (b"[]", "holds no JSON object")],
    )
    def test_anything_else_is_named(self, content, message, tmp_path):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(InputError, match=rf"x\.json {message}"):
            read_json(tmp_path / "x.json")
