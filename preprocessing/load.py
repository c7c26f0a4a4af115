"""The data sets as the training scripts load them: found, downloaded where that is allowed, read, cached.

A path that was given and is wrong is an error, and so is a damaged download. Only where there is no MovieLens and no
network, generated data takes its place, with a warning; for Amazon and Taobao nothing does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from foundation.errors import InputError
from preprocessing import amazon, movielens, taobao
from preprocessing.cache import read_cached
from preprocessing.download import RemoteArchive, RemoteFile, fetch, fetch_archive
from preprocessing.files import find_file, holds_anything
from preprocessing.folders import remove_left_behind
from preprocessing.raw import RawData, whole_name
from preprocessing.synthetic import synthetic_movielens

DATA_DIR = Path(__file__).resolve().parent.parent / "data"
# What the readers below call their data.
MOVIELENS_NAMES, SYNTHETIC_NAME = ("ml-1m", "movielens"), "synthetic-movielens"
AMAZON_NAMES = ("amazon-electronics", "amazon", "generated-amazon")
TAOBAO_NAMES = ("taobao-ads", "taobao", "generated-taobao")
SYNTHETIC = "synthetic"  # as a data path: the generated data, wanted rather than fallen back to
ML_1M = RemoteArchive(
    url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
    name="ml-1m",
    md5="c4d9eecfca2ab87c1945afe126590906",
    sha256=movielens.ML_1M_FILES,
)
AMAZON_URL = "http://snap.stanford.edu/data/amazon/productGraph/categoryFiles/"
AMAZON_FILES = (
    RemoteFile(AMAZON_URL + amazon.REVIEWS, size=495_854_086, lines=amazon.PUBLISHED_ROWS[amazon.REVIEWS]),
    RemoteFile(AMAZON_URL + amazon.META, size=186_594_679, lines=amazon.PUBLISHED_ROWS[amazon.META]),
)
AMAZON_FOLDER, TAOBAO_FOLDER = "amazon-electronics", "taobao-ads"


def reader_of(name: str) -> str | None:
    """The name of the whole data, as a reader gives it; None for data that nothing here reads.

    >>> reader_of("ml-1m-first20000"), reader_of("own-data")
    ('ml-1m', None)
    """
    whole = whole_name(name)
    return whole if whole in (*MOVIELENS_NAMES, SYNTHETIC_NAME, *AMAZON_NAMES, *TAOBAO_NAMES) else None


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
    return movielens.read(path)


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
                f"No such file or folder: '{data_path}'. Give {movielens.NEEDED};\n"
                f"or leave the path out, to look in {data_dir} and then download {archive.name}."
            )
        return Path(data_path)
    folder = data_dir / archive.name
    remove_left_behind(folder)
    found = _place(data_dir, archive.name, archive.sha256)
    if found is None and os.path.isfile(data_dir / movielens.ONE_FILE):
        found = data_dir / movielens.ONE_FILE
    if found is not None or not download:
        return found
    hint = f"Try again, or get the files from {movielens.HOME_PAGE} and give their folder."
    return folder if fetch_archive(archive, folder, quiet, hint) else None


def _warn_synthetic(data_dir: Path) -> None:
    lines = [
        "WARNING: SYNTHETIC DATA, NOT MOVIELENS",
        "",
        f"There is no MovieLens in {data_dir}, and none was downloaded.",
        "This run uses generated data. Its numbers say nothing about MovieLens",
        "and must not be compared with those of a paper.",
        "",
        f"For the real data: get ml-1m.zip from {movielens.HOME_PAGE}",
        f"and unpack it to {data_dir / 'ml-1m'}, or give --data_path.",
    ]
    width = max(map(len, lines))
    border = "!" * (width + 6)
    box = [border, *(f"!! {line:<{width}} !!" for line in lines), border]
    print("\n".join(box), file=sys.stderr, flush=True)


def load_amazon(
    data_path: str | None = None,
    cache: Path | None = None,
    quiet: bool = False,
    data_dir: Path = DATA_DIR,
    files: Sequence[RemoteFile] = AMAZON_FILES,
) -> RawData:
    """Amazon Electronics from `data_path`, else from `data_dir`, else from the server, verified.

    cache: folder for parsed tables, None for none.  quiet: no progress bar.
    Raises `InputError` as `amazon.read` and `fetch` do.
    """
    remove_left_behind(data_dir / AMAZON_FOLDER)
    names = (amazon.REVIEWS, amazon.META, amazon.ONE_FILE)
    path = _place(data_dir, AMAZON_FOLDER, names) if data_path is None else Path(data_path)
    if path is None:
        path = data_dir / AMAZON_FOLDER
        hint = (
            f"Get {amazon.REVIEWS} and {amazon.META} from {amazon.HOME_PAGE} and give their folder, or generate files "
            "of the same format: python -m benchmarks.make_amazon FOLDER"
        )
        fetch(files, path, quiet, hint)
    return read_cached(amazon.read, path, amazon.find_files(path), cache)


def load_taobao(
    data_path: str | None = None, pid_placement: str = "item", cache: Path | None = None, data_dir: Path = DATA_DIR
) -> RawData:
    """Taobao's ads from `data_path`, else from `data_dir`; they cannot be downloaded without an account.

    pid_placement: see `taobao.place_pid`.  cache: folder for parsed tables, None for none.
    Raises `InputError` as `taobao.read` does.
    """
    schema = taobao.place_pid(taobao.SCHEMA, pid_placement)
    path = _place(data_dir, TAOBAO_FOLDER, taobao.FILES) if data_path is None else Path(data_path)
    if path is None:
        raise InputError(
            f"No Taobao data in {data_dir / TAOBAO_FOLDER}. Its download needs a (free) Tianchi account:\nget "
            f"{', '.join(taobao.FILES)} from {taobao.HOME_PAGE}, or generate such files: "
            "python -m benchmarks.make_taobao FOLDER; then give --data_path FOLDER."
        )
    raw = read_cached(taobao.read, path, taobao.find_files(path), cache)
    return replace(raw, schema=schema)


def _place(data_dir: Path, folder: str, names: Iterable[str]) -> Path | None:
    """`folder` in `data_dir` if it holds anything, else `data_dir` if it holds one of the files, plain or gzipped."""
    # An incomplete folder is taken too: the reader says what it lacks. Passing over it would hide the mistake.
    if holds_anything(data_dir / folder):
        return data_dir / folder
    return data_dir if any(find_file(data_dir, name) for name in names) else None
