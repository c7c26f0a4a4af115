"""Amazon and Taobao as the training scripts load them: found, downloaded where that is allowed, read, cached.

Nothing is ever replaced by generated data here: a path that was given and is wrong is an error, and so is data that is
nowhere to be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from foundation.errors import InputError
from preprocessing import amazon, taobao
from preprocessing.cache import read_cached
from preprocessing.download import DATA_DIR
from preprocessing.files import find_file, holds_anything
from preprocessing.folders import remove_left_behind
from preprocessing.raw import RawData
from preprocessing.remote import RemoteFile, fetch

AMAZON_URL = "http://snap.stanford.edu/data/amazon/productGraph/categoryFiles/"
AMAZON_FILES = (
    RemoteFile(AMAZON_URL + amazon.REVIEWS, size=495_854_086, lines=amazon.PUBLISHED_ROWS[amazon.REVIEWS]),
    RemoteFile(AMAZON_URL + amazon.META, size=186_594_679, lines=amazon.PUBLISHED_ROWS[amazon.META]),
)
AMAZON_FOLDER, TAOBAO_FOLDER = "amazon-electronics", "taobao-ads"


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
    path = _place(data_path, data_dir, AMAZON_FOLDER, (amazon.REVIEWS, amazon.META, amazon.ONE_FILE))
    if path is None:
        path = data_dir / AMAZON_FOLDER
        hint = (
            f"Get {amazon.REVIEWS} and {amazon.META} from {amazon.HOME_PAGE} and give their folder, or generate files "
            "of the same format: python -m benchmarks.make_amazon FOLDER"
        )
        fetch(files, path, quiet, hint)
    return read_cached(amazon.read, path, amazon.find_files(path), amazon.SCHEMA, cache)


def load_taobao(
    data_path: str | None = None, pid_placement: str = "item", cache: Path | None = None, data_dir: Path = DATA_DIR
) -> RawData:
    """Taobao's ads from `data_path`, else from `data_dir`; they cannot be downloaded without an account.

    pid_placement: see `taobao.place_pid`.  cache: folder for parsed tables, None for none.
    Raises `InputError` as `taobao.read` does.
    """
    schema = taobao.place_pid(taobao.SCHEMA, pid_placement)
    path = _place(data_path, data_dir, TAOBAO_FOLDER, tuple(taobao.FILES))
    if path is None:
        raise InputError(
            f"No Taobao data in {data_dir / TAOBAO_FOLDER}. Its download needs a (free) Tianchi account:\nget "
            f"{', '.join(taobao.FILES)} from {taobao.HOME_PAGE}, or generate such files: "
            "python -m benchmarks.make_taobao FOLDER; then give --data_path FOLDER."
        )
    raw = read_cached(taobao.read, path, taobao.find_files(path), taobao.SCHEMA, cache)
    return replace(raw, schema=schema)


def _place(data_path: str | None, data_dir: Path, folder: str, names: tuple[str, ...]) -> Path | None:
    """What was given, else `folder` in `data_dir` if it holds anything, else `data_dir` if it holds one of them."""
    if data_path is not None:
        return Path(data_path)
    # An incomplete folder is taken too: the reader says what it lacks. Passing over it would hide the mistake.
    if holds_anything(data_dir / folder):
        return data_dir / folder
    return data_dir if any(find_file(data_dir, name) for name in names) else None
