"""What torch reads when it is loaded is set before: in scripts, and in programs that begin with a package of these."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path.name for path in ROOT.glob("*.py"))
PACKAGES = ("benchmarks.latency", "experiment.script", "model", "preprocessing.dataset", "serving.ranker")
# Ends at the first import of torch, which is never loaded.
PROGRAM = """
import os, runpy, sys

class Probe:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            print(os.environ.get("GOMP_SPINCOUNT"))
            sys.stdout.flush()
            os._exit(0)

sys.meta_path.insert(0, Probe())
sys.path.insert(0, ".")
name = sys.argv[1]
sys.argv = [name, "--help"]
runpy.run_path(name, run_name="__main__") if name.endswith(".py") else runpy.run_module(name)
print("torch was not imported")
"""


def at_the_import_of_torch(name: str, **environment: str) -> str:
    clean = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
    argv = [sys.executable, "-c", PROGRAM, name]
    done = subprocess.run(
        argv, cwd=ROOT, env=clean | environment, capture_output=True, text=True, encoding="utf-8", timeout=120
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("name", [*SCRIPTS, *PACKAGES])
def test_the_setting_is_there_when_torch_is_loaded(name):
    assert at_the_import_of_torch(name) == "3000"


def test_a_setting_of_ones_own_stays():
    assert at_the_import_of_torch(SCRIPTS[0], GOMP_SPINCOUNT="7") == "7"
