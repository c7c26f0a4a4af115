"""A runner on a stand-in for the training scripts, which trains nothing and fails in every way that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from leaderboard.data_sets import DataSet
from leaderboard.jobs import Job, grid
from leaderboard.runner import Runner

# A run folder as readers of results take it, without a model that could be loaded. history: None to forget it.
LEAVE = """
import hashlib, os, pathlib, sys
sys.path.insert(0, os.getcwd())
from foundation.sealed import seal

def leave(out, result, history, cut=None):
    files = {"config.json": "{}", "model.safetensors": "weights", "history.csv": history or ""}
    for name, content in files.items():
        (out / name).write_text(content)
    if history is None:
        (out / "history.csv").unlink()
    digests = {name: hashlib.sha256(content.encode()).hexdigest() for name, content in files.items()}
    (out / "result.json").write_text(seal({**result, "files": digests})[:cut])
"""

SCRIPT = (
    LEAVE
    + """
import argparse, signal
parser = argparse.ArgumentParser()
for name in ("model_name", "protocol", "seed", "data_path", "out", "lr"):
    parser.add_argument("--" + name)
for name in ("quiet", "resume"):
    parser.add_argument("--" + name, action="store_true")
options = parser.parse_args()
if options.model_name == "broken":
    print("warning: of no importance", "error: it broke,", "Do this.", sep="\\n", file=sys.stderr)
    sys.exit(2)
if options.model_name == "crashing":
    raise ValueError("nobody expected this")
if options.model_name == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
out = pathlib.Path(options.out)
out.mkdir(parents=True, exist_ok=True)
with open(options.data_path, "a") as calls:
    print(options.model_name, options.protocol, options.seed, options.resume, file=calls)
test, validation = {"auc": 0.8, "logloss": 0.3, "gauc": 0.7}, {"auc": 0.85, "logloss": 0.25, "gauc": 0.75}
result = dict(protocol=options.protocol, model=options.model_name, seed=int(options.seed), parameters=1, best_epoch=1,
              test=test, validation=validation, calibration={"ece": 0.02, "bins": {}}, seconds={"train": 1.0},
              threads=int(os.environ["OMP_NUM_THREADS"]), data_sha256="d" * 64)
if options.model_name == "thoughtless":
    del result["threads"]
history = None if options.model_name == "forgetful" else "epoch,auc,val_auc\\n1,0.5,0.55\\n2,0.6,0.65\\n"
result["run"] = {"command": sys.argv, "data_path": options.data_path}
leave(out, result, history, cut=-9 if options.model_name == "truncating" else None)
"""
)


def make_bench(folder: Path) -> tuple[Runner, list[Job], Callable[[], list[str]]]:
    """A runner, the jobs of two models with two seeds on the stand-in, and what that was called with."""
    script, calls = folder / "script.py", folder / "calls.txt"
    script.write_text(SCRIPT)
    calls.write_text("")
    runner = Runner(folder / "results" / "toy", folder / "runs", str(calls), workers=2)
    jobs = grid(DataSet("", str(script)), ["lr", "dssm"], ["holdout"], seeds=2)
    return runner, jobs, lambda: sorted(calls.read_text().splitlines())
