"""Bare tables in a folder: which files are one table, what separates their columns, and their first rows."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from foundation.errors import InputError
from preprocessing.dataset_spec import TableSpec
from preprocessing.files import open_binary, reading
from preprocessing.log_columns import series
from preprocessing.table_files import PARQUET, SEPARATORS, TableFiles

SUFFIXES = (*SEPARATORS, *PARQUET, ".dat", ".txt", ".data", ".inter", ".user", ".item")
CANDIDATES = ("::", "\t", "|", ";", ",", " ")
LINES = 50  # to tell a separator and a header by
ROWS = 100_000
PAGES = re.compile(r"(readme|licen[cs]e|notice|changelog)", re.IGNORECASE)


@dataclass(frozen=True)
class Sample:
    """A table and its first rows. size: of all its files, in bytes.  header: whether they have one.

    bad_lines, lines: how many of its first lines have another number of parts, and how many these first ones are.
    """

    spec: TableSpec
    frame: pd.DataFrame
    size: int
    header: bool
    bad_lines: int = 0
    lines: int = 0

    def distinct(self, name: str) -> pd.Series:
        """The distinct values of a column, without missing ones."""
        return self.frame[name].dropna().drop_duplicates()

    def repeats(self, name: str) -> bool:
        return bool(self.frame[name].dropna().duplicated().any())


def samples(folder: Path) -> tuple[list[Sample], dict[str, str]]:
    """The tables of a folder, the largest first, and by their names what is wrong with those that cannot be read.

    Raises `InputError` where there is no table, or none that can be read.
    """
    with reading(folder):
        found = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    paths = [path for path in found if _suffix(path) in SUFFIXES and not PAGES.match(path.name)]
    if not paths:
        known = ", ".join(SUFFIXES)
        raise InputError(f"{folder} holds no table. Give a folder with files that end in {known}, or these with .gz.")
    tables: list[Sample] = []
    unread: dict[str, str] = {}
    for name, members in _grouped(paths):
        try:
            tables.append(_sample(folder, name, members))
        except InputError as error:
            unread[name] = str(error)
    if not tables:
        raise InputError(next(iter(unread.values())))
    return sorted(tables, key=lambda table: -table.size), unread


def _grouped(paths: list[Path]) -> Iterator[tuple[str, list[Path]]]:
    """Files whose names differ in a number alone are one table, if the numbers are all that tells them apart."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(re.sub(r"\d+", "*", path.name), []).append(path)
    for pattern, members in groups.items():
        if len(members) > 1:
            yield pattern, members
        else:
            yield members[0].name, members


def _sample(folder: Path, name: str, paths: list[Path]) -> Sample:
    size = sum(path.stat().st_size * (5 if path.suffix == ".gz" else 1) for path in paths)
    header, settings = True, dict[str, Any]()
    if _suffix(paths[0]) not in PARQUET:
        lines, encoding = _first_lines(paths[0])
        separator = _separator(paths[0], lines)
        header = _has_header(lines, separator)
        if separator != SEPARATORS.get(_suffix(paths[0])):
            settings["separator"] = separator
        if encoding != "utf-8":
            settings["encoding"] = encoding
        if not header:
            stem = re.sub(r"\W+", "_", name.split(".")[0]).strip("_")
            settings["columns"] = tuple(f"{stem}_{place + 1}" for place in range(_usual(lines, separator)))
        settings["bad_lines"] = "drop"
    spec = TableSpec("[log]", (name,), **settings)
    files = TableFiles(spec, folder)
    bad, seen = _bad_lines(files) if "bad_lines" in settings else (0, 0)

    def first(batches: Iterator[pa.RecordBatch]) -> pd.DataFrame:
        taken: list[pa.RecordBatch] = []
        for batch in batches:
            taken.append(batch)
            if sum(one.num_rows for one in taken) >= ROWS:
                break
        if not taken:
            raise InputError(f"{paths[0]} has no rows. Take it out of the folder, or give a table with rows.")
        head = pa.Table.from_batches(taken).slice(0, ROWS)
        return pd.DataFrame({column: series(column, head[column]) for column in files.columns})

    frame = files.consume(files.columns, first)
    return Sample(spec if bad else replace(spec, bad_lines=None), frame, size, header, bad, seen)


def _bad_lines(files: TableFiles) -> tuple[int, int]:
    """How many of the first lines have another number of parts, and how many were looked at."""
    bad = seen = 0
    with open_binary(files.paths[0]) as file:
        for found in files.layout(files.paths[0]).bad_lines(file, ROWS):
            bad, seen = bad + (found is not None), seen + 1
    return bad, seen


def _first_lines(path: Path) -> tuple[list[str], str]:
    with open_binary(path) as file:
        lines = [line for line in islice(file, 10 * LINES) if line.strip()][:LINES]
    if not lines:
        raise InputError(f"{path} is empty. Take it out of the folder, or give a table.")
    try:
        return [line.decode().rstrip("\r\n") for line in lines], "utf-8"
    except UnicodeDecodeError:
        return [line.decode("latin-1").rstrip("\r\n") for line in lines], "latin-1"


def _separator(path: Path, lines: list[str]) -> str:
    """What stands equally often in every line; by the suffix, where that does; else what stands in most lines as often
    as in the first, or once more at their end."""
    usual = SEPARATORS.get(_suffix(path))
    for candidate in (*([usual] if usual else []), *CANDIDATES):
        counts = {len(_parts(line, candidate)) for line in lines}
        if len(counts) == 1 and counts != {1}:
            return candidate
    if usual is not None:
        return usual
    fitting = {candidate: _fitting(lines, candidate) for candidate in CANDIDATES}
    best = max(CANDIDATES, key=lambda candidate: fitting[candidate])
    if fitting[best] > 0.5:
        return best
    raise InputError(f"{path}: nothing separates its lines into equally many columns. Received: {lines[0][:60]!a}.")


def _fitting(lines: list[str], separator: str) -> float:
    """The share of lines with as many parts as the first one has, or with an empty one more."""
    first, *others = ((len(parts), parts[-1]) for line in lines if (parts := _parts(line, separator)))
    if first[0] == 1 or not others:
        return 0.0
    return sum(count == first[0] or (count == first[0] + 1 and not last) for count, last in others) / len(others)


def _usual(lines: list[str], separator: str) -> int:
    """The most frequent number of parts."""
    return Counter(len(_parts(line, separator)) for line in lines).most_common(1)[0][0]


def _parts(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator)) if len(separator) == 1 else line.split(separator)


def _has_header(lines: list[str], separator: str) -> bool:
    """Whether the first line holds no number, and is like no other line."""
    first = _parts(lines[0], separator)
    return not any(map(_is_number, first)) and len({*first}) == len(first) and lines[0] not in lines[1:]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()
