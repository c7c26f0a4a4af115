"""The data sets that a benchmark runs on: how each is found, loaded and trained, and where its settings come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiment.record import ROOT
from foundation.errors import InputError
from preprocessing.cache import DEFAULT_CACHE
from preprocessing.load import DATA_DIR, load_amazon, load_movielens, load_taobao
from preprocessing.own_data import load_own
from preprocessing.raw import RawData

SPEC = "dataset.toml"
OWN, OWN_SCRIPT = "own", "train_own_data.py"
DATASET = "ml-1m"  # the data of this project's own pages, which the defaults of MovieLens were chosen on


@dataclass(frozen=True)
class DataSet:
    """What is trained by which script.

    key: as options and defaults know it ("movielens", ..., "own"); "" for a script of someone's own.
    folder: with the `dataset.toml` of own data.  shown: that folder in a command for people, without what leads to it.
    """

    key: str
    script: str
    folder: Path | None = None
    shown: str = ""

    @classmethod
    def find(cls, name: str) -> DataSet:
        """What `--dataset` means: a published data set, a folder with a `dataset.toml`, or the name of one in `data/`.

        Raises `InputError` for anything else.
        """
        if name in PUBLISHED:
            return PUBLISHED[name]
        for folder in (Path(name), DATA_DIR / name):
            if (folder / SPEC).is_file():
                return cls(OWN, OWN_SCRIPT, folder, _shown(folder))
        known = ", ".join([*PUBLISHED, *sorted(path.parent.name for path in DATA_DIR.glob(f"*/{SPEC}"))])
        if Path(name).is_dir():
            raise InputError(
                f"{name} has no {SPEC}. `python {OWN_SCRIPT} --describe {name}` writes a first one from its tables."
            )
        raise InputError(f"There is no data set '{name}'. Known: {known}, or a folder with a {SPEC}.")

    @classmethod
    def of_arguments(cls, arguments: Sequence[str]) -> DataSet:
        """Of a result, from its script and what follows."""
        published = next((each for each in PUBLISHED.values() if each.script == arguments[0]), None)
        own = len(arguments) > 1 and not arguments[1].startswith("--")
        return published or cls(OWN if own else "", arguments[0], shown=arguments[1] if own else "")

    @property
    def is_published(self) -> bool:
        """Whether the papers' releases read it, and so have a protocol for it."""
        return self in PUBLISHED.values()

    @property
    def name(self) -> str:
        """As `--dataset` takes it."""
        return next((name for name, each in PUBLISHED.items() if each == self), self.shown)

    @property
    def option(self) -> str:
        """Words of a command of `benchmark.py`, with a space behind them; "" where the data set is the default."""
        return "" if self == MOVIELENS else f"--dataset {self.name} "

    def load(self, data_path: str | None = None) -> RawData:
        """Raises `InputError` for what is not there or cannot be read."""
        if self.folder is None:
            return LOADERS[self.key](data_path)
        return load_own(self.folder, None if data_path is None else Path(data_path), DEFAULT_CACHE)


MOVIELENS = DataSet("movielens", "train_movielens_whole_models.py")
PUBLISHED = {
    "ml-1m": MOVIELENS,
    "amazon": DataSet("amazon", "train_amazon_whole_models.py"),
    "taobao": DataSet("taobao", "train_taobao_whole_models.py"),
}
LOADERS: dict[str, Callable[[str | None], RawData]] = {
    "movielens": load_movielens,
    "amazon": lambda data_path: load_amazon(data_path, DEFAULT_CACHE),
    "taobao": lambda data_path: load_taobao(data_path, cache=DEFAULT_CACHE),
}


def settings_origin(dataset: DataSet, name: str, has_trials: bool = False) -> str:
    """Where the default settings come from, as a sentence. name: of the data. has_trials: whether some ran on them."""
    if dataset == MOVIELENS and name == DATASET:
        return "The default settings were chosen on these data, by validation rows (docs/tuning.md)."
    chosen = "those of the papers' releases" if dataset.key in ("amazon", "taobao") else "chosen on MovieLens-1M"
    tuned = "no run uses what trials on these data chose" if has_trials else "nothing was tuned on these data"
    return f"The default settings are {chosen}; {tuned}."


def _shown(folder: Path) -> str:
    """
    >>> _shown(ROOT / "data" / "anime"), _shown(Path("/somewhere/my-shop"))
    ('data/anime', 'my-shop')
    """
    place = folder.resolve()
    return place.relative_to(ROOT).as_posix() if place.is_relative_to(ROOT) else place.name
