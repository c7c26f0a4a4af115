"""Ctrl-C and SIGTERM while a script imports: nothing but one line, and status 130."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path.name for path in ROOT.glob("*.py"))
# Runs a script as `python SCRIPT` does; the first import of torch is interrupted, as if a person had done it.
PROGRAM = """
import builtins, os, runpy, signal, sys
path, number = sys.argv[1], int(sys.argv[2])
sys.path.insert(0, os.path.dirname(path))
sys.modules["__main__"].__file__, usual = path, builtins.__import__
def interrupted(name, *rest, **more):
    if name == "torch":
        os.kill(os.getpid(), number)
    return usual(name, *rest, **more)
builtins.__import__ = interrupted
sys.argv = [path, "--help"]
runpy.run_path(path, run_name="script")
print("went on")
"""


def started(path: Path, number: int) -> subprocess.CompletedProcess:
    argv = [sys.executable, "-c", PROGRAM, str(path), str(int(number))]
    return subprocess.run(argv, capture_output=True, text=True, encoding="utf-8", timeout=120)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_still_imports_ends_as_later(name, number):
    done = started(ROOT / name, number)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nInterrupted.\n")


def test_another_program_that_imports_this_decides_for_itself(tmp_path):
    path = tmp_path / "train_own.py"
    path.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport experiment\nimport torch\n", encoding="utf-8"
    )
    assert started(path, signal.SIGTERM).returncode == -signal.SIGTERM
