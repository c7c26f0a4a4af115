"""What a data set is made of, as a page of text: `Dataset.describe()` and `train_own_data.py --describe`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from foundation.errors import InputError
from foundation.shown import aligned, quoted, shortened, visible
from preprocessing.column_profile import TEST_SHARE, ColumnProfile, profile_columns
from preprocessing.description import share
from preprocessing.protocol import PROTOCOLS
from preprocessing.raw import RawData

WIDTH = 100  # of a line, in columns of a terminal
NAME, EXAMPLE = 20, 30  # of a name and of an example
HEAD = ("side", "column", "kind", "distinct", "missing", "new", "example")
RIGHT = (3, 4, 5)  # columns of the table that hold numbers


def profile(raw: RawData, seed: int, ignored: Mapping[str, str] | None = None) -> str:
    """Rows and their times, users, items, what the splits of the honest protocols hold, and a line for each column.

    seed: of the splits. ignored: columns that are not read -> the table that they are in.
    """
    found = profile_columns(raw)
    text = [_head(raw), "", _splits(raw, seed), "", _columns(found, raw)]
    text += [line for one in found if one.note for line in _wrapped(f"note: {quoted(one.name)}: {one.note}.")]
    display = [quoted(one.name) for one in found if one.kind == "display"]
    text += _wrapped(f"Shown beside items and users, and never trained: {', '.join(display)}") if display else []
    left_out = [f"{quoted(name)} of {visible(table)}" for name, table in (ignored or {}).items()]
    text += _wrapped(f"Not read: {', '.join(left_out)}") if left_out else []
    return "\n".join(text)


def _head(raw: RawData) -> str:
    lines = [f"Data: {raw.size}", *(f"  {visible(count)}" for count in raw.counts)]
    positives = "all of them positive" if raw.negatives is not None else f"{share(raw.label)} positive"
    lines.append(f"Rows: {len(raw):,}, {positives}, {_times(raw)}")
    for what, entity, size, described in (
        ("Users", raw.user, len(raw.users), raw.described_users),
        ("Items", raw.item, len(raw.items), raw.described_items),
    ):
        rows = np.bincount(entity, minlength=size)
        once, never = int(np.count_nonzero(rows == 1)), int(np.count_nonzero(rows == 0))
        parts = [f"{size:,}", f"seen once: {once:,} ({_percent(once / max(size, 1))})"]
        parts += [f"in no row: {never:,}"] if never else []
        parts += [f"in no table: {size - described:,}"] if described is not None else []
        parts.append(f"rows of one: {np.median(rows[rows > 0]):,.0f} in the median, {rows.max():,} at most")
        lines.append(f"{what}: {', '.join(parts)}")
    return "\n".join(lines)


def _times(raw: RawData) -> str:
    first, last = int(raw.timestamp.min()), int(raw.timestamp.max())
    if first == last:
        return "without times"
    return f"from {_date(first)} to {_date(last)}"


def _date(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):  # beyond the years that Python knows
        return f"second {seconds}"


def _splits(raw: RawData, seed: int) -> str:
    """A row for each split of each honest protocol: how many rows, positives, and rows of new users and items."""
    rows = [["protocol", "split", "rows", "positive", "of new users", "of new items"]]
    notes = []
    for name, protocol in PROTOCOLS.items():
        if protocol.leaks:
            continue
        try:
            made = protocol.make(raw, seed, protocol.validation_rows[0], protocol.statistics[0], False)
        except InputError as error:
            notes += _wrapped(f"{name}: {error}")
            continue
        train = made.splits["train"]
        known = [_present(entity, train) for entity in (raw.user, raw.item)]
        for split, chosen in made.splits.items():
            new = ["" if split == "train" else _percent(_new(raw, chosen, known, place)) for place in (0, 1)]
            positive = "" if raw.negatives is not None else share(raw.label[chosen])
            rows.append([name, split, f"{len(chosen):,}", positive, *new])
    lines = aligned(rows, right=(2, 3, 4, 5)) if len(rows) > 1 else []
    return "\n".join(["Splits (new: not in the training rows)", *lines, *notes])


def _present(entity: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.bincount(entity[rows], minlength=int(entity.max()) + 1) > 0


def _new(raw: RawData, rows: np.ndarray, known: list[np.ndarray], place: int) -> float:
    entity = (raw.user, raw.item)[place]
    return float(np.mean(~known[place][entity[rows]])) if len(rows) else 0.0


def _columns(found: list[ColumnProfile], raw: RawData) -> str:
    rows = [list(HEAD)]
    for one in found:
        distinct = "" if one.distinct is None else f"{one.distinct:,}"
        cells = [one.side, shortened(quoted(one.name), NAME), one.kind, distinct, _percent(one.missing)]
        cells += ["" if one.new is None else _percent(one.new), shortened(visible(one.example), EXAMPLE)]
        rows.append(cells)
    last = f"new: share of the last {TEST_SHARE:.0%} of the rows by time with a value that no row before them has"
    timed = any(one.new is not None for one in found)
    return "\n".join([f"Columns ({last})" if timed else "Columns", *aligned(rows, RIGHT)])


def _percent(part: float) -> str:
    """
    >>> _percent(0.25), _percent(0.0), _percent(0.0001)
    ('25.0%', '0', '<0.1%')
    """
    if part == 0:
        return "0"
    return "<0.1%" if part < 0.0005 else f"{part:.1%}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
