"""Files of named arrays that open at once, are read where they are touched, and never serve a damaged byte.

    header    magic, version, lengths | JSON: sections and meta | CRC-32 of every block | padding | CRC-32 of all this
    data      the sections, each on a block boundary, in blocks of 4096 bytes (a page)

Opening checks the header alone, which holds the checksums of the blocks. A block is checked the first time a process
touches it, so that a gigabyte opens in a millisecond and a reader pays for what it reads. A small file is read and
checked whole. A file is complete or absent (`serving.section_writer`), and never changed once it has its name.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import stat
import struct
import threading
import weakref
import zlib
from pathlib import Path

import numpy as np

from foundation.errors import InputError

MAGIC, VERSION = b"PRERANK\n", 2
BLOCK = 4096
CHECK_WHOLE = 4 << 20  # bytes: read and checked within a few milliseconds
# Rows of a larger section are read and not mapped: a fault on a mapped row can make two megabytes around it resident.
MAPPED = 64 << 20
PREFIX = struct.Struct("<8sIIIQ")  # magic, version, bytes of the header, bytes of its JSON, bytes of the file
CRC = struct.Struct("<I")

Sections = dict[str, tuple[str, tuple[int, ...]]]  # name -> dtype, shape
_SEEKING = threading.Lock()


class SectionFile:
    """One such file, memory-mapped; a small one in memory, where nobody who overwrites the file reaches it.

    Raises `InputError` where the file is not one, was cut or altered, or has another version, and `OSError` where it
    cannot be opened.
    """

    def __init__(self, path: Path):
        self.path = path
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for a writer
            self._damaged("it is no file")
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._file)
        size = os.fstat(self._file).st_size
        if size < BLOCK:
            self._damaged("it is cut off")
        self._small = size <= CHECK_WHOLE
        self._content = self._loaded(size) if self._small else self._mapped(size)
        magic, version, self._header, json_size, expected = PREFIX.unpack_from(self._content)
        if magic != MAGIC:
            self._damaged("it does not begin as an index does")
        if expected != size or not BLOCK <= self._header <= size:
            self._damaged(f"it has {size} bytes")
        body = bytes(self._content[: self._header - CRC.size])
        if CRC.unpack_from(self._content, self._header - CRC.size)[0] != zlib.crc32(body):
            self._damaged("its header was altered")
        if version != VERSION:
            raise InputError(f"{path} has version {version}, this program reads {VERSION}. Build the index again.")
        description = json.loads(body[PREFIX.size : PREFIX.size + json_size])
        self.meta: dict = description["meta"]
        self._places: dict[str, dict] = description["sections"]
        blocks = (size - self._header) // BLOCK
        self._sums = np.frombuffer(body, "<u4", blocks, PREFIX.size + json_size)
        self._checked = np.zeros(blocks, dtype=bool)
        self._whole: set[str] = set()  # sections of which every block is checked
        if self._small:
            self.verify()

    def __contains__(self, name: str) -> bool:
        return name in self._places

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self._content)

    @property
    def in_memory(self) -> bool:
        """Whether all of it was read when it was opened; else it is mapped, and read where it is used."""
        return self._small

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._places[name]["shape"])

    def section(self, name: str) -> np.ndarray:
        """A section, all of it checked."""
        array = view(self._content, self._header, self._places[name])
        if name not in self._whole:
            first = self._places[name]["offset"] // BLOCK
            self._check(np.arange(first, first + whole_blocks(array.nbytes) // BLOCK))
            self._whole.add(name)
        return array

    def rows(self, name: str, rows: np.ndarray) -> np.ndarray:
        """A copy of some rows of a section, of which only these are read and checked. rows: (n,) int64."""
        array = view(self._content, self._header, self._places[name])
        if not array.nbytes:
            return array[rows]
        size = array.nbytes // len(array)
        start = self._places[name]["offset"] + rows * size  # (n,), bytes
        if name not in self._whole:
            first, last = start // BLOCK, (start + size - 1) // BLOCK
            span = np.arange(size // BLOCK + 2)
            self._check(np.minimum(first[:, None] + span, last[:, None]).ravel())
        if array.nbytes <= MAPPED or size <= array.itemsize:
            return array[rows]
        content = bytearray().join(self._read(size, self._header + place) for place in start.tolist())
        return np.frombuffer(content, array.dtype).reshape(len(rows), *array.shape[1:])

    def verify(self) -> None:
        """Checks every byte. Raises `InputError` at the first block that was altered."""
        self._check(np.arange(len(self._checked)))
        self._whole.update(self._places)

    def _mapped(self, size: int) -> memoryview:
        # Copy on write: torch wants writable memory, and no byte of the file may change.
        return memoryview(mmap.mmap(self._file, size, access=mmap.ACCESS_COPY))

    def _loaded(self, size: int) -> memoryview:
        """All of a small file, on the boundary of a page as in a map."""
        memory = np.empty(size + BLOCK, dtype=np.uint8)
        start = -memory.ctypes.data % BLOCK
        content = memory.data[start : start + size]
        with open(self._file, "rb", buffering=0, closefd=False) as file:
            if file.readinto(content) < size:
                self._damaged("it was cut off")
        return content

    def _check(self, blocks: np.ndarray) -> None:
        pending = blocks[~self._checked[blocks]]
        if not len(pending):
            return
        pending = np.unique(pending)
        for block, expected in zip(pending.tolist(), self._sums[pending].tolist(), strict=True):
            start = self._header + block * BLOCK
            content = self._content[start : start + BLOCK] if self._small else self._read(BLOCK, start)
            if zlib.crc32(content) != expected:
                self._damaged(f"its bytes {start} to {start + BLOCK - 1} were altered")
        self._checked[pending] = True

    def _read(self, size: int, place: int) -> bytes:
        """From the file and not through the map, where a read beyond the end of a cut file kills the process."""
        try:
            content = read_at(self._file, size, place)
        except OSError as error:
            raise InputError(f"The index file {self.path} cannot be read: {error.strerror}.") from None
        if len(content) < size:
            self._damaged("it was cut off")
        return content

    def _damaged(self, problem: str) -> None:
        raise InputError(f"The index file {self.path} is damaged: {problem}. Build it again with prerank.py build.")


def read_at(descriptor: int, size: int, place: int) -> bytes:
    """`size` bytes of an open file from `place` on, fewer at its end. Threads and forked processes may share it."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, place)
    with _SEEKING:
        os.lseek(descriptor, place, os.SEEK_SET)
        return os.read(descriptor, size)


def view(content: memoryview | mmap.mmap, header: int, place: dict) -> np.ndarray:
    """The array of a section's entry in the header."""
    count = math.prod(place["shape"])
    if count == 0:
        return np.zeros(place["shape"], dtype=place["dtype"])
    return np.frombuffer(content, place["dtype"], count, header + place["offset"]).reshape(place["shape"])


def whole_blocks(size: int) -> int:
    """`size` rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK
