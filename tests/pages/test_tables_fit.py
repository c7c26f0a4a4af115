"""Every table of every page fits a README's width, and no number of it is torn apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_results import made_up
from table_layout import PAGE, Table, letter_width, lines_of, tables_of, text_of, torn_numbers

from leaderboard.pages import Results

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "results/README.md", "benchmarks/README.md", "data/README.md"]
PAGES += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
MOST_LINES = 2  # of a cell, in the body of a table of numbers
ROUNDING = 0.1  # pixels


def problems(table: Table) -> list[str]:
    """What a reader would stumble over."""
    found = [f"it is {table.width():.0f} pixels wide"] if table.width() > PAGE + ROUNDING else []
    for row, cells in zip(table.rows, table.wrapped(), strict=True):
        for cell, lines in zip(row, cells, strict=True):
            found += [f"{number!r} is on two lines" for number in torn_numbers(lines)]
            if table.has_numbers() and len(lines) > MOST_LINES:
                found.append(f"{text_of(cell)!r} is on {len(lines)} lines")
    return found


def problems_of(text: str) -> dict[str, list[str]]:
    """Line and first heads of a table -> what is wrong with it."""
    every = {f"line {table.line}: {', '.join(map(text_of, table.heads))}": problems(table) for table in tables_of(text)}
    return {name: found for name, found in every.items() if found}


@pytest.mark.parametrize("page", PAGES)
def test_of_a_page(page):
    assert problems_of((ROOT / page).read_text(encoding="utf-8")) == {}


def test_of_results_that_are_still_to_come():
    every = "\n\n".join(made_up(Results.load(ROOT / "results" / "ml-1m")).page_tables().values())
    assert len(tables_of(every)) > 40
    assert problems_of(every) == {}


class TestTheTest:
    """What it is for, it finds."""

    def table(self, columns: int, cell: str) -> Table:
        lines = [["head"] * columns, ["---"] * columns, [cell] * columns]
        (table,) = tables_of("".join(f"| {' | '.join(line)} |\n" for line in lines))
        return table

    def test_a_number_that_parts_from_its_interval(self):
        assert problems(self.table(4, "0.8967 ± 0.0012")) == []
        assert problems(self.table(7, "0.8967 ± 0.0012")) == ["'0.8967 ± 0.0012' is on two lines"] * 7

    def test_more_columns_than_the_page_is_wide(self):
        assert problems(self.table(5, "0.8967\u00a0±\u00a00.0012")) == []
        (found,) = problems(self.table(7, "0.8967\u00a0±\u00a00.0012"))
        assert found.startswith("it is 1")

    def test_a_cell_of_three_lines_beside_numbers(self):
        prose = "some words that go on and on, and then on, " * 3
        (table,) = tables_of(f"| a | b |\n|---|---|\n| 0.5 | {prose}{prose} |\n")
        assert "lines" in problems(table)[0]
        (table,) = tables_of(f"| a | b |\n|---|---|\n| word | {prose}{prose} |\n")
        assert problems(table) == []

    def test_comments_and_markup_take_no_room(self):
        plain, marked = self.table(2, "0.8967"), self.table(2, "<!--n auc hit holdout-->[0.8967](page.md)<!--/n-->")
        assert plain.width() == marked.width()


class TestLayout:
    """That of a browser, by hand."""

    def test_a_table_with_room_is_as_wide_as_its_longest_cells(self):
        (table,) = tables_of("| a | b |\n|---|---|\n| 00 | 0000 |\n")
        zero = letter_width("0", bold=False)
        assert table.column_widths() == pytest.approx([2 * zero, 4 * zero])
        assert table.width() == pytest.approx(6 * zero + 2 * 27 + 1)  # padding 13 and a line of 1 on each side

    def test_in_a_narrow_page_columns_share_what_is_left_of_their_least_widths(self):
        (table,) = tables_of("| a | b |\n|---|---|\n| 00 00 | 00 00 00 00 |\n")
        zero, space = letter_width("0", bold=False), letter_width(" ", bold=False)
        assert table.column_widths(0) == pytest.approx([2 * zero, 2 * zero])
        room = 2 * 27 + 1 + 4 * zero + 4 * (2 * zero + space) / 2  # half of what they lack
        lacking = 2 * zero + space
        assert table.column_widths(room) == pytest.approx([2 * zero + lacking / 2, 2 * zero + 3 * lacking / 2])

    def test_lines_end_at_spaces_and_hyphens_of_words_but_not_at_signs(self):
        (table,) = tables_of("| a |\n|---|\n| Poly-Encoder -0.5 is |\n")
        assert lines_of(table.rows[0][0], 0) == ["Poly-", "Encoder ", "-0.5 ", "is"]
