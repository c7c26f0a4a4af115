"""Text tables with one row a line: a fast typed parse, and a careful one that says what is wrong and on which line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike
from pyarrow import csv as arrow_csv

from foundation.errors import InputError

INTEGER, NUMBER, TEXT = "integer", "number", "text"
PATTERNS = {
    INTEGER: re.compile(r" *[+-]?[0-9]{1,19} *"),
    NUMBER: re.compile(r" *[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})? *"),
}
MISSING_TEXTS = ("", "NULL")
MISSING = -1  # stands for a missing value in an optional column of integers, whose values are 0 or more
CHUNK_ROWS = 100_000


@dataclass(frozen=True)
class Field:
    """A column. kind: INTEGER -> int64, NUMBER -> finite float64, TEXT -> a category of strings.

    optional: an empty field or NULL is a missing value: `MISSING` or NaN.  wanted: what to ask for in an error.
    """

    name: str
    kind: str = TEXT
    optional: bool = False
    wanted: str | None = None

    def problem(self, value: str) -> str | None:
        """What is wrong with a value, as it stands in the file."""
        if self.kind == TEXT or (self.optional and value in MISSING_TEXTS):
            return None
        if PATTERNS[self.kind].fullmatch(value):
            low = 0 if self.optional else -(2**63)
            if np.isfinite(float(value)) if self.kind == NUMBER else low <= int(value) < 2**63:
                return None
        article = "an" if self.kind == INTEGER else "a finite"
        text = self.wanted or f"{article} {self.kind}" + (" of at least 0, empty or NULL" if self.optional else "")
        return f"{self.name} must be {text}"


@dataclass(frozen=True)
class TextTable:
    """A text file with one row a line.

    content: UTF-8, without byte order mark and trailing blank lines.  fields: its columns, in order.
    separator: "::", or "," with quotes as in RFC 4180.
    needed: what to give instead of a wrong file.  home: where to get the original.
    """

    path: Path
    content: bytes
    fields: tuple[Field, ...]
    separator: str
    needed: str
    home: str
    header_lines: int = 0

    @classmethod
    def with_header(cls, path: Path, content: bytes, fields: tuple[Field, ...], needed: str, home: str) -> TextTable:
        """A comma-separated file whose first line names the columns, in any order; others than `fields` are text.

        Raises `InputError` for a column that is missing or stands there twice.
        """
        header = content[:4096].splitlines()[0].decode(errors="replace")
        columns = tuple(name.strip() for name in next(csv.reader([header])))
        known = {field.name: field for field in fields}
        wrong = [name for name in (*known, *columns) if columns.count(name) != 1]
        if wrong:
            raise InputError(
                f"{path}, line 1: the header lacks or repeats {', '.join(map(repr, dict.fromkeys(wrong)))}. "
                f"Received: {header[:80]!a}.\nGive {needed}."
            )
        ordered = tuple(known.get(name, Field(name)) for name in columns)
        return cls(path, content, ordered, ",", needed, home, header_lines=1)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    def parse(self) -> pd.DataFrame:
        """Raises `InputError` for a row with too few or too many columns and for a value of another kind."""
        frame = self._parse_fast()
        return self._parse_by_line() if frame is None else frame

    def _parse_fast(self) -> pd.DataFrame | None:
        """None for whatever is not plainly right: the line-by-line parser then decides, and says what is wrong."""
        content, delimiter = self.content, ","
        quote: str | bool = '"'
        if self.separator == "::":
            if b"\t" in content:
                return None
            content, delimiter, quote = content.replace(b"::", b"\t"), "\t", False
        kinds = {INTEGER: pa.int64(), NUMBER: pa.float64(), TEXT: pa.dictionary(pa.int32(), pa.string())}
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(content),
                read_options=arrow_csv.ReadOptions(column_names=self.columns, skip_rows=self.header_lines),
                parse_options=arrow_csv.ParseOptions(delimiter=delimiter, quote_char=quote),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={field.name: kinds[field.kind] for field in self.fields},
                    null_values=MISSING_TEXTS if any(field.optional for field in self.fields) else [],
                ),
            )
        except pa.ArrowException:
            return None
        # A quote that is not closed swallows the lines behind it.
        lines = content.count(b"\n") + 1 - self.header_lines
        if len(table) != lines or not all(map(_plainly_right, self.fields, table.columns)):
            return None
        columns = dict(zip(self.columns, map(_to_pandas, self.fields, table.columns), strict=True))
        return pd.DataFrame(columns, copy=False)

    def _parse_by_line(self) -> pd.DataFrame:
        chunks, rows, wrong, first = [], [], 0, None
        for number, line in self._lines():
            fields = self._split(line)
            problem = self._problem(fields)
            if problem:
                wrong += 1
                first = first or (number, line, problem)
            elif not wrong:
                rows.append(fields)
                if len(rows) == CHUNK_ROWS:
                    chunks.append(self._frame(rows))
                    rows = []
        if first:
            raise self._error(*first, wrong)
        chunks += [self._frame(rows)] if rows else []
        if not chunks:
            raise InputError(f"{self.path} has a header but no rows. Give {self.needed}.")
        frame = pd.concat(chunks, ignore_index=True)
        return frame.astype({field.name: "category" for field in self.fields if field.kind == TEXT})

    def _frame(self, rows: list[list[str]]) -> pd.DataFrame:
        columns: dict[str, np.ndarray | list] = {}
        for field, values in zip(self.fields, zip(*rows, strict=True), strict=True):
            if field.kind == TEXT:
                columns[field.name] = np.array(values, dtype=object)
                continue
            convert, missing = (int, MISSING) if field.kind == INTEGER else (float, np.nan)
            columns[field.name] = [
                missing if field.optional and value in MISSING_TEXTS else convert(value) for value in values
            ]
        return pd.DataFrame(columns)

    def _lines(self) -> Iterator[tuple[int, str]]:
        """The number, from 1, and the text of each line that holds a row."""
        # Lines of bytes end at \n, \r and \r\n only; str.splitlines knows seven more line ends. Going by \n first
        # keeps a file of a gigabyte from becoming a list of lines.
        lines = (line for piece in io.BytesIO(self.content) for line in piece.splitlines())
        for number, line in enumerate(lines, start=1):
            if number > self.header_lines and line.strip():
                yield number, line.decode()

    def _split(self, line: str) -> list[str]:
        if self.separator != ",":
            return line.split(self.separator)
        try:
            return next(csv.reader([line], strict=True))
        except csv.Error:  # a quote that is not closed on its line
            return []

    def _problem(self, values: list[str]) -> str | None:
        if len(values) != len(self.fields):
            return f"{len(values)} columns instead of {len(self.fields)}" if values else "malformed quotes"
        problems = (field.problem(value) for field, value in zip(self.fields, values, strict=True))
        return next(filter(None, problems), None)

    def require(self, right: ArrayLike, problem: str) -> None:
        """Raises `InputError` where `right`, one bool a row, is False: quotes the first such line, counts all."""
        wrong = np.flatnonzero(~np.asarray(right, dtype=bool))
        if len(wrong):
            raise self._error(*next(islice(self._lines(), wrong[0], None)), problem, len(wrong))

    def entities(self, frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
        """One row a distinct value of the first of these columns; the others describe it.

        Raises `InputError` where lines contradict each other.
        """
        key, *attributes = columns
        entities = frame.loc[~frame[key].duplicated(), list(columns)]
        first = pd.Index(entities[key]).get_indexer(frame[key])
        for name in attributes:
            is_text = isinstance(frame[name].dtype, pd.CategoricalDtype)
            value = (frame[name].cat.codes if is_text else frame[name]).to_numpy()
            expected = value[entities.index][first]
            same = (value == expected) | (pd.isna(value) & pd.isna(expected))
            self.require(same, f"the {key} has another {name} on an earlier line")
        return entities

    def _error(self, number: int, line: str, problem: str, count: int) -> InputError:
        return InputError(
            f"{self.path}, line {number}: {problem}. Received: {line[:80]!a}. Lines affected: {count}.\n"
            f"Expected {self.separator.join(self.columns)}. Correct it, or get the original from {self.home}."
        )


def _plainly_right(field: Field, column: pa.ChunkedArray) -> bool:
    if field.kind == TEXT:
        return True
    if column.null_count and not field.optional:
        return False
    if field.kind == NUMBER:
        return bool(pc.all(pc.is_finite(column)).as_py() is not False)
    return not field.optional or (pc.min(column).as_py() or 0) >= 0


def _to_pandas(field: Field, column: pa.ChunkedArray):
    if field.kind == TEXT:
        return column.to_pandas()
    return column.fill_null(MISSING if field.kind == INTEGER else np.nan).to_numpy()
