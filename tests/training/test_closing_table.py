"""What a run shows of itself: the closing table and the picture of its curves."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from helpers import make_raw, random_raw
from run_folder_helpers import RESULTS, Run, closing_lines, content

from model.retrieval import retrieval_metrics
from training.calibration import calibration
from training.result import closing_table, curves_png
from training.result_file import read_result

pytestmark = pytest.mark.usefixtures("quick_picture")


class TestClosingTable:
    def printed(self, capsys, tmp_path, *argv, **keywords) -> tuple[dict, list[str]]:
        result = Run(tmp_path / "run", "--epoch", 1, *argv, **keywords)()
        return result, closing_lines(capsys)

    def test_names_data_protocol_and_seed_and_defines_gauc(self, capsys, tmp_path):
        result, lines = self.printed(capsys, tmp_path, "--protocol", "temporal", "--seed", 5)
        assert lines[0] == "Test results on by-hand, protocol temporal, seed 5"
        assert f"{result['test']['auc']:.4f}" in lines[3]
        assert f"{result['test']['logloss']:.4f}" in lines[3]
        assert any("weighted by the user's impressions" in line for line in lines)
        assert not any("leaks" in line for line in lines)
        assert lines[-1] == f"Run folder: {tmp_path / 'run'}"

    def test_says_how_far_probabilities_are_off(self, capsys, tmp_path):
        run = Run(tmp_path / "run", "--epoch", 1, "--protocol", "holdout")
        result = run()
        expected = calibration(run.data.test.labels.numpy(), run.model.predict(run.data.test)[:, 0])
        assert result["calibration"]["ece"] == pytest.approx(expected["ece"])
        assert sum(result["calibration"]["bins"]["count"]) == result["rows"]["test"]
        assert any(f"by {expected['ece']:.4f} on average" in line for line in closing_lines(capsys))

    def test_has_what_is_found_among_all_items(self, capsys, tmp_path):
        run = Run(tmp_path / "run", "--epoch", 1, "--protocol", "holdout", raw=random_raw(items=130, rows=900))
        result = run()
        found, lines = result["retrieval"]["test"], closing_lines(capsys)
        expected = retrieval_metrics(run.model, run.data.test)
        assert {name: found[name] for name in expected} == pytest.approx(expected)
        assert (found["items"], found["users"], found["users_with_positives"]) == (130, 12, 12)
        for k in (10, 100):
            shown = [f"{expected[f'{kind}@{k}']:.4f}" for kind in ("recall", "ndcg", "hit")]
            words = "recall {}, NDCG {}, hit rate {}".format(*shown)
            assert f"Best {k} of 130 items: {words}" in lines
        assert any(line.startswith("Means over 12 users with a positive test row") for line in lines)
        drawn = {**result, "retrieval": {"test": found | {"users_with_positives": 1200}}}
        assert "Means over 12 users (drawn by the seed from 1,200)" in closing_table(drawn, "IntTower")

    def test_of_a_result_without_retrieval(self, capsys, tmp_path):
        """Of a ranking model, and of a version that did not measure it."""
        ranking, lines = self.printed(capsys, tmp_path, "--protocol", "holdout", model_name="lr")
        assert "retrieval" not in ranking
        result, more = self.printed(capsys, tmp_path / "two", "--protocol", "holdout")
        earlier = {name: value for name, value in result.items() if name != "retrieval"}
        assert len(closing_table(earlier, "IntTower").splitlines()) == len(lines) - 1 == len(more) - 4

    def test_says_why_retrieval_is_not_measured(self, capsys, tmp_path):
        result, _ = self.printed(capsys, tmp_path, "--protocol", "holdout")
        result["retrieval"] = {"test": {"not_measured": "This DSSM reads pid of an impression."}}
        assert "hit rate are not measured. This DSSM reads pid" in closing_table(result, "DSSM")

    def test_published_says_that_it_leaks_and_names_the_others(self, capsys, tmp_path):
        result, lines = self.printed(capsys, tmp_path, "--protocol", "published")
        assert result["leaks_labels"] is True
        warning = next(line for line in lines if "leaks test labels" in line)
        assert "--protocol holdout" in warning
        assert "--protocol temporal" in warning

    def test_paper_beside_ours(self, capsys, tmp_path):
        raw = dataclasses.replace(random_raw(), name="ml-1m")
        result, lines = self.printed(capsys, tmp_path, "--protocol", "holdout", raw=raw)
        assert result["paper"] == {"auc": 0.8974, "logloss": 0.3128}
        assert lines[3].endswith("0.8974     0.3128")
        assert result["paper_parameters"] == 1_180_000
        assert f"Parameters: {result['parameters']:,}; the paper's model has 1.18 million." in lines
        assert any("under the published protocol, which leaks" in line for line in lines)

    def test_says_why_a_part_of_a_data_set_has_no_paper_beside_it(self, capsys, tmp_path):
        result, _ = self.printed(capsys, tmp_path)
        said = "The paper columns are empty: papers have the whole of ml-1m, and this is a part of it."
        assert closing_table(result | {"dataset": "ml-1m-first2000"}, "DSSM").splitlines()[-1] == said
        for dataset, paper in (("ml-1m", None), ("shop-first2000", None), ("ml-1m", {"auc": 0.9, "logloss": 0.3})):
            assert said not in closing_table(result | {"dataset": dataset, "paper": paper}, "DSSM")

    def test_best_possible_auc_of_generated_data(self, capsys, tmp_path):
        raw = random_raw()
        raw = dataclasses.replace(raw, best_score=np.where(raw.label == 1, 0.9, 0.1))
        result, lines = self.printed(capsys, tmp_path, "--protocol", "holdout", raw=raw)
        assert 0.5 < result["best_possible_auc"] < 1
        assert "best possible AUC" in lines[1]
        assert f"{result['best_possible_auc']:.4f}" in lines[3]

    @pytest.mark.parametrize(("best", "above"), [(0.1, True), (1.0, False)])
    def test_an_auc_above_the_best_possible_one_is_called_a_leak(self, best, above, capsys, tmp_path):
        result, _ = self.printed(capsys, tmp_path, "--protocol", "published")
        table = closing_table(result | {"best_possible_auc": best}, "IntTower")
        assert ("above the best possible one is what this leak looks like" in table) == above

    def test_users_of_one_class_leave_no_nan_in_the_json(self, capsys, tmp_path):
        rows = [(row, row % 5, row // 3 % 2, row) for row in range(200)]  # a user a row
        result, lines = self.printed(capsys, tmp_path, "--protocol", "holdout", raw=make_raw(rows))
        assert result["test"]["gauc"] is None
        assert "NaN" not in (tmp_path / "run" / "result.json").read_text()
        assert "nan" not in closing_table(result, "IntTower")
        assert lines[3].split()[3] == "-"

    def test_columns_are_aligned(self, capsys, tmp_path):
        _, lines = self.printed(capsys, tmp_path, "--protocol", "holdout")
        starts = [place for place, rule in enumerate(lines[2]) if rule == "-" and lines[2][place - 1 : place] != "-"]
        for line in (lines[1], lines[3]):
            assert all(line[place] != " " and (place == 0 or line[place - 1] == " ") for place in starts)


class TestCurves:
    def test_need_no_display(self, monkeypatch):
        monkeypatch.setenv("MPLBACKEND", "TkAgg")
        monkeypatch.delenv("DISPLAY", raising=False)
        history = [{"epoch": 1, "loss": 0.5, "auc": 0.6, "logloss": 0.5, "val_auc": 0.6, "val_logloss": 0.5}]
        assert curves_png(history, "IntTower").startswith(b"\x89PNG")

    def test_without_validation(self):
        history = [{"epoch": epoch, "loss": 0.5, "auc": 0.6, "logloss": 0.5} for epoch in (1, 2)]
        assert curves_png(history, "IntTower").startswith(b"\x89PNG")


class TestPicture:
    """It never costs a result."""

    @pytest.mark.parametrize("problem", [ZeroDivisionError("no"), OSError("no"), MemoryError("no"), ImportError("no")])
    def test_that_cannot_be_drawn_is_a_warning(self, problem, tmp_path, monkeypatch, capsys):
        def fail(*_):
            raise problem

        Run(tmp_path, "--epoch", 1)()
        monkeypatch.setattr("training.run_folder.curves_png", fail)
        Run(tmp_path, "--epoch", 1)()
        (said,) = capsys.readouterr().err.splitlines()[-1:]
        assert re.fullmatch(r"WARNING: \S*curves.png cannot be (drawn|written): \w+: no. All else is there.", said)
        assert set(content(tmp_path)) == RESULTS - {"curves.png"}  # the older run's is gone
        assert read_result(tmp_path)["epochs"] == 1
