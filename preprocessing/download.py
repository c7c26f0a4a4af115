"""Finds MovieLens: the path that was given, the data folder, GroupLens' server, and at last generated data.

`load_movielens` is what the training scripts call. Only a missing network leads to generated data; a wrong path, a
wrong file or a damaged download is an error.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

from foundation.errors import InputError
from foundation.progress import progress_bar
from preprocessing.files import holds_anything
from preprocessing.folders import new_folder, remove_left_behind
from preprocessing.movielens import HOME_PAGE, ML_1M_FILES, NEEDED, ONE_FILE, read
from preprocessing.raw import RawData
from preprocessing.remote import TIMEOUT_SECONDS, CutOffError, Download, UnreachableError
from preprocessing.synthetic import synthetic_movielens

DATA_DIR = Path(__file__).resolve().parent.parent / "data"
SYNTHETIC = "synthetic"  # as a data path: the generated data, wanted rather than fallen back to


@dataclass(frozen=True)
class RemoteArchive:
    """A zip file on a server and what is known of it.

    name: of the folder that it becomes.  md5: of the zip file.
    sha256: of the files to take from it, by file name; nothing else is read from it.
    max_bytes: for the zip file and for each file in it, against zip bombs.
    """

    url: str
    name: str
    md5: str
    sha256: Mapping[str, str]
    max_bytes: int = 100_000_000


ML_1M = RemoteArchive(
    url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
    name="ml-1m",
    md5="c4d9eecfca2ab87c1945afe126590906",
    sha256=ML_1M_FILES,
)


def load_movielens(
    data_path: str | None = None, quiet: bool = False, download: bool = True, data_dir: Path = DATA_DIR
) -> RawData:
    """MovieLens from `find_movielens`, or else generated data of its shape, with a warning on standard error.

    The warning is printed even if `quiet`, but not if data_path is "synthetic", which asks for the generated data.
    Raises `InputError` as `find_movielens` and `movielens.read` do.
    """
    if data_path == SYNTHETIC:
        return synthetic_movielens()
    path = find_movielens(data_path, data_dir, quiet, download)
    if path is None:
        _warn_synthetic(data_dir)
        return synthetic_movielens()
    return read(path)


def find_movielens(
    data_path: str | None = None,
    data_dir: Path = DATA_DIR,
    quiet: bool = False,
    download: bool = True,
    archive: RemoteArchive = ML_1M,
) -> Path | None:
    """The file or folder to read: `data_path`, else what lies in `data_dir`, else a verified download put there.

    quiet: no progress bar.  download: whether to ask the server.
    Returns None where nothing was given and nothing lies there, and the server cannot be reached or refuses.
    Raises `InputError` for a `data_path` that does not exist, a download that was cut off or has a wrong checksum, and
    a `data_dir` that cannot be written to. A failed download leaves nothing behind.
    """
    if data_path is not None:
        if not os.path.exists(data_path):
            raise InputError(
                f"No such file or folder: '{data_path}'. Give {NEEDED};\n"
                f"or leave the path out, to look in {data_dir} and then download {archive.name}."
            )
        return Path(data_path)
    folder = data_dir / archive.name
    remove_left_behind(folder)
    # An incomplete folder is taken too: `read` says what it lacks. Passing over it would hide the mistake.
    if holds_anything(folder):
        return folder
    if any(os.path.isfile(data_dir / name) for name in archive.sha256):
        return data_dir
    if os.path.isfile(data_dir / ONE_FILE):
        return data_dir / ONE_FILE
    content = _download(archive, quiet) if download else None
    if content is None:
        return None
    _put_in_place(_verified_files(content, archive), folder)
    return folder


def _download(archive: RemoteArchive, quiet: bool) -> bytes | None:
    """The zip file, or None if not a byte of it could be obtained."""
    download, content = Download(archive.url, TIMEOUT_SECONDS), bytearray()
    with progress_bar(quiet=quiet, desc=archive.name, unit="B", unit_scale=True) as progress:
        try:
            for block in download.blocks():
                content += block
                progress.total = download.size
                progress.update(len(block))
                if len(content) > archive.max_bytes:
                    _reject(archive, f"is larger than {archive.max_bytes:,} bytes")
        except UnreachableError:
            return None
        except CutOffError as error:
            _reject(archive, f"{error} after {len(content):,} of {download.size or 'unknown'} bytes")
    return bytes(content)


def _verified_files(content: bytes, archive: RemoteArchive) -> dict[str, bytes]:
    """The wanted files by name, wherever in the zip file they lie. No path of the zip file is ever used as a path."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != archive.md5:
        _reject(archive, f"has the md5 {md5} instead of {archive.md5}")
    files = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as zipped:
            for member in zipped.infolist():
                name = PurePosixPath(member.filename).name
                if name in archive.sha256 and not member.is_dir():
                    with zipped.open(member) as file:
                        files[name] = file.read(archive.max_bytes + 1)
                    if len(files[name]) > archive.max_bytes:
                        _reject(archive, f"has {name} with more than {archive.max_bytes:,} bytes")
    # Everything that reading a malformed, encrypted or exotically compressed zip file raises.
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError) as error:
        _reject(archive, f"is no readable zip file ({error})")
    for name, expected in archive.sha256.items():
        if name not in files:
            _reject(archive, f"lacks {name}")
        received = hashlib.sha256(files[name]).hexdigest()
        if received != expected:
            _reject(archive, f"has {name} with the sha256 {received} instead of {expected}")
    return files


def _reject(archive: RemoteArchive, problem: str) -> NoReturn:
    raise InputError(
        f"The download of {archive.url} {problem}; nothing was kept.\n"
        f"Try again, or get the files from {HOME_PAGE} and give their folder."
    )


def _put_in_place(files: Mapping[str, bytes], folder: Path) -> None:
    try:
        with new_folder(folder, list(files)) as complete:
            for name, content in files.items():
                (complete / name).write_bytes(content)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written: {error.strerror or error}. Give the data's path instead."
        ) from None


def _warn_synthetic(data_dir: Path) -> None:
    lines = [
        "WARNING: SYNTHETIC DATA, NOT MOVIELENS",
        "",
        f"There is no MovieLens in {data_dir}, and none was downloaded.",
        "This run uses generated data. Its numbers say nothing about MovieLens",
        "and must not be compared with those of a paper.",
        "",
        f"For the real data: get ml-1m.zip from {HOME_PAGE}",
        f"and unpack it to {data_dir / 'ml-1m'}, or give --data_path.",
    ]
    width = max(map(len, lines))
    border = "!" * (width + 6)
    box = [border, *(f"!! {line:<{width}} !!" for line in lines), border]
    print("\n".join(box), file=sys.stderr, flush=True)
