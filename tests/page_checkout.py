"""A place to run a page in: a copy of the repository with small data, and commands that take a moment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import cache_from_source
from pathlib import Path

from page_blocks import FILES, ROOT, Block
from page_command import STAND_INS

from preprocessing.movielens import ML_1M_FILES
from preprocessing.raw import RawData
from preprocessing.synthetic import synthetic_movielens

TESTS = ROOT / "tests"
FILM = 1193  # an id that pages name: the last movie has it


def write_movielens_1m(place: Path, raw: RawData) -> None:
    """Generated interactions as files of MovieLens-1M: a label becomes a rating of 5 or 1."""
    users, movies = raw.users, raw.items
    ids = movies["movie_id"].replace(len(movies), FILM)
    user_ids, movie_ids = users["user_id"].to_numpy()[raw.user], ids.to_numpy()[raw.item]
    columns = {
        "ratings.dat": [user_ids, movie_ids, (1 + 4 * raw.label).astype(int), raw.timestamp],
        "users.dat": [users[name] for name in ("user_id", "gender", "age", "occupation", "zipcode")],
        "movies.dat": [ids, movies["title"], movies["genres"]],
    }
    assert columns.keys() == ML_1M_FILES.keys()
    place.mkdir(parents=True)
    for name, values in columns.items():
        lines = ["::".join(map(str, row)) for row in zip(*values, strict=True)]
        (place / name).write_text("\n".join(lines) + "\n", encoding="latin-1")


def make_checkout(place: Path) -> None:
    """The repository's files, compiled as they are, with data/ml-1m. A run on these is found in runs/ml-1m."""
    for name in FILES:
        copy = place / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy)
        compiled = Path(cache_from_source(str(ROOT / name))) if name.endswith(".py") else ROOT / "no such file"
        if compiled.exists():
            cache = copy.parent / compiled.parent.name
            cache.mkdir(exist_ok=True)
            shutil.copy2(compiled, cache)
    write_movielens_1m(place / "data" / "ml-1m", synthetic_movielens(users=60, movies=120, interactions=1500))
    (place / "runs" / "movielens").mkdir(parents=True)
    (place / "runs" / "ml-1m").symlink_to("movielens")  # the name is that of GroupLens' own files alone


def make_commands(place: Path, socket: Path) -> None:
    """`python` and what stands on the pages beside it, for PATH."""
    place.mkdir()
    for name in ("python", "torchrun", *STAND_INS):
        words = [sys.executable, "-ISE", TESTS / "page_command.py", socket, name]
        (place / name).write_text(f'#!/bin/sh\nexec {" ".join(map(str, words))} "$@"\n', encoding="utf-8")
        (place / name).chmod(0o755)


@contextmanager
def warm_python(socket: Path) -> Iterator[None]:
    """The server of `python`."""
    command = [sys.executable, TESTS / "warm_python.py", socket]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment):
        yield


def run_page(page: str, blocks: list[Block], checkout: Path, commands: Path) -> subprocess.CompletedProcess:
    """In a process that starts in the checkout and finds the commands."""
    environment = os.environ | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(checkout), str(checkout / "tests")]),
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [commands / "python", TESTS / "page_program.py"],
        input=json.dumps([page, [asdict(block) for block in blocks]]),
        cwd=checkout,
        env=environment,
        capture_output=True,
        encoding="utf-8",
    )
