"""Raw files, plain or gzipped: finding, hashing and reading them."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from preprocessing.errors import InputError

BLOCK_BYTES = 1 << 20
# Beside generated files (`benchmarks`): the probability that each row's label was drawn with.
PLANTED = "planted_probability.npy"


def find_file(folder: Path, name: str) -> Path | None:
    """`name` or its gzipped form in `folder`. The given spelling wins; a name that ends in .gz may be unpacked."""
    other = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
    return next((folder / entry for entry in (name, other) if (folder / entry).is_file()), None)


def fingerprint(paths: Iterable[Path]) -> str:
    """sha256 over the files' sha256, in this order."""
    return hashlib.sha256("".join(map(sha256_of, paths)).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    return digest.hexdigest()


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """The content, unpacked if the name ends in .gz. Raises `InputError` for a damaged or unreadable file."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is no complete gzip file ({error}). Get it again.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The number, from 1, and the text of each line that is not blank."""
    with open_binary(path) as file:
        for number, line in enumerate(io.TextIOWrapper(file, "utf-8", errors="replace", newline="\n"), start=1):
            text = line.strip()
            if text:
                yield number, text


def read_text(path: Path, needed: str, encoding: str = "utf-8") -> bytes:
    """The content as `TextTable` takes it: UTF-8, without byte order mark and trailing blank lines.

    encoding: of the file; content that is not in it is taken as latin-1. needed: what to give instead of an empty file.
    """
    with open_binary(path) as file:
        text = file.read().removeprefix(b"\xef\xbb\xbf").rstrip()
    if not text:
        raise InputError(f"{path} is empty. Give {needed}.")
    try:
        return text if text.isascii() else text.decode(encoding).encode()
    except UnicodeDecodeError:
        return text.decode("latin-1").encode()


def read_planted(path: Path, rows: int) -> np.ndarray:
    """(rows,) float32, mapped from the file. Raises `InputError` if it does not belong to so many rows."""
    try:
        planted = np.load(path, mmap_mode="c")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is no array ({error}). Delete it, or generate the data again.") from None
    if planted.shape != (rows,) or planted.dtype.kind != "f":
        raise InputError(f"{path} holds {planted.dtype} {planted.shape} for {rows} rows. Delete it, or generate again.")
    return planted
