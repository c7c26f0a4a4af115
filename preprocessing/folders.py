"""Folders that are whole or absent: written beside their place, then renamed, as downloads and the cache are."""

from __future__ import annotations

import glob
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from foundation.errors import InputError
from foundation.locks import locked

DAY = 24 * 3600  # seconds
LOCK = ".lock"


@contextmanager
def new_folder(place: Path, names: Sequence[str], replace: bool = False) -> Iterator[Path]:
    """A folder to fill. When the block has ended it stands at `place`; after an error nothing is left of it.

    names: of files by which a folder that another process has put there in the meantime is known to be as good.
    replace: whether a folder that is there is stale, to be replaced; else only an empty one is.
    Raises `OSError` where it cannot be written, or `place` is taken.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as temporary, ExitStack() as lock:
        with suppress(InputError):  # a file system without locks: then nobody removes anything
            lock.enter_context(locked(Path(temporary) / LOCK, wait=False))
        complete = Path(temporary) / "complete"
        complete.mkdir()
        yield complete
        if replace and place.is_dir():
            with suppress(FileNotFoundError):  # another process replaces it, too
                place.rename(Path(temporary) / "old")
        try:
            complete.rename(place)
        except OSError:
            if not all((place / name).is_file() for name in names):
                raise


def remove_left_behind(place: Path) -> None:
    """What killed processes were writing for `place`: folders of more than a day ago whose lock nobody holds."""
    with suppress(OSError):  # a folder that cannot be read holds nothing that this process could remove
        for folder in place.parent.glob(f".{glob.escape(place.name)}-*"):
            with suppress(InputError, FileNotFoundError):  # in use; removed by another process
                if time.time() - folder.stat().st_mtime > DAY:
                    with locked(folder / LOCK, wait=False):
                        shutil.rmtree(folder, ignore_errors=True)
