"""Text of anybody's data as a terminal or a picture may show it: on one line, without controls, in columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence

_TWO_COLUMNS = ("W", "F")  # East Asian wide and full-width characters
_NO_COLUMN = ("Mn", "Me")  # marks drawn upon the character before them
_SPACES = ("Zl", "Zp")
_LEFT_OUT = ("Cc", "Cf")  # controls of terminals; zero-width and directional ones
_NO_CHARACTER = "Cs"  # half a character
_MARKS = 8  # characters that may share a column


def visible(text: object) -> str:
    """The text with a space for line ends and tabs, and without other control and format characters.

    >>> visible("A\\x1b[31mred\\nrow\\u202e \\ud800")
    'A[31mred row �'
    """
    text = str(text)
    return text if text.isascii() and text.isprintable() else "".join(map(_visible, text))


def visible_lines(text: object) -> str:
    """`visible` for each line of a text, such as a message."""
    return "\n".join(map(visible, str(text).split("\n")))


def columns(text: str) -> int:
    """How many columns of a terminal a visible text takes.

    >>> columns("Amélie"), columns("電影")
    (6, 4)
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def padded(text: str, width: int) -> str:
    """The text, with spaces behind it up to so many columns."""
    return text + " " * (width - columns(text))


def shortened(text: object, width: int) -> str:
    """Visible text of at most so many columns; what is left out of it is marked by three dots.

    >>> shortened("The Good, the Bad and the Ugly", 13)
    'The Good, ...'
    >>> shortened("電影電影電影", 8)
    '電影...'
    """
    text = str(text)
    shown = visible(text[: _MARKS * width])  # the length of a title is not bounded
    if columns(shown) <= width and len(text) <= _MARKS * width:
        return shown
    while columns(shown) > width - 3:
        shown = shown[:-1]
    return shown + "..."


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Lines of columns of equal width, indented by two. right: those that are aligned to the right.

    >>> aligned([["split", "rows"], ["test", "7"]], right=(1,))
    ['  split  rows', '  test      7']
    """
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            " " * (width - columns(cell)) + cell if place in right else padded(cell, width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def quoted(name: str) -> str:
    """A name as it stands, in quotes where nobody would see what it is: with spaces around it, or of nothing.

    >>> quoted("brand"), quoted("brand "), quoted("")
    ('brand', "'brand '", "''")
    """
    return name if name and name == name.strip() else repr(name)


def some(names: Iterable[object], most: int = 6, width: int = 32) -> str:
    """The first of several names, and how many more there are. width: of a name at most.

    >>> some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    every = [shortened(name, width) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    category = unicodedata.category(character)
    if character.isspace() or category in _SPACES:
        return " "
    if category == _NO_CHARACTER:
        return "\ufffd"
    return "" if category in _LEFT_OUT else character


def _columns(character: str) -> int:
    if unicodedata.category(character) in _NO_COLUMN:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _TWO_COLUMNS else 1
