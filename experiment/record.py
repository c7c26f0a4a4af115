"""When, with what and from where a run was made: for people. Nothing in it decides the result."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from preprocessing.load import SYNTHETIC
from training.result_file import FOLDER

ROOT = Path(__file__).resolve().parent.parent


def begin_record(data_path: str | None, resumed: str | None, folder: str | None = None) -> dict:
    """What is known when a run begins.

    data_path: as given, made absolute; None for the data set's own place. resumed: where an interrupted run stood that
    this one continues, None for a new run. folder: of data of one's own, made absolute, too; else None. `end_record`
    adds the end.
    """
    return {
        "command": list(sys.argv),
        "started": _now(),
        "ended": None,
        "resumed": resumed,
        "code": code_revision(),
        "data_path": os.path.abspath(data_path) if data_path not in (None, SYNTHETIC) else data_path,
        **({} if folder is None else {FOLDER: os.path.abspath(folder)}),
    }


def end_record(record: dict) -> dict:
    return record | {"ended": _now()}


def code_revision(checkout: Path = ROOT) -> dict:
    """Of a checkout. {"revision": of git, or None without it, "changed": whether files differ from it, or None}"""
    revision = _git(checkout, "rev-parse", "--short=12", "HEAD")
    changes = _git(checkout, "status", "--porcelain", "--untracked-files=no") if revision else None
    return {"revision": revision or None, "changed": None if changes is None else bool(changes)}


def _git(checkout: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], cwd=checkout, capture_output=True, text=True, encoding="utf-8", check=False
        )
    except OSError:  # no git here
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
