"""Files on a server: streamed with a limit on time and size, put in place whole and verified, or not at all."""

from __future__ import annotations

import http.client
import queue
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import InputError
from foundation.progress import progress_bar
from preprocessing.files import BLOCK_BYTES, open_binary
from preprocessing.folders import new_folder

TIMEOUT_SECONDS = 10  # of silence
# Of the whole download, from the first look for the server on: so long, and longer by what has come at this rate. The
# time limit above begins anew with each byte; a server that sends one now and then would hold a run for ever.
GRACE_SECONDS, SLOWEST = 60, 5_000  # bytes a second
NETWORK_ERRORS = (OSError, http.client.HTTPException, ValueError)  # the last of addresses and answers that are none
WAITING = 8  # blocks that have come and are not written yet


class UnreachableError(Exception):
    """Not a byte came from the server."""


class CutOffError(Exception):
    """The content did not come to its end. The message is what happened to the download: "was cut off"."""


@dataclass(frozen=True)
class RemoteFile:
    """size: in bytes, as served.  lines: of the unpacked file."""

    url: str
    size: int
    lines: int

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


class Download:
    """The content at an address.

    silence: of the server, seconds after which it is given up.
    size: as announced; None before the first block, and where the server does not say.  received: bytes so far.
    """

    def __init__(self, url: str, silence: float):
        self.url, self.silence = url, silence
        self.size: int | None = None
        self.received = 0

    def blocks(self) -> Iterator[bytes]:
        """The content in blocks. Raises `UnreachableError` before the first byte, then `CutOffError`.

        A thread waits for the server, so that whatever that does, this one is held no longer than the limits say.
        """
        arrived: queue.Queue[bytes | Exception] = queue.Queue(WAITING)
        stopped = threading.Event()
        threading.Thread(target=self._receive, args=(arrived, stopped), daemon=True).start()
        start = time.monotonic()
        try:
            while True:
                end = start + GRACE_SECONDS + self.received / SLOWEST
                try:
                    block = arrived.get(timeout=max(end - time.monotonic(), 0))
                except queue.Empty:
                    raise self._failed("was given up, for the server is too slow,") from None
                if isinstance(block, NETWORK_ERRORS):
                    raise self._failed("was cut off", str(block) or type(block).__name__)
                if isinstance(block, Exception):
                    raise block
                if not block:
                    break
                self.received += len(block)
                yield block
        finally:
            stopped.set()
            while not arrived.empty():  # the thread may wait for room
                arrived.get_nowait()
        if self.size is not None and self.received < self.size:
            raise self._failed("was cut off", "nothing came")

    def _failed(self, what: str, why: str | None = None) -> Exception:
        return CutOffError(what) if self.received else UnreachableError(why or what)

    def _receive(self, arrived: queue.Queue, stopped: threading.Event) -> None:
        """Hands over blocks, an empty one at the end, or the exception that ended it."""
        try:
            with urllib.request.urlopen(self.url, timeout=self.silence) as response:
                self.size = response.length
                block = b"more"
                while block and not stopped.is_set():
                    block = response.read1(BLOCK_BYTES)  # what there is: `read` would wait for as much as is asked for
                    arrived.put(block)
        except Exception as error:  # the other thread is to judge it, whatever it is
            arrived.put(error)


def fetch(files: Sequence[RemoteFile], folder: Path, quiet: bool, hint: str) -> None:
    """Downloads all files into a new `folder`, or leaves nothing behind.

    hint: what to do instead, for errors. Raises `InputError` for a server that cannot be reached, a download that was
    cut off, is too slow or is another file, and a folder that cannot be written.
    """
    try:
        with new_folder(folder, [file.name for file in files]) as complete:
            for file in files:
                problem = _download(file, complete / file.name, quiet) or _difference(file, complete / file.name)
                if problem:
                    raise InputError(f"The download of {file.url} {problem}; nothing was kept.\n{hint}")
    except UnreachableError as error:
        raise InputError(f"{error}.\n{hint}") from None
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}.\n{hint}") from None


def _download(file: RemoteFile, place: Path, quiet: bool) -> str | None:
    """-> what is wrong with it"""
    download = Download(file.url, TIMEOUT_SECONDS)
    with (
        open(place, "wb") as output,
        progress_bar(quiet=quiet, total=file.size, desc=file.name, unit="B", unit_scale=True) as progress,
    ):
        try:
            for block in download.blocks():
                if download.received > file.size:
                    return f"is larger than it should be, over {file.size:,} bytes"
                output.write(block)
                progress.update(len(block))
        except UnreachableError as error:
            raise UnreachableError(f"{file.url} cannot be reached ({error})") from None
        except CutOffError as error:
            return f"{error} after {download.received:,} of {file.size:,} bytes"
    if download.received < file.size:
        return f"was cut off after {download.received:,} of {file.size:,} bytes"
    return None


def _difference(file: RemoteFile, place: Path) -> str | None:
    lines = 0
    with open_binary(place) as content:  # raises where the gzip file's own checksum is wrong
        while block := content.read(BLOCK_BYTES):
            lines += block.count(b"\n")
            if lines > file.lines:
                return f"has over {file.lines:,} lines instead of {file.lines:,}"
    return None if lines == file.lines else f"has {lines:,} lines instead of {file.lines:,}"
