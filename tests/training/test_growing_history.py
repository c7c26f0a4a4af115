"""`history.csv` while training goes on: a row after every epoch, whoever trains and however it ends."""

from __future__ import annotations

import contextlib
import errno

import pandas as pd
import pytest
from run_folder_helpers import RESULTS, STEPS, Run, content

from experiment.script import Interrupted
from foundation.errors import InputError

pytestmark = pytest.mark.usefixtures("quick_picture")


class TestGrowingHistory:
    """`history.csv` after every epoch, and whose it is."""

    HISTORY, APART = "history.csv", "history.growing.csv"

    @staticmethod
    def seen(out, *argv, name="history.csv", **keywords) -> list[int]:
        """How many rows the file had at the start of each epoch, 0 without one."""
        run = Run(out, "--epoch", 3, *argv, **keywords)
        rows, original = [], run.model.losses

        def losses(*values):
            rows.append(len(pd.read_csv(out / name)) if (out / name).exists() else 0)
            return original(*values)

        run.model.losses = losses
        with contextlib.suppress(Interrupted, InputError):
            run()
        return rows[::STEPS]

    def test_has_a_row_for_every_epoch_that_is_done(self, tmp_path):
        assert self.seen(tmp_path) == [0, 1, 2]
        assert len(pd.read_csv(tmp_path / self.HISTORY)) == 3
        assert set(content(tmp_path)) == RESULTS

    def test_goes_on_after_a_resume(self, tmp_path):
        with pytest.raises(Interrupted):
            Run(tmp_path, "--epoch", 3, stop=KeyboardInterrupt(), at_step=STEPS)()
        assert self.seen(tmp_path, "--resume") == [1, 2]

    @pytest.mark.parametrize("left", ["", "epoch,loss\n1,0.1\n2,0.2\n3,0.3\n"], ids=["none", "of-later-epochs"])
    def test_of_a_killed_run_is_made_to_agree_with_its_checkpoint(self, tmp_path, left):
        with pytest.raises(Interrupted):
            Run(tmp_path, "--epoch", 3, stop=KeyboardInterrupt(), at_step=STEPS)()
        for name in RESULTS - {"result.json", "README.md"}:  # which a killed run does not come to write
            (tmp_path / name).unlink()
        if left:
            (tmp_path / self.HISTORY).write_text(left)
        assert self.seen(tmp_path, "--resume") == [1, 2]

    def test_stays_that_of_an_earlier_result_until_the_new_one_is_whole(self, tmp_path):
        Run(tmp_path, "--epoch", 1, "--seed", 1)()
        before = content(tmp_path)
        again = ("--overwrite", "--resume")
        assert self.seen(tmp_path, *again, name=self.APART, stop=InputError("bad"), at_step=2 * STEPS) == [0, 1, 2]
        after = content(tmp_path)
        assert after.items() >= before.items()
        assert self.APART not in after
        assert self.seen(tmp_path, *again, name=self.APART) == [2]
        assert set(content(tmp_path)) == RESULTS
        assert len(pd.read_csv(tmp_path / self.HISTORY)) == 3

    def test_does_not_come_to_lie_beside_a_model_of_something_else(self, tmp_path):
        other = Run(tmp_path / "other", "--epoch", 1)
        other.model.save(tmp_path)
        before = content(tmp_path)["config.json"]
        run = Run(tmp_path, "--epoch", 3, stop=InputError("bad"), at_step=2 * STEPS)
        with pytest.raises(InputError, match="bad"):
            run()
        assert self.HISTORY not in content(tmp_path)
        assert content(tmp_path)["config.json"] == before

    def test_that_cannot_be_written_costs_no_run(self, tmp_path, monkeypatch, capsys):
        def fail(*_):
            raise OSError(errno.EACCES, "Permission denied")

        monkeypatch.setattr("training.growing_history.write_atomic", fail)
        Run(tmp_path, "--epoch", 3)()
        assert len(pd.read_csv(tmp_path / self.HISTORY)) == 3
        assert capsys.readouterr().err.count("WARNING: ") == 1
