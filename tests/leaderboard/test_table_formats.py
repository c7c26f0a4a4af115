"""Tables of the pages as text, CSV and LaTeX: the same cells in each."""

from __future__ import annotations

import io
import re

import pandas as pd
import pytest
from report_helpers import five, runs

from foundation.markdown import literal
from leaderboard.board import Results
from leaderboard.estimates import Estimate
from leaderboard.grid.tables import leaderboard_table
from leaderboard.markdown import estimate_text, table
from leaderboard.table_formats import Table, plain, write_tables

RUNS = runs(hit=five(0.9), dssm=five(0.8), lr=[0.7]).assign(gauc=0.7, parameters=1_234_567, train_seconds=9.6)


def test_what_is_read_is_what_was_written():
    heads, rows = ["model", "AUC", "p"], [["HIT", "**+0.1**", ""], [literal("a|b_c"), "", "0.1"]]
    text = f"Before.\n\n{table(heads, rows)}\n\nBetween.\n\n{table(heads[:2], [['x', 'y']])}\n"
    assert Table.read(text) == [Table(heads, rows), Table(heads[:2], [["x", "y"]])]
    assert Table.read("No table.\n| a line |\n") == []
    assert plain(literal("a|b_c")) == "a|b_c"


def test_csv_holds_the_numbers_of_a_board():
    (board,) = Table.read(leaderboard_table(RUNS, "holdout", "shop"))
    found = pd.read_csv(io.StringIO(board.as_csv()))
    assert found["model"].tolist() == ["HIT", "DSSM", "LR"]
    for place, name in enumerate(("hit", "dssm")):
        estimate = Estimate.from_values(RUNS[RUNS["model"] == name]["auc"])
        assert found["AUC"][place] == pytest.approx(estimate.mean, abs=5e-5)
        assert found["AUC ±"][place] == pytest.approx(estimate.half_width, abs=5e-5)
    assert pd.isna(found["AUC ±"][2])  # one seed
    assert found["RelaImpr, %"].tolist()[:2] == [33.3, 0.0]


def test_csv_has_no_commas_in_numbers():
    assert (
        Table(["model", "bytes"], [["HIT", "1,063"], ["LR", "1,234,567"]]).as_csv()
        == "model,bytes\nHIT,1063\nLR,1234567\n"
    )


def test_latex_leaves_no_character_that_it_would_read_otherwise():
    rows = [["Wide&Deep 100 % #1 a_b {c} ~ ^ $", estimate_text(Estimate(0.9, 0.1, 3))], ["`as_of`", "**<\u00a00.001**"]]
    text = Table(["model", "AUC"], rows).as_latex()
    cells = "\n".join(text.splitlines()[2:-2])
    assert re.findall(r"(?<!\\)[&%#_~^]", cells.replace(" & ", "").replace("~$\\pm$~", "").replace("$<$~", "")) == []
    assert "0.9000~$\\pm$~0.1000" in text
    assert "\\texttt{as\\_of} & \\textbf{$<$~0.001} \\\\" in text
    assert text.count("\\\\\n") == 3


def test_text_has_aligned_columns():
    lines = Table(["model", "AUC"], [["HIT", "`0.9`"], ["Wide&Deep", "**0.81**"]]).as_text().splitlines()
    assert {line.index(part) for line, part in zip(lines[2:], ("0.9", "0.81"), strict=True)} == {11}


def test_every_table_of_a_page_is_a_file_of_each_kind(tmp_path):
    tables = Results("shop", RUNS.assign(sources="x", best_possible_auc=float("nan"))).tables()
    paths = write_tables(tmp_path, tables)
    assert len(paths) == 2 * sum(len(Table.read(text)) for text in tables.values())
    assert {path.name for path in paths} >= {"leaderboard-holdout.csv", "leaderboard-holdout.tex", "results-2.csv"}
    assert sorted(tmp_path.iterdir()) == sorted(paths)
