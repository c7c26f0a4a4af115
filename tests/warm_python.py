"""A Python that has imported the large packages already, and becomes any `python ...` in a fraction of the time.

    python warm_python.py SOCKET    answers until its standard input ends

A page's commands are processes of their own, and nearly all of their time would be imports. They see no network.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import select
import socket
import sys

PACKAGES = ("torch", "pandas", "pyarrow.csv", "scipy.stats", "sklearn.ensemble", "matplotlib.backends.backend_agg")
STANDARD = (0, 1, 2)  # file descriptors that a command inherits


def serve(path: str) -> None:
    """Answers each request in a copy of this process, until standard input ends."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        for name in PACKAGES:
            importlib.import_module(name)
        _refuse_network()
        while True:
            ready, *_ = select.select([server, 0], [], [])
            if 0 in ready:
                return
            _forget_the_ended()
            connection, _ = server.accept()
            if os.fork() == 0:
                break
            connection.close()
    _answer(connection)


def _forget_the_ended() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _refuse_network() -> None:
    connect = socket.socket.connect

    def local(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"{address[0]}: a page runs without a network")
        return connect(self, address)

    socket.socket.connect = local


def _answer(connection: socket.socket) -> None:
    """Runs the command in one more copy, for its exit status."""
    with connection:
        request, received, *_ = socket.recv_fds(connection, 4, len(STANDARD))
        size = int.from_bytes(request, "big")
        content = b""
        while len(content) < size:
            content += connection.recv(size - len(content))
        child = os.fork()
        if child:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            connection.sendall(bytes([status if status >= 0 else 128 - status]))
            os._exit(0)
    for own, given in zip(STANDARD, received, strict=True):
        os.dup2(given, own)
        os.close(given)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, encoding="utf-8", errors=errors, closefd=False)
        for number, mode, errors in ((0, "r", "strict"), (1, "w", "strict"), (2, "w", "backslashreplace"))
    )
    _become(*json.loads(content))


def _become(words: list[str], folder: str, environment: dict[str, str]) -> None:
    """`python` with these words after it, in this folder and environment."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    added = [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    if words[0] == "-m":
        sys.argv, sys.path[0:1] = words[1:], [folder, *added]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0:1] = words, [os.path.dirname(os.path.abspath(words[0])), *added]
        runpy.run_path(words[0], run_name="__main__")


def ask(path: str, words: list[str]) -> int:
    """-> the exit status"""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        content = json.dumps([words, os.getcwd(), dict(os.environ)]).encode()
        socket.send_fds(connection, [len(content).to_bytes(4, "big")], STANDARD)
        connection.sendall(content)
        return connection.recv(1)[0]


if __name__ == "__main__":
    serve(sys.argv[1])
