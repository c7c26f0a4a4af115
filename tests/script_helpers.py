"""Scripts run in this process, the errors they print, and small files for them to read."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from experiment.script import run

# A run of two short epochs that writes its state after every step.
ARGV = ("--model_name", "dssm", "--set", "dnn_hidden_units=[6]", "--embedding_dim", "4", "--quiet", "--device", "cpu")
TRAINING = ("--epoch", "2", "--batch_size", "64", "--checkpoint_minutes", "1e-9", "--protocol", "holdout")


def script(main, *argv) -> int:
    """Runs a script's `main` as its last lines do. -> exit status"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["script.py", *map(str, argv)])
        try:
            run(main)
        except SystemExit as exit_:
            return exit_.code
    return 0


def assert_short_error(capsys, message: str) -> None:
    """One or two lines on standard error, nothing elsewhere."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert 1 <= len(err.splitlines()) <= 2


def write_movielens(place: Path) -> Path:
    """A folder as GroupLens packs it: 30 users, 20 movies, 400 ratings of which some are 3."""
    rng = np.random.default_rng(0)
    genres = ["Action", "Comedy", "Drama", "War"]
    users = [f"{u}::{'MF'[u % 2]}::{(1, 18, 25, 35)[u % 4]}::{u % 21}::{10000 + u}" for u in range(1, 31)]
    movies = [f"{10 * m}::Film {m} (19{60 + m})::{'|'.join(genres[: 1 + m % 4])}" for m in range(1, 21)]
    pairs = [(1 + pair % 30, 10 * (1 + pair // 30)) for pair in rng.permutation(30 * 20)[:400]]
    ratings = [f"{u}::{m}::{rng.integers(1, 6)}::{978_300_000 + int(rng.integers(0, 10**6))}" for u, m in pairs]
    for name, lines in (("users.dat", users), ("movies.dat", movies), ("ratings.dat", ratings)):
        (place / name).write_text("\n".join(lines) + "\n", encoding="latin-1")
    return place
