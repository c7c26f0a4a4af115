"""The house stands: imports point down, nothing goes round in a circle, and a break of either is found."""

from pathlib import Path

import pytest

from benchmarks.house import circles, modules, wrong_arrows


def test_every_import_points_down():
    assert wrong_arrows() == []


def test_no_files_import_each_other_in_a_circle():
    assert circles() == []


def test_every_module_is_on_a_floor():
    assert {"foundation.errors", "model", "model.layers.tower", "train_movielens_IntTower"} <= modules().keys()


class TestWhatIsWrong:
    @pytest.fixture
    def house(self, tmp_path) -> Path:
        files = {
            "foundation/errors.py": "",
            "model/base.py": "from foundation.errors import InputError",
            "model/lr.py": "import model.base",
            "serving/ranker.py": "from model.lr import LR",
        }
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    def test_a_sound_house_is_none(self, house):
        assert wrong_arrows(house) == circles(house) == []

    @pytest.mark.parametrize("line", ["from serving.ranker import rank", "def f():\n    import serving.ranker"])
    def test_an_import_that_runs_up(self, house, line):
        (house / "foundation" / "errors.py").write_text(line, encoding="utf-8")
        assert wrong_arrows(house) == ["foundation.errors imports serving.ranker"]

    def test_an_import_of_a_neighbour_on_the_floor(self, house):
        (house / "experiment").mkdir()
        (house / "experiment" / "options.py").write_text("from serving.ranker import rank", encoding="utf-8")
        assert wrong_arrows(house) == ["experiment.options imports serving.ranker"]

    def test_a_circle(self, house):
        (house / "model" / "base.py").write_text("from model import lr", encoding="utf-8")
        assert circles(house) == [["model.base", "model.lr"]]

    def test_an_import_for_type_checkers_alone_is_no_circle(self, house):
        text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from model import lr\n"
        (house / "model" / "base.py").write_text(text, encoding="utf-8")
        assert circles(house) == []
