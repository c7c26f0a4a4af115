"""The folder of one run: checkpoints while it trains, results when it is done, and never half of either."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import pandas as pd

from foundation.advice import advice
from foundation.atomic import remove_left_behind
from foundation.errors import InputError
from foundation.interrupts import held_back
from foundation.locks import BusyError
from foundation.run_files import (
    CARD,
    COMMIT,
    CONFIG,
    CURVES,
    HISTORY,
    RESULT,
    TRACKING,
    WEIGHTS,
    is_finished,
    own_card,
)
from training import commit
from training.checkpoints import CURRENT, HOW_TO_GO_ON, PREVIOUS, Checkpoints, differences
from training.claim import LOCK, Claim
from training.growing_history import APART, GrowingHistory
from training.model_files import OnDisk, model_files, of_a_result
from training.options import settings_of_before
from training.pictures import save_picture
from training.result import curves_png, history_csv
from training.result_file import FOLDER, RUN, identity_of, read_result, result_file
from training.training_state import TrainingState

__all__ = ["LOCK", "RESULT", "ReadOnlyFolder", "RunFolder", "what_is_saved"]

WRITTEN = (CONFIG, WEIGHTS, HISTORY, RESULT, CARD, CURVES, APART, CURRENT, PREVIOUS, TRACKING)
COMPLETE = "Interrupted. The run is complete: its results are in {folder}."
PROBE = 1 << 16  # bytes without which nothing is begun


class RunFolder:
    """Where a run writes. An earlier result in the same folder stays until the new one is complete.

    identity: what a run must share with an interrupted one to continue it (model, data, protocol, seed, settings), and
        with a finished one to take its place without being told to.
    resume: continue an interrupted run, take a finished one as it is, start where there is neither.
    overwrite: whether a finished run of another identity may be replaced.

    state: where to continue, None for a new run. result: of the finished run that was asked for. notice: what to tell
    about how the run begins, if anything. complete: whether its results are written.

    Use it in a `with` statement: it belongs to one process at a time.
    Raises `InputError` if the folder cannot be written, if another run is writing to it, if an interrupted run lies in
    it and `resume` is not asked for, if what lies in it is of another run, and if the user's own README.md does.
    """

    def __init__(self, path: Path, identity: dict, resume: bool = False, overwrite: bool = False):
        self.path = Path(os.path.abspath(path))  # wherever the process goes from here
        self.identity = identity
        self.checkpoints = Checkpoints(self.path, identity)
        self.state: TrainingState | None = None
        self.result: dict | None = None
        self.notice: str | None = None
        self._saved = ""  # where the newest checkpoint stands; the state itself moves on
        self.complete = False
        self._claim = self._take()
        try:
            self._tidy_up()
            self._look(resume, overwrite)
            if self.result is None:
                self._require_no_other_readme()
            self._history = None if self.result else GrowingHistory(self.path, self.state.curve if self.state else [])
        except BaseException:
            self._claim.release()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._history is not None and self._claim.holds:
            self._history.close()
        self._claim.release()

    def _take(self) -> Claim:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            return Claim(self.path)
        except BusyError as error:
            raise InputError(f"{error} Wait for it, or use another --out.") from None
        except OSError as error:
            raise self._not_writable(error) from None

    def _tidy_up(self) -> None:
        """What killed writers left, and whether there is room to begin with."""
        try:
            commit.finish(self.path)
            commit.remove_unfinished(self.path)
            self.checkpoints.remove_unfinished()
            remove_left_behind(self.path, re.compile("|".join(map(re.escape, WRITTEN))))
            for name in WRITTEN:
                commit.require_place(self.path / name)
            with tempfile.TemporaryFile(dir=self.path) as file:
                file.write(bytes(PROBE))
        except OSError as error:
            raise self._not_writable(error) from None

    def _not_writable(self, error: OSError) -> InputError:
        inside = error.filename and Path(error.filename).parent == self.path
        what = f"{Path(error.filename).name}: {error.strerror}" if inside else error.strerror
        known = advice(error)
        how = f"{known} Or use another --out." if known else "Use another --out."
        return InputError(f"The run folder {self.path} cannot be written: {what}. {how}")

    def _look(self, resume: bool, overwrite: bool) -> None:
        """How this run begins, by what lies in the folder."""
        if self.checkpoints.exist:
            if not resume:
                raise InputError(
                    f"An interrupted run lies in {self.path}. Continue it with --resume, delete its checkpoints, "
                    "or use another --out."
                )
            self.state, notice = self.checkpoints.load()
            self._saved = self.state.place
            self.notice = notice and f"warning: {notice}"
            return
        earlier = self._earlier(overwrite) if is_finished(self.path) else None
        if resume:
            self.result = earlier
            if earlier is not None and not (self.path / CURVES).exists():  # killed after its results
                history = pd.read_csv(self.path / HISTORY).to_dict("records")
                self._draw(history, _title(earlier), earlier.get("best_epoch"))
            if earlier is None:
                self.notice = f"There is nothing to resume in {self.path}: the run starts from the beginning."
        elif earlier is not None and not overwrite:
            self.notice = (
                f"A finished run is in {self.path}; it will be replaced when this one ends. --resume prints it instead."
            )

    def _earlier(self, overwrite: bool) -> dict | None:
        """The finished run that lies here if it is this one, None if it may be replaced."""
        try:
            result = read_result(self.path)
            identity = settings_of_before(identity_of(result), self.identity)
            different = list(differences(identity, self.identity))
            if not different:
                return result
            problem = f"{self.path} holds a finished run with other settings or data ({'; '.join(different)})."
            folder = result.get(RUN, {}).get(FOLDER)
            if folder is not None and any(one.startswith("data_sha256") for one in different):
                problem += f" Its data were read from {folder}; give one of two data sets another name in dataset.toml."
        except InputError as error:
            problem = str(error)
        if overwrite:
            return None
        raise InputError(f"{problem} Replace it with --overwrite, or use another --out.")

    def save_state(self, state: TrainingState) -> None:
        """Called after every epoch, and every few minutes inside a long one."""
        with held_back():  # what is said to be saved is what is saved
            self._require_same()
            self.checkpoints.save(state)
            self.state, self._saved = state, state.place
            if state.progress is None:
                self._history.write(state.curve)

    def finish(self, model: OnDisk, result: dict, history: list[dict], extra: dict, card: str) -> None:
        """Writes the results and drops the checkpoints, all at once.

        extra: further entries of `config.json`. card: the model card, which people may edit: `result.json` has no
        checksum of it.
        """
        files = model_files(model, extra) | {HISTORY: history_csv(history).encode()}
        files |= {RESULT: result_file(result, files), CARD: card.encode()}
        with held_back():
            self._require_same()
            self._require_no_other_readme()
            try:
                commit.replace_together(self.path, files, [*_of_another(self.path, files), APART, CURRENT, PREVIOUS])
            except OSError as error:
                raise self._not_finished(error) from None
            self.complete = True
        self._draw(history, _title(result), result.get("best_epoch"))

    def _not_finished(self, error: OSError) -> InputError:
        where, how = "The trained model is in the checkpoint", "make room"
        if commit.is_pending(self.path):
            where, how = f"They are whole in {COMMIT} there, and readers find them", "mend that"
        return InputError(
            f"The results cannot be written to {self.path}: {error.strerror}. {where}: {how}, then {HOW_TO_GO_ON}"
        )

    def interrupted(self, model: OnDisk, extra: dict) -> str:
        """Leaves a loadable model behind, unless an older result would be lost. Returns what to tell the user."""
        with held_back():
            if not self._claim.holds:
                return f"Interrupted. {self._moved()}"
            if self.complete:
                return COMPLETE.format(folder=self.path)
            if self.state is not None and self.state.epoch and not is_finished(self.path):
                model.load_state_dict(self.state.best_weights or self.state.weights)
                try:
                    files = model_files(model, extra) | {HISTORY: history_csv(self.state.curve).encode()}
                    commit.replace_together(self.path, files, _of_another(self.path, files))
                    self._draw(self.state.curve, "interrupted run", self.state.kept)
                except (OSError, InputError) as error:
                    print(f"warning: the model so far is in the checkpoint alone: {error}", file=sys.stderr)
            return what_is_saved(self.path, self._saved)

    def _draw(self, history: list[dict], title: str, kept: int | None) -> None:
        """A picture never costs a result."""
        save_picture(self.path / CURVES, lambda: curves_png(history, title, kept))

    def _require_same(self) -> None:
        if not self._claim.holds:
            raise InputError(self._moved())

    def _require_no_other_readme(self) -> None:
        """The model card would take its place."""
        if (self.path / CARD).exists() and not own_card(self.path):
            raise InputError(
                f"{self.path / CARD} is not the card of a run, and a run would replace it. Move it away, or use "
                "another --out."
            )

    def _moved(self) -> str:
        return (
            f"The run folder {self.path} was moved, deleted or replaced while its run went on. Nothing more was "
            "written. Its checkpoints are where it was moved to: continue there with --out and --resume."
        )


def _title(result: dict) -> str:
    return f"{result['model']} on {result['dataset']}, protocol {result['protocol']}"


def _of_another(folder: Path, files: dict[str, bytes]) -> list[str]:
    """What describes an earlier model of the folder, and is not among the new one's files."""
    return [name for name in of_a_result(folder) if name not in files]


def what_is_saved(folder: Path, place: str = "") -> str:
    """What an interrupted run has left, by looking. place: where its newest checkpoint stands, if that is known."""
    if Checkpoints(folder, {}).exist:
        stands = f" as it was {place}" if place else ""
        return f"Interrupted. The run{stands} is saved in {folder}. Run the same command with --resume to continue."
    kept = f" The results in {folder} are those of an earlier run." if is_finished(folder) else ""
    return f"Interrupted before the first checkpoint. Nothing was saved.{kept}"


class ReadOnlyFolder:
    """The run folder as all processes of torchrun but the main one see it: they resume from it and write nothing.

    resume: whether the main process does, which has opened it before.
    """

    notice = None

    def __init__(self, path: Path, identity: dict, resume: bool):
        self.path = path
        self.identity = identity
        self.state = Checkpoints(path, identity).load()[0] if resume else None

    def save_state(self, state: TrainingState) -> None:
        self.state = state

    def finish(self, *_: object) -> None:
        pass

    def interrupted(self, *_: object) -> str:
        return ""
