"""The pages of the repository, and the fenced blocks of a page with the marks before them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN = ("python", "shell")
SHOWN = ("text", "bibtex", "diff", "ini", "json", "toml", "yaml")
FENCE = re.compile(r"^( *)(`{3,}|~{3,})\s*([^`\s]*)[^`]*$")
MARK = re.compile(r"^ *<!-- (?P<name>not run|file): (?P<text>.*?)(?:, after: (?P<after>.*))? -->$")


@dataclass(frozen=True)
class Block:
    """line: of its fence, from 1.

    not_run: the reason that the mark `<!-- not run: reason -->` in the line before the fence gives; None: without one.
    file: the block is the content of this file (`<!-- file: model/mine.py -->`). after: of an existing file, the line
        behind which the block goes (`<!-- file: model/__init__.py, after: MODELS = { -->`).
    """

    language: str
    line: int
    code: str
    not_run: str | None = None
    file: str | None = None
    after: str | None = None

    @property
    def runs(self) -> bool:
        return (self.language in RUN or self.file is not None) and self.not_run is None


def blocks_of(text: str) -> list[Block]:
    """All fenced blocks in order. Raises `ValueError` for a fence without an end and for a mark without a block.

    >>> blocks_of('<!-- not run: needs a GPU -->\\n```shell\\nls\\n```')
    [Block(language='shell', line=2, code='ls\\n', not_run='needs a GPU', file=None, after=None)]
    """
    blocks: list[Block] = []
    lines = iter(enumerate(text.splitlines(), start=1))
    before: tuple[int, re.Match] | None = None
    for number, line in lines:
        mark, fence = MARK.match(line), FENCE.match(line)
        if before is not None and fence is None:
            raise ValueError(f"line {before[0]}: the mark stands before no block")
        if fence is not None:
            blocks.append(_block(number, fence, lines, before[1] if before else None))
        before = (number, mark) if mark else None
    if before is not None:
        raise ValueError(f"line {before[0]}: the mark stands before no block")
    return blocks


def _block(start: int, fence: re.Match, lines, mark: re.Match | None) -> Block:
    """Reads up to the closing fence."""
    indent, ticks, language = fence.groups()
    code = []
    for _, line in lines:
        if line.strip() == ticks:
            given = {} if mark is None else {mark["name"].replace(" ", "_"): mark["text"], "after": mark["after"]}
            return Block(language, start, "".join(f"{each}\n" for each in code), **given)
        code.append(line.removeprefix(indent))
    raise ValueError(f"line {start}: the block has no end")


def files() -> list[str]:
    """Of the repository as it would be committed, by their paths in it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    return [name for name in sorted(set(listed.split("\0"))) if name and (ROOT / name).is_file()]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


FILES = files()
PAGES = [name for name in FILES if name.endswith(".md")]
