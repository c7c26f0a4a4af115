"""Which files make up an index, and how it changes: a writer adds files, then replaces the manifest, which names them.

Readers open what the manifest names and never see anything else: the old state before the replacement, the new one
after it. Writers take turns by a lock. Files of the index that the manifest no longer names are deleted; a reader that
has them open keeps them.

The manifest names each file with the random id that the file carries in its own header, beside the checksum of the
model and the random id of the build: a file of another run, of an earlier build or of another copy of the run may have
the right name, and is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

from foundation.advice import advice
from foundation.atomic import remove_left_behind, write_atomic
from foundation.errors import InputError
from foundation.locks import locked
from foundation.run_files import CONFIG, WEIGHTS, version
from foundation.sealed import read_sealed, seal

FOLDER, MANIFEST, LOCK = "index", "manifest.json", "lock"
ADVICE = "Build the index again with prerank.py build."
_FILE = re.compile(r"(?:base|delta|users|users_delta)-([0-9]+)\.idx")
_WRITTEN = re.compile(rf"{_FILE.pattern}|{re.escape(MANIFEST)}")
_UNFINISHED = re.compile(rf"(?:{_WRITTEN.pattern})\.tmp")  # of versions before 2


@dataclass(frozen=True)
class Manifest:
    """generation: counts changes. built: the generation of the build. model: checksum of the model that encoded the
    items. build: random, of the build that all files go back to. base, users, delta, users_delta: names of files. ids:
    of each named file, random."""

    generation: int
    built: int
    model: str
    build: str
    base: str
    users: str
    delta: str | None
    users_delta: str | None
    ids: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_build(cls, generation: int, model: str) -> Manifest:
        """Of a new base and new users."""
        empty = cls(generation - 1, generation, model, token_hex(16), "", "", None, None)
        return empty.next(base=f"base-{generation}.idx", users=f"users-{generation}.idx")

    def next(self, **files: Any) -> Manifest:
        """The next generation, with other files (str, or None) in the place of these: base, users and their deltas."""
        changed = replace(self, generation=self.generation + 1, **files)
        return replace(changed, ids={name: self.ids.get(name) or token_hex(16) for name in changed.names})

    @property
    def names(self) -> list[str]:
        """Of all files."""
        return [name for name in (self.base, self.users, self.delta, self.users_delta) if name]

    def marks(self, name: str) -> dict[str, str]:
        """What the file of this name has in its meta: that it is this very file."""
        return {"model": self.model, "build": self.build, "id": self.ids[name]}


def index_folder(run: Path) -> Path:
    return run / FOLDER


def how_to_build(run: Path) -> str:
    """The command that builds an index of this run."""
    return f"python prerank.py build {run} (of data from frames in Python: docs/frames.md)"


def model_signature(run: Path) -> list[tuple]:
    """Differs after every training that replaces the model: its files are new ones each time."""
    return version(run, [CONFIG, WEIGHTS])


def signature(run: Path) -> tuple[int, ...]:
    """Differs after every change of the index: the manifest is a new file each time."""
    path = index_folder(run) / MANIFEST
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{run} has no item index. Build it: {how_to_build(run)}") from None
    except OSError as error:
        raise InputError(f"The index file {path} cannot be read: {error.strerror}.") from None
    return status.st_ino, status.st_mtime_ns, status.st_size


def read_manifest(run: Path) -> Manifest:
    """Raises `InputError` where there is no index, or its manifest was altered or cannot be read."""
    signature(run)
    path = index_folder(run) / MANIFEST
    if not path.is_file():
        raise InputError(f"The index file {path} is damaged: it is no file. Move it away, then build the index again.")
    try:
        return Manifest(**read_sealed(path, ADVICE))
    except TypeError:
        raise InputError(f"The index file {path} is of another version of this program. {ADVICE}") from None


def write_manifest(run: Path, manifest: Manifest) -> None:
    """Switches all readers to this state. Only under `writing`."""
    write_atomic(index_folder(run) / MANIFEST, seal(asdict(manifest)))


@contextmanager
def writing(run: Path) -> Iterator[Path]:
    """The index folder, with no other writer in it. What nothing names goes before and afterwards.

    Raises `InputError` where it cannot be written; then what was there before still answers.
    """
    folder = index_folder(run)
    try:
        folder.mkdir(exist_ok=True)
        with locked(folder / LOCK):
            _clean(run)
            try:
                yield folder
            finally:
                _clean(run)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise InputError(
            f"The index in {folder} cannot be written: {error.strerror or error}{place}. It is as it was before. "
            f"{advice(error, 'See to the folder.')} Then try again."
        ) from None


def last_generation(run: Path) -> int:
    """Of the index that is there, whatever its state; file names do not come twice, so that no reader mixes two."""
    numbers = [int(found[1]) for found in map(_FILE.fullmatch, os.listdir(index_folder(run))) if found]
    with suppress(InputError):
        numbers.append(read_manifest(run).generation)
    return max(numbers, default=0)


def _clean(run: Path) -> None:
    """Deletes what earlier writers left: unfinished files, and files that the manifest does not name.

    Files of other names are not the index's. With a manifest that cannot be read, no whole file is known to be unused.
    """
    folder = index_folder(run)
    with suppress(OSError):  # what cannot be deleted harms nobody
        remove_left_behind(folder, _WRITTEN)
    with suppress(OSError, InputError):
        named = read_manifest(run).names if os.path.lexists(folder / MANIFEST) else []
        for path in folder.iterdir():
            unnamed = _FILE.fullmatch(path.name) and path.name not in named
            if unnamed or _UNFINISHED.fullmatch(path.name):
                with suppress(OSError):
                    path.unlink(missing_ok=True)
