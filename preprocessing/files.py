"""Raw files, plain or gzipped: finding, hashing and reading them."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BufferedReader
from pathlib import Path

import numpy as np

from foundation.errors import InputError

BLOCK_BYTES = 1 << 20
# A gzip file may unpack to so many bytes, or to so many times its size if that is more. Logs shrink to a fifth or a
# twentieth; what shrinks to a thousandth was made to fill a disk or the memory.
UNPACKED_BYTES, EXPANSION = 1 << 26, 100
MARK = b"\xef\xbb\xbf"  # of UTF-8, which some programs write before a text
OTHER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32"}


def find_file(folder: Path, name: str) -> Path | None:
    """`name` or its gzipped form in `folder`. The given spelling wins; a name that ends in .gz may be unpacked."""
    other = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
    return next((folder / entry for entry in (name, other) if os.path.isfile(folder / entry)), None)


def holds_anything(folder: Path) -> bool:
    """Whether it is a folder that is not empty. Raises `InputError` for one that cannot be read."""
    if not os.path.isdir(folder):
        return False
    with reading(folder):
        return any(folder.iterdir())


def fingerprint(paths: Iterable[Path], also: str = "") -> str:
    """sha256 over the files' sha256, in this order, and over what else decides how they are read."""
    return hashlib.sha256(("".join(map(sha256_of, paths)) + also).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Raises `InputError` as `open_regular` does."""
    with open_regular(path) as file:
        return sha256_from(file)


def sha256_from(file: BufferedReader) -> str:
    """sha256 of what is left to read of a file."""
    return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def unchanged(paths: Iterable[Path]) -> Iterator[None]:
    """For a block that reads these files: raises `InputError` if one was written to or replaced in the meantime.

    Its rows would be those of two files, under the fingerprint of one.
    """
    before = {path: _version(path) for path in paths}
    yield
    for path, version in before.items():
        if _version(path) != version:
            raise InputError(f"{path} changed while it was read. Wait until it is complete, then try again.")


def _version(path: Path) -> tuple[int, ...]:
    with reading(path):
        status = os.stat(path)
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what the system says of a path into an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """A file's bytes. Raises `InputError` for what cannot be read, and for what is no file: a pipe may wait for ever,
    a device may never end, and neither can be read twice."""
    with reading(path):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InputError(f"{path} is no file. Give a file of this name.")
        with open(path, "rb") as file:
            yield file


@contextmanager
def open_binary(path: Path) -> Iterator[BufferedReader]:
    """The content, without byte order mark, unpacked if the name ends in .gz.

    Raises `InputError` for a damaged or unreadable file, for one that unpacks to more than `UNPACKED_BYTES` and
    `EXPANSION` times its size, and for UTF-16.
    """
    with open_regular(path) as file:
        if path.suffix != ".gz":
            _skip_mark(path, file)
            yield file
            return
        limit = max(UNPACKED_BYTES, EXPANSION * os.fstat(file.fileno()).st_size)
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                _skip_mark(path, unpacked)
                yield BufferedReader(_Limited(path, unpacked, limit), BLOCK_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"{path} is no complete gzip file ({error}). Get it again.") from None


class _Limited(io.RawIOBase):
    """An unpacked file that raises `InputError` once it has given more than `limit` bytes."""

    def __init__(self, path: Path, file: BufferedIOBase, limit: int):
        self._path, self._file, self._limit, self._given = path, file, limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        count = self._file.readinto(buffer)
        self._given += count
        if self._given > self._limit:
            raise InputError(
                f"{self._path} unpacks to more than {self._limit:,} bytes, which no data of its size do. "
                "Get it again; if it is right, unpack it yourself."
            )
        return count

    def readall(self) -> bytes:  # inherited, it would go by 8 KiB
        return b"".join(iter(lambda: self.read(BLOCK_BYTES), b""))


def _skip_mark(path: Path, file: BufferedIOBase) -> None:
    head = file.read(4)
    file.seek(len(MARK) if head.startswith(MARK) else 0)
    encoding = next((name for mark, name in OTHER_MARKS.items() if head.startswith(mark)), None)
    if encoding or b"\0" in head:
        raise InputError(f"{path} is {encoding or 'no text: it begins with a zero byte'}. Save it as UTF-8.")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The number, from 1, and the text of each line that is not blank."""
    with open_binary(path) as file:
        for number, line in enumerate(io.TextIOWrapper(file, "utf-8", errors="replace", newline="\n"), start=1):
            text = line.strip()
            if text:
                yield number, text


def read_text(path: Path, needed: str) -> bytes:
    """The content as `TextTable` takes it: UTF-8, without byte order mark and trailing blank lines.

    Content that is not in UTF-8 is taken as latin-1, unless some of its lines are plainly in UTF-8.
    needed: what to give instead of an empty file.
    """
    with open_binary(path) as file:
        text = file.read().rstrip()
    if not text:
        raise InputError(f"{path} is empty. Give {needed}.")
    if text.isascii() or _is_utf8(text):
        return text
    _require_one_encoding(path, text)
    return text.decode("latin-1").encode()


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _require_one_encoding(path: Path, text: bytes) -> None:
    """For text that is not UTF-8 as a whole. Letters beyond ASCII are hardly ever UTF-8 by chance."""
    numbers: dict[bool, int] = {}
    for number, line in enumerate(io.BytesIO(text), start=1):
        if not line.isascii():
            numbers.setdefault(_is_utf8(line), number)
    if len(numbers) == 2:
        raise InputError(
            f"{path}: line {numbers[True]} is in UTF-8, line {numbers[False]} is not. Save all of it as UTF-8."
        )


def map_array(file: BufferedReader) -> np.ndarray:
    """The array of an open .npy file, mapped from it; changes stay in memory. It outlives the file's name.

    Raises `ValueError` for whatever is no array of numbers.
    """
    try:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[
            version
        ]
        shape, fortran, dtype = read_header(file)
        if dtype.hasobject:
            raise ValueError("it holds objects")
        return np.memmap(file, dtype, "c", file.tell(), shape, "F" if fortran else "C")
    except Exception as error:  # a header is a Python literal, and may be wrong in every way that one can
        raise ValueError(str(error) or type(error).__name__) from None
