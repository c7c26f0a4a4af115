"""Changes one byte in one file of a run or its index, and sees what every reader makes of it.

    python -m benchmarks.damage --data_path data/ml-1m [--bytes 500] [--others 100] [--json FILE]

Two IntTower runs, one with a float32 and an int8 index, and a DeepFM run are trained on the first rows of the data. A
case damages a copy of one: one byte that becomes another, or a cut, a lost, added or zeroed piece, two blocks that
changed places, the file of another run or build. Then the readers load, rank, read everything, upsert and build, each
in a copy of its own. A reader refuses (`InputError`), says what it says of the whole files, or is WRONG: other numbers,
another error. Each damaged file has readers that must refuse it. The file of --json keeps the cases that are done.
Exit status 1 if a reader was wrong, or did not refuse what it must.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.sections import table
from benchmarks.small_runs import data_of, index, ranked, train, whole
from experiment.arguments import Parser, number
from experiment.script import run as run_script
from foundation.atomic import write_atomic
from foundation.errors import InputError
from foundation.run_files import CONFIG, HISTORY, RESULT, WEIGHTS
from model import load_model
from preprocessing.dataset import Dataset
from serving.manifest import MANIFEST
from serving.ranker import PreRanker
from serving.state import load_two_tower
from serving.writer import build_index
from training.result_file import read_result

BLOCK = 4096
NEW = {"movie_id": 99_002, "title": "New", "genres": ["Drama"]}
MODEL, OF_A_RUN = (WEIGHTS, CONFIG), (WEIGHTS, CONFIG, RESULT, HISTORY)
# Reader -> the kinds of file that it must not read damaged. "whole" reads every part of an index, the others some.
MUST = {
    "load_model": MODEL,
    "read_result": OF_A_RUN,
    "rank": (*MODEL, MANIFEST),
    "whole": (*MODEL, MANIFEST, "base", "delta", "users"),
    "upsert": (*MODEL, MANIFEST),
    "build": OF_A_RUN,
    "live": (),
}


def weights(run: Path) -> dict:
    return {name: value.tolist() for name, value in load_model(run).state_dict().items()}


def upserted(run: Path) -> list:
    """What is shown after an upsert of a new item and of one that keeps the features that it has."""
    ranker = PreRanker.load(run)
    ranker.upsert([NEW, {"movie_id": 50}])
    return ranked(ranker)


class Readers:
    """The readers of a run, and what each of them says of it undamaged. data: of a run with an index."""

    def __init__(self, run: Path, data: Dataset | None):
        self.run, self.data = run, data
        self.readers: dict[str, Callable] = {"load_model": weights, "read_result": read_result}
        if data is not None:
            self.readers |= {
                "rank": lambda run: ranked(PreRanker.load(run)),
                "whole": lambda run: whole(PreRanker.load(run)),
                "upsert": upserted,
                "build": self._built,
            }
        with tempfile.TemporaryDirectory() as folder:
            self.expected = {"live": ranked(PreRanker.load(run))} if data is not None else {}
            self.expected |= {
                name: read(shutil.copytree(run, Path(folder) / name)) for name, read in self.readers.items()
            }
        self.files = [
            path.relative_to(run) for path in sorted(run.rglob("*")) if kind_of(path) in MUST["whole"] + OF_A_RUN
        ]

    def _built(self, run: Path) -> list:
        read_result(run)  # as `load_dataset` does
        build_index(run, load_two_tower(run), self.data)
        return ranked(PreRanker.load(run))

    def judged(self, damage: Callable[[Path], None], left_out: tuple[str, ...] = ()) -> dict[str, str]:
        """What each reader makes of a damaged copy."""
        found = {}
        with tempfile.TemporaryDirectory() as folder:
            if self.data is not None:
                live = PreRanker.load(shutil.copytree(self.run, Path(folder) / "live"))
                damage(live.state.run)
                found["live"] = verdict(lambda: ranked(live), self.expected["live"])
            for name in self.readers.keys() - set(left_out):
                read = self.readers[name]
                place = shutil.copytree(self.run, Path(folder) / name)
                damage(place)
                found[name] = verdict(lambda read=read, place=place: read(place), self.expected[name])
                shutil.rmtree(place)
        return found


def verdict(read: Callable[[], object], expected: object) -> str:
    """ "refused", "same", or what was wrong."""
    try:
        return "same" if read() == expected else "WRONG: other numbers"
    except InputError:
        return "refused"
    except Exception as error:  # whatever goes wrong in a reader is the finding
        return f"WRONG: {error!r}"[:200]


def kind_of(path: Path) -> str:
    return path.name.partition("-")[0] if path.suffix == ".idx" else path.name


def one_byte(content: bytes, draw: random.Random) -> bytes:
    """One byte becomes another; in JSON and CSV often white space, which may mean the same there."""
    place, new = draw.randrange(len(content)), draw.choice([*b" \t\n\r", *[draw.randrange(256) for _ in range(8)]])
    return content[:place] + bytes([new]) + content[place + 1 :]


def cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.choice([0, len(content) - 1, draw.randrange(len(content))])]


def lost(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content))
    return content[:place] + content[place + draw.choice([1, BLOCK]) :]


def added(content: bytes, draw: random.Random) -> bytes:
    place = draw.choice([len(content), draw.randrange(len(content))])
    return content[:place] + draw.choice([b" ", b"\n", b"\0", draw.randbytes(BLOCK)]) + content[place:]


def zeroed(content: bytes, draw: random.Random) -> bytes:
    place, size = draw.randrange(len(content)), draw.choice([1, 512, BLOCK])
    return content[:place] + bytes(len(content[place : place + size])) + content[place + size :]


def exchanged(content: bytes, draw: random.Random) -> bytes:
    """Two blocks take each other's place."""
    blocks = [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]
    one, other = draw.randrange(len(blocks)), draw.randrange(len(blocks))
    blocks[one], blocks[other] = blocks[other], blocks[one]
    return b"".join(blocks)


OTHERS = (cut, lost, added, zeroed, exchanged)


def case(readers: dict[str, Readers], trial: int, one: bool, seed: int) -> dict:
    """A random file of a random run, damaged. one: by one byte."""
    draw = random.Random(f"{seed} {one} {trial}")
    name = draw.choice(sorted(readers))
    mine = readers[name]
    kinds = sorted({kind_of(path) for path in mine.files})
    kind = draw.choice(kinds)
    file = draw.choice([path for path in mine.files if kind_of(path) == kind])
    content = (mine.run / file).read_bytes()
    how, changed = "another's", content
    foreign = [one.run / path for one in readers.values() for path in one.files if kind_of(path) == kind]
    while changed == content:
        if one:
            how, changed = "one byte", one_byte(content, draw)
        elif draw.random() < 1 / (len(OTHERS) + 1):
            how, changed = "another's", draw.choice(foreign).read_bytes()
        else:
            change = draw.choice(OTHERS)
            how, changed = change.__name__, change(content, draw)
    # A build reads no file of the index but the generation: a few cases are enough.
    left_out = ("build",) if kind not in OF_A_RUN and trial % 5 else ()
    found = mine.judged(lambda run: (run / file).write_bytes(changed) and None, left_out)
    missed = [name for name in found if kind in MUST[name] and found[name] != "refused"]
    return {"run": name, "file": kind, "how": how, "found": found, "missed": missed}


def summary(cases: list[dict]) -> list[dict]:
    """A row for each kind of file and damage."""
    rows = []
    for file, how in sorted({(case["file"], case["how"]) for case in cases}):
        these = [case for case in cases if (case["file"], case["how"]) == (file, how)]
        found = Counter(said[:5] for case in these for said in case["found"].values())
        rows.append(
            {
                "file": file,
                "damage": how,
                "cases": len(these),
                "refused by a reader": sum("refused" in case["found"].values() for case in these),
                "readers that refused": found["refus"],
                "not read": found["same"],
                "WRONG": found["WRONG"],
                "not refused": sum(len(case["missed"]) for case in these),
            }
        )
    return rows


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", metavar="PATH", help="default: generated data")
    parser.add_argument("--max_rows", type=number(int, 1), default=3000)
    parser.add_argument("--bytes", type=number(int, 0), default=500, metavar="N", help="changes of one byte")
    parser.add_argument("--others", type=number(int, 0), default=100, metavar="N", help="other damages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the cases here, and go on with them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # a live reader says what it cannot open
    done = json.loads(options.json.read_text(encoding="utf-8")) if options.json and options.json.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        readers = made(Path(folder), options.data_path, options.max_rows)
        for one, count in ((True, options.bytes), (False, options.others)):
            for trial in range(count):
                key = f"{options.seed} {'byte' if one else 'other'} {trial}"
                if key not in done:
                    done[key] = case(readers, trial, one, options.seed)
                    for name, said in done[key]["found"].items():
                        if said.startswith("WRONG") or name in done[key]["missed"]:
                            print(f"{key}: {done[key]['run']} {done[key]['file']} {done[key]['how']}: {name} {said}")
                    if options.json and trial % 10 == 9:
                        write_atomic(options.json, json.dumps(done))
    if options.json:
        write_atomic(options.json, json.dumps(done))
    rows = summary(list(done.values()))
    print(table(rows))
    if any(row["WRONG"] or row["not refused"] for row in rows):
        sys.exit(1)


def made(folder: Path, data_path: str | None, rows: int) -> dict[str, Readers]:
    """The runs to damage, by name."""
    raw = data_of(data_path)
    runs = {
        "float32": train(folder / "one", "int_tower", raw, rows),
        "other": train(folder / "two", "int_tower", raw, rows, seed=2),
        "ranking": train(folder / "three", "deep_fm", raw, rows),
    }
    runs["int8"] = shutil.copytree(folder / "one", folder / "int8")
    precision = {"float32": "float32", "other": "float32", "int8": "int8"}
    data = {name: index(runs[name], raw, rows, kind) for name, kind in precision.items()}
    return {name: Readers(run, data.get(name)) for name, run in runs.items()}


if __name__ == "__main__":
    run_script(main)
