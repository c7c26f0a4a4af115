"""The folder of one run: checkpoints while it trains, results when it is done, and never half of either."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from pathlib import Path

from foundation.atomic import write_atomic
from preprocessing.errors import InputError
from training.checkpoint import TrainingState
from training.checkpoint_file import HOW_TO_GO_ON, Checkpoints
from training.report import curves_png, history_csv
from training.store import save_model

LOCK, RESULT = ".lock", "result.json"


class RunFolder:
    """Where a run writes. An earlier result in the same folder stays until the new one is complete.

    identity: what a run must share with an interrupted one to continue it (model, data, protocol, seed, settings).
    state: where to continue, None for a new run. notice: what to tell about the checkpoint it came from, if anything.

    Use it in a `with` statement: it belongs to one process at a time.
    Raises `InputError` if the folder cannot be written, if another run is writing to it, if there is nothing to resume,
    or if an interrupted run lies in it and `resume` is not asked for.
    """

    def __init__(self, path: Path, identity: dict, resume: bool = False):
        self.path = path
        self.checkpoints = Checkpoints(path, identity)
        self.state: TrainingState | None = None
        self.notice: str | None = None
        self._saved = ""  # where the newest checkpoint stands; the state itself moves on
        self._lock = self._claim()
        try:
            if resume:
                self.state, self.notice = self.checkpoints.load()
                self._saved = self.state.place
            elif self.checkpoints.exist:
                raise InputError(
                    f"An interrupted run lies in {path}. Continue it with --resume, delete its checkpoints, "
                    "or use another --out."
                )
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_) -> None:
        self._lock.close()

    def _claim(self) -> contextlib.ExitStack:
        """What to close when the run ends, so that another may write to the folder."""
        self._require_writable()
        claim = contextlib.ExitStack()
        claim.callback(_FolderLock(self.path).release)
        return claim

    def _require_writable(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise InputError(
                f"The run folder {self.path} cannot be written: {error.strerror}. Use another --out."
            ) from None

    def save_state(self, state: TrainingState) -> None:
        """Called after every epoch, and every few minutes inside a long one."""
        self.checkpoints.save(state)
        self.state, self._saved = state, state.place

    def finish(self, model, result: dict, history: list[dict], extra: dict) -> None:
        """Writes the results, `result.json` last, drops the checkpoints. extra: further entries of `config.json`."""
        title = f"{result['model']} on {result['dataset']}, protocol {result['protocol']}"
        try:
            self._write(model, history, extra, title)
            write_atomic(self.path / RESULT, json.dumps(result, indent=1) + "\n")
        except OSError as error:
            raise InputError(
                f"The results cannot be written to {self.path}: {error.strerror}. The trained model is in the "
                f"checkpoint: make room, then {HOW_TO_GO_ON}"
            ) from None
        self.checkpoints.remove()

    def interrupted(self, model, extra: dict) -> str:
        """Leaves a loadable model behind, unless an older result would be lost. Returns what to tell the user."""
        if self.state is None:
            return "Interrupted before the first checkpoint. Nothing was saved."
        if self.state.epoch and not (self.path / RESULT).exists():
            model.load_state_dict(self.state.best_weights or self.state.weights)
            self._write(model, self.state.history, extra, "interrupted run")
        return (
            f"Interrupted. The run as it was {self._saved} is saved in {self.path}. "
            "Run the same command with --resume to continue."
        )

    def _write(self, model, history: list[dict], extra: dict, title: str) -> None:
        table, picture = history_csv(history), curves_png(history, title)  # before anything older is replaced
        save_model(model, self.path, extra)
        write_atomic(self.path / "history.csv", table)
        write_atomic(self.path / "curves.png", picture)


class ReadOnlyFolder(RunFolder):
    """The run folder as all processes of torchrun but the main one see it: they resume from it and write nothing."""

    def _claim(self) -> contextlib.ExitStack:
        return contextlib.ExitStack()

    def save_state(self, state: TrainingState) -> None:
        self.state = state

    def finish(self, *_) -> None:
        pass

    def interrupted(self, *_) -> str:
        return ""


class _FolderLock:
    """Holds a folder for this process. The kernel releases it however the process ends: no lock outlives its run."""

    def __init__(self, folder: Path):
        self._path = folder / LOCK
        while True:
            self._file = self._path.open("a+")
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.seek(0)
                owner = self._file.read().strip() or "unknown"
                self._file.close()
                raise InputError(
                    f"Another run (process {owner}) is writing to {folder}. Wait for it, or use another --out."
                ) from None
            if self._is_current():
                break
            self._file.close()  # its owner removed it between our opening and our locking it
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        if not self._file.closed:
            self._path.unlink(missing_ok=True)
            self._file.close()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False
