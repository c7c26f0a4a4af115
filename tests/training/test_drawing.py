"""Pictures of runs and answers: no setting of matplotlib's and no text stops them, and one that fails stops nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from serving.explain import DRAWN, Explanation, heat_map
from training import pictures
from training.pictures import PictureError, draw_png, plain_style, save_picture
from training.result import curves_png

ROOT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG"
HISTORY = [{"epoch": 1, "loss": 0.5, "auc": 0.6, "logloss": 0.5, "val_auc": 0.6, "val_logloss": 0.5}]
TEXTS = [
    'Yelle - "Ba$$in"', "$x", "a $\\frac$ b", "$x^2$", "\\$", "$$", "%", "_x", "^", "{", "\\", "", " ", "\n", "a\nb",
    "\x1b[31mred", "\x00", "\ud800", "\u202eleft", "電影", "😀", "e" + "\u0301" * 50, "x" * 10_000,
]  # fmt: skip


def explanation(rows: int = 3, columns: int = 4, names: str = "head") -> Explanation:
    terms = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
    matched = np.ones((rows, columns), dtype=int)
    weights = {"user": {names: 0.5, f"{names} 2": 0.5}, "item": {names: 1.0}}
    return Explanation(list(range(rows)), [f"{names} {k}" for k in range(columns)], terms, matched, weights, -0.25)


class TestTexts:
    @pytest.mark.parametrize("text", TEXTS)
    def test_are_taken_literally(self, text, recwarn, capfd):
        assert curves_png(HISTORY, text).startswith(PNG)
        assert heat_map(explanation(names=text), [text] * 3, text).startswith(PNG)
        assert [str(one.message) for one in recwarn] == []
        assert capfd.readouterr() == ("", "")

    def test_markup_is_drawn_as_it_stands(self):
        drawn = []
        draw_png((3, 1), lambda figure: drawn.append(figure.suptitle("$x^2$")))
        assert not drawn[0].get_parse_math()


class TestSettings:
    SCRIPT = (
        "from training.pictures import draw_png; import sys; "
        "sys.stdout.buffer.write(draw_png((2, 1), lambda figure: figure.subplots().set_title('$title')))"
    )
    EXPECTED = draw_png((2, 1), lambda figure: figure.subplots().set_title("$title"))

    def drawn(self, tmp_path, script: str = SCRIPT, **environment: str) -> subprocess.CompletedProcess:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MPL")}
        return subprocess.run(
            [sys.executable, "-c", script],
            env=clean | {"PYTHONPATH": str(ROOT)} | environment,
            cwd=tmp_path,
            capture_output=True,
        )

    @pytest.mark.parametrize(
        "backend", ["module://matplotlib_inline.backend_inline", "misspelt", "TkAgg", "svg", "module://", " "]
    )
    def test_any_backend(self, backend, tmp_path):
        done = self.drawn(tmp_path, MPLBACKEND=backend)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == self.EXPECTED

    def test_files_of_settings_change_nothing(self, tmp_path):
        (tmp_path / "matplotlibrc").write_text(
            "backend: misspelt\ntext.usetex: True\nfigure.dpi: 7\nsavefig.dpi: 7\nsavefig.bbox: tight\n"
            "figure.facecolor: red\nlines.linewidth: 9\ntext.parse_math: True\nno such line\n"
        )
        assert self.drawn(tmp_path).stdout == self.EXPECTED

    def test_folders_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").touch()
        for name in ("MPLCONFIGDIR", "HOME", "XDG_CACHE_HOME"):
            done = self.drawn(tmp_path, **{name: str(tmp_path / "file" / "below")})
            assert done.stdout == self.EXPECTED, done.stderr.decode()

    def test_broken_list_of_fonts(self, tmp_path):
        name = f"fontlist-v{matplotlib.font_manager.FontManager.__version__}.json"
        (tmp_path / name).write_text("{")
        assert self.drawn(tmp_path, MPLCONFIGDIR=str(tmp_path)).stdout == self.EXPECTED

    def test_no_backend_stops_a_script_at_its_start(self, tmp_path):
        assert self.drawn(tmp_path, "import benchmark, prerank", MPLBACKEND="misspelt").stderr == b""

    def test_the_backend_that_was_asked_for_is_that_of_pyplot(self, tmp_path):
        script = self.SCRIPT + "; import os, matplotlib as m; print(m.rcParams['backend'], os.environ['MPLBACKEND'])"
        assert self.drawn(tmp_path, script, MPLBACKEND="svg").stdout.endswith(b"svg svg\n")

    def test_the_settings_of_a_program_are_put_back(self):
        with matplotlib.rc_context({"lines.linewidth": 9.0}):
            before = dict(matplotlib.rcParams)
            with plain_style():
                assert matplotlib.rcParams["lines.linewidth"] != 9.0
            assert dict(matplotlib.rcParams) == before


class TestSize:
    @pytest.mark.parametrize(("rows", "columns"), [(DRAWN + 1, 3), (2, DRAWN + 50), (5000, 300)])
    def test_is_bounded_and_says_so(self, rows, columns, monkeypatch):
        sizes, titles = [], []

        def draw(size, paint):
            from matplotlib.figure import Figure

            figure = Figure(figsize=size)
            paint(figure)
            sizes.append(size)
            titles.append(next(part.get_suptitle() for part in figure.subfigs if part.get_suptitle()))

        monkeypatch.setattr("serving.explain.draw_png", draw)
        heat_map(explanation(rows, columns), list(map(str, range(rows))), "What matched")
        assert max(sizes[0]) <= 50
        for size, what in ((rows, "items"), (columns, "vectors of the user")):
            assert (f"the first {DRAWN} of {size:,} {what}" in titles[0]) == (size > DRAWN)


class TestHeatMap:
    @staticmethod
    def painted(monkeypatch, *arguments):
        """The figure, with everything in its place."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figures = []

        def draw(size, paint):
            figure = Figure(figsize=size, layout="constrained")
            FigureCanvasAgg(figure)
            with plain_style({"text.parse_math": False}):
                paint(figure)
                figure.draw_without_rendering()
            figures.append(figure)

        monkeypatch.setattr("serving.explain.draw_png", draw)
        heat_map(*arguments)
        return figures[0]

    @pytest.mark.parametrize("columns", [2, 8, 30])
    @pytest.mark.parametrize(
        "title",
        [
            "What matched: " + ", ".join(f"feature_{k} value {k}" for k in range(20)),
            "What matched: WWWWWWW MMMMMMM " + "W" * 300,
            "電影" * 200,
        ],
        ids=["features", "wide letters", "wide characters"],
    )
    def test_no_title_leaves_the_picture(self, columns, title, monkeypatch):
        figure = self.painted(monkeypatch, explanation(3, columns), ["brand"] * 3, title)
        (suptitle,) = [part._suptitle for part in figure.subfigs if part._suptitle]
        box = suptitle.get_window_extent()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
        assert len(suptitle.get_text().replace("\n", "")) > 100

    def test_each_row_has_its_id_before_a_name_that_several_have(self, monkeypatch):
        figure = self.painted(monkeypatch, explanation(3), ["brand 1", "brand 1", "2"], "What matched")
        rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert rows == ["0 brand 1", "1 brand 1", "2"]


class TestFailure:
    @pytest.mark.parametrize("error", [ImportError("no matplotlib"), MemoryError(), OSError(28, "No space left"), 1])
    def test_of_drawing_is_one_kind_of_error_in_one_line(self, error):
        def paint(figure):
            raise error

        with pytest.raises(PictureError) as caught:
            draw_png((3, 1), paint)
        assert len(str(caught.value).splitlines()) == 1

    def test_without_matplotlib(self, tmp_path, monkeypatch, capsys):
        for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        assert not save_picture(tmp_path / "a.png", lambda: curves_png(HISTORY, "title"))
        assert capsys.readouterr().err.startswith("WARNING: No picture can be drawn: ")

    def test_of_writing_is_a_warning(self, tmp_path, capsys):
        (tmp_path / "a.png").mkdir()
        assert not save_picture(tmp_path / "a.png", lambda: b"picture")
        assert not save_picture(tmp_path / ("x" * 300), lambda: b"picture")
        out, err = capsys.readouterr()
        assert out == ""
        assert [line.startswith("WARNING: ") for line in err.splitlines()] == [True, True]
        assert [path.name for path in tmp_path.iterdir()] == ["a.png"]

    def test_success_is_told(self, tmp_path, capsys):
        assert save_picture(tmp_path / "a.png", lambda: pictures.draw_png((1, 1), lambda figure: None))
        assert (tmp_path / "a.png").read_bytes().startswith(PNG)
        assert capsys.readouterr().err == ""
