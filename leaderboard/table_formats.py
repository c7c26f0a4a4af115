"""Tables as people's other tools take them: aligned text, CSV, LaTeX. Each is read from the Markdown of a page."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from foundation.atomic import write_atomic
from leaderboard.markdown import AROUND, JOINED

RULE = re.compile(r"\| ---[ |:-]*\|")  # between heads and rows
CELLS = re.compile(r"(?<!\\)\|")
MARKS = re.compile(r"\*\*(?P<bold>.+?)\*\*|`(?P<code>.+?)`|\[(?P<link>.+?)\]\(.*?\)|\\(?P<literal>[^A-Za-z0-9\s])")
UNITS = ("%", "M")
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
IN_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "±": "$\\pm$",
    "<": "$<$",
    ">": "$>$",
    JOINED: "~",
}


@dataclass(frozen=True)
class Table:
    """Heads and rows; cells are Markdown."""

    heads: list[str]
    rows: list[list[str]]

    @classmethod
    def read(cls, markdown: str) -> list[Table]:
        """All tables of a text, in their order.

        >>> Table.read("Before.\\n\\n| model | AUC |\\n| --- | --: |\\n| HIT | 0.9 |\\n\\nAfter.")
        [Table(heads=['model', 'AUC'], rows=[['HIT', '0.9']])]
        """
        lines = markdown.splitlines()
        tables = []
        for place in (place for place, line in enumerate(lines) if RULE.fullmatch(line)):
            end = next((n for n in range(place, len(lines)) if not lines[n].startswith("|")), len(lines))
            heads, *rows = (_cells(line) for line in (lines[place - 1], *lines[place + 1 : end]))
            tables.append(cls(heads, rows))
        return tables

    def as_text(self) -> str:
        """In columns, for a screen.

        >>> print(Table(["model", "AUC"], [["HIT", "**+0.1**"], ["DSSM", ""]]).as_text())
        model  AUC
        -----  ----
        HIT    +0.1
        DSSM
        """
        lines = [list(map(plain, cells)) for cells in (self.heads, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines.insert(1, ["-" * width for width in widths])
        padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
        return "\n".join("  ".join(line).rstrip() for line in padded)

    def as_csv(self) -> str:
        """Numbers bare: an interval's half-width has a column of its own, and a unit stands in the head.

        >>> print(Table(["model", "AUC"], [["HIT", "0.9\\xa0±\\xa00.1"], ["LR", "0.8"]]).as_csv())
        model,AUC,AUC ±
        HIT,0.9,0.1
        LR,0.8,
        <BLANKLINE>
        """
        columns = [(plain(head), list(cells)) for head, *cells in zip(self.heads, *self.rows, strict=True)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows(zip(*(column for head, cells in columns for column in _bare(head, cells)), strict=True))
        return text.getvalue()

    def as_latex(self) -> str:
        """A `tabular` with the rules of booktabs.

        >>> print(Table(["model", "p"], [["Wide&Deep", "**<\\xa00.001**"]]).as_latex())
        \\begin{tabular}{lr}
        \\toprule
        model & p \\\\
        \\midrule
        Wide\\&Deep & \\textbf{$<$~0.001} \\\\
        \\bottomrule
        \\end{tabular}
        <BLANKLINE>
        """
        heads, *rows = (f"{' & '.join(map(_latex, cells))} \\\\" for cells in (self.heads, *self.rows))
        begin = f"\\begin{{tabular}}{{l{'r' * (len(self.heads) - 1)}}}"
        lines = [begin, "\\toprule", heads, "\\midrule", *rows, "\\bottomrule", "\\end{tabular}"]
        return "\n".join(lines) + "\n"


def write_tables(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Each table as CSV and as LaTeX. texts: name -> Markdown, of which a second table has a number in its name."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in texts.items():
        stem = re.sub(r"\W+", "-", name.lower()).strip("-")
        for number, table in enumerate(Table.read(text), 1):
            for suffix, content in ((".csv", table.as_csv()), (".tex", table.as_latex())):
                paths.append(folder / f"{stem}{f'-{number}' if number > 1 else ''}{suffix}")
                write_atomic(paths[-1], content)
    return paths


def plain(cell: str) -> str:
    """A cell without what formats it.

    >>> plain("**+0.1**"), plain("`holdout` AUC"), plain("[a\\\\_b](c)")
    ('+0.1', 'holdout AUC', 'a_b')
    """
    return MARKS.sub(lambda found: plain(found[found.lastgroup or 0]), cell).replace(JOINED, " ")


def _cells(line: str) -> list[str]:
    return [cell.strip(" ") for cell in CELLS.split(line)[1:-1]]


def _bare(head: str, cells: list[str]) -> list[list[str]]:
    """A column as one or two of a CSV file, the head first."""
    cells = [THOUSANDS.sub("", plain(cell)) for cell in cells]
    unit = next(
        (unit for unit in UNITS if any(cells) and all(cell.endswith(f" {unit}") for cell in filter(None, cells))), ""
    )
    shown = f"{head}, {unit}" if unit else head
    parts = [cell.removesuffix(f" {unit}").partition(plain(AROUND)) for cell in cells]
    numbers = [shown, *(part[0] for part in parts)]
    around = [f"{shown} ±", *(part[2] for part in parts)]
    return [numbers, around] if any(around[1:]) else [numbers]


def _latex(cell: str) -> str:
    """
    >>> print(_latex("**0.1**"), _latex("`as_of`"))
    \\textbf{0.1} \\texttt{as\\_of}
    """
    text, end = "", 0
    for found in MARKS.finditer(cell):
        inner = _latex(found[found.lastgroup or 0])
        command = {"bold": "\\textbf", "code": "\\texttt"}.get(found.lastgroup or "")
        text += _escaped(cell[end : found.start()]) + (f"{command}{{{inner}}}" if command else inner)
        end = found.end()
    return text + _escaped(cell[end:])


def _escaped(text: str) -> str:
    return "".join(IN_LATEX.get(sign, sign) for sign in text)
