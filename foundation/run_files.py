"""The files of a run folder as readers find them: of one run at every moment, and never one that was changed.

Writers (`training.commit`) put new files into a folder of their own and rename that to `.commit`: from then on they are
what the run folder holds. Then they are moved to their places one by one. Readers ask `committed` for each file, inside
`unchanged`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from foundation.errors import InputError
from foundation.front_matter import FENCE
from foundation.sealed import read_sealed

WEIGHTS, CONFIG = "model.safetensors", "config.json"
RESULT, HISTORY, CURVES = "result.json", "history.csv", "curves.png"  # of a finished run, beside its model
TRACKING = "tracking.json"  # of a run that a tracker was told about (`experiment.tracking`)
CARD = "README.md"  # of a finished run, beside its model: the model card
CARD_COMMENT = (
    "The card of the run beside it. Another run in this folder replaces it."  # which no other file begins with
)
EXPLAINED = "explain-*.png"  # pictures of `prerank.py rank --explain`
COMMIT = ".commit"
GONE = ".gone"  # ends the name of a file in it that stands for one to be deleted
WEIGHTS_SHA256 = "weights_sha256"  # in `config.json`
ADVICE = "Train again, or restore the file."
PATIENCE = 10.0  # seconds in which files are read anew while writers replace them

T = TypeVar("T")


def committed(folder: Path, name: str) -> Path:
    """Where a file of the folder lies at this moment, if there is one."""
    waiting = folder / COMMIT / name
    if waiting.exists() or waiting.with_name(name + GONE).exists():
        return waiting
    return folder / name


def unchanged(folder: Path, names: Iterable[str], read: Callable[[], T]) -> T:
    """What `read` returns, from files of one commit: it is called again if one of them was replaced meanwhile.

    Raises what `read` raises, and `InputError` if they are replaced all the time.
    """
    names = list(names)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        before = version(folder, names)
        try:
            found = read()
        except (InputError, OSError):
            if version(folder, names) == before:
                raise
        else:
            if version(folder, names) == before:
                return found
    raise InputError(f"The files in {folder} were replaced again and again while they were read. Try again.")


def version(folder: Path, names: Iterable[str]) -> list[tuple]:
    """Differs after every commit of these files: each is a new file every time."""
    return [_version(committed(folder, name)) for name in names]


def _version(path: Path) -> tuple:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return (path,)
    return path, status.st_ino, status.st_mtime_ns, status.st_size


def is_finished(run: Path) -> bool:
    """Whether a folder holds the result of a finished run, in whatever state."""
    return committed(run, RESULT).is_file()


def own_card(folder: Path) -> list[str]:
    """The name of the model card, if there is one: a `README.md` of the user is none."""
    if not (folder / CARD).is_file():
        return []
    with (folder / CARD).open(encoding="utf-8", errors="replace") as file:
        return [CARD] if file.readline() == FENCE and file.readline() == f"# {CARD_COMMENT}\n" else []


def read_config(folder: Path) -> dict:
    """`config.json` of a folder. Raises `InputError` if it is not there, is damaged, or of an earlier version."""

    def read() -> dict:
        path = committed(folder, CONFIG)
        if not path.is_file():
            raise InputError(
                f"{folder} holds no saved model: {CONFIG} is missing. Give a folder that a run or model.save wrote."
            )
        config = read_sealed(path, ADVICE)
        if WEIGHTS_SHA256 not in config:
            raise InputError(f"{path} does not say which weights are its own. {ADVICE}")
        return config

    return unchanged(folder, [CONFIG], read)
