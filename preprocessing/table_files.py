"""Tables in files, CSV or the like or parquet, as typed record batches of Arrow: never the whole of a table at once."""

from __future__ import annotations

import csv
import glob
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

from foundation.errors import InputError
from foundation.shown import shortened, some, visible
from preprocessing.dataset_spec import TableSpec
from preprocessing.files import find_file, open_binary, reading
from preprocessing.spec_keys import nearest
from preprocessing.text_layout import STAND_IN, BadRows, Layout, OneCharacter, open_quote

PARQUET = (".parquet", ".pq")
SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
# An empty field, and what programs write for one.
MISSING_TEXTS = ["", "NULL", "null", "NaN", "nan", "NA", "N/A", "None", "\\N"]
BLOCK_BYTES = 1 << 21  # of text, from the first of which types are guessed; with 8 MiB, allocators keep 350 MB
BATCH_ROWS = 1 << 19
TRAILING = "\0"  # what is behind a separator at the end of a line
BAD_LINES = "lines with another number of parts"
# What a text column may turn out to be in a later block.
WIDER: dict[pa.DataType, pa.DataType] = {
    pa.null(): pa.int64(),
    pa.int64(): pa.float64(),
    pa.date32(): pa.timestamp("s"),
    pa.timestamp("s"): pa.timestamp("ns"),
}
Result = TypeVar("Result")
Spec = TypeVar("Spec", bound=TableSpec)


class _Retyped(Exception):
    """A column of a text is not of the type that its first block had; reading begins again with a wider one."""


class TableFiles(Generic[Spec]):
    """The files of one table.

    paths: in order.  columns: names, of all files.  name: for counts and errors.
    bad_lines: how many lines were left out when it was last read to its end.
    """

    def __init__(self, spec: Spec, folder: Path):
        """Raises `InputError` for files that are not there, of two formats, without a known separator, or of which one
        lacks a column of the first."""
        self.spec, self.folder = spec, folder
        self.paths = [path for name in spec.files for path in self._found(name)]
        self.name = self.paths[0].name if len(self.paths) == 1 else f"{spec.files[0]} ({len(self.paths)} files)"
        kinds = {_suffix(path) in PARQUET for path in self.paths}
        if len(kinds) > 1:
            raise InputError(f"{spec.section} has files of parquet and of text: {some(p.name for p in self.paths)}.")
        self._parquet = kinds.pop()
        self._types: dict[str, pa.DataType] = {}
        self.bad_lines = 0
        if self._parquet:
            if spec.bad_lines is not None:
                raise InputError(
                    f"{spec.section} has bad_lines, and {self.name} is parquet, without lines. Leave it out."
                )
            self._check_parquet()
        self._headers = {path: self._header(path) for path in self.paths}
        self.columns = self._headers[self.paths[0]]

    def require(self, names: Sequence[str]) -> None:
        """Raises `InputError` for columns that a file lacks."""
        for path, columns in self._headers.items():
            for name in names:
                if name not in columns:
                    raise InputError(
                        f"{path} has no column '{name}', which {self.spec.section} needs.{nearest(name, columns)} "
                        f"It has: {some(columns, most=12)}.{self._one_column(columns)}"
                    )

    def consume(self, columns: Sequence[str], take: Callable[[Iterator[pa.RecordBatch]], Result]) -> Result:
        """`take` of all batches, each with these columns. It is called anew where a text column turns out to be of
        another type than its first lines were."""
        self.require(columns)
        while True:
            self.bad_lines = 0
            try:
                return take(self._batches(list(columns)))
            except _Retyped:
                continue

    def table(self, columns: Sequence[str]) -> pa.Table:
        """The whole of it."""

        def take(batches: Iterator[pa.RecordBatch]) -> pa.Table:
            every = list(batches)
            return pa.Table.from_batches(every) if every else pa.table({name: pa.nulls(0) for name in columns})

        return self.consume(columns, take)

    def _found(self, name: str) -> list[Path]:
        place = self.folder / name
        if any(character in name for character in "*?["):
            found = sorted(Path(path) for path in glob.glob(str(place)) if os.path.isfile(path))
            what = f"No file in {self.folder} matches '{name}'"
        else:
            one = find_file(place.parent, place.name)
            found = [] if one is None else [one]
            what = f"No file '{name}' in {self.folder}"
        if not found:
            beside = sorted(entry.name for entry in self.folder.iterdir()) if self.folder.is_dir() else []
            raise InputError(
                f"{what}, which {self.spec.section} names.{nearest(name, beside)} There are: {some(beside) or 'none'}. "
                "Correct the name, or give the folder of the files (--data_path)."
            )
        return found

    def _header(self, path: Path) -> list[str]:
        """The names of a file's columns."""
        if self._parquet:
            columns = pq.read_schema(path).names
        elif self.spec.columns is not None:
            return list(self.spec.columns)
        else:
            with open_binary(path) as file:
                first = next((line for line in file if line.strip()), b"")
            text = first.decode(self.spec.encoding, errors="replace").strip("\r\n")
            if not text:
                raise InputError(f"{path} is empty. Give a table with a header and rows.")
            separator = self._separator(path)
            parts = next(csv.reader([text], delimiter=separator)) if len(separator) == 1 else text.split(separator)
            columns = [part.strip() for part in parts]
        twice = next((name for name in columns if columns.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"{path} has two columns '{twice}'. Rename one, or name all of them with columns = [...].")
        return columns

    def _one_column(self, columns: Sequence[str]) -> str:
        return " If that is no name of one column, correct the separator." if len(columns) == 1 else ""

    def _separator(self, path: Path) -> str:
        separator = self.spec.separator or SEPARATORS.get(_suffix(path))
        if separator is None:
            raise InputError(
                f'{path}: what separates its columns? Say separator = "," (or "\\t", "::", ...) in {self.spec.section}.'
            )
        return separator

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        for path in self.paths:
            for batch in self._parquet_batches(path, columns) if self._parquet else self._text_batches(path, columns):
                if batch.num_rows:
                    yield batch

    # Parquet

    def _check_parquet(self) -> None:
        """The common type of each column over all files."""
        types: dict[str, tuple[pa.DataType, Path]] = {}
        for path in self.paths:
            with _parquet_errors(path):
                schema = pq.read_schema(path)
            for field in schema:
                before, where = types.get(field.name, (field.type, path))
                types[field.name] = self._common(field.name, before, field.type, where, path), path
        self._types = {name: kind for name, (kind, _) in types.items()}

    @staticmethod
    def _common(name: str, one: pa.DataType, other: pa.DataType, where: Path, path: Path) -> pa.DataType:
        if one == other:
            return one
        try:
            schemas = [pa.schema([(name, _without_dictionary(kind))]) for kind in (one, other)]
            return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
        except pa.ArrowException:
            raise InputError(
                f"Column '{name}' holds {one} in {where.name} and {other} in {path.name}. Give it one type."
            ) from None

    def _parquet_batches(self, path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
        schema = pa.schema([(name, self._types[name]) for name in columns])
        with _parquet_errors(path), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                batch = batch.select(columns)
                yield batch if batch.schema.equals(schema) else batch.cast(schema)

    # Texts

    def layout(self, path: Path) -> Layout:
        """How the lines of a text are made."""
        layout = Layout(
            self._separator(path), self.spec.encoding, self.spec.columns is None, width=len(self._headers[path])
        )
        with open_binary(path) as file:
            return layout.with_trailing(file)

    def _text_batches(self, path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
        layout = self.layout(path)
        separator = layout.separator
        trailing = [TRAILING] if layout.trailing else []
        bad = BadRows()
        with open_binary(path) as file:
            source = (
                file
                if len(separator) == 1
                else io.BufferedReader(OneCharacter(file, separator, BLOCK_BYTES), BLOCK_BYTES)
            )
            try:
                with arrow_csv.open_csv(
                    pa.PythonFile(source, mode="r"),
                    arrow_csv.ReadOptions(
                        column_names=[*self._headers[path], *trailing],
                        skip_rows=int(layout.header),
                        block_size=BLOCK_BYTES,
                        encoding=self.spec.encoding,
                    ),
                    arrow_csv.ParseOptions(
                        delimiter=separator if len(separator) == 1 else STAND_IN,
                        quote_char='"' if len(separator) == 1 else False,
                        newlines_in_values=len(separator) == 1,
                        invalid_row_handler=bad if self.spec.bad_lines == "drop" else None,
                    ),
                    arrow_csv.ConvertOptions(
                        include_columns=[*columns, *trailing],
                        column_types={name: self._types[name] for name in columns if name in self._types}
                        | {name: pa.string() for name in trailing},
                        null_values=MISSING_TEXTS,
                        strings_can_be_null=True,
                    ),
                ) as reader:
                    self._keep_types(reader.schema)
                    for batch in reader:
                        self._require_whole_lines(path, separator, batch)
                        if trailing:
                            batch = self._without_trailing(path, layout, batch)
                        yield batch
            except pa.ArrowException as error:
                if bad.swallowed:
                    raise open_quote(path, bad.swallowed) from None
                if "columns, got" in str(error) and self.spec.bad_lines is None:
                    raise layout.bad_line(path, self.spec.section, str(error)) from None
                # With lines left out, a line with another number of parts fails for bytes that are no text alone.
                self._retype_or_fail(path, columns, "invalid UTF8" if "columns, got" in str(error) else str(error))
            except StopIteration:
                return
        self.bad_lines += bad.count

    def _without_trailing(self, path: Path, layout: Layout, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Without the column behind the last separators, and the lines that hold something there."""
        ended, count = pc.is_null(batch[TRAILING]), batch[TRAILING].null_count
        if count < batch.num_rows:
            if self.spec.bad_lines is None:
                raise layout.bad_line(path, self.spec.section, "values behind the last separator")
            self.bad_lines += batch.num_rows - count
            batch = batch.filter(ended)
        return batch.drop_columns(TRAILING)

    def _keep_types(self, schema: pa.Schema) -> None:
        """Files behind this one are read as it is."""
        for field in schema:
            self._types.setdefault(field.name, pa.string() if pa.types.is_time(field.type) else field.type)
        if any(self._types[field.name] != field.type for field in schema):
            raise _Retyped

    def _retype_or_fail(self, path: Path, columns: list[str], problem: str) -> None:
        place = re.search(r"CSV column #(\d+):.*conversion error to (.*?): invalid value", problem, re.DOTALL)
        if "invalid UTF8" in problem:
            raise InputError(
                f'{path} is not in UTF-8. Save it as UTF-8, or say encoding = "latin-1" in {self.spec.section}.'
            )
        if place is not None and int(place[1]) < len(self._headers[path]):
            name = self._headers[path][int(place[1])]
            self._types[name] = WIDER.get(self._types[name], pa.string())
            raise _Retyped
        if "straddling" in problem or "out of sync" in problem:
            problem = "a quote is opened and not closed"
        if "Empty CSV file" in problem:
            return
        raise InputError(f"{path} cannot be read as a table: {shortened(problem, 200)}")

    def _require_whole_lines(self, path: Path, separator: str, batch: pa.RecordBatch) -> None:
        """Raises `InputError` for a value that holds several lines with separators: a quote swallowed them."""
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_binary(column.type):
                self._retype_or_fail(path, [], "invalid UTF8")
            if pa.types.is_string(column.type):
                swallowed = pc.and_(pc.match_substring(column, "\n"), pc.match_substring(column, separator))
                if pc.any(swallowed).as_py():
                    text = column.filter(swallowed)[0].as_py()
                    raise open_quote(path, text, f" in column '{name}'")


class _parquet_errors:
    """What Arrow says of a file as an `InputError`."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None:
        with reading(self.path), open(self.path, "rb"):
            pass

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, (pa.ArrowException, OSError)):
            raise InputError(
                f"{self.path} is no complete parquet file ({shortened(visible(error), 120)}). Get it again."
            ) from None


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _without_dictionary(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
