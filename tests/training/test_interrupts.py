"""Ctrl-C and SIGTERM at any moment: exit status 130, and a message that says what is on the disk."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import torch._dynamo  # noqa: F401 (every optimiser imports it, for seconds: here, it is there in every child)
from faults import Calls, in_child
from script_helpers import ARGV, TRAINING

import train_movielens_whole_models as script
from experiment import stops
from experiment.script import Interrupted, run
from foundation.run_files import is_finished
from model import load_model
from training.checkpoints import Checkpoints
from training.result_file import read_result

pytestmark = pytest.mark.usefixtures("small_data")
SIGNALS = [signal.SIGINT, signal.SIGTERM]


def start(out: Path, *more: str, calls: Calls | None = None) -> tuple[int, str, int]:
    """The script in a fork of this process. -> exit status, standard error, how many calls there were"""
    log, counted = Path(f"{out}.log"), Path(f"{out}.calls")

    def act() -> None:
        sys.argv = ["train.py", *ARGV, *TRAINING, "--out", str(out), *more]
        sys.stdout, sys.stderr = open(os.devnull, "w", encoding="utf-8"), log.open("w", encoding="utf-8")  # noqa: SIM115 (until this process ends)
        with (calls or Calls()).watched() as watched:
            try:
                run(script.main)
            finally:
                sys.stderr.flush()
                counted.write_text(str(watched.count), encoding="utf-8")

    status = in_child(act)
    return status, log.read_text(encoding="utf-8"), int(counted.read_text(encoding="utf-8"))


def is_true(message: str, out: Path, earlier: bool) -> None:
    """What was said is what is there."""
    checkpoints = Checkpoints(out, {})
    if "The run is complete" in message:
        assert not checkpoints.exist
        assert read_result(out)["seed"] == 7
    elif "is saved in" in message:
        place = re.search(r"The run as it was (.*) is saved in", message)[1]
        checkpoints.identity = _identity(out)
        assert checkpoints.load()[0].place == place
    else:
        assert "Nothing was saved" in message or message == "\nInterrupted.\n"
        assert not checkpoints.exist
        assert is_finished(out) == earlier
        assert ("earlier run" in message) <= earlier
    if earlier and "complete" not in message:
        assert read_result(out)["seed"] == 1023
    if is_finished(out) or (out / "config.json").exists():
        load_model(out)


def _identity(out: Path) -> dict:
    from training.checkpoints import CURRENT, _read

    return _read(out / CURRENT)[0]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("earlier", [False, True], ids=["empty", "older result"])
def test_at_every_call_that_writes(number, earlier, tmp_path):
    if earlier:
        assert start(tmp_path / "old")[0] == 0
    else:
        (tmp_path / "old").mkdir()
    more = ("--seed", "7", "--overwrite")
    shutil.copytree(tmp_path / "old", tmp_path / "counted")
    status, _, count = start(tmp_path / "counted", *more)
    assert status == 0
    kinds = set()
    for at in range(number % 2, count, 3):
        out = shutil.copytree(tmp_path / "old", tmp_path / str(at))

        def strike():
            for _ in range(2):  # a second one changes nothing
                os.kill(os.getpid(), number)

        status, message, _ = start(out, *more, calls=Calls(strike, at))
        assert (status, "Traceback" in message) == (130, False), message
        is_true(message, out, earlier)
        kinds |= {kind for kind in ("complete", "is saved", "Nothing") if kind in message}
        assert start(out, *more, "--resume")[0] == 0
        assert read_result(out)["test"] == read_result(tmp_path / "counted")["test"]
    assert kinds == {"complete", "is saved", "Nothing"}


class TestStops:
    @pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
    def test_end_a_script_and_leave_handlers_as_they_were(self, number, capsys):
        before = [signal.getsignal(one) for one in SIGNALS]
        with pytest.raises(SystemExit) as end:
            run(lambda: signal.raise_signal(number))
        assert end.value.code == 130
        assert capsys.readouterr().err == "\nInterrupted.\n"
        assert [signal.getsignal(one) for one in SIGNALS] == before

    def test_do_not_disturb_how_it_ends(self, capsys):
        def main():
            try:
                signal.raise_signal(signal.SIGTERM)
            except KeyboardInterrupt:
                stops.end()
                for number in SIGNALS:
                    signal.raise_signal(number)
                raise Interrupted("All is saved.") from None

        with pytest.raises(SystemExit):
            run(main)
        assert capsys.readouterr().err == "\nAll is saved.\n"

    def test_act_again_where_the_first_was_lost(self, monkeypatch):
        """As one is in a destructor."""
        monkeypatch.setattr(stops, "ONE_WISH", 0.0)

        def main():
            for _ in range(2):
                try:
                    signal.raise_signal(signal.SIGINT)
                except KeyboardInterrupt:
                    continue
                raise AssertionError("it did nothing")

        run(main)

    def test_what_the_system_ignores_stays_ignored(self):
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            run(lambda: signal.raise_signal(signal.SIGINT))
        finally:
            signal.signal(signal.SIGINT, before)


def test_a_stopped_benchmark_stops_its_children(tmp_path):
    from runner_helpers import make_bench

    runner, jobs, _ = make_bench(tmp_path)
    Path(jobs[0].dataset.script).write_text(
        "import time; open(__file__ + '.runs', 'w').close(); time.sleep(600)", encoding="utf-8"
    )

    def act() -> None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        run(lambda: runner.run(jobs[:1], quiet=True))

    child = os.fork()
    if child == 0:
        try:
            act()
        except SystemExit as end:
            os._exit(end.code)
        finally:
            os._exit(1)
    while not Path(f"{jobs[0].dataset.script}.runs").exists():
        time.sleep(0.05)
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
