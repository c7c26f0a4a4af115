"""Large gzipped files on a server: streamed to disk, verified by size, checksum of gzip and number of lines."""

from __future__ import annotations

import http.client
import os
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from preprocessing.errors import InputError
from preprocessing.files import BLOCK_BYTES, open_binary

TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class RemoteFile:
    """size: in bytes, as served.  lines: of the unpacked file."""

    url: str
    size: int
    lines: int

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def fetch(files: Sequence[RemoteFile], folder: Path, quiet: bool, hint: str) -> None:
    """Downloads all files into a new `folder`, or leaves nothing behind.

    hint: what to do instead, for errors. Raises `InputError` for a server that cannot be reached, a download that was
    cut off or is another file, and a folder that cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            complete = Path(temporary) / folder.name
            complete.mkdir()
            for file in files:
                _download(file, complete / file.name, quiet, hint)
                _verify(file, complete / file.name, hint)
            os.replace(complete, folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}.\n{hint}") from None


def _download(file: RemoteFile, place: Path, quiet: bool, hint: str) -> None:
    try:
        response = urllib.request.urlopen(file.url, timeout=TIMEOUT_SECONDS)
    except (OSError, http.client.HTTPException) as error:
        raise InputError(f"{file.url} cannot be reached ({error}).\n{hint}") from None
    received = 0
    with (
        response,
        open(place, "wb") as output,
        tqdm(total=file.size, desc=file.name, unit="B", unit_scale=True, disable=quiet) as progress,
    ):
        while received <= file.size:
            try:
                block = response.read(BLOCK_BYTES)
            except (OSError, http.client.HTTPException):
                block = b""
            if not block:
                break
            output.write(block)
            received += len(block)
            progress.update(len(block))
    if received != file.size:
        problem = "was cut off after" if received < file.size else "is larger than it should be, over"
        raise InputError(
            f"The download of {file.url} {problem} {min(received, file.size):,} of {file.size:,} bytes; nothing was "
            f"kept.\n{hint}"
        )


def _verify(file: RemoteFile, place: Path, hint: str) -> None:
    with open_binary(place) as content:  # raises where the gzip file's own checksum is wrong
        lines = sum(block.count(b"\n") for block in iter(lambda: content.read(BLOCK_BYTES), b""))
    if lines != file.lines:
        raise InputError(
            f"The download of {file.url} has {lines:,} lines instead of {file.lines:,}; nothing was kept.\n{hint}"
        )
