"""The folder of one run: a checkpoint while it trains, results when it is done, and never half of either."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from preprocessing.errors import InputError
from training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from training.report import curves_png, history_csv
from training.store import save_model, write_atomic

CHECKPOINT, RESULT = "checkpoint.pt", "result.json"


class RunFolder:
    """Where a run writes. An earlier result in the same folder stays until the new one is complete.

    identity: what a run must share with an interrupted one to continue it (model, data, protocol, seed, settings).
    state: where to continue, None for a new run.

    Raises `InputError` if the folder cannot be written, if there is nothing to resume, or if an interrupted run lies in
    it and `resume` is not asked for.
    """

    def __init__(self, path: Path, identity: dict, resume: bool = False):
        self.path, self.identity = path, identity
        self._checkpoint = path / CHECKPOINT
        self._require_writable()
        if not resume and self._checkpoint.exists():
            raise InputError(
                f"An interrupted run lies in {path}. Continue it with --resume, delete {self._checkpoint}, "
                "or use another --out."
            )
        self.state: TrainingState | None = load_checkpoint(self._checkpoint, identity) if resume else None
        self.saved_epochs = self.state.epoch if self.state else 0

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
        """Called after every epoch."""
        save_checkpoint(self._checkpoint, state, self.identity)
        self.state, self.saved_epochs = state, state.epoch

    def finish(self, model, result: dict, history: list[dict], extra: dict) -> None:
        """Writes the results, `result.json` last, and drops the checkpoint. extra: further entries of `config.json`."""
        self._write(model, history, extra, f"{result['model']} on {result['dataset']}, protocol {result['protocol']}")
        write_atomic(self.path / RESULT, json.dumps(result, indent=1) + "\n")
        self._checkpoint.unlink(missing_ok=True)

    def interrupted(self, model, extra: dict) -> str:
        """Leaves a loadable model behind, unless an older result would be lost. Returns what to tell the user."""
        if not self.saved_epochs:
            return "Interrupted before the first epoch ended. Nothing was saved."
        if not (self.path / RESULT).exists():
            model.load_state_dict(self.state.best_weights or self.state.weights)
            self._write(model, self.state.history, extra, "interrupted run")
        return (
            f"Interrupted. {self.saved_epochs} epochs are saved in {self.path}. "
            "Run the same command with --resume to continue."
        )

    def _write(self, model, history: list[dict], extra: dict, title: str) -> None:
        table, picture = history_csv(history), curves_png(history, title)  # before anything older is replaced
        save_model(model, self.path, extra)
        write_atomic(self.path / "history.csv", table)
        write_atomic(self.path / "curves.png", picture)
