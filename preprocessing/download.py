"""Files on a server: streamed with a limit on time and size, put in place whole and verified, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import io
import lzma
import queue
import threading
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from foundation.atomic import replacing
from foundation.errors import InputError
from foundation.progress import progress_bar
from preprocessing.files import BLOCK_BYTES, open_binary
from preprocessing.folders import new_folder

TIMEOUT_SECONDS = 10  # of silence
# Of the whole download, from the first look for the server on: so long, and longer by what has come at this rate. The
# time limit above begins anew with each byte; a server that sends one now and then would hold a run for ever.
GRACE_SECONDS, SLOWEST = 60, 5_000  # bytes a second
NETWORK_ERRORS = (OSError, http.client.HTTPException, ValueError)  # the last of addresses and answers that are none
MOST_BYTES = 1 << 40  # of a file of which nothing but its sha256 is known
WAITING = 8  # blocks that have come and are not written yet


class UnreachableError(Exception):
    """Not a byte came from the server."""


class UnusableError(Exception):
    """What came is not what was asked for. The message is what is wrong with the download: "was cut off"."""


@dataclass(frozen=True)
class RemoteFile:
    """size: in bytes, as served.  lines: of the unpacked file."""

    url: str
    size: int
    lines: int

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class RemoteArchive:
    """A zip file on a server and what is known of it.

    name: of the folder that it becomes.  md5: of the zip file.
    sha256: of the files to take from it, by file name; nothing else is read from it.
    max_bytes: for the zip file and for each file in it, against zip bombs.
    """

    url: str
    name: str
    md5: str
    sha256: Mapping[str, str]
    max_bytes: int = 100_000_000


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
        """The content in blocks. Raises `UnreachableError` before the first byte, then `UnusableError`.

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
        if not self.received:
            return UnreachableError(why or what)
        size = "unknown" if self.size is None else f"{self.size:,}"
        return UnusableError(f"{what} after {self.received:,} of {size} bytes")

    def _receive(self, arrived: queue.Queue[bytes | Exception], stopped: threading.Event) -> None:
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
                try:
                    with open(complete / file.name, "wb") as output:
                        received = _receive(file.url, file.name, file.size, quiet, output.write)
                    _require_same(file, received, complete / file.name)
                except UnreachableError as error:
                    raise InputError(f"{file.url} cannot be reached ({error}).\n{hint}") from None
                except UnusableError as error:
                    raise _rejected(file.url, error, hint) from None
    except OSError as error:
        raise _unwritable(folder, error, hint) from None


def fetch_file(url: str, place: Path, sha256: str, quiet: bool, hint: str) -> None:
    """Downloads one file to `place`, beside others that may be there.

    hint: what to do instead, for errors. Raises `InputError` as `fetch` does, and for content of another sha256, and
    then leaves nothing behind.
    """
    digest = hashlib.sha256()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as temporary:
            with open(temporary, "wb") as output:

                def write(block: bytes) -> None:
                    digest.update(block)
                    output.write(block)

                _receive(url, place.name, MOST_BYTES, quiet, write)
            if digest.hexdigest() != sha256:
                raise UnusableError(f"has the sha256 {digest.hexdigest()} instead of {sha256}")
    except UnreachableError as error:
        raise InputError(f"{url} cannot be reached ({error}).\n{hint}") from None
    except UnusableError as error:
        raise _rejected(url, error, hint) from None
    except OSError as error:
        raise _unwritable(place.parent, error, hint) from None


def fetch_archive(archive: RemoteArchive, folder: Path, quiet: bool, hint: str) -> bool:
    """Downloads a zip file and puts what is wanted of it into a new `folder`. False where the server cannot be reached.

    Raises `InputError` as `fetch` does, and then leaves nothing behind.
    """
    content = bytearray()
    try:
        _receive(archive.url, archive.name, archive.max_bytes, quiet, content.extend)
        files = _verified_files(bytes(content), archive)
    except UnreachableError:
        return False
    except UnusableError as error:
        raise _rejected(archive.url, error, hint) from None
    try:
        with new_folder(folder, list(files)) as complete:
            for name, held in files.items():
                (complete / name).write_bytes(held)
    except OSError as error:
        raise _unwritable(folder, error, hint) from None
    return True


def _rejected(url: str, problem: UnusableError, hint: str) -> InputError:
    return InputError(f"The download of {url} {problem}; nothing was kept.\n{hint}")


def _unwritable(folder: Path, error: OSError, hint: str) -> InputError:
    return InputError(f"{folder} cannot be written: {error.strerror or error}.\n{hint}")


def _receive(url: str, name: str, most: int, quiet: bool, write: Callable[[bytes], object]) -> int:
    """Writes the content, of at most so many bytes. -> bytes received

    Raises as `Download.blocks` does, and `UnusableError` for more content.
    """
    download = Download(url, TIMEOUT_SECONDS)
    with progress_bar(quiet=quiet, desc=name, unit="B", unit_scale=True) as progress:
        for block in download.blocks():
            if download.received > most:
                raise UnusableError(f"is larger than it should be, over {most:,} bytes")
            write(block)
            progress.total = download.size
            progress.update(len(block))
    return download.received


def _require_same(file: RemoteFile, received: int, place: Path) -> None:
    """Raises `UnusableError` for too few bytes, and for another number of lines."""
    if received < file.size:
        raise UnusableError(f"was cut off after {received:,} of {file.size:,} bytes")
    lines = 0
    with open_binary(place) as content:  # raises where the gzip file's own checksum is wrong
        while block := content.read(BLOCK_BYTES):
            lines += block.count(b"\n")
            if lines > file.lines:
                raise UnusableError(f"has over {file.lines:,} lines instead of {file.lines:,}")
    if lines != file.lines:
        raise UnusableError(f"has {lines:,} lines instead of {file.lines:,}")


def _verified_files(content: bytes, archive: RemoteArchive) -> dict[str, bytes]:
    """The wanted files by name, wherever in the zip file they lie. No path of the zip file is ever used as a path."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != archive.md5:
        raise UnusableError(f"has the md5 {md5} instead of {archive.md5}")
    files = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as zipped:
            for member in zipped.infolist():
                name = PurePosixPath(member.filename).name
                if name in archive.sha256 and not member.is_dir():
                    with zipped.open(member) as file:
                        files[name] = file.read(archive.max_bytes + 1)
    # Everything that reading a malformed, encrypted or exotically compressed zip file raises.
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError) as error:
        raise UnusableError(f"is no readable zip file ({error})") from None
    for name, expected in archive.sha256.items():
        if name not in files:
            raise UnusableError(f"lacks {name}")
        if len(files[name]) > archive.max_bytes:
            raise UnusableError(f"has {name} with more than {archive.max_bytes:,} bytes")
        received = hashlib.sha256(files[name]).hexdigest()
        if received != expected:
            raise UnusableError(f"has {name} with the sha256 {received} instead of {expected}")
    return files
