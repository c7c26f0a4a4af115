"""Which files make up an index, and how it changes: a writer adds files, then replaces the manifest, which names them.

Readers open what the manifest names and never see anything else: the old state before the replacement, the new one
after it. Writers take turns by a lock. Files that the manifest no longer names are deleted; a reader that has them open
keeps them.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from foundation.atomic import write_atomic
from foundation.run_files import CONFIG, WEIGHTS
from foundation.run_files import signature as signature_of
from preprocessing.errors import InputError
from training import store

FOLDER, MANIFEST, LOCK = "index", "manifest.json", "lock"


@dataclass(frozen=True)
class Manifest:
    """generation: counts changes. model: checksum of the model that encoded the items. Others: names of files."""

    generation: int
    model: str
    base: str
    users: str
    delta: str | None = None


def index_folder(run: Path) -> Path:
    return run / FOLDER


def model_checksum(run: Path) -> str:
    """sha256 over configuration and weights of a run. Raises `InputError` where one is missing or damaged."""
    return store.model_checksum(run)


def model_signature(run: Path) -> list[tuple]:
    """Differs after every training that replaces the model: its files are new ones each time."""
    return signature_of(run, [CONFIG, WEIGHTS])


def signature(run: Path) -> tuple[int, ...]:
    """Differs after every change of the index: the manifest is a new file each time."""
    try:
        status = os.stat(index_folder(run) / MANIFEST)
    except OSError:
        raise InputError(f"{run} has no item index. Build it: python prerank.py build {run}") from None
    return status.st_ino, status.st_mtime_ns, status.st_size


def read_manifest(run: Path) -> Manifest:
    """Raises `InputError` where there is no index, or its manifest was altered."""
    signature(run)
    path = index_folder(run) / MANIFEST
    try:
        saved = json.loads(path.read_bytes())
        manifest = Manifest(**saved["index"])
        intact = saved["crc32"] == _crc32(manifest)
    except (ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        raise InputError(f"The index file {path} is damaged. Build the index again with prerank.py build.")
    return manifest


def write_manifest(run: Path, manifest: Manifest) -> None:
    """Switches all readers to this state, and deletes what it does not name. Only under `writing`."""
    folder = index_folder(run)
    content = {"index": asdict(manifest), "crc32": _crc32(manifest)}
    write_atomic(folder / MANIFEST, json.dumps(content, indent=1) + "\n")
    named = {MANIFEST, LOCK, manifest.base, manifest.users, manifest.delta}
    for path in folder.iterdir():
        if path.name not in named:
            path.unlink(missing_ok=True)


@contextmanager
def writing(run: Path) -> Iterator[Path]:
    """The index folder, with no other writer in it. Raises `InputError` where it cannot be written."""
    folder = index_folder(run)
    try:
        folder.mkdir(exist_ok=True)
        lock = (folder / LOCK).open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"The index folder {folder} cannot be written: {error.strerror}.") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, also by the end of the process
        yield folder


def _crc32(manifest: Manifest) -> int:
    return zlib.crc32(json.dumps(asdict(manifest), sort_keys=True).encode())
