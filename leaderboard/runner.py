"""Runs the jobs that have no result yet, several at a time, and can be stopped and started again at any moment."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from leaderboard.jobs import Job
from leaderboard.statistics import load_runs
from leaderboard.time_left import TimeLeft, costs
from preprocessing.errors import InputError
from training.store import write_atomic

BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} runs [{elapsed}{postfix}]"  # tqdm's own rest takes all runs for alike
ROOT = Path(__file__).resolve().parent.parent
TRAINED_BY = ("preprocessing", "training", "model", "experiment")  # the code that a result depends on


@dataclass(frozen=True)
class Runner:
    """Turns jobs into result files.

    results: folder of one data set's results; runs: folder of the run folders, kept apart by the version of the code.
    data_path: as the training scripts take it.  workers: runs at a time, each with an equal share of the cores.
    """

    results: Path
    runs: Path
    data_path: str | None
    workers: int = 1
    code: dict[str, str] = field(default_factory=lambda: code_version())

    def result_path(self, job: Job) -> Path:
        return self.results / job.file

    def run_folder(self, job: Job) -> Path:
        return self.runs / self.code["sources_sha256"][:12] / job.place

    def missing(self, jobs: list[Job]) -> list[Job]:
        return [job for job in jobs if not self.result_path(job).exists()]

    def run(self, jobs: list[Job], quiet: bool = False) -> None:
        """Runs what is missing. One that fails does not stop the others; `InputError` names all that did at the end.

        On Ctrl-C the running ones save their state, and the next call goes on from it.
        """
        todo = self.missing(jobs)
        failures: list[str] = []
        left = self.time_left(todo)
        bar = tqdm(total=len(jobs), initial=len(jobs) - len(todo), bar_format=BAR, postfix=str(left), disable=quiet)
        with bar, ThreadPoolExecutor(self.workers) as pool:
            running = {pool.submit(self._timed, job): job for job in todo}
            try:
                for done in as_completed(running):
                    job = running[done]
                    problem, seconds = done.result()
                    left.finished(job, None if problem else seconds)
                    bar.set_postfix_str(f"{left}; done: {job.title}")
                    bar.update()
                    if problem:
                        failures.append(f"{' '.join(job.command(None))}\n    {problem}")
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)  # the children had the same signal
                raise
        if failures:
            raise InputError(f"{len(failures)} of {len(todo)} runs failed:\n" + "\n".join(failures))

    def time_left(self, todo: list[Job]) -> TimeLeft:
        """Of these runs, by what the results that are there have cost; one that only needs filing costs nothing."""
        runs = load_runs(self.results)
        filed = {job for job in todo if (self.run_folder(job) / "result.json").exists()}
        expected = {job: 0.0 if job in filed else cost for job, cost in costs(todo, runs).items()}
        return TimeLeft(expected, self.workers, pace=None if runs.empty else 1.0)

    def _timed(self, job: Job) -> tuple[str, float]:
        start = time.perf_counter()
        return self._run_one(job), time.perf_counter() - start

    def _run_one(self, job: Job) -> str:
        """Returns what went wrong, "" if nothing did."""
        out = self.run_folder(job)
        if not (out / "result.json").exists():
            resume = any(out.glob("checkpoint*"))
            threads = str(max(1, (os.cpu_count() or 1) // self.workers))
            done = subprocess.run(
                job.command(self.data_path, out, resume),
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": threads},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                return (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        result = json.loads((out / "result.json").read_text())
        result |= {
            "variant": job.variant,
            "command": f"OMP_NUM_THREADS={result['threads']} {' '.join(job.command(None))}",
            "code": self.code,
            "history": pd.read_csv(out / "history.csv").round(6).to_dict("list"),
        }
        path = self.result_path(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(result, indent=1) + "\n")
        return ""


def code_version() -> dict[str, str]:
    """The git revision, and a sha256 over the sources that training runs: equal sources give equal results."""
    files = sorted(path for folder in TRAINED_BY for path in (ROOT / folder).rglob("*.py"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    revision = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {"revision": revision.stdout.strip() or "unknown", "sources_sha256": digest.hexdigest()}
