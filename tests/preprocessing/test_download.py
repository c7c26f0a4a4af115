"""Finding and downloading MovieLens, against a server on this machine: whole and verified, or not at all."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from foundation.errors import InputError
from preprocessing import download
from preprocessing.download import RemoteArchive
from preprocessing.folders import remove_left_behind
from preprocessing.load import find_movielens, load_movielens

FILES = {
    "ratings.dat": b"1::1::5::100\n1::1::2::200\n",
    "users.dat": b"1::F::1::10::48067\n",
    "movies.dat": b"1::Toy Story (1995)::Comedy\n",
}


def make_zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return buffer.getvalue()


def describe(url: str, content: bytes) -> RemoteArchive:
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    return RemoteArchive(f"{url}/ml-1m.zip", "ml-1m", hashlib.md5(content).hexdigest(), digests)


def drip(send, stop: threading.Event) -> None:
    """A byte now and then, as long as anybody listens."""
    with contextlib.suppress(OSError):
        while not stop.wait(0.02):
            send(b"x")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `content`, announced as `announced` bytes long."""

    def __init__(self, *args, content: bytes, announced: int | None, status: int):
        self.content, self.announced, self.status = content, announced, status
        super().__init__(*args)

    def do_GET(self):
        self.send_response(self.status)
        if self.announced is not None:
            self.send_header("Content-Length", str(self.announced))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *args):
        pass


@pytest.fixture
def serve(monkeypatch) -> Iterator:
    """serve(content, announced=..., status=200) -> the address of a server that sends this."""
    monkeypatch.setenv("no_proxy", "*")
    servers = []

    def start(content: bytes, announced: int | None = -1, status: int = 200) -> str:
        announced = len(content) if announced == -1 else announced
        handler = functools.partial(Handler, content=content, announced=announced, status=status)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def no_server(monkeypatch) -> str:
    """An address on which nobody listens."""
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def find(data_dir: Path, archive: RemoteArchive) -> Path | None:
    return find_movielens(None, data_dir, quiet=True, archive=archive)


class TestDownload:
    def test_good_archive_is_put_in_place(self, tmp_path, serve):
        content = make_zip({f"ml-1m/{name}": data for name, data in FILES.items()} | {"ml-1m/README": b"terms"})
        folder = find(tmp_path / "data", describe(serve(content), content))
        assert folder == tmp_path / "data" / "ml-1m"
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
        assert everything_in(tmp_path / "data") == ["ml-1m", *(f"ml-1m/{name}" for name in sorted(FILES))]

    def test_length_need_not_be_announced(self, tmp_path, serve):
        content = make_zip(FILES)
        assert find(tmp_path, describe(serve(content, announced=None), content)) == tmp_path / "ml-1m"

    def test_empty_folder_is_filled(self, tmp_path, serve):
        (tmp_path / "ml-1m").mkdir()
        content = make_zip(FILES)
        assert find(tmp_path, describe(serve(content), content)) == tmp_path / "ml-1m"
        assert len(list((tmp_path / "ml-1m").iterdir())) == len(FILES)

    def test_paths_in_the_archive_are_never_followed(self, tmp_path, serve):
        members = {"../../evil.txt": b"evil", "/evil.txt": b"evil", "../users.dat": FILES["users.dat"]}
        content = make_zip(members | {f"ml-1m/{name}": data for name, data in FILES.items()})
        find(tmp_path / "inner" / "data", describe(serve(content), content))
        assert everything_in(tmp_path) == [
            "inner",
            "inner/data",
            "inner/data/ml-1m",
            *(f"inner/data/ml-1m/{name}" for name in sorted(FILES)),
        ]

    def test_cut_off_download_is_an_error_and_leaves_nothing(self, tmp_path, serve):
        content = make_zip(FILES)
        half = serve(content[: len(content) // 2], announced=len(content))
        with pytest.raises(InputError, match="cut off"):
            find(tmp_path, describe(half, content))
        assert everything_in(tmp_path) == []

    def test_wrong_md5_is_an_error_and_leaves_nothing(self, tmp_path, serve):
        content = make_zip(FILES)
        with pytest.raises(InputError, match="md5"):
            find(tmp_path, replace(describe(serve(content), content), md5="0" * 32))
        assert everything_in(tmp_path) == []

    @pytest.mark.parametrize(
        ("members", "problem"),
        [(FILES | {"users.dat": b"other"}, "users.dat with the sha256"), ({"users.dat": FILES["users.dat"]}, "lacks")],
    )
    def test_wrong_content_is_an_error_and_leaves_nothing(self, tmp_path, serve, members, problem):
        content = make_zip(members)
        with pytest.raises(InputError, match=problem):
            find(tmp_path, describe(serve(content), content))
        assert everything_in(tmp_path) == []

    def test_what_is_no_zip_file_is_an_error(self, tmp_path, serve):
        with pytest.raises(InputError, match="no readable zip file"):
            find(tmp_path, describe(serve(b"<html>"), b"<html>"))

    def test_damaged_member_is_an_error(self, tmp_path, serve):
        content = make_zip(FILES).replace(b"PK\x03\x04", b"PK\x03\x05", 1)
        with pytest.raises(InputError, match="no readable zip file"):
            find(tmp_path, describe(serve(content), content))

    def test_oversized_download_and_file_are_errors(self, tmp_path, serve):
        content = make_zip(FILES)
        archive = describe(serve(content), content)
        with pytest.raises(InputError, match="larger than"):
            find(tmp_path, replace(archive, max_bytes=100))
        bomb = make_zip(FILES | {"ratings.dat": bytes(10_000)})
        with pytest.raises(InputError, match=r"has ratings\.dat with more than"):
            find(tmp_path, replace(describe(serve(bomb), bomb), max_bytes=len(bomb)))
        assert everything_in(tmp_path) == []

    def test_unwritable_data_folder_is_an_error(self, tmp_path, serve):
        (tmp_path / "file").write_text("in the way")
        content = make_zip(FILES)
        with pytest.raises(InputError, match="cannot be written"):
            find(tmp_path / "file" / "data", describe(serve(content), content))

    @pytest.mark.parametrize("status", [404, 503])
    def test_refusal_is_no_data(self, tmp_path, serve, status):
        assert find(tmp_path, describe(serve(b"sorry", status=status), b"")) is None
        assert everything_in(tmp_path) == []

    def test_no_server_is_no_data(self, tmp_path, no_server):
        assert find(tmp_path / "data", describe(no_server, b"")) is None
        assert not (tmp_path / "data").exists()

    def test_silent_server_is_no_data(self, tmp_path, monkeypatch):
        monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.1)
        monkeypatch.setenv("no_proxy", "*")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            assert find(tmp_path, describe(f"http://127.0.0.1:{silent.getsockname()[1]}", b"")) is None


class TestSlowServer:
    """One that sends a byte whenever it is about to be given up holds no run, wherever in its answer it does so."""

    ANSWERS = (
        b"",
        b"HTTP/1.0 200 ",
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.0 200 OK\r\nX: ",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
    )

    @pytest.fixture
    def slow(self, monkeypatch):
        """slow(start of the answer) -> address"""
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr(download, "GRACE_SECONDS", 0.2)
        stop, servers = threading.Event(), []

        def start(answer: bytes) -> str:
            class Slow(socketserver.BaseRequestHandler):
                def handle(self):
                    self.request.recv(1000)
                    self.request.sendall(answer)
                    drip(self.request.sendall, stop)

            server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Slow)
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            servers.append(server)
            return f"http://127.0.0.1:{server.server_address[1]}"

        yield start
        stop.set()
        for server in servers:
            server.shutdown()
            server.server_close()

    @pytest.mark.parametrize("answer", ANSWERS)
    def test_of_an_archive(self, answer, slow, tmp_path):
        found = None  # as where nothing of the content came
        with contextlib.suppress(InputError):
            found = find(tmp_path, describe(slow(answer), b""))
        assert found is None
        assert everything_in(tmp_path) == []

    @pytest.mark.parametrize("answer", ANSWERS)
    def test_of_files(self, answer, slow, tmp_path):
        files = [download.RemoteFile(f"{slow(answer)}/a.gz", 100_000, 10)]
        with pytest.raises(InputError, match=r"(cannot be reached|too slow,)[^\n]*\nGet it"):
            download.fetch(files, tmp_path / "data", True, "Get it elsewhere.")
        assert everything_in(tmp_path) == []

    def test_one_that_is_fast_enough_has_all_the_time_that_it_needs(self, slow, monkeypatch):
        monkeypatch.setattr(download, "SLOWEST", 1)
        blocks = download.Download(slow(self.ANSWERS[4]), 1).blocks()
        assert sum(len(next(blocks)) for _ in range(20)) >= 20  # 0.4 seconds, past the time of grace
        blocks.close()


class TestLeftBehind:
    """Folders of killed downloads go at the next start, whether or not it downloads; those of running ones stay."""

    @pytest.mark.parametrize("present", [True, False])
    def test_of_movielens(self, present, tmp_path, serve):
        if present:
            (tmp_path / "ml-1m").mkdir()
            (tmp_path / "ml-1m" / "users.dat").touch()
        killed, running, other = (tmp_path / name for name in (".ml-1m-killed", ".ml-1m-running", ".ml-100k-x"))
        for folder, hours in ((killed, 25), (running, 1), (other, 99)):
            (folder / "complete").mkdir(parents=True)
            os.utime(folder, (time.time() - hours * 3600,) * 2)
        content = make_zip(FILES)
        assert find(tmp_path, describe(serve(content), content)) == tmp_path / "ml-1m"
        assert sorted(path.name for path in tmp_path.iterdir()) == [".ml-100k-x", ".ml-1m-running", "ml-1m"]

    def test_of_a_process_that_was_killed(self, tmp_path):
        script = (
            "import os, signal, sys, pathlib; from preprocessing.folders import new_folder\n"
            "with new_folder(pathlib.Path(sys.argv[1]), []) as folder:\n"
            "    (folder / 'half').touch(); os.kill(os.getpid(), signal.SIGKILL)"
        )
        place = tmp_path / "place"
        subprocess.run([sys.executable, "-c", script, str(place)], cwd=Path(__file__).parents[2])
        (left,) = tmp_path.iterdir()
        remove_left_behind(place)
        assert left.exists()  # it might be of a moment before its owner locked it
        os.utime(left, (0, 0))
        remove_left_behind(place)
        assert not left.exists()


class TestFind:
    """`no_server` stands for the network, so that a download would give None."""

    @pytest.mark.parametrize("name", ["ml-1m", "movielens.txt"])
    def test_given_path_is_taken(self, tmp_path, name):
        (tmp_path / name).mkdir()
        assert find_movielens(str(tmp_path / name)) == tmp_path / name

    @pytest.mark.parametrize("path", ["nothing", "", "\0", "x" * 5000])
    def test_given_but_missing_path_is_an_error_never_a_fallback(self, tmp_path, path):
        (tmp_path / "movielens.txt").touch()
        with pytest.raises(InputError, match="No such file or folder"):
            find_movielens(path, tmp_path)

    @pytest.mark.parametrize(
        ("present", "found"),
        [
            (["ml-1m/users.dat", "users.dat", "movielens.txt"], "ml-1m"),
            (["users.dat", "movielens.txt"], "."),
            (["movielens.txt"], "movielens.txt"),
        ],
    )
    def test_data_folder_is_searched_in_order(self, tmp_path, no_server, present, found):
        for name in present:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        assert find(tmp_path, describe(no_server, b"")) == tmp_path / found

    def test_download_can_be_switched_off(self, tmp_path, serve):
        content = make_zip(FILES)
        archive = describe(serve(content), content)
        assert find_movielens(None, tmp_path, quiet=True, download=False, archive=archive) is None


class TestLoad:
    def test_data_that_is_there_is_read_without_a_word(self, tmp_path, capfd):
        for name, data in FILES.items():
            (tmp_path / name).write_bytes(data)
        assert load_movielens(str(tmp_path)).name == "movielens"
        assert load_movielens(data_dir=tmp_path).name == "movielens"
        assert capfd.readouterr() == ("", "")

    def test_generated_data_is_announced_even_if_quiet(self, tmp_path, capfd):
        raw = load_movielens(quiet=True, download=False, data_dir=tmp_path)
        out, err = capfd.readouterr()
        assert raw.name == "synthetic-movielens"
        assert out == ""
        assert "SYNTHETIC DATA, NOT MOVIELENS" in err
        assert str(tmp_path) in err
        assert len({len(line) for line in err.splitlines()}) == 1

    def test_generated_data_that_was_asked_for_is_not_announced(self, tmp_path, capfd):
        for name, data in FILES.items():
            (tmp_path / name).write_bytes(data)
        assert load_movielens("synthetic", data_dir=tmp_path).name == "synthetic-movielens"
        assert capfd.readouterr() == ("", "")

    def test_missing_path_is_an_error(self, tmp_path):
        with pytest.raises(InputError, match="No such file or folder"):
            load_movielens(str(tmp_path / "nothing"))
