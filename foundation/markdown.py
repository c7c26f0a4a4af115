"""Texts of anybody's data in a Markdown file, where they must neither format nor end anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from foundation.shown import visible, visible_lines

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")  # what formats, links or ends a cell within a line
_ENDS_CODE = set("`|\\")


def literal(text: object) -> str:
    """The text as it is, on one line.

    >>> print(literal("a|b\\n*c*"))
    a\\|b \\*c\\*
    """
    return _SPECIAL.sub(r"\\\1", visible(text).strip()) or '""'


def code(text: object) -> str:
    """The text as code, and `literal` where something in it would end the code or the cell of a table.

    >>> print(code("[300, 128]"), code("a|b"))
    `[300, 128]` a\\|b
    """
    shown = visible(text).strip()
    return literal(shown) if not shown or _ENDS_CODE & set(shown) else f"`{shown}`"


def code_block(language: str, *lines: str) -> str:
    """Lines of code between fences that are longer than any in them."""
    shown = visible_lines("\n".join(lines))
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", shown))])
    return f"{fence}{language}\n{shown}\n{fence}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = False) -> str:
    """A table of cells that are Markdown already. numbers: whether all columns but the first are aligned to the right.

    >>> print(table(["rows", "AUC"], [["test", "0.8967"]], numbers=True))
    | rows | AUC |
    | --- | --: |
    | test | 0.8967 |
    """
    rule = ["---", *["--:" if numbers else "---"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))
