"""`result.json`: what a finished run measured, and which files beside it are the ones that it measured."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from foundation.errors import InputError
from foundation.run_files import ADVICE, CONFIG, HISTORY, RESULT, WEIGHTS, committed, unchanged
from foundation.sealed import read_sealed, seal

FILES, RUN, IDENTITY = "files", "run", "identity"
FOLDER = "folder"  # in "run": that of the `dataset.toml`, for data of one's own
# Checksums; when, where and how it was made; what a run must share with it to take its place.
NOT_THE_MEASUREMENT = (FILES, RUN, IDENTITY)


def result_file(result: dict, files: dict[str, bytes]) -> bytes:
    """The content of `result.json`. files: name -> content of those that the run leaves beside it."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return seal({**result, FILES: digests}).encode()


def read_result(run: Path) -> dict:
    """`result.json` of a finished run, with the checksums of its files under "files".

    Raises `InputError` if it is not there or is damaged, and if model or history beside it are not those of the run.
    """
    return unchanged(run, [RESULT, CONFIG, WEIGHTS, HISTORY], lambda: _read(run))


def _read(run: Path) -> dict:
    path = committed(run, RESULT)
    if not path.is_file():
        raise InputError(f"{run} is no finished run: {RESULT} is missing. Train first, or continue with --resume.")
    try:
        result = read_sealed(path, ADVICE)
        files = result.get(FILES) or {}
        if not files.keys() >= {CONFIG, WEIGHTS, HISTORY}:
            raise InputError(f"{path} does not say which files are its own. {ADVICE}")
        for name, expected in files.items():
            with committed(run, name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != expected:
                raise InputError(
                    f"{run / name} is damaged, or of another run than {path.name}: its checksum differs. {ADVICE}"
                )
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}. {ADVICE}") from None
    return result


def split_of(result: dict) -> dict[str, Any]:
    """Keywords of `Dataset.build` that build the data of the tested model again.

    Raises `InputError` for a run of before protocols had switches, where its split is no more.
    """
    if "split" in result:
        return result["split"]
    known = {"protocol": result["protocol"], "seed": result["seed"]}
    if result["protocol"] == "published":
        raise InputError(
            "The run was made when the published protocol had other rows than the releases, and its data cannot be "
            f"split like that any more. {ADVICE}"
        )
    return known | ({"validation_rows": "next"} if result["protocol"] == "temporal" else {})


def identity_of(result: dict) -> dict:
    """What the run shares with one that may take its place unasked: data, settings, edited functions."""
    return result.get(IDENTITY) or {}
