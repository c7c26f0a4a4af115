"""Parsed tables on disk, so that the next start maps them into memory instead of parsing text.

One folder for each place that data was read from. It is used only if its manifest names this `VERSION` and the
fingerprint of the files as they are now, and if every file in it has the sha256 that the manifest says; the manifest
carries its own. Anything else is stale or damaged, and is replaced by a fresh reading.
"""

from __future__ import annotations

import glob
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from preprocessing.errors import InputError
from preprocessing.files import fingerprint, sha256_of
from preprocessing.raw import Ragged, RawData, RowCount, Schema

DEFAULT_CACHE = Path("runs", "cache")
# Raise it whenever a reader or this file would give another `RawData` for the same files.
VERSION = 2
MANIFEST = "manifest.json"
DAY = 24 * 3600  # seconds
ROWS = ("user", "item", "label", "timestamp", "best_score")


def read_cached(
    read: Callable[[Path], RawData], path: Path, files: Iterable[Path], schema: Schema, folder: Path | None
) -> RawData:
    """`read(path)`, from the cache in `folder` where that holds it; None reads without a cache.

    files: everything that `read` depends on.  schema: of what it returns.
    Raises `InputError` as `read` does, and where the cache cannot be written.
    """
    if folder is None:
        return read(path)
    identity = {"version": VERSION, "fingerprint": fingerprint(files)}
    place = folder / f"{path.name}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    raw = load(place, identity, schema)
    if raw is None:
        raw = read(path)
        if raw.fingerprint == identity["fingerprint"]:  # else a file was replaced while it was read
            store(raw, place, identity)
    return raw


def load(place: Path, identity: dict, schema: Schema) -> RawData | None:
    """What `store` put there, with arrays mapped from the files (changes to them stay in memory); None if unusable."""
    try:
        document = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        content = document["content"]
        if document["sha256"] != _digest(content) or content["identity"] != identity:
            return None
        if any(sha256_of(place / name) != digest for name, digest in content["files"].items()):
            return None
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None
    arrays = {name: np.load(place / f"{name}.npy", mmap_mode="c") for name in content["arrays"]}
    frames = {name: pd.read_parquet(place / f"{name}.parquet") for name in content["frames"]}
    return RawData(
        name=content["name"],
        fingerprint=identity["fingerprint"],
        schema=schema,
        users=frames["users"],
        items=frames["items"],
        **{name: arrays[name] for name in ROWS if name in arrays},
        interactions={name: _interaction(name, arrays, frames) for name in content["interactions"]},
        **{
            kind: {
                name: Ragged(frames[f"{kind}-{name}"]["value"].to_numpy(), arrays[f"{kind}-{name}"])
                for name in content[kind]
            }
            for kind in ("user_lists", "item_lists")
        },
        counts=tuple(RowCount(**{**entry, "notes": tuple(entry["notes"])}) for entry in content["counts"]),
    )


def store(raw: RawData, place: Path, identity: dict) -> None:
    """Writes beside `place`, then renames: there is never a half-written `place`."""
    arrays = {name: getattr(raw, name) for name in ROWS if getattr(raw, name) is not None}
    frames = {"users": raw.users, "items": raw.items}
    for name, values in raw.interactions.items():
        if isinstance(values, pd.Categorical):
            frames[f"interactions-{name}"] = pd.DataFrame({"value": values.categories})
            values = values.codes
        arrays[f"interactions-{name}"] = values
    for kind in ("user_lists", "item_lists"):
        for name, ragged in getattr(raw, kind).items():
            frames[f"{kind}-{name}"] = pd.DataFrame({"value": ragged.values})
            arrays[f"{kind}-{name}"] = ragged.offsets
    content = {
        "identity": identity,
        "name": raw.name,
        "counts": [asdict(count) for count in raw.counts],
        "arrays": list(arrays),
        "frames": list(frames),
        **{kind: list(getattr(raw, kind)) for kind in ("interactions", "user_lists", "item_lists")},
    }
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(place)
        with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as temporary:
            complete = Path(temporary) / "complete"
            complete.mkdir()
            for name, values in arrays.items():
                np.save(complete / f"{name}.npy", values)
            for name, frame in frames.items():
                frame.to_parquet(complete / f"{name}.parquet", index=False)
            content["files"] = {file.name: sha256_of(file) for file in sorted(complete.iterdir())}
            document = {"content": content, "sha256": _digest(content)}
            (complete / MANIFEST).write_text(json.dumps(document, indent=1), encoding="utf-8")
            with suppress(FileNotFoundError):
                place.rename(Path(temporary) / "old")  # stale or damaged
            try:
                complete.rename(place)
            except OSError:
                if not (place / MANIFEST).is_file():  # else another process was faster with the same
                    raise
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"The cache {place} cannot be written: {getattr(error, 'strerror', None) or error}. "
            "Give another folder with --cache_dir, or --no_cache."
        ) from None


def _remove_left_behind(place: Path) -> None:
    """What a killed process was writing; what is younger than a day may still be written."""
    for folder in place.parent.glob(f".{glob.escape(place.name)}-*"):
        with suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > DAY:
                shutil.rmtree(folder, ignore_errors=True)


def _interaction(name: str, arrays: dict[str, np.ndarray], frames: dict[str, pd.DataFrame]):
    values = arrays[f"interactions-{name}"]
    if f"interactions-{name}" not in frames:
        return values
    return pd.Categorical.from_codes(values, frames[f"interactions-{name}"]["value"])


def _digest(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
