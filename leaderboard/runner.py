"""Runs the jobs that have no result yet, several at a time, and can be stopped and started again at any moment."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from experiment.record import ROOT
from experiment.script import Interrupted
from foundation.atomic import write_atomic
from foundation.errors import InputError
from foundation.progress import progress_bar
from foundation.run_files import HISTORY, committed, is_finished
from leaderboard import code_fingerprint
from leaderboard.jobs import Job
from leaderboard.results import filed_result, finished_run, load_runs
from leaderboard.time_left import TimeLeft, costs
from preprocessing.load import SYNTHETIC
from training.checkpoints import Checkpoints
from training.result_file import NOT_THE_MEASUREMENT

if TYPE_CHECKING:
    from tqdm import tqdm

BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} runs [{elapsed}{postfix}]"  # tqdm's own rest takes all runs for alike
INTERRUPTED = (
    "Interrupted. What had finished is in {results}. The same command goes on, with each run that was under way from "
    "its last checkpoint, if it had one."
)


@dataclass(frozen=True)
class Runner:
    """Turns jobs into result files.

    results: folder of one data set's results; runs: folder of the run folders, kept apart by the version of the code.
    Both, and data_path, are meant as seen from the current folder, wherever the scripts run.
    data_path: as the training scripts take it.  workers: runs at a time, each with an equal share of the cores.
    code: what the results are said to be made with.  data_sha256: fingerprint of the data, None if it is not known.
    """

    results: Path
    runs: Path
    data_path: str | None
    workers: int = 1
    code: dict[str, str] = field(default_factory=code_fingerprint.code_version)
    data_sha256: str | None = None
    _children: set[subprocess.Popen] = field(default_factory=set, compare=False, repr=False)

    def result_path(self, job: Job) -> Path:
        return self.results / job.file

    def run_folder(self, job: Job) -> Path:
        return self.runs / self.code["sources_sha256"][:12] / job.place

    def result(self, job: Job) -> dict | None:
        """What is filed, None for nothing. Raises `InputError` for what is damaged or not this job's."""
        return filed_result(self.result_path(job), job, self.data_sha256)

    def missing(self, jobs: list[Job]) -> list[Job]:
        """The jobs without a result. Raises `InputError` that tells of all files in place of one that are not it."""
        missing, problems = [], []
        for job in jobs:
            try:
                if self.result(job) is None:
                    missing.append(job)
            except InputError as error:
                problems.append(str(error))
        if problems:
            raise InputError("\n".join(problems))
        return missing

    def run(self, jobs: list[Job], quiet: bool = False) -> None:
        """Runs what is missing, each once. One that fails does not stop the others; `InputError` names all that did.

        On Ctrl-C the running ones end at their last checkpoints, and the next call goes on from there.
        """
        jobs = list(dict.fromkeys(jobs))  # of one place two would write the same folder
        todo = self.missing(jobs)
        left = self.time_left(todo)
        done = len(jobs) - len(todo)
        bar = progress_bar(quiet=quiet, total=len(jobs), initial=done, bar_format=BAR, postfix=str(left))
        try:
            failures = self._run_all(todo, left, bar, quiet)
        except KeyboardInterrupt:  # also a second one, which came while the children were ending
            raise Interrupted(INTERRUPTED.format(results=self.results)) from None
        if failures:
            raise InputError(f"{len(failures)} of {len(todo)} runs failed:\n" + "\n".join(failures))

    def _run_all(self, todo: list[Job], left: TimeLeft, bar: tqdm, quiet: bool) -> list[str]:
        """Returns what went wrong, with the command of each that failed."""
        failures: list[str] = []
        stopping = threading.Event()  # for the thread that would take up the next run before the rest is cancelled
        with bar, ThreadPoolExecutor(self.workers) as pool:
            running = {pool.submit(self._timed, job, stopping): job for job in todo}
            try:
                for done in as_completed(running):
                    job = running[done]
                    problem, seconds = done.result()
                    left.finished(job, None if problem else seconds)
                    bar.set_postfix_str(f"{left}; done: {job.title}")
                    bar.update()
                    if bar.disable and not quiet:  # a file or a pipe has a line a run instead
                        print(f"{job.title}: {'failed' if problem else 'done'}. {left}", file=sys.stderr, flush=True)
                    if problem:
                        failures.append(f"{' '.join(job.command(None))}\n{textwrap.indent(problem, '    ')}")
            except KeyboardInterrupt:
                stopping.set()
                pool.shutdown(wait=False, cancel_futures=True)
                for child in list(self._children):  # they had the same signal if it came from the keyboard
                    child.terminate()
                raise
        return failures

    def time_left(self, todo: list[Job]) -> TimeLeft:
        """Of these runs, by what the results that are there have cost; one that only needs filing costs nothing."""
        runs = load_runs(self.results)
        finished = {job for job in todo if is_finished(self.run_folder(job))}
        expected = {job: 0.0 if job in finished else cost for job, cost in costs(todo, runs).items()}
        return TimeLeft(expected, self.workers, pace=None if runs.empty else 1.0)

    def _timed(self, job: Job, stopping: threading.Event) -> tuple[str, float]:
        start = time.perf_counter()
        return "interrupted" if stopping.is_set() else self._run_one(job), time.perf_counter() - start

    def _run_one(self, job: Job) -> str:
        """Returns what went wrong, "" if nothing did."""
        try:
            out = self.run_folder(job)
            self._require_same_sources()
            if not is_finished(out):
                problem = self._train(job, out)
                if problem:
                    return f"{problem}\nIts run folder, to move away if it is to start afresh: {out}"
                try:
                    self._require_same_sources()  # it imported them after the look above
                except InputError:
                    _set_aside(out)
                    raise
            self._file(job, finished_run(out, job, self.data_sha256), out)
        except (InputError, OSError) as error:
            return str(error)
        except Exception as error:  # whatever is wrong with one run is no reason to stop the others
            return f"{type(error).__name__}: {error}"
        return ""

    def _require_same_sources(self) -> None:
        """Raises `InputError` if results of now would not be those of the code that they are said to be made with."""
        if code_fingerprint.sources_sha256() != self.code["sources_sha256"]:
            raise InputError(
                f"The sources in {', '.join(code_fingerprint.TRAINED_BY)} have changed since this command started. "
                "Restore them and run it again, or run it as they are now, with another --results for results of one "
                "version."
            )

    def _train(self, job: Job, out: Path) -> str:
        """Runs the script until `result.json` is there. Returns what went wrong, "" if nothing did."""
        data_path = self.data_path
        if data_path not in (None, SYNTHETIC):
            data_path = os.path.abspath(data_path)  # the scripts run elsewhere
        child = subprocess.Popen(
            job.command(data_path, Path(os.path.abspath(out)), resume=Checkpoints(out, {}).exist),
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // self.workers))},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._children.add(child)
        try:
            _, errors = child.communicate()
        finally:
            self._children.discard(child)
        return _message_of_failure(child.returncode, errors) if child.returncode else ""

    def _file(self, job: Job, result: dict, out: Path) -> None:
        result = {name: value for name, value in result.items() if name not in NOT_THE_MEASUREMENT}
        result |= {
            "variant": job.variant,
            "command": f"OMP_NUM_THREADS={result['threads']} {' '.join(job.command(None))}",
            "arguments": job.command(None)[1:],
            "code": self.code,
            "history": pd.read_csv(committed(out, HISTORY)).round(6).to_dict("list"),
        }
        path = self.result_path(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(result, indent=1) + "\n")


def _set_aside(run_folder: Path) -> None:
    """Renames a folder that holds what other sources than its name says have made."""
    names = (run_folder.with_name(f"{run_folder.name}-other-sources{number}") for number in itertools.count(1))
    run_folder.rename(next(name for name in names if not name.exists()))


def _message_of_failure(status: int, stderr: str) -> str:
    """The message of a script that failed, which may have several lines; without one, the last line."""
    lines = stderr.strip().splitlines()
    starts = [place for place, line in enumerate(lines) if line.startswith("error: ")]
    if starts:
        return "\n".join(lines[starts[-1] :])
    return f"exit status {status}" + (f": {lines[-1]}" if lines else "")
