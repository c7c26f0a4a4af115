"""A stopwatch beside the README's commands: a clean clone, a fresh virtual environment, each command as it is written.

    python -m benchmarks.quick_start --data_path data/ml-1m --json results/speed/quick_start.json

The clone holds the committed revision and no data. The training command runs once without data, which it downloads or,
without a network, generates, and once with the files of --data_path. Peak memory is that of the largest
process.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from foundation.atomic import write_atomic

ROOT = Path(__file__).resolve().parents[1]
QUICK_START = re.compile(r"^## Quick start$.*?^```shell\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def commands(readme: str) -> dict[str, str]:
    """The README's quick start, by step; each of its lines has two halves.

    >>> lines = "## Quick start\\n```shell\\nv && source b\\ninstall a && train a\\ninstall b && test b\\n```\\n"
    >>> commands(lines)["tests"]
    'test b'
    """
    block = QUICK_START.search(readme)
    if block is None:
        raise ValueError("README.md has no shell block under '## Quick start'")
    make, train, test = (line.split(" && ") for line in block[1].strip().splitlines())
    return dict(
        zip(("environment", "install", "training", "install_tests", "tests"), [make[0], *train, *test], strict=True)
    )


def timed(command: str, clone: Path) -> dict[str, float]:
    """Runs a command in the clone's virtual environment. Raises `CalledProcessError` if it fails."""
    environment = clone / ".venv"
    path = os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])
    start = time.perf_counter()
    child = subprocess.Popen(
        command, shell=True, cwd=clone, env={**os.environ, "PATH": path, "VIRTUAL_ENV": str(environment)}
    )
    _, status, usage = os.wait4(child.pid, 0)  # of the child and what it waited for, not of earlier commands
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return {"minutes": round(seconds / 60, 2), "peak_GB": round(usage.ru_maxrss * BYTES_PER_UNIT / 1e9, 2)}


def measure(data_path: Path | None, folder: Path) -> dict:
    """-> by step, its minutes and peak memory. data_path: folder of the ML-1M files; None leaves that step out."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    steps = commands((clone / "README.md").read_text(encoding="utf-8"))
    found = {}
    for name, command in steps.items():
        print(f"{name}: {command}", flush=True)
        found[name] = timed(command, clone)
        if name == "training" and data_path is not None:
            (clone / "data" / "ml-1m").symlink_to(data_path.resolve())
            found["training_ml-1m"] = timed(command, clone)
            (clone / "data" / "ml-1m").unlink()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", type=Path, help="the ML-1M files, for the training command on them")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {"cores": os.cpu_count(), "steps": measure(options.data_path, Path(folder))}
    print(json.dumps(found, indent=1))
    if options.json:
        write_atomic(options.json, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
