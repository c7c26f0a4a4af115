"""`dataset.toml`: what a data set of one's own is made of, read and checked. `docs/own_data.md` describes the format.

Nothing here opens a table. Whether a column that the file names exists is found out where the tables are read
(`preprocessing.own_data`).
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foundation.errors import InputError
from foundation.values import shown
from preprocessing.files import reading
from preprocessing.negatives import Negatives
from preprocessing.spec_keys import DOWNLOAD, ENTITY, LOG, NEGATIVES, WHOLE, Check, nearest

SPEC = "dataset.toml"


@dataclass(frozen=True)
class TableSpec:
    """Where a table is: names or patterns of files, and how to read them where they are texts.

    section: of the file, as errors name it: "[log]".  columns: names, where the files have no header.
    separator: None: by the suffix of the files.  bad_lines: "drop": lines with another number of parts are left out.
    """

    section: str
    files: tuple[str, ...]
    separator: str | None = None
    columns: tuple[str, ...] | None = None
    encoding: str = "utf-8"
    bad_lines: str | None = None


@dataclass(frozen=True)
class LogSpec(TableSpec):
    """The log. user, item, time, label: its columns; without a label every row is a positive.

    above, least, positive: a positive is above this, at least this (the key `from`), or one of these; with none of
        them, labels are 0 and 1.  drop: rows with these labels are left out.
    time_unit: of whole numbers, a key of `TIME_UNITS`; None: not said, so seconds that must be likely.
    """

    user: str = ""
    item: str = ""
    time: str | None = None
    time_unit: str | None = None
    label: str | None = None
    above: float | None = None
    least: float | None = None
    positive: tuple[Any, ...] | None = None
    drop: tuple[Any, ...] = ()

    @property
    def reserved(self) -> tuple[str, ...]:
        """Columns that are no features."""
        return tuple(name for name in (self.user, self.item, self.time, self.label) if name is not None)


@dataclass(frozen=True)
class EntitySpec(TableSpec):
    """A table of users or items. id: its column.  several: an id has several rows, other columns are lists."""

    id: str = ""
    several: bool = False


@dataclass(frozen=True)
class DownloadSpec:
    """A file that can be had from a server. file: its name beside the tables."""

    file: str
    url: str
    sha256: str


@dataclass(frozen=True)
class DatasetSpec:
    """A `dataset.toml`. path: of the file.  negatives: of a log of positives; None where there are labels.

    identity: sha256 over all that decides what the data are; comments, `source` and downloads do not.
    """

    path: Path
    name: str
    log: LogSpec
    identity: str
    source: str | None = None
    users: tuple[EntitySpec, ...] = ()
    items: tuple[EntitySpec, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    separators: Mapping[str, str] = field(default_factory=dict)
    sides: Mapping[str, str] = field(default_factory=dict)
    vocabulary_sizes: Mapping[str, int] = field(default_factory=dict)
    negatives: Negatives | None = None
    downloads: tuple[DownloadSpec, ...] = ()


def read_spec(folder: Path) -> DatasetSpec:
    """The `dataset.toml` of a folder.

    Raises `InputError` for a folder without one, text that is no TOML, keys that are unknown or missing, values of a
    wrong type, and rules that contradict each other.
    """
    path = Path(folder) / SPEC
    if not path.parent.is_dir():
        raise InputError(f"{folder} is no folder. Give the folder of a {SPEC}.")
    if not path.is_file():
        raise InputError(
            f"{folder} has no {SPEC}, which says what its tables are. "
            f"`python train_own_data.py --describe {folder}` writes a first one."
        )
    with reading(path):
        content = path.read_bytes()
    try:
        parsed = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not in UTF-8. Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is no TOML: {error}. Texts need quotes, and a key has one value.") from None
    return _Reader(path).spec(parsed)


class _Reader:
    """Parsed TOML -> `DatasetSpec`. path: for errors."""

    def __init__(self, path: Path):
        self.path = path

    def spec(self, parsed: dict[str, Any]) -> DatasetSpec:
        self._check("", parsed, WHOLE, needed=("log",))
        log = self._log(parsed["log"])
        users = self._entities("users", parsed.get("users", []))
        items = self._entities("items", parsed.get("items", []))
        downloads = self._downloads(parsed.get("download", []))
        of_columns = {key: parsed.get(key, {}) for key in ("kinds", "separators", "sides", "vocabulary_sizes")}
        self._check_kinds(log, **of_columns)
        decides = {key: value for key, value in parsed.items() if key not in ("source", "download", "name")}
        name = parsed.get("name", self.path.resolve().parent.name)
        return DatasetSpec(
            path=self.path,
            name=name,
            log=log,
            identity=hashlib.sha256(json.dumps([name, decides], sort_keys=True, default=str).encode()).hexdigest(),
            source=parsed.get("source"),
            users=users,
            items=items,
            negatives=self._negatives(log, parsed.get("negatives")),
            downloads=downloads,
            **of_columns,
        )

    def _fail(self, section: str, problem: str) -> InputError:
        return InputError(f"{self.path}: {f'{section} ' if section else ''}{problem}")

    def _check(
        self, section: str, content: dict[str, Any], known: dict[str, Check], needed: Iterable[str] = ()
    ) -> None:
        for key, value in content.items():
            if key not in known:
                raise self._fail(section, f"has no key '{key}'.{nearest(key, known)} Known: {', '.join(known)}.")
            what, right = known[key]
            if not right(value):
                raise self._fail(section, f"{key} must be {what}. Received: {shown(value)}.")
        missing = [key for key in needed if key not in content]
        if missing:
            raise self._fail(section, f"lacks {', '.join(map(repr, missing))}. Add {missing[0]} = ...")

    def _log(self, content: dict[str, Any]) -> LogSpec:
        self._check("[log]", content, LOG, needed=("files", "user", "item"))
        log = LogSpec(
            "[log]", **{{"from": "least"}.get(key, key): _frozen(key, value) for key, value in content.items()}
        )
        rules = [key for key in ("above", "from", "positive") if key in content]
        if len(rules) > 1:
            raise self._fail("[log]", f"has {' and '.join(rules)}, which are two rules for the label. Keep one.")
        labelled = [key for key in (*rules, "drop") if key in content]
        if labelled and log.label is None:
            raise self._fail("[log]", f"has {labelled[0]}, but no label that it is a rule for. Add label = ...")
        if "time_unit" in content and log.time is None:
            raise self._fail("[log]", "has time_unit, but no time. Add time = ...")
        if len({*log.reserved}) < len(log.reserved):
            raise self._fail("[log]", f"takes one column for two things: {', '.join(log.reserved)}. Name four columns.")
        both = [value for value in log.drop if value in (log.positive or ())]
        if both:
            raise self._fail("[log]", f"drops the label {shown(both[0])}, which is positive, too. Keep one of the two.")
        return log

    def _entities(self, key: str, content: dict | list) -> tuple[EntitySpec, ...]:
        tables = content if isinstance(content, list) else [content]
        section = f"[{key}]" if isinstance(content, dict) else f"[[{key}]]"
        for table in tables:
            self._check(section, table, ENTITY, needed=("files", "id"))
        return tuple(
            EntitySpec(section, **{name: _frozen(name, value) for name, value in table.items()}) for table in tables
        )

    def _downloads(self, content: dict | list) -> tuple[DownloadSpec, ...]:
        tables = content if isinstance(content, list) else [content]
        for table in tables:
            self._check("[[download]]", table, DOWNLOAD, needed=DOWNLOAD)
        return tuple(DownloadSpec(table["file"], table["url"], table["sha256"].lower()) for table in tables)

    def _negatives(self, log: LogSpec, content: dict[str, Any] | None) -> Negatives | None:
        if log.label is not None:
            if content is not None:
                raise self._fail("[negatives]", f"is for a log without labels, and [log] has label = '{log.label}'.")
            return None
        self._check("[negatives]", content or {}, NEGATIVES)
        try:
            return Negatives(**(content or {}))
        except InputError as error:
            raise self._fail("[negatives]", str(error)) from None

    def _check_kinds(self, log: LogSpec, kinds: dict, separators: dict, sides: dict, vocabulary_sizes: dict) -> None:
        for name in separators:
            if kinds.get(name, "list") not in ("list", "vector"):
                raise self._fail("[separators]", f"splits '{name}', which is {kinds[name]} in [kinds]. Leave one out.")
        for name in vocabulary_sizes:
            if kinds.get(name, "sparse") not in ("sparse", "list"):
                raise self._fail("[vocabulary_sizes]", f"has '{name}', which is {kinds[name]}: it has no vocabulary.")
        for name in sides:
            if name in log.reserved:
                raise self._fail("[sides]", f"has '{name}', which [log] names and which is no feature.")


def _frozen(key: str, value: Any) -> Any:
    if key == "files" and isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value
