"""How the lines of a text are made of parts, which of them are not like the others, and what Arrow does with these."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from foundation.errors import InputError
from foundation.shown import shortened, visible
from preprocessing.files import open_binary

STAND_IN = "\x1f"  # for a separator of several characters
FIRST = 200  # records by which a separator at the end of the lines is found


@dataclass(frozen=True)
class Layout:
    """width: number of columns.  trailing: whether lines end with a separator that the header lacks."""

    separator: str
    encoding: str
    header: bool
    width: int
    trailing: bool = False

    def records(self, file: Iterable[bytes]) -> Iterator[tuple[int, list[str]]]:
        """Each record behind the header: the number of its first line, and its parts. It ends where Python's csv does
        not go on."""
        return islice(records(file, self.separator, self.encoding), int(self.header), None)

    def with_trailing(self, file: Iterable[bytes]) -> Layout:
        """The same, by what most of the first records end with."""
        ended = Layout(self.separator, self.encoding, self.header, self.width, trailing=True)
        found = [ended.fits(parts) for _, parts in islice(self.records(file), FIRST)]
        return ended if 2 * sum(found) > len(found) else self

    def fits(self, parts: list[str]) -> bool:
        return len(parts) == self.width + self.trailing and not (self.trailing and parts[-1])

    def bad_lines(self, file: Iterable[bytes], most: int | None = None) -> Iterator[tuple[int, int] | None]:
        """For each of the first records, None if it fits; else the number of its line, and how many parts it has."""
        for number, parts in islice(self.records(file), most):
            yield None if self.fits(parts) else (number, len(parts))

    def bad_line(self, path: Path, section: str, problem: str) -> InputError:
        """The error of the first record that does not fit. problem: what is known where it is not found again."""
        with open_binary(path) as file:
            found = next(filter(None, self.bad_lines(file)), None)
        if found is not None:
            header = "and the header has" if self.header else "and columns names"
            problem = f"line {found[0]} has {found[1]} parts, {header} {self.width}"
            problem += " (a separator ends the other lines)" if self.trailing else ""
        return InputError(
            f"{path}: {shortened(problem, 200)}. Correct the line or the separator, or leave such lines out: "
            f'bad_lines = "drop" in {section}.'
        )


def open_quote(path: Path, text: str, where: str = "") -> InputError:
    """text: the value that holds several lines."""
    return InputError(f"{path}: a quote is opened and not closed{where}. Received: {shortened(visible(text), 60)}")


def records(file: Iterable[bytes], separator: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """The number of its first line, from 1, and the parts of each record of a text; lines without a character are none.

    >>> list(records([b"a,b\\n", b"\\n", b"1,'2\\n"], ",", "utf-8"))
    [(1, ['a', 'b']), (3, ['1', "'2"])]
    """
    lines = (line.decode(encoding, errors="replace") for line in file)
    if len(separator) > 1:
        for number, line in enumerate(lines, 1):
            if text := line.rstrip("\r\n"):
                yield number, text.split(separator)
        return
    reader, number = csv.reader(lines, delimiter=separator), 1
    with suppress(csv.Error):  # a field that is too long for it
        for parts in reader:
            if parts:
                yield number, parts
            number = reader.line_num + 1


class BadRows:
    """What Arrow asks for each row with another number of parts. count: of those left out.

    swallowed: one of several lines, which is no line too long but a quote that is not closed: reading ends at it.
    """

    def __init__(self):
        self.count, self.swallowed = 0, ""

    def __call__(self, row) -> str:
        if "\n" in row.text:
            self.swallowed = row.text
            return "error"
        self.count += 1
        return "skip"


class OneCharacter(io.RawIOBase):
    """A text in which a separator of several characters is replaced by `STAND_IN`."""

    def __init__(self, file: io.BufferedIOBase, separator: str, block_bytes: int):
        self._file, self._separator, self._rest = file, separator.encode(), b""
        self._block_bytes = block_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if not self._rest:
            block = self._file.read(self._block_bytes)
            block += self._file.readline()  # no separator is cut
            self._rest = block.replace(self._separator, STAND_IN.encode())
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
