"""Parsed tables on disk, so that the next start maps them into memory instead of parsing text.

One folder for each place that data was read from. It is used only if its manifest names this `VERSION` and the
fingerprint of the files as they are now, and if every file in it has the sha256 that the manifest says; the manifest
carries its own. Anything else is stale or damaged, and is replaced by a fresh reading. A file is opened once, checked
and mapped: what another process does to the folder in the meantime does not matter. Where nothing can be written, a
warning says so, and the text is parsed at every start.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from io import BufferedReader
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foundation.sealed import read_sealed, seal
from preprocessing.files import fingerprint, map_array, open_regular, sha256_from, sha256_of
from preprocessing.folders import new_folder, remove_left_behind
from preprocessing.negatives import Negatives
from preprocessing.raw import Ragged, RawData, RowCount, Schema

DEFAULT_CACHE = Path("runs", "cache")
# Raise it whenever a reader or this file would give another `RawData` for the same files.
VERSION = 6
MANIFEST = "manifest.json"
ROWS = ("user", "item", "label", "timestamp", "best_score")
DESCRIBED = ("described_users", "described_items")
# Of a folder that is not there, changes, or was made by something else.
UNUSABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, pa.ArrowException)


def read_cached(
    read: Callable[[Path], RawData], path: Path, files: Iterable[Path], folder: Path | None, also: str = ""
) -> RawData:
    """`read(path)`, from the cache in `folder` where that holds it; None reads without a cache.

    files, also: everything that `read` depends on, and that the fingerprint of what it returns is made of.
    Raises `InputError` as `read` does. A cache that cannot be written is a warning on standard error.
    """
    if folder is None:
        return read(path)
    identity = {"version": VERSION, "fingerprint": fingerprint(files, also)}
    place = folder / f"{path.name}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    remove_left_behind(place)
    raw = load(place, identity)
    if raw is None:
        raw = read(path)
        if raw.fingerprint == identity["fingerprint"]:  # else a file was replaced before it was read
            _store_or_warn(raw, place, identity)
    return raw


def _store_or_warn(raw: RawData, place: Path, identity: dict) -> None:
    try:
        store(raw, place, identity)
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        print(
            f"WARNING: the cache {place} cannot be written: {reason}. The run goes on without it; give another folder "
            "with --cache_dir, or --no_cache.",
            file=sys.stderr,
            flush=True,
        )


def load(place: Path, identity: dict) -> RawData | None:
    """What `store` put there, with arrays mapped from the files (changes to them stay in memory); None if unusable."""
    try:
        content = read_sealed(place / MANIFEST, "It is made anew.")
        if content["identity"] != identity:
            return None
        with ExitStack() as opened:
            files = {name: opened.enter_context(open_regular(place / name)) for name in content["files"]}
            if any(sha256_from(file) != content["files"][name] for name, file in files.items()):
                return None
            for file in files.values():
                file.seek(0)
            arrays = {name: map_array(files[f"{_place(name)}.npy"]) for name in content["arrays"]}
            frames = {name: _read_frame(files[f"{_place(name)}.parquet"]) for name in content["frames"]}
        schema = Schema(**{name: _as_tuple(value) for name, value in content["schema"].items()})
        negatives = None if content["negatives"] is None else Negatives(**content["negatives"])
    except UNUSABLE:
        return None

    def lists(kind: str) -> dict[str, Ragged]:
        places = {name: f"{kind}-{name}" for name in content[kind]}
        return {name: Ragged(frames[place]["value"].to_numpy(), arrays[place]) for name, place in places.items()}

    return RawData(
        name=content["name"],
        fingerprint=identity["fingerprint"],
        schema=schema,
        users=frames["users"],
        items=frames["items"],
        user=arrays["user"],
        item=arrays["item"],
        label=arrays["label"],
        timestamp=arrays["timestamp"],
        best_score=arrays.get("best_score"),
        interactions={name: _interaction(name, arrays, frames) for name in content["interactions"]},
        user_vectors={name: arrays[f"user_vectors-{name}"] for name in schema.user_vectors},
        item_vectors={name: arrays[f"item_vectors-{name}"] for name in schema.item_vectors},
        user_lists=lists("user_lists"),
        item_lists=lists("item_lists"),
        counts=tuple(RowCount(**{**entry, "notes": tuple(entry["notes"])}) for entry in content["counts"]),
        negatives=negatives,
        **{name: content[name] for name in DESCRIBED},
    )


def store(raw: RawData, place: Path, identity: dict) -> None:
    """Writes beside `place`, then renames: there is never a half-written `place`.

    Raises `OSError` or `pa.ArrowException` where it cannot be written.
    """
    arrays = {name: getattr(raw, name) for name in ROWS if getattr(raw, name) is not None}
    frames = {"users": raw.users, "items": raw.items}
    for name, values in raw.interactions.items():
        if isinstance(values, pd.Categorical):
            frames[f"interactions-{name}"] = pd.DataFrame({"value": values.categories})
            values = values.codes
        arrays[f"interactions-{name}"] = values
    for kind in ("user_vectors", "item_vectors"):
        arrays |= {f"{kind}-{name}": values for name, values in getattr(raw, kind).items()}
    for kind in ("user_lists", "item_lists"):
        for name, ragged in getattr(raw, kind).items():
            frames[f"{kind}-{name}"] = pd.DataFrame({"value": ragged.values})
            arrays[f"{kind}-{name}"] = ragged.offsets
    content = {
        "identity": identity,
        "name": raw.name,
        "schema": asdict(raw.schema),
        "negatives": None if raw.negatives is None else asdict(raw.negatives),
        "counts": [asdict(count) for count in raw.counts],
        **{name: getattr(raw, name) for name in DESCRIBED},
        "arrays": list(arrays),
        "frames": list(frames),
        **{kind: list(getattr(raw, kind)) for kind in ("interactions", "user_lists", "item_lists")},
    }
    with new_folder(place, [MANIFEST], replace=True) as complete:
        for name, values in arrays.items():
            np.save(complete / f"{_place(name)}.npy", values)
        for name, frame in frames.items():
            frame.to_parquet(complete / f"{_place(name)}.parquet", index=False)
        content["files"] = {file.name: sha256_of(file) for file in sorted(complete.iterdir())}
        (complete / MANIFEST).write_text(seal(content), encoding="utf-8")


def _place(name: str) -> str:
    """The name of a file, whatever a feature is called."""
    return quote(name, safe="")


def _read_frame(file: BufferedReader) -> pd.DataFrame:
    """Whole numbers with gaps stay whole numbers, in objects."""
    return pq.read_table(file).to_pandas(integer_object_nulls=True)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _interaction(name: str, arrays: dict[str, np.ndarray], frames: dict[str, pd.DataFrame]):
    values = arrays[f"interactions-{name}"]
    if f"interactions-{name}" not in frames:
        return values
    return pd.Categorical.from_codes(values, frames[f"interactions-{name}"]["value"])
