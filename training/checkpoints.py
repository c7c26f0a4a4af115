"""Checkpoints on disk: `checkpoint.pt`, and the one before it in `checkpoint.previous.pt`.

A file is 8 bytes that name the format, the SHA-256 of what follows, and what follows: a `torch.save` of plain dicts and
tensors, which `torch.load(weights_only=True)` reads without executing anything.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import torch

from foundation.atomic import sync_folder
from foundation.errors import InputError
from foundation.interrupts import held_back
from training.options import settings_of_before
from training.training_state import Choice, EpochProgress, TrainingState

CURRENT, PREVIOUS, TEMPORARY = "checkpoint.pt", "checkpoint.previous.pt", "checkpoint.tmp"
FORMAT = b"ckpt-v2\n"
DIGEST = hashlib.sha256().digest_size
CHUNK = 1 << 20


class Checkpoints:
    """The checkpoints of one run folder.

    identity: what a run must share with the one that wrote a checkpoint to continue it.
    """

    def __init__(self, folder: Path, identity: dict):
        self.folder, self.identity = folder, identity
        self._damaged = False  # whether `CURRENT` is known to be of no use

    @property
    def exist(self) -> bool:
        return any((self.folder / name).exists() for name in (CURRENT, PREVIOUS))

    def save(self, state: TrainingState) -> None:
        """Writes the state whole or not at all; what was the newest checkpoint becomes the previous one.

        Ctrl-C and SIGTERM act when it is written.
        Raises `InputError`, and leaves older checkpoints as they are, for weights that are not finite and for a disk
        that cannot take the file.
        """
        _require_finite(state)
        temporary = self.folder / TEMPORARY
        try:
            with held_back():  # in the middle they would end as an error of the zip writer
                _write(temporary, {"identity": self.identity, "state": _plain(state)})
                if (self.folder / CURRENT).exists() and not self._damaged:  # which must not take the good one's place
                    (self.folder / CURRENT).replace(self.folder / PREVIOUS)
                temporary.replace(self.folder / CURRENT)
                self._damaged = False
                sync_folder(self.folder)
        except OSError as error:
            kept = f"The one before it is intact: make room, then {HOW_TO_GO_ON}" if self.exist else "Make room first."
            raise InputError(f"The checkpoint in {self.folder} cannot be written: {error.strerror}. {kept}") from None
        finally:
            temporary.unlink(missing_ok=True)  # on a full disk it stands in the way of what would fit

    def load(self) -> tuple[TrainingState, str | None]:
        """The newest state that is whole, and what there is to tell about newer ones.

        Raises `InputError` if there is no checkpoint, if none can be read, or if it belongs to another run.
        """
        if not self.exist:
            raise InputError(f"There is nothing to resume: no checkpoint in {self.folder}. Run without --resume.")
        problems = []
        for name in (CURRENT, PREVIOUS):
            try:
                identity, state = _read(self.folder / name)
                break
            except _DamagedError as error:
                problems.append(f"{name} {error}")
        else:
            raise InputError(
                f"No checkpoint in {self.folder} can be read: {', '.join(problems)}. Delete them, run without --resume."
            )
        different = list(differences(settings_of_before(identity, self.identity), self.identity))
        if different:
            raise InputError(
                f"The checkpoint in {self.folder} belongs to another run ({'; '.join(different)}). Use another --out."
            )
        self._damaged = bool(problems)
        notice = f"{', '.join(problems)}; continuing from {name}, {state.place}." if problems else None
        return state, notice

    def remove_unfinished(self) -> None:
        """Deletes what a killed writer left. Only under a lock on the folder."""
        (self.folder / TEMPORARY).unlink(missing_ok=True)


HOW_TO_GO_ON = "run the same command with --resume."


class _DamagedError(Exception):
    """What is wrong with a file, as a predicate."""


class _HashedFile:
    """What `torch.save` writes to. Keeps the error of a failed write, which torch would replace by one of its own."""

    def __init__(self, file: IO[bytes]):
        self.file, self.hash = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            written = self.file.write(data)
        except OSError as error:
            self.error = error
            raise
        self.hash.update(data)
        return written

    def flush(self) -> None:
        self.file.flush()


def _write(path: Path, content: dict) -> None:
    """Raises `OSError` alone. The file is on the disk when this returns."""
    with path.open("wb") as file:
        file.write(FORMAT + bytes(DIGEST))
        hashed = _HashedFile(file)
        try:
            torch.save(content, cast(IO[bytes], hashed))  # which writes and flushes, no more
        except Exception:
            if hashed.error is not None:
                raise hashed.error from None
            raise
        file.seek(len(FORMAT))
        file.write(hashed.hash.digest())
        os.fsync(file.fileno())


def _read(path: Path) -> tuple[dict, TrainingState]:
    """Raises `_DamagedError` for a file that is not there or not what was written."""
    try:
        with path.open("rb") as file:
            if file.read(len(FORMAT)) != FORMAT:
                raise _DamagedError("is no checkpoint of this version")
            digest, found = file.read(DIGEST), hashlib.sha256()
            while chunk := file.read(CHUNK):
                found.update(chunk)
            if found.digest() != digest:
                raise _DamagedError("is damaged (its checksum differs)")
            file.seek(len(FORMAT) + DIGEST)
            saved = torch.load(file, weights_only=True, map_location="cpu")
        parts = {"progress": EpochProgress, "choice": Choice}  # there was no choice in earlier versions
        whole = {name: kind(**saved["state"][name]) for name, kind in parts.items() if saved["state"].get(name)}
        return dict(saved["identity"]), TrainingState(**(saved["state"] | whole))
    except FileNotFoundError:
        raise _DamagedError("is missing") from None
    except OSError as error:
        if error.errno != errno.EIO:  # a matter of the moment: an older state would not be the newest
            raise InputError(f"The checkpoint {path} cannot be read: {error.strerror}.") from None
        raise _DamagedError(f"cannot be read ({error.strerror})") from None
    except (pickle.UnpicklingError, RuntimeError, TypeError, KeyError, ValueError) as error:
        raise _DamagedError(f"holds something else ({type(error).__name__})") from None


def _plain(state: TrainingState) -> dict:
    parts = {"progress": state.progress, "choice": state.choice}
    return vars(state) | {name: None if part is None else vars(part) for name, part in parts.items()}


def _require_finite(state: TrainingState) -> None:
    for name, value in state.weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise InputError(
                f"The weights {name} are not finite {state.place}: training has diverged. Lower the learning rate "
                "(--lr). No checkpoint of them was written."
            )


def differences(old: dict, new: dict, prefix: str = "") -> Iterator[str]:
    """Yields "name: old value, now new value" for each setting that is not the same."""
    for key in {**old, **new}:
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from differences(before, now, f"{prefix}{key}.")
        elif before != now:
            yield f"{prefix}{key}: {before!r}, now {now!r}"
