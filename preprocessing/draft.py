"""A first `dataset.toml` from bare tables: what the names and values of their columns say, with comments to check."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from foundation.errors import InputError
from foundation.shown import some, visible
from preprocessing.frame_columns import kind_of
from preprocessing.table_sample import Sample, samples

# Words that a name is taken apart into -> what its column may be.
WORDS = {
    "user": "user users customer customers client member visitor person reader buyer account uid userid session",
    "item": "item items product products movie movies film article book isbn song track artist video anime game ad "
    "adgroup news business restaurant recipe sku asin listing offer iid itemid",
    "time": "time timestamp date datetime when ts created at day unixtime",
    "label": "label click clicked clk rating ratings stars score feedback event action liked like purchase purchased "
    "bought buy y target behavior behaviour",
}
PARTS = ("|", "; ", ";", ", ", ",")  # what separates the parts of a text
LIKELY_SECONDS = (6 * 10**8, 22 * 10**8)  # from 1989 to 2039
NEGATIVES = (
    "",
    "[negatives] # every row of the log is a positive, and these are sampled for each",
    'train = "uniform" # or "popularity", "in_batch"',
    "per_positive = 4",
    'evaluate = "uniform" # or "popularity"',
)


@dataclass(frozen=True)
class _Key:
    """A table of users or items. side: "users" or "items".  id: its column."""

    table: Sample
    side: str
    id: str


def draft_spec(folder: Path) -> str:
    """The text of a `dataset.toml` for the tables in a folder. Every guess has a comment.

    Raises `InputError` for a folder without tables, and for tables of which none has two columns for users and items.
    """
    folder = Path(folder)
    tables, unread = samples(folder)
    log, roles = _log_of(folder, tables)
    logs = [table for table in tables if table is not log and _is_log(table, tables)]
    others = [table for table in tables if table is not log and all(table is not one for one in logs)]
    keys = [key for table in others if (key := _key_of(table, log, roles)) is not None]
    unused = [table for table in others if all(key.table is not table for key in keys)]
    lines = [
        "# A first guess from the names and the first rows of the tables. Check each line that has a comment, then",
        "# look at the columns: python train_own_data.py --describe FOLDER",
        f"name = {_text(folder.resolve().name)}",
        '# source = "where the files come from"',
        "",
        *_log_lines(log, roles),
    ]
    for key in keys:
        lines += ["", *_entity_lines(key, sum(other.side == key.side for other in keys) > 1)]
    for table in logs:
        names = some(table.frame.columns, most=12)
        lines += ["", f"# another log: files = {_text(table.spec.files[0])} # not read. It has: {names}"]
    for table in unused:
        names = some(table.frame.columns, most=12)
        lines += ["", f"# {table.spec.files[0]} is not read: no column holds the ids of the log. It has: {names}"]
    for name, problem in unread.items():
        lines += ["", f"# {name} is not read. {visible(' '.join(problem.split()))}"]
    kinds, separators = _features(log, roles, keys)
    lines += _section("kinds", kinds) + _section("separators", separators)
    if "label" not in roles:
        lines += NEGATIVES
    return "\n".join(lines) + "\n"


def _log_of(folder: Path, tables: Sequence[Sample]) -> tuple[Sample, dict[str, str]]:
    """The table with users and items, and which of its columns is what; of several ones that with the most of these,
    and the largest."""
    guesses = [(table, _roles(table, tables)) for table in tables]
    found = [(table, roles) for table, roles in guesses if {"user", "item"} <= {*roles}]
    if not found:
        columns = "; ".join(f"{table.spec.files[0]}: {some(table.frame.columns)}" for table in tables[:3])
        raise InputError(
            f"No table of {folder} has columns that look like users and items ({columns}). Write dataset.toml by hand; "
            "docs/own_data.md describes it."
        )
    return max(found, key=lambda guess: (len(guess[1]), guess[0].size))


def _is_log(table: Sample, tables: Sequence[Sample]) -> bool:
    """Whether its header names users and items, and both have several rows: it describes neither."""
    roles = _roles(table, tables) if table.header else {}
    return all(role in roles and table.repeats(roles[role]) for role in ("user", "item"))


def _roles(table: Sample, tables: Sequence[Sample]) -> dict[str, str]:
    """Which column is the user, the item, the time and the label, as far as that can be told."""
    roles: dict[str, str] = {}
    for role in ("user", "item", "time", "label"):
        for name in table.frame.columns if table.header else ():
            if name not in roles.values() and _named(name, role) and _fits(table, name, role):
                roles[role] = name
                break
    others = [name for name in table.frame.columns if name not in roles.values()]
    if "time" not in roles:
        roles |= dict(zip(["time"], filter(lambda name: _is_time(table.frame[name]), reversed(others)), strict=False))
    if not {"user", "item"} & {*roles} and not table.header:  # the usual order: user, item, label, time
        repeated = [name for name in others if table.repeats(name) and name not in roles.values()]
        roles |= dict(zip(("user", "item"), repeated, strict=False))
        rest = [name for name in repeated[2:] if name not in roles.values() and 2 <= table.frame[name].nunique() <= 20]
        roles |= dict(zip(["label"], rest, strict=False))
    return roles


def _named(name: str, role: str) -> bool:
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    return bool({*words, name.lower()} & {*WORDS[role].split()})


def _fits(table: Sample, name: str, role: str) -> bool:
    column = table.frame[name]
    if role in ("user", "item"):
        return not _is_date(column) and kind_of(name, column) == "sparse"
    if role == "time":
        return _is_time(column)
    return 2 <= column.nunique() <= 100 and not _is_date(column)  # one value everywhere says nothing


def _is_date(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.ArrowDtype) and pa.types.is_temporal(column.dtype.pyarrow_dtype)


def _is_time(column: pd.Series) -> bool:
    if _is_date(column):
        return True
    if column.dtype.kind not in "iu" or column.isna().any():
        return False
    first, last = (value // (1000 if _in_milliseconds(column) else 1) for value in (column.min(), column.max()))
    return LIKELY_SECONDS[0] < first <= last < LIKELY_SECONDS[1]


def _in_milliseconds(column: pd.Series) -> bool:
    return column.dtype.kind in "iu" and column.min() > 100 * LIKELY_SECONDS[1]


def _key_of(table: Sample, log: Sample, roles: dict[str, str]) -> _Key | None:
    """Which side a table describes, and by which column: the one whose values are those of the log's ids."""
    best: tuple[float, _Key] | None = None
    for side, role in (("users", "user"), ("items", "item")):
        wanted = {*log.distinct(roles[role]).tolist()}
        for position, name in enumerate(table.frame.columns):
            if not _fits(table, name, role):
                continue
            values = {*table.distinct(name).tolist()}
            shared = len(values & wanted) / max(len(values), 1)
            named = _named(table.spec.files[0] if not table.header else name, role) or name == roles[role]
            likely = shared + 0.5 * named + 0.2 * (not table.repeats(name)) - 0.01 * position
            if shared > 0.1 and likely > 0.6 and (best is None or likely > best[0]):
                best = likely, _Key(table, side, name)
    return None if best is None else best[1]


def _log_lines(log: Sample, roles: dict[str, str]) -> Iterator[str]:
    yield "[log] # one row an impression"
    yield from _table_lines(log)
    for role in ("user", "item"):
        yield f"{role} = {_text(roles[role])}"
    if "time" in roles:
        yield f"time = {_text(roles['time'])}"
        if _in_milliseconds(log.frame[roles["time"]]):
            yield 'time_unit = "ms"'
    else:
        yield "# time = ... # no column looks like one; without it the order of rows counts, and temporal is refused"
    if "label" in roles:
        yield f"label = {_text(roles['label'])}"
        yield from _rule(log.distinct(roles["label"]))
    else:
        yield "# label = ... # no column looks like one, so every row is a positive"


def _rule(values: pd.Series) -> Iterator[str]:
    """What is a positive."""
    given = sorted(values.tolist()) if values.dtype.kind in "iufb" else values.tolist()
    if {*given} <= {0, 1}:
        return
    if values.dtype.kind in "iuf":
        low, high = min(given), max(given)
        if (low, high) == (1, 5) or (low, high) == (0.5, 5.0):
            yield f"above = 3 # check: what is a positive? values: {some(given, most=12)}"
        else:
            least = next(value for value in given if value >= low + 0.7 * (high - low))
            yield f"from = {least} # check: what is a positive? values: {some(given, most=12)}"
        return
    common, *others = values.tolist()
    yield f"positive = [{', '.join(map(_text, others or [common]))}] # check: what is a positive? values: {some(given)}"


def _entity_lines(key: _Key, several_tables: bool) -> Iterator[str]:
    yield f"[[{key.side}]]" if several_tables else f"[{key.side}]"
    yield from _table_lines(key.table)
    yield f"id = {_text(key.id)}"
    if key.table.repeats(key.id):
        yield "several = true # ids have several rows: the other columns are lists"


def _table_lines(table: Sample) -> Iterator[str]:
    yield f"files = {_text(table.spec.files[0])}"
    if table.spec.separator is not None:
        yield f"separator = {_text(table.spec.separator)}"
    if table.spec.encoding != "utf-8":
        yield f"encoding = {_text(table.spec.encoding)}"
    if table.bad_lines:
        yield (
            f'bad_lines = "drop" # {table.bad_lines:,} of the first {table.lines:,} lines have another number of parts '
            "than the others: they are left out"
        )
    if table.spec.columns is not None:
        yield f"columns = [{', '.join(map(_text, table.spec.columns))}] # no header: give names that say more"


def _features(log: Sample, roles: dict[str, str], keys: Sequence[_Key]) -> tuple[dict[str, str], dict[str, str]]:
    """Kinds where the guess would not do, and separators; each with its comment."""
    kinds: dict[str, str] = {}
    separators: dict[str, str] = {}
    for table, skipped in ((log, {*roles.values()}), *((key.table, {key.id}) for key in keys)):
        for name in table.frame.columns:
            column = table.frame[name]
            if name in skipped:
                continue
            if table is log and len(values := log.distinct(name)) == 1 and column.notna().all():
                kinds[name] = f'"ignore" # {some(values)} in every row that was looked at: no label and no feature'
                continue
            if _is_date(column):
                kinds[name] = '"ignore" # dates are no feature as they are'
                continue
            separator = _parts_of(column) if table is not log else None
            if separator is not None:
                separators[name] = f"{_text(separator)} # texts that look like lists"
            elif _is_title(column):
                kind = "ignore" if table is log else "display"
                kinds[name] = f'"{kind}" # nearly every row has a text of its own'
    return kinds, separators


def _texts(column: pd.Series) -> pd.Series:
    """The texts of a column; none where it holds something else."""
    text = isinstance(column.dtype, pd.ArrowDtype) and column.dtype.pyarrow_dtype in (pa.string(), pa.large_string())
    return column.dropna().astype(object) if text else pd.Series([], dtype=object)


def _is_title(column: pd.Series) -> bool:
    texts = _texts(column)
    return len(texts) >= 5 and texts.nunique() > 0.8 * len(texts)


def _parts_of(column: pd.Series) -> str | None:
    """What separates the parts of texts, if the parts recur."""
    texts = _texts(column).drop_duplicates().head(1000)
    for separator in PARTS:
        split = texts.str.split(separator, regex=False)
        if len(texts) and (split.str.len() > 1).mean() > 0.2:
            parts = split.explode().str.strip()
            if parts.nunique() <= len(texts):
                return separator
    return None


def _section(name: str, content: dict[str, str]) -> list[str]:
    return ["", f"[{name}]", *(f"{_name(key)} = {value}" for key, value in content.items())] if content else []


def _text(value: object) -> str:
    """A value as TOML writes it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def _name(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)
