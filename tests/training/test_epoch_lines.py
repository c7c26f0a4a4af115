"""The line of an epoch, and the time that is left, by hand."""

from __future__ import annotations

import io
import sys

import pytest
from helpers import fit, random_raw, small_model

from preprocessing.dataset import Dataset
from training.epoch_lines import EpochLines, TimeLeft, epoch_line
from training.training_state import EpochProgress, TrainingState

LOGS = {"loss": 0.75, "ctr": 0.5, "cir": 0.25, "auc": 0.6, "logloss": 0.5, "seconds": 2.0, "rows_per_second": 9.0}
VALIDATED = LOGS | {"val_auc": 0.7, "val_logloss": 0.4, "val_gauc": float("nan")}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class TestTimeLeft:
    def test_is_that_of_all_epochs(self):
        clock = Clock()
        left = TimeLeft(0.0, epochs=6, clock=clock)
        assert left.seconds(0.0) is None
        clock.now += 5
        assert left.seconds(0.5) == 55.0
        clock.now += 7  # validation
        assert left.seconds(1.0) == 60.0
        assert left.seconds(6.0) == 0.0

    def test_a_resumed_run_counts_what_it_does_itself(self):
        clock = Clock()
        left = TimeLeft(2.5, epochs=6, clock=clock)
        clock.now += 5
        assert left.seconds(3.0) == 30.0


class TestLine:
    def line(self, logs, epoch=2, best=2, losses=("ctr", "cir"), end="3 min left") -> str:
        return epoch_line(TrainingState(epoch=epoch, best_epoch=best), logs, 12, losses, end)

    def test_has_losses_validation_and_time(self):
        assert self.line(VALIDATED) == (
            "epoch  2/12  loss 0.7500  ctr 0.5000  cir 0.2500  auc 0.6000  val_auc 0.7000 best  val_logloss 0.4000"
            "  2.0 s  3 min left"
        )

    def test_marks_the_best_so_far_alone_and_keeps_its_columns(self):
        best, other = self.line(VALIDATED), self.line(VALIDATED, best=1)
        assert "best" not in other
        assert len(best) == len(other)

    def test_without_validation_nothing_is_the_best(self):
        assert self.line(LOGS, end="") == "epoch  2/12  loss 0.7500  ctr 0.5000  cir 0.2500  auc 0.6000  2.0 s"

    def test_a_single_loss_is_said_once(self):
        assert "ctr" not in self.line(LOGS, losses=("ctr",))

    def test_what_is_no_number_is_a_dash(self):
        assert "val_auc -" in self.line(VALIDATED | {"val_auc": float("nan")})

    def test_names_cannot_move_the_cursor(self):
        assert self.line(LOGS | {"a\x1b[2J\nb": 1.0}, losses=("ctr", "a\x1b[2J\nb")).isprintable()


class TestOfARun:
    def lines(self, state, epochs=6, patience=None, **options) -> EpochLines:
        lines = EpochLines(2, epochs, patience, 100, state, **options)
        lines.left.clock = lambda: lines.left.start + 10.0
        return lines

    def shown(self, capsys, state, logs=VALIDATED, **options) -> str:
        begin = TrainingState(epoch=state.epoch - 1)
        self.lines(begin, **options).show(state, logs)
        return capsys.readouterr().out

    @pytest.mark.parametrize(
        ("best", "patience", "end"),
        [
            (2, None, "  40 s left\n"),
            (2, 3, "  at most 40 s left\n"),
            (1, 3, "  at most 40 s left\n"),
            (2, 4, "  40 s left\n"),  # cannot run out before the last epoch
            (1, 1, "  ends here: no better val_auc for 1 epoch\n"),
        ],
    )
    def test_patience_makes_it_a_bound_where_it_may_run_out(self, best, patience, end, capsys):
        state = TrainingState(epoch=2, best_epoch=best, history=[VALIDATED, VALIDATED])
        assert self.shown(capsys, state, patience=patience).endswith(end)

    def test_a_callback_makes_it_a_bound(self, capsys):
        state = TrainingState(epoch=2, best_epoch=2, history=[VALIDATED, VALIDATED])
        assert "at most 40 s left" in self.shown(capsys, state, stoppable=True)

    def test_the_last_line_has_none(self, capsys):
        state = TrainingState(epoch=6, best_epoch=2, history=[VALIDATED] * 6)
        assert "left" not in self.shown(capsys, state, patience=5)

    def test_every_so_many_epochs_and_the_last(self, capsys):
        lines = self.lines(TrainingState(), epochs=7, every=3)
        for epoch in range(1, 8):
            lines.show(TrainingState(epoch=epoch, best_epoch=epoch), LOGS)
        assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["3/7", "6/7", "7/7"]

    def test_begins_where_the_state_is(self):
        progress = EpochProgress.start(100)
        progress.rows = 50
        assert EpochLines(0, 6, None, 100, TrainingState(epoch=2, progress=progress)).left.begun == 2.5

    def test_is_there_at_once(self, monkeypatch):
        """A pipe, as of `| tee`, has the line when the epoch ends, not when its buffer is full."""

        class Pipe(io.StringIO):
            arrived = ""

            def flush(self) -> None:
                self.arrived = self.getvalue()

        monkeypatch.setattr(sys, "stdout", Pipe())
        self.lines(TrainingState()).show(TrainingState(epoch=1), LOGS)
        assert sys.stdout.arrived.startswith("epoch 1/6")
        assert sys.stdout.arrived.endswith("\n")

    @pytest.mark.parametrize(("verbose", "count"), [(0, 0), (1, 2), (2, 2)])
    def test_bar_or_not_the_lines_are_the_same(self, verbose, count, capsys):
        dataset = Dataset.build(random_raw(), "holdout", 1023)
        fit(small_model("int_tower", dataset), dataset, epochs=2, verbose=verbose)
        out, err = capsys.readouterr()
        assert err == ""
        assert len(out.splitlines()) == count
        assert all(
            name in line for line in out.splitlines() for name in ("  ctr ", "  cir ", "  val_auc ", "  val_logloss ")
        )
