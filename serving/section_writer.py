"""Writing a file of `serving.section_file`: room on disk first, then the content through memory, then its name."""

from __future__ import annotations

import errno
import json
import math
import mmap
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from foundation.atomic import replacing
from serving.section_file import BLOCK, CRC, MAGIC, PREFIX, VERSION, Sections, view, whole_blocks

ZEROS = 1 << 20  # bytes that are written at once
# What posix_fallocate says of a file system that cannot reserve room.
CANNOT_RESERVE = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def create(path: Path, sections: Sections, meta: dict) -> Iterator[dict[str, np.ndarray]]:
    """Yields zeroed arrays to fill, on disk and not in memory; the file gets its name once they are.

    meta: anything that JSON can hold, readable without touching the data.
    Raises `OSError` where there is no room, or no right to write; then nothing is left behind.
    """
    places, size = {}, 0
    for name, (dtype, shape) in sections.items():
        places[name] = {"dtype": dtype, "shape": list(shape), "offset": size}
        size += whole_blocks(np.dtype(dtype).itemsize * math.prod(shape))
    description = json.dumps({"sections": places, "meta": meta}).encode()
    header = whole_blocks(PREFIX.size + len(description) + CRC.size * (size // BLOCK + 1))
    with replacing(path) as temporary, temporary.open("w+b") as file:
        _allocate(file, header + size)
        content = mmap.mmap(file.fileno(), header + size)
        arrays = {name: view(content, header, place) for name, place in places.items()}
        yield arrays
        _seal(content, header, description)
        content.flush()
        os.fsync(file.fileno())
        arrays.clear()
        with suppress(BufferError):  # the caller may have kept an array
            content.close()


def _allocate(file: BinaryIO, size: int) -> None:
    """Takes all room now. A write to a mapped page that then finds none on the disk ends the process (SIGBUS)."""
    try:
        os.posix_fallocate(file.fileno(), 0, size)
        return
    except AttributeError:  # not every system has it
        pass
    except OSError as error:
        if error.errno not in CANNOT_RESERVE:
            raise
    for place in range(0, size, ZEROS):
        file.write(bytes(min(ZEROS, size - place)))
    file.flush()


def _seal(content: mmap.mmap, header: int, description: bytes) -> None:
    """Fills the header, which holds the checksum of every block and of itself."""
    with memoryview(content) as whole, whole[header:] as data:
        sums = np.array([zlib.crc32(data[at : at + BLOCK]) for at in range(0, len(data), BLOCK)], dtype="<u4")
    table = PREFIX.size + len(description)
    content[: PREFIX.size] = PREFIX.pack(MAGIC, VERSION, header, len(description), len(content))
    content[PREFIX.size : table] = description
    content[table : table + sums.nbytes] = sums.tobytes()
    content[header - CRC.size : header] = CRC.pack(zlib.crc32(content[: header - CRC.size]))
