"""`python train_own_data.py --describe FOLDER`: what data of one's own are; for bare tables a first `dataset.toml`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiment.arguments import Parser, folder, number
from foundation.errors import InputError
from preprocessing.cache import DEFAULT_CACHE
from preprocessing.data_profile import profile
from preprocessing.dataset_spec import SPEC, DatasetSpec, read_spec
from preprocessing.draft import draft_spec
from preprocessing.own_data import load_own
from preprocessing.table_files import TableFiles

DESCRIBE = "--describe"
CHECK = """Check it before you train:
- [log]: are user, item, time and label the columns that you mean? Which labels are positive?
- [kinds]: a number that only names something is "sparse". A title is "display". A total over the whole log
  (clicks of an item, its mean rating) holds test labels: "ignore".
- [separators]: texts that are lists, such as genres."""


def describe_data(argv: Sequence[str]) -> None:
    """argv: the command line without the name of the script.

    A `dataset.toml` that is there is never written over.
    Raises `InputError` as `read_spec`, `load_own` and `draft_spec` do.
    """
    options = description_parser().parse_args(argv)
    data_path = options.describe if options.data_path is None else options.data_path
    if not options.describe.is_dir():
        raise InputError(f"{options.describe} is no folder. Give the folder of a {SPEC}, or of tables.")
    if not (options.describe / SPEC).exists():
        _write_draft(options.describe, draft_spec(data_path))
    spec = read_spec(options.describe)
    raw = load_own(options.describe, data_path, options.cache)
    if options.max_rows:
        raw = raw.first(options.max_rows)
    print(profile(raw, options.seed, _ignored(spec, data_path)))


def _write_draft(place: Path, text: str) -> None:
    with (place / SPEC).open("x", encoding="utf-8") as file:
        file.write(text)
    print(f"Written from the tables, as a first guess: {place / SPEC}\n\n{text.strip()}\n\n{CHECK}\n", flush=True)


def _ignored(spec: DatasetSpec, where: Path) -> dict[str, str]:
    """Columns that are not read -> the table that they are in."""
    tables = [TableFiles(one, where) for one in (spec.log, *spec.users, *spec.items)]
    return {name: files.name for files in tables for name in files.columns if spec.kinds.get(name) == "ignore"}


def description_parser() -> Parser:
    parser = Parser(description=__doc__, allow_abbrev=False)
    parser.add_argument(DESCRIBE, type=folder, required=True, metavar="FOLDER", help="of the data")
    parser.add_argument("--data_path", type=folder, metavar="PATH", help=f"of the tables, if not beside {SPEC}")
    parser.add_argument(
        "--max_rows", type=number(int, 1), metavar="N", help="only the first N interactions by time, or in file order"
    )
    parser.add_argument("--seed", type=number(int, 0), default=1023, metavar="N", help="of the splits; default 1023")
    cache = parser.add_mutually_exclusive_group()
    cache.add_argument(
        "--cache_dir", dest="cache", type=folder, default=DEFAULT_CACHE, metavar="DIR", help="of parsed tables"
    )
    cache.add_argument("--no_cache", dest="cache", action="store_const", const=None, help="parse every time")
    return parser
