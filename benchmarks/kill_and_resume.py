"""Kills a training run at random moments, resumes it, and compares it with one that was left alone.

    python -m benchmarks.kill_and_resume [--model_name int_tower] [--kills 25] [--full 5] [--data_path ...]

A run is the script `train_movielens_whole_models.py` in a process of its own, forked from this one so that imports are
not paid for each time, with a checkpoint after every step. SIGKILL comes at a random moment from the beginning of
training or, every other time, while a checkpoint or a result is being written. `--full` more runs meet a limit on the
size of files in a random checkpoint, as on a full disk. Every run must end with the same bytes in `model.safetensors`
and the same `result.json` and `history.csv`, but for times, and the same `README.md`.

`--over N` kills N more runs, of another seed, in a folder that holds an older result and its index: three of four while
they write theirs, the others anywhere. The folder must be wholly the one run or the other to every reader (result,
model, index), and `--resume` must end as the run that was left alone.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch._dynamo  # noqa: F401 (every optimiser imports it, for seconds)

import train_movielens_whole_models as script
from experiment.script import run
from foundation.errors import InputError
from foundation.run_files import CARD, COMMIT, HISTORY, WEIGHTS, committed, is_finished
from preprocessing.dataset import Dataset
from preprocessing.load import load_movielens
from preprocessing.raw import RawData
from preprocessing.synthetic import synthetic_movielens
from serving.manifest import FOLDER
from serving.ranker import PreRanker
from serving.state import load_two_tower
from serving.writer import build_index
from training.checkpoints import CURRENT, PREVIOUS, TEMPORARY, Checkpoints
from training.claim import LOCK
from training.commit import NEXT
from training.pictures import draw_png
from training.result_file import NOT_THE_MEASUREMENT, read_result, split_of

TIMES = ("seconds", "train_rows_per_second", "rows_per_second", *NOT_THE_MEASUREMENT)


@dataclass(frozen=True)
class Setup:
    """What all runs share. argv: of the script, without --out and --resume."""

    raw: RawData
    argv: tuple[str, ...]

    def start(self, out: Path, *more: str, full_at: int | None = None) -> int:
        """Starts the script, with output to `<out>.log`. full_at: the checkpoint that finds no room. -> process id"""
        sys.stdout.flush()
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            sys.stdout = sys.stderr = Path(f"{out}.log").open("a", encoding="utf-8")  # noqa: SIM115 (until this process ends)
            script.load_movielens = lambda *_, **__: self.raw
            sys.argv = ["train", *self.argv, "--out", str(out), *more]
            if full_at is not None:
                _limit_files(full_at)
            run(script.main)
            status = 0
        except SystemExit as end:
            status = end.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)

    def finish(self, out: Path, *more: str, **keywords) -> int:
        """Runs the script to its end. -> exit status"""
        return os.waitstatus_to_exitcode(os.waitpid(self.start(out, *more, **keywords), 0)[1])


def _limit_files(full_at: int) -> None:
    """From this checkpoint on the kernel lets files of this process grow to half a checkpoint only."""
    save, count = Checkpoints.save, 0

    def limited(self, state) -> None:
        nonlocal count
        if count == full_at:
            size = (self.folder / CURRENT).stat().st_size if full_at else 4096
            resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
        count += 1
        save(self, state)

    Checkpoints.save = limited


def content(out: Path) -> dict:
    """What must be equal."""
    result = read_result(out)
    history = pd.read_csv(committed(out, HISTORY))
    return {
        "weights": committed(out, WEIGHTS).read_bytes(),
        "result": {name: value for name, value in result.items() if name not in TIMES},
        "card": re.sub(r"--out \S+", "", committed(out, CARD).read_text(encoding="utf-8")),  # of any place
        "history": history.drop(columns=[name for name in TIMES if name in history]).to_dict(),
    }


def end(out: Path) -> dict:
    """The same, and that nothing else is left behind."""
    return content(out) | {"files": sorted(path.name for path in out.iterdir())}


def kill_once(setup: Setup, out: Path, after: float, in_writing: bool, delay: float) -> str:
    """Kills a run `after` seconds of training; in_writing: `delay` after it begins the next file. -> what it left

    A run that was faster is started again, to be killed earlier.
    """
    child = setup.start(out)
    deadline = _training_begins(child, out) + after
    while time.monotonic() < deadline and not _ended(child):
        time.sleep(1e-4)
    if in_writing:
        while not _writing(out) and not _ended(child):
            pass
        time.sleep(delay)
    if not _ended(child):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    names = {path.name for path in out.iterdir()} if out.exists() else set()
    if is_finished(out) and not names & {CURRENT, PREVIOUS, COMMIT}:
        shutil.rmtree(out)
        return kill_once(setup, out, 0.7 * after, in_writing, delay)
    if COMMIT in names or any(name.endswith(".tmp") or name.startswith(NEXT) for name in names):
        return "half a file"
    return "checkpoint" if names & {CURRENT, PREVIOUS} else "nothing"


def _training_begins(child: int, out: Path) -> float:
    """Waits for it. -> when that was"""
    while not (out / LOCK).exists() and not _ended(child):
        time.sleep(1e-3)
    return time.monotonic()


def _writing(out: Path) -> bool:
    return (out / TEMPORARY).exists() or _committing(out)


def _committing(out: Path, *names: str) -> bool:
    """Whether results are being written. names: how what is looked for begins; new files, and those in force."""
    try:
        return any(entry.name.startswith(names or (NEXT, COMMIT)) for entry in os.scandir(out))
    except FileNotFoundError:
        return False


def _ended(child: int) -> bool:
    """Without reaping it, so that its id stays its own."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def resume(setup: Setup, out: Path) -> int:
    """Continues the run, or starts it again if it had saved nothing. -> exit status"""
    has_checkpoint = any((out / name).exists() for name in (CURRENT, PREVIOUS))
    return setup.finish(out, *(["--resume"] if has_checkpoint else []))


def trials(setup: Setup, folder: Path, kills: int, full: int, seed: int):
    """Yields (what was done, what it left, whether the resumed run equals the undisturbed one)."""
    draw = random.Random(seed)
    child = setup.start(folder / "whole")
    start = _training_begins(child, folder / "whole")
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise RuntimeError((folder / "whole.log").read_text(encoding="utf-8"))
    seconds, whole = time.monotonic() - start, end(folder / "whole")
    for trial in range(kills):
        out, after, delay = folder / f"kill{trial}", draw.uniform(0.0, seconds), draw.uniform(0.0, 0.005)
        left = kill_once(setup, out, after, in_writing=bool(trial % 2), delay=delay)
        done = resume(setup, out) == 0 and end(out) == whole
        yield f"killed {'writing, ' if trial % 2 else ''}after {after:.2f} s", left, done
    for trial in range(full):
        out, full_at = folder / f"full{trial}", draw.randrange(3)
        clear = setup.finish(out, full_at=full_at) == 2 and _is_one_error(
            Path(f"{out}.log").read_text(encoding="utf-8")
        )
        left = "checkpoint" if (out / CURRENT).exists() else "nothing"
        done = clear and (left == "checkpoint") == (full_at > 0) and resume(setup, out) == 0 and end(out) == whole
        yield f"disk full at checkpoint {full_at + 1}", left, done


def over(setup: Setup, folder: Path, kills: int, seed: int):
    """Yields (what was done, what it left, whether the folder was wholly one run and the resumed one is the new run).

    One kill of four comes anywhere; the others from the moment on that new files lie there, or that they are in force.
    """
    draw = random.Random(seed)
    more = ("--seed", "2", "--overwrite", "--epoch", "1", "--checkpoint_minutes", "5")
    if setup.finish(folder / "old"):
        raise RuntimeError((folder / "old.log").read_text(encoding="utf-8"))
    start = time.monotonic()
    if setup.finish(folder / "new", *more):
        raise RuntimeError((folder / "new.log").read_text(encoding="utf-8"))
    seconds, last = time.monotonic() - start, end(folder / "new")
    last["files"] = sorted([*last["files"], FOLDER])
    runs = {"old run": seen(setup, folder / "old"), "new run": seen(setup, folder / "new")}
    moments = {"its start": ("", seconds), "new files lay there": (NEXT, 0.1), "they were in force": (COMMIT, 0.01)}
    for trial in range(kills):
        out = shutil.copytree(folder / "old", folder / f"over{trial}")
        since = list(moments)[(0, 1, 2, 2)[trial % 4]]
        name, most = moments[since]
        delay = draw.uniform(0.0, most)
        child = setup.start(out, *more)
        while name and not _committing(out, name) and not _ended(child):
            pass
        deadline = time.monotonic() + delay
        while time.monotonic() < deadline and not _ended(child):
            pass
        if not _ended(child):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = seen(setup, out)
        left = next((run for run, one in runs.items() if one == found), "A MIXTURE")
        done = left != "A MIXTURE" and setup.finish(out, *more, "--resume") == 0 and end(out) == last
        yield f"killed {1000 * delay:.1f} ms after {since}", left, done
        shutil.rmtree(out)


def seen(setup: Setup, out: Path) -> dict:
    """What each reader says of a run folder: result, model, index. One that is another run's, or none, is built."""
    model, result = load_two_tower(out), read_result(out)
    try:
        PreRanker.load(out)
    except InputError as error:
        if not re.search("of another model than the run|has no item index", str(error)):
            raise
        rows = result["config"].get("max_rows")
        raw = setup.raw.first(rows) if rows else setup.raw
        build_index(out, model, Dataset.build(raw, **split_of(result)))
    ranker = PreRanker.load(out)
    users = ranker.state.users.ids(np.arange(4)).tolist()
    rankings = [(one.items.tolist(), one.scores.tolist()) for one in ranker.rank(users, k=20)]
    weights = {name: value.tolist() for name, value in model.state_dict().items()}
    return content(out) | {"model": weights, "rankings": rankings}


def _is_one_error(log: str) -> bool:
    errors = [line for line in log.splitlines() if line.startswith("error: ")]
    return len(errors) == 1 and "cannot be written" in errors[0] and "Traceback" not in log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", help="default: generated data")
    parser.add_argument("--model_name", default="int_tower")
    parser.add_argument("--max_rows", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--full", type=int, default=5)
    parser.add_argument("--over", type=int, default=0, metavar="N", help="kills of a run over an older result")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)  # a process that has started threads must not be forked
    draw_png((1, 1), lambda figure: None)  # what it imports here is there in every child
    raw = load_movielens(options.data_path) if options.data_path else synthetic_movielens()
    argv = ("--model_name", options.model_name, "--max_rows", str(options.max_rows), "--epoch", "2", "--quiet")
    setup = Setup(raw, (*argv, "--batch_size", "1024", "--checkpoint_minutes", "1e-6"))
    equal, every = 0, options.kills + options.full + options.over
    with tempfile.TemporaryDirectory() as folder:
        done_in_turn = itertools.chain(
            trials(setup, Path(folder), options.kills, options.full, options.seed),
            over(setup, Path(folder), options.over, options.seed) if options.over else (),
        )
        for count, (what, left, done) in enumerate(done_in_turn, 1):
            equal += done
            print(f"{count:3}  {what:42}  left: {left:12}  {'equal' if done else 'DIFFERENT'}", flush=True)
    print(f"{raw.name}, {options.model_name}: {equal} of {every} runs end as the undisturbed one")
    if equal < every:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
