"""Files of named arrays that open at once, are read where they are touched, and never serve a damaged byte.

    header    magic, version, lengths | JSON: sections and meta | CRC-32 of every block | padding | CRC-32 of all this
    data      the sections, each on a block boundary, in blocks of 4096 bytes (a page)

Opening checks the header alone, which holds the checksums of the blocks. A block is checked the first time a process
touches it, so that a gigabyte opens in a millisecond and a reader pays for what it reads. A small file is checked
whole. A file is complete or absent, and never changed once it has its name.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from preprocessing.errors import InputError

MAGIC, VERSION = b"PRERANK\n", 1
BLOCK = 4096
CHECK_WHOLE = 4 << 20  # bytes: checked within a few milliseconds
# Rows of a larger section are read and not mapped: a fault on a mapped row can make two megabytes around it resident.
MAPPED = 64 << 20
PREFIX = struct.Struct("<8sIIIQ")  # magic, version, bytes of the header, bytes of its JSON, bytes of the file
CRC = struct.Struct("<I")

Sections = dict[str, tuple[str, tuple[int, ...]]]  # name -> dtype, shape


@contextmanager
def create(path: Path, sections: Sections, meta: dict) -> Iterator[dict[str, np.ndarray]]:
    """Yields zeroed arrays to fill, on disk and not in memory; the file gets its name once they are.

    meta: anything that JSON can hold, readable without touching the data.
    """
    places, size = {}, 0
    for name, (dtype, shape) in sections.items():
        places[name] = {"dtype": dtype, "shape": list(shape), "offset": size}
        size += _whole_blocks(np.dtype(dtype).itemsize * math.prod(shape))
    description = json.dumps({"sections": places, "meta": meta}).encode()
    header = _whole_blocks(PREFIX.size + len(description) + CRC.size * (size // BLOCK + 1))
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("w+b") as file:
            file.truncate(header + size)
            content = mmap.mmap(file.fileno(), header + size)  # not closed here: the arrays may outlive this function
            yield {name: _view(content, header, place) for name, place in places.items()}
            data = memoryview(content)[header:]
            sums = np.array([zlib.crc32(data[at : at + BLOCK]) for at in range(0, size, BLOCK)], dtype="<u4")
            table = PREFIX.size + len(description)
            content[: PREFIX.size] = PREFIX.pack(MAGIC, VERSION, header, len(description), header + size)
            content[PREFIX.size : table] = description
            content[table : table + sums.nbytes] = sums.tobytes()
            content[header - CRC.size : header] = CRC.pack(zlib.crc32(content[: header - CRC.size]))
            content.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class SectionFile:
    """One such file, memory-mapped.

    Raises `InputError` where the file is not one, was cut or altered, or has another version.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        size = os.fstat(self._file).st_size
        if size < BLOCK:
            self._damaged("it is cut off")
        # Copy on write: torch wants writable memory, and no byte of the file may change.
        self._content = mmap.mmap(self._file, 0, access=mmap.ACCESS_COPY)
        magic, version, self._header, json_size, expected = PREFIX.unpack_from(self._content)
        if magic != MAGIC:
            self._damaged("it does not begin as an index does")
        if expected != size or not BLOCK <= self._header <= size:
            self._damaged(f"it has {size} bytes")
        body = self._content[: self._header - CRC.size]
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
        if size <= CHECK_WHOLE:
            self.verify()

    def __contains__(self, name: str) -> bool:
        return name in self._places

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self._content)

    def is_at(self, path: Path) -> bool:
        """Whether this is the file that is there now, and not one that had its name."""
        return os.path.samestat(os.fstat(self._file), path.stat())

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._places[name]["shape"])

    def section(self, name: str) -> np.ndarray:
        """A section, all of it checked."""
        array = _view(self._content, self._header, self._places[name])
        if name not in self._whole:
            first = self._places[name]["offset"] // BLOCK
            self._check(np.arange(first, first + _whole_blocks(array.nbytes) // BLOCK))
            self._whole.add(name)
        return array

    def rows(self, name: str, rows: np.ndarray) -> np.ndarray:
        """A copy of some rows of a section, of which only these are read and checked. rows: (n,) int64."""
        array = _view(self._content, self._header, self._places[name])
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
        content = bytearray().join(os.pread(self._file, size, self._header + place) for place in start.tolist())
        return np.frombuffer(content, array.dtype).reshape(len(rows), *array.shape[1:])

    def verify(self) -> None:
        """Checks every byte. Raises `InputError` at the first block that was altered."""
        self._check(np.arange(len(self._checked)))
        self._whole.update(self._places)

    def _check(self, blocks: np.ndarray) -> None:
        pending = blocks[~self._checked[blocks]]
        if not len(pending):
            return
        pending = np.unique(pending)
        for block, expected in zip(pending.tolist(), self._sums[pending].tolist(), strict=True):
            start = self._header + block * BLOCK
            if zlib.crc32(os.pread(self._file, BLOCK, start)) != expected:
                self._damaged(f"its bytes {start} to {start + BLOCK - 1} were altered")
        self._checked[pending] = True

    def _damaged(self, problem: str) -> None:
        raise InputError(f"The index file {self.path} is damaged: {problem}. Build it again with prerank.py build.")


def _view(content: mmap.mmap, header: int, place: dict) -> np.ndarray:
    count = math.prod(place["shape"])
    if count == 0:
        return np.zeros(place["shape"], dtype=place["dtype"])
    return np.frombuffer(content, place["dtype"], count, header + place["offset"]).reshape(place["shape"])


def _whole_blocks(size: int) -> int:
    """`size` rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK
