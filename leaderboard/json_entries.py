"""The JSON list in which a measure collects its entries: one a protocol and seed, or one a protocol, seed and model."""

from __future__ import annotations

import json
from pathlib import Path

from foundation.atomic import write_atomic
from foundation.errors import InputError
from foundation.locks import locked
from leaderboard.entrants import ENTRANTS
from leaderboard.results import read_if_there, require_data
from preprocessing.protocol import PROTOCOLS

LOCK = ".lock"
Key = tuple[str, int, str]


def key_of(entry: dict) -> Key:
    """protocol, seed, and model where it has one."""
    return entry["protocol"], entry["seed"], entry.get("model", "")


def read_entries(path: Path, data_sha256: str | None = None) -> list[dict]:
    """Those of a file; none without one. data_sha256: of the data at hand, None if not known.

    Raises `InputError` for a damaged file, and for entries that are about other data.
    """
    entries = read_if_there(path) or []
    for entry in entries:
        require_data(path, entry, data_sha256)
    return entries


def file_entry(path: Path, entry: dict) -> None:
    """Writes an entry in the place of an earlier one with its key; the others stay.

    They are in the order of the protocols, then seeds, then models. Other processes may file theirs meanwhile.
    Raises `InputError` for a damaged file, for one in the place of its folder, and where an entry is about other data.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise InputError(f"{path.parent} cannot be made: a file is in its way. Give another --results.") from None
    with locked(path.parent / LOCK, keep=False):
        every = {key_of(held): held for held in read_entries(path, entry["data_sha256"])}
        every[key_of(entry)] = entry
        ordered = [every[key] for key in sorted(every, key=_place)]
        write_atomic(path, json.dumps(ordered, indent=1) + "\n")


def _place(key: Key) -> tuple[int, int, int]:
    protocol, seed, model = key
    return list(PROTOCOLS).index(protocol), seed, ENTRANTS.index(model) if model else 0
