"""What is seen of training while it goes on: a bar inside an epoch, and a line after it that stays."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from torch import Tensor

from foundation.progress import duration, progress_bar
from foundation.shown import visible
from training import distributed
from training.training_state import EpochProgress, TrainingState

FIGURES = ("auc", "val_auc", "val_logloss")  # of an epoch's line, behind the losses and where there are such


class TimeLeft:
    """What the rest of a run takes at the pace since it began here: validation and checkpoints included.

    done: epochs before that, with fractions. epochs: of the whole run. clock: in seconds.
    """

    def __init__(self, done: float, epochs: int, clock: Callable[[], float] = time.monotonic):
        self.begun, self.epochs, self.clock = done, epochs, clock
        self.start = clock()

    def seconds(self, done: float) -> float | None:
        """done: epochs by now. None before the first step, after which there is a pace."""
        if done <= self.begun:
            return None
        return (self.clock() - self.start) / (done - self.begun) * (self.epochs - done)


class EpochLines:
    """Shows one run of `Trainer.fit`, of the main process alone.

    verbose: 0 nothing, 1 a bar where standard error is a terminal and a line an epoch, 2 the line.
    epochs, patience: as in `TrainOptions`. rows: of an epoch. state: where the run begins.
    stoppable: whether something else than patience may end it early. every: epochs a line; the last one has its own.
    """

    def __init__(
        self,
        verbose: int,
        epochs: int,
        patience: int | None,
        rows: int,
        state: TrainingState,
        stoppable: bool = False,
        every: int = 1,
    ):
        self.verbose = verbose if distributed.current().is_main else 0
        self.epochs, self.patience, self.rows = epochs, patience, rows
        self.stoppable, self.every = stoppable, every
        self.losses: tuple[str, ...] = ()
        self.left = TimeLeft(state.epoch + (state.progress.rows / rows if state.progress else 0.0), epochs)

    def batches(self, order: Tensor, progress: EpochProgress, size: int, state: TrainingState) -> Iterator[Tensor]:
        """The batches of `size` rows that are left of `order`, with a bar of the running mean of each loss.

        The figures are read a few times a second only, as that waits for a GPU.
        """
        bar = progress_bar(
            quiet=self.verbose != 1,
            total=math.ceil(len(order) / size),
            initial=progress.rows // size,
            desc=f"epoch {state.epoch + 1}/{self.epochs}",
            leave=False,
        )
        with bar:
            for rows in order[progress.rows :].split(size):
                if len(rows) == 0:
                    break  # `split` of no rows is one empty batch
                yield rows
                if bar.update():
                    means = {name: float(total) / progress.rows for name, total in progress.sums.items()}
                    shown = [f"{name}={mean:.4f}" for name, mean in means.items()]
                    left = self._left(state.epoch + progress.rows / self.rows, state)
                    bar.set_postfix_str(", ".join([*shown, *([f"run: {left}"] if left else [])]), refresh=False)
        self.losses = tuple(progress.sums)

    def show(self, state: TrainingState, logs: dict[str, float]) -> None:
        """The line of the epoch that `state` has just recorded. logs: of it."""
        last = state.epoch == self.epochs or state.exhausted(self.patience)
        if self.verbose and (last or state.epoch % self.every == 0):
            print(epoch_line(state, logs, self.epochs, self.losses, self._end(state)), flush=True)

    def _end(self, state: TrainingState) -> str:
        if self.patience is not None and state.epoch < self.epochs and state.exhausted(self.patience):
            return f"ends here: no better val_auc for {self.patience} epoch{'s' * (self.patience > 1)}"
        return self._left(state.epoch, state)

    def _left(self, done: float, state: TrainingState) -> str:
        """Empty where that is not known yet, and at the end."""
        seconds = self.left.seconds(done)
        if not seconds:
            return ""
        best = state.best_epoch if state.history else state.epoch + 1  # the first one is better than none
        may_end_early = self.stoppable or (self.patience is not None and best + self.patience < self.epochs)
        return f"{'at most ' if may_end_early else ''}{duration(seconds)} left"


def epoch_line(state: TrainingState, logs: dict[str, float], epochs: int, losses: tuple[str, ...], end: str) -> str:
    """What was measured in an epoch, under the names of `history.csv`; the best validation AUC so far is marked.

    losses: names of the parts of "loss", which are shown where there are several. end: what the run still takes.
    """
    parts = [name for name in losses if name in logs] if len(losses) > 1 else []
    shown = [f"epoch {state.epoch:{len(str(epochs))}}/{epochs}"]
    shown += [f"{visible(name)} {_number(logs[name])}" for name in ("loss", *parts, *FIGURES) if name in logs]
    if "val_auc" in logs:
        place = next(place for place, text in enumerate(shown) if text.startswith("val_auc "))
        shown[place] += " best" if state.best_epoch == state.epoch else "     "
    return "  ".join([*shown, duration(logs["seconds"]), end]).rstrip()


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
