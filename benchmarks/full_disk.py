"""Commands that meet a full disk, one that cannot be written, or too few open files: a message, and nothing is lost.

    python -m benchmarks.full_disk --data_path data/ml-1m [--full 30] [--read_only 5] [--descriptors 5] [--json FILE]

A small file system (tmpfs, which needs the right to mount) holds a finished run with its index. A command (train
another run over it, build, upsert, delete, export) finds less room than it takes, drawn at random. It must end with
status 2 and one message; the old run must load and rank as before; with room again, the same command must do what it
does elsewhere (`--resume` after training). So with a file system that is read-only, and with few descriptors.
Exit status 1 if one does not.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from benchmarks.sections import table
from benchmarks.small_runs import ITEM, Ended, data_of, index, ranked, script, train, training
from experiment.arguments import Parser, number
from experiment.script import run as run_script
from foundation.atomic import write_atomic
from foundation.errors import InputError
from serving.ranker import PreRanker
from training.result_file import NOT_THE_MEASUREMENT, read_result

TIMES = ("seconds", "train_rows_per_second")
SIZE = 128 << 20  # bytes of the file system
LEAST_DESCRIPTORS = 12  # with which Python and torch load


class Disk:
    """A file system of its own, mounted on a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.folder.mkdir()
        self._mount("-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs")

    def _mount(self, *words: str) -> None:
        done = subprocess.run(
            ["mount", *words, self.folder], capture_output=True, text=True, encoding="utf-8", check=False
        )
        if done.returncode:
            raise InputError(f"{self.folder} cannot be mounted: {done.stderr.strip()}. Run this as root.")

    def close(self) -> None:
        subprocess.run(["umount", self.folder], check=True)

    @contextmanager
    def full(self, free: int) -> Iterator[None]:
        """Leaves so many bytes."""
        filler = self.folder / "filler"
        status = os.statvfs(self.folder)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - free))
        yield
        filler.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        self._mount("-o", "remount,ro")
        yield
        self._mount("-o", "remount,rw")


class Commands:
    """What is done to a run, and what the run is like before and afterwards."""

    def __init__(self, folder: Path, data_path: str | None, rows: int):
        self.raw, self.rows = data_of(data_path), rows
        self.old = train(folder / "old", "int_tower", self.raw, rows)
        index(self.old, self.raw, rows)
        self.before, self.after = state(self.old), {}
        for name in self.names:
            out = shutil.copytree(self.old, folder / name)
            done = self.start(name, out)
            if done.status:
                raise RuntimeError(done.said)
            self.after[name] = state(out)

    names = ("train", "build", "upsert", "delete", "export")

    def start(self, name: str, run: Path, again: bool = False, before: Callable = lambda: None) -> Ended:
        if name == "train":
            words = training(run, "int_tower", self.rows, seed=2)
            more = ["--overwrite", "--checkpoint_minutes", "1e-6", *(["--resume"] if again else [])]
            return script(*words, *more, raw=self.raw, before=before)
        ids = run.parent / "ids.txt"
        items = {
            "build": [],
            "upsert": ["--items", json.dumps([ITEM | {"movie_id": 99_002, "title": "x" * 5000}])],
            "delete": ["--items", ids],
            "export": ["--format", "onnx"],
        }[name]
        if name == "delete" and not ids.exists():
            ids.write_text("10\n", encoding="utf-8")
        return script("prerank", name, run, *items, raw=self.raw, before=before)


def state(run: Path) -> list:
    """The result, and what is ranked, if there is an index of this model; and the files of an export."""
    result = {name: value for name, value in read_result(run).items() if name not in (*NOT_THE_MEASUREMENT, *TIMES)}
    try:
        shown = ranked(PreRanker.load(run))
    except InputError as error:
        shown = [str(error).partition(" of ")[0]]
    exported = sorted(path.name for path in (run / "onnx").iterdir()) if (run / "onnx").exists() else []
    return [shown, exported, result]


def problem(commands: Commands, name: str, run: Path, done: Ended) -> str:
    """What is wrong with how a command failed, if anything."""
    errors = [line for line in done.said.splitlines() if line.startswith("error: ")]
    if done.status != 2 or len(errors) != 1 or "Traceback" in done.said:
        return f"status {done.status}: {done.said[-500:]}"
    try:
        if state(run) != commands.before:
            return "what was there before is not the same"
    except Exception as error:
        return f"what was there before does not load: {error!r}"
    again = commands.start(name, run, again=True)
    if again.status:
        return f"again: status {again.status}: {again.said[-500:]}"
    return "" if state(run) == commands.after[name] else "again: not what it does elsewhere"


def case(commands: Commands, disk: Disk, trouble: str, name: str, draw: random.Random) -> dict:
    """One command in trouble. The harder it is drawn, until the command fails."""
    for _ in range(10):
        run = shutil.copytree(commands.old, disk.folder / "run")
        (disk.folder / "ids.txt").write_text("10\n", encoding="utf-8")
        what = ""
        if trouble == "full":
            free = int(math.exp(draw.uniform(math.log(4096), math.log(16 << 20))))
            with disk.full(free):
                done = commands.start(name, run)
            what = f"{free / 2**10:.0f} KiB free"
        elif trouble == "read-only":
            with disk.read_only():
                done = commands.start(name, run)
        else:
            most = draw.randint(LEAST_DESCRIPTORS - 4, LEAST_DESCRIPTORS + 4)
            done = commands.start(name, run, before=partial(_limit_descriptors, most))
            what = f"{most} files"
        found = problem(commands, name, run, done) if done.status else ""
        shutil.rmtree(run)
        if done.status:
            message = next((line for line in done.said.splitlines() if line.startswith("error: ")), "")
            return {"trouble": trouble, "command": name, "drawn": what, "message": message, "problem": found}
    return {"trouble": trouble, "command": name, "drawn": what, "message": "", "problem": "never failed"}


def _limit_descriptors(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", metavar="PATH", help="default: generated data")
    parser.add_argument("--max_rows", type=number(int, 1), default=3000)
    parser.add_argument("--full", type=number(int, 0), default=30, metavar="N")
    parser.add_argument("--read_only", type=number(int, 0), default=5, metavar="N")
    parser.add_argument("--descriptors", type=number(int, 0), default=5, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the cases here, and go on with them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = json.loads(options.json.read_text(encoding="utf-8")) if options.json and options.json.exists() else {}
    counts = {"full": options.full, "read-only": options.read_only, "descriptors": options.descriptors}
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder) / "disk")
        try:
            commands = Commands(Path(folder), options.data_path, options.max_rows)
            for trouble, count in counts.items():
                for trial in range(count):
                    key = f"{options.seed} {trouble} {trial}"
                    if key in done:
                        continue
                    name = Commands.names[trial % len(Commands.names)]
                    done[key] = case(commands, disk, trouble, name, random.Random(key))
                    print(*done[key].values(), sep=" | ", flush=True)
                    if options.json:
                        write_atomic(options.json, json.dumps(done))
        finally:
            disk.close()
    rows = summary(list(done.values()))
    print(table(rows))
    if any(row["problems"] for row in rows):
        sys.exit(1)


def summary(cases: list[dict]) -> list[dict]:
    """A row for each trouble and command."""
    pairs = sorted({(case["trouble"], case["command"]) for case in cases})
    these = {pair: [case for case in cases if (case["trouble"], case["command"]) == pair] for pair in pairs}
    return [
        {
            "trouble": trouble,
            "command": command,
            "cases": len(found),
            "clear, kept, done again": sum(not case["problem"] for case in found),
            "problems": sum(bool(case["problem"]) for case in found),
        }
        for (trouble, command), found in these.items()
    ]


if __name__ == "__main__":
    run_script(main)
