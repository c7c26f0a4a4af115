"""Runs the jobs that have no result yet, several at a time, and can be stopped and started again at any moment."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from leaderboard.jobs import Job
from preprocessing.errors import InputError
from training.store import write_atomic

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
        bar = tqdm(total=len(jobs), initial=len(jobs) - len(todo), unit="run", disable=quiet, smoothing=0.1)
        with bar, ThreadPoolExecutor(self.workers) as pool:
            running = {pool.submit(self._run_one, job): job for job in todo}
            try:
                for done in as_completed(running):
                    job = running[done]
                    bar.set_postfix_str(f"{job.model} {job.variant} {job.protocol} seed {job.seed}")
                    bar.update()
                    if done.result():
                        failures.append(f"{' '.join(job.command(None))}\n    {done.result()}")
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)  # the children had the same signal
                raise
        if failures:
            raise InputError(f"{len(failures)} of {len(todo)} runs failed:\n" + "\n".join(failures))

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
