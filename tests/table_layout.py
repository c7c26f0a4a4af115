"""How wide the tables of a Markdown page get in a browser, and where their cells wrap.

The layout is that of CSS for tables without given widths, as README pages have them: a column is at least as wide as
its longest unbreakable run and at most as wide as its longest cell; where the page is too narrow for the latter, every
column gets its least width and a share of what is left, in proportion to what it lacks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
from markdown_it import MarkdownIt
from markdown_it.token import Token

PAGE = 838  # pixels: a README on the usual hosts
SIZE = 16  # pixels, of letters
BESIDE = 26  # padding of a cell, both sides together
BORDER = 1
CODE_SIZE, CODE_BESIDE = 0.85, 0.4  # of the letters around, and padding on each side in its own em
# Helvetica's widths are known to matplotlib. The widest usual font, Noto Sans, has letters up to 8 % wider.
WIDER = 1.08
# Of the glyphs without a code in the font files; all others are taken to be as wide as high.
NAMES = {"plusminus": "±", "multiply": "×", "minus": "−", "degree": "°"}
CODES = {39: "’", 96: "‘", 169: "'", 193: "`", 177: "–", 208: "—", 188: "…"}
SPACE, NO_BREAK = " ", "\u00a0"
# What may not be torn apart: a number with its interval, sign and unit.
NUMBER = re.compile(r"(?:[<>]\s)?[+-]?\d[\d.,]*(?:\s±\s\d[\d.]*)?(?:\s%)?")


@dataclass(frozen=True)
class Letter:
    char: str
    width: float

    @property
    def is_break(self) -> bool:
        return self.char in (SPACE, "\n")


Cell = tuple[Letter, ...]


@dataclass(frozen=True)
class Table:
    """heads: one row of cells. rows: those of the body. line: of the page, from 1 on."""

    line: int
    heads: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def column_widths(self, page: float = PAGE) -> list[float]:
        """Of the content, without padding and borders, in pixels."""
        columns = list(zip(self.heads, *self.rows, strict=True))
        least = [max(map(longest_run, column)) for column in columns]
        most = [max(map(longest_line, column)) for column in columns]
        room = page - len(columns) * (BESIDE + BORDER) - BORDER
        spare, wanted = room - sum(least), sum(most) - sum(least)
        share = min(1.0, max(0.0, spare / wanted)) if wanted > 0 else 0.0
        return [low + share * (high - low) for low, high in zip(least, most, strict=True)]

    def width(self, page: float = PAGE) -> float:
        """Of the whole table in pixels; more than the page's where the reader has to scroll."""
        return sum(self.column_widths(page)) + len(self.heads) * (BESIDE + BORDER) + BORDER

    def wrapped(self, page: float = PAGE) -> list[list[list[str]]]:
        """The lines of each cell of the body, row by row."""
        widths = self.column_widths(page)
        return [[lines_of(cell, width) for cell, width in zip(row, widths, strict=True)] for row in self.rows]

    def has_numbers(self) -> bool:
        """Whether most filled cells of one of its columns are numbers."""
        return any(_is_numeric(column) for column in zip(*self.rows, strict=True))


def tables_of(text: str) -> list[Table]:
    """Of a Markdown page."""
    found: list[Table] = []
    heads: list[Cell] = []
    rows: list[tuple[Cell, ...]] = []
    row: list[Cell] = []
    line, in_head = 0, False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            heads, rows, line = [], [], (token.map or [0])[0] + 1
        elif token.type in ("thead_open", "thead_close"):
            in_head = token.type == "thead_open"
        elif token.type == "tr_open":
            row = []
        elif token.type == "inline" and token.level and line:
            row.append(tuple(letters(token.children or [], in_head)))
        elif token.type == "tr_close" and in_head:
            heads = row
        elif token.type == "tr_close":
            rows.append(tuple(row))
        elif token.type == "table_close":
            found.append(Table(line, tuple(heads), tuple(rows)))
            line = 0
    return found


def letters(tokens: list[Token], bold: bool = False) -> Iterator[Letter]:
    """What is seen of a cell; comments are not."""
    for token in tokens:
        if token.type in ("strong_open", "strong_close"):
            bold = token.type == "strong_open"
        elif token.type == "code_inline":
            yield from _code(token.content)
        elif token.type == "text":
            yield from (Letter(char, letter_width(char, bold)) for char in token.content)
        elif token.type == "html_inline" and token.content.startswith("<br"):
            yield Letter("\n", 0.0)


def _code(text: str) -> Iterator[Letter]:
    em = SIZE * CODE_SIZE
    for place, char in enumerate(text):
        ends = (place == 0) + (place == len(text) - 1)
        yield Letter(char, em * (widths("Courier")["0"] * WIDER + ends * CODE_BESIDE))


def letter_width(char: str, bold: bool) -> float:
    """In pixels."""
    return SIZE * WIDER * widths("Helvetica-Bold" if bold else "Helvetica").get(char, 1.0)


@cache
def widths(font: str) -> dict[str, float]:
    """Letter -> width in em, of one of the fonts that every PDF reader has."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "pdfcorefonts" / f"{font}.afm"
    found = {}
    for code, width, name in re.findall(r"^C (-?\d+) ; WX (\d+) ; N (\w+)", path.read_text("latin-1"), re.MULTILINE):
        char = NAMES.get(name) or CODES.get(int(code)) or (chr(int(code)) if 32 <= int(code) < 127 else "")
        found[char] = int(width) / 1000
    return found | {NO_BREAK: found[SPACE]}


def runs_of(cell: Cell) -> list[Cell]:
    """Pieces between which a line may end: after a space, and after a hyphen inside a word."""
    runs: list[list[Letter]] = [[]]
    for place, letter in enumerate(cell):
        runs[-1].append(letter)
        around = "".join(other.char for other in cell[max(place - 1, 0) : place + 2])
        if letter.is_break or (letter.char == "-" and re.fullmatch(r"\w-[^\W\d]", around)):
            runs.append([])
    return [tuple(run) for run in runs if run]


def width_of(cell: Cell) -> float:
    """Without the space at its end, which a browser drops."""
    return sum(letter.width for letter in (cell[:-1] if cell and cell[-1].is_break else cell))


def longest_run(cell: Cell) -> float:
    return max(map(width_of, runs_of(cell)), default=0.0)


def longest_line(cell: Cell) -> float:
    """Of a cell that wraps nowhere but where it says so."""
    lines: list[list[Letter]] = [[]]
    for letter in cell:
        lines[-1].append(letter)
        if letter.char == "\n":
            lines.append([])
    return max(width_of(tuple(line)) for line in lines)


def lines_of(cell: Cell, width: float) -> list[str]:
    """As a browser breaks them: each as full as it gets."""
    lines: list[Cell] = [()]
    for run in runs_of(cell):
        full = lines[-1] and (lines[-1][-1].char == "\n" or width_of(lines[-1] + run) > width + 0.01)
        if full:
            lines.append(run)
        else:
            lines[-1] += run
    return [text_of(line) for line in lines]


def text_of(cell: Cell) -> str:
    return "".join(letter.char for letter in cell)


def torn_numbers(lines: list[str]) -> list[str]:
    """Numbers of a cell that do not stand on one line.

    >>> torn_numbers(["0.8967 ± ", "0.0012"]), torn_numbers(["0.8967 ± 0.0012 ", "(3 seeds)"])
    (['0.8967 ± 0.0012'], [])
    """
    ends = [sum(map(len, lines[:place])) for place in range(1, len(lines))]
    found = NUMBER.finditer("".join(lines))
    return [match[0] for match in found if any(match.start() < end < match.end() for end in ends)]


def _is_numeric(column: tuple[Cell, ...]) -> bool:
    filled = [text.strip() for text in map(text_of, column) if text.strip()]
    return bool(filled) and 2 * sum(bool(NUMBER.fullmatch(text)) for text in filled) > len(filled)
