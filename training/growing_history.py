"""`history.csv` while its run goes on: a row more after every epoch, whole at every moment."""

from __future__ import annotations

import sys
from pathlib import Path

from foundation.atomic import write_atomic
from foundation.run_files import CONFIG, HISTORY, is_finished
from foundation.shown import visible
from training.result import history_csv

APART = "history.growing.csv"  # beside another run's files, which are to stay as they are


class GrowingHistory:
    """The history of the run that has the folder. Only under a lock on it.

    history: of the run that is continued, empty for a new one. What a killed run has left is made to agree with it.
    A file that cannot be written is a warning: the history is in the checkpoint as well, and written with the results.
    """

    def __init__(self, folder: Path, history: list[dict]):
        self.path = folder / (HISTORY if _is_own(folder, history) else APART)
        self._warned = False
        self.write(history)

    def write(self, history: list[dict]) -> None:
        try:
            if history:
                write_atomic(self.path, history_csv(history))
            else:
                self.path.unlink(missing_ok=True)  # of a killed run whose checkpoints are gone
        except OSError as error:
            if not self._warned:
                print(
                    f"WARNING: {visible(self.path)} cannot be written: {error.strerror}. The run goes on without it.",
                    file=sys.stderr,
                    flush=True,
                )
            self._warned = True

    def close(self) -> None:
        """Leaves nothing beside another run's files."""
        if self.path.name == APART:
            self.path.unlink(missing_ok=True)


def _is_own(folder: Path, history: list[dict]) -> bool:
    """Whether `history.csv` is this run's to write: it describes no result, and no model but one of this run."""
    if is_finished(folder):
        return False
    if not (folder / CONFIG).exists():
        return True
    if not history or not (folder / HISTORY).is_file():
        return False
    here, ours = (folder / HISTORY).read_bytes(), history_csv(history).encode()
    return here.startswith(ours) or ours.startswith(here)
