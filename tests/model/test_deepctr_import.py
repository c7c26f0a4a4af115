"""`import deepctr_torch` in this repository: without `requests`, without a thread, without the network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# As in an environment made from deepctr-torch's own requirements, where the network swallows packets.
BLOCKED = """
import socket, sys, threading, time
sys.modules["requests"] = None
def swallowed(*_, **__):
    print("asked the network", flush=True)
    time.sleep(600)
socket.getaddrinfo = socket.create_connection = socket.socket.connect = swallowed
started = []
threading.Thread.start = lambda self: started.append(self)
"""
CHECKED = """
import deepctr_torch, pickle
column = SparseFeat("user", 9, 4)
assert pickle.loads(pickle.dumps(column)) == column and SparseFeat.__module__ == "deepctr_torch.inputs"
assert "site-packages" in sys.modules["deepctr_torch.inputs"].__file__
assert deepctr_torch.__version__ == "0.3.0" and deepctr_torch.models.DeepFM and deepctr_torch.layers.DNN
from deepctr_torch.utils import check_version
check_version("0.3.0")
assert not started
print("imported")
"""


def run(tmp_path: Path, text: str, *flags: str, path: str = "") -> subprocess.CompletedProcess:
    """A script in a folder of its own. path: PYTHONPATH."""
    script = tmp_path / "script.py"
    script.write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, *flags, str(script)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        cwd=ROOT,
        env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize(
    "first",
    [
        "from deepctr_torch.inputs import SparseFeat",
        "from deepctr_torch.models import DeepFM\nfrom deepctr_torch.inputs import SparseFeat",
        "import model.deepfm\nfrom deepctr_torch.inputs import SparseFeat",
    ],
    ids=["inputs", "models", "this project first"],
)
def test_as_the_first_import_of_a_script(first, tmp_path):
    done = run(tmp_path, BLOCKED + first + CHECKED, path=os.pathsep.join([str(ROOT), f"{ROOT}/.", str(ROOT)]))
    assert (done.stdout, done.stderr) == ("imported\n", "")


def test_where_the_installed_package_comes_first_on_the_path(tmp_path):
    first = f"sys.path.append({str(ROOT)!r})\nfrom foundation.deepctr import SparseFeat"
    done = run(tmp_path, BLOCKED + first + CHECKED)
    assert (done.stdout, done.stderr) == ("imported\n", "")


def test_the_installed_package_alone_needs_requests(tmp_path):
    done = run(tmp_path, BLOCKED + "from deepctr_torch.inputs import SparseFeat" + CHECKED)
    assert done.returncode == 1
    assert "requests" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("first", ["deepctr_torch", "deepctr_torch.inputs"])
def test_where_it_is_not_installed(first, tmp_path):
    text = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nimport {first}"
    done = run(tmp_path, text, "-I", "-S")  # without site-packages
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: deepctr-torch is not installed.")
    assert last.endswith("pip install -r requirements.txt")


def test_requirements_name_what_it_forgets():
    names = {line.split("==")[0] for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()}
    assert {"deepctr-torch", "requests"} <= names
