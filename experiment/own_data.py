"""Data of one's own as `train_own_data.py` and `prerank.py` load them: from the folder of a `dataset.toml`."""

from __future__ import annotations

from pathlib import Path

from experiment.options import Options
from foundation.errors import InputError
from foundation.values import shown
from preprocessing.load import reader_of
from preprocessing.own_data import load_own
from preprocessing.raw import RawData


def load(options: Options) -> RawData:
    """Raises `InputError` as `load_own` does, without a folder, and for a name that another data set has."""
    if options.folder is None:
        raise InputError("Give the folder of your data first: python train_own_data.py FOLDER --model_name NAME.")
    data_path = None if options.data_path is None else Path(options.data_path)
    raw = load_own(Path(options.folder), data_path, options.cache, options.quiet)
    require_own_name(raw.name)
    return raw


def require_own_name(name: str) -> None:
    """Raises `InputError` for a name that no folder can have, and for one of data that have a script, beside whose
    results stand the papers' numbers."""
    if reader_of(name) is not None:
        raise InputError(
            f"The name {shown(name)} is that of a published data set, which has a training script. Give the data "
            'another one in dataset.toml: name = "..."'
        )
    if Path(name).name != name or name == "..":
        raise InputError(
            f"The name of the data is part of a path, so it cannot be {shown(name)}. Leave out / and dots."
        )
