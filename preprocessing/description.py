"""What data say of themselves to whoever prints them: never their arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from foundation.feature_columns import Column, kind_of
from foundation.shown import aligned, quoted, shortened, some, visible
from preprocessing.feature_notes import notes
from preprocessing.raw import RowCount

if TYPE_CHECKING:
    from foundation.features import Lists
    from preprocessing.dataset import Dataset

WIDTH = 32  # of a name, in columns of a terminal


def describe(data: Dataset) -> str:
    """Size and protocol, rows and share of positives of each split, and each feature with its side and kind; under
    `temporal` how many rows are of users and items that training has not seen.

    Reads each label once, and where each list begins and ends.
    """
    protocol, label = data.protocol, data.label.cpu().numpy()
    leaks = f"leaks labels: {protocol.leak}" if protocol.leaks_labels else "leaks no labels"
    if data.findings:
        leaks += f", but features give them away: {some(finding.feature for finding in data.findings)}"
    splits = [["split", "rows", "positive"]]
    splits += [[name, f"{len(rows):,}", share(label[rows])] for name, rows in protocol.splits.items()]
    features = [["side", "feature", "kind", "values"]]
    given = data.feature_columns(history=True)
    features += [_feature(data, "user", column) for column in given.user]
    features += [_feature(data, "item", column) for column in given.item]
    return "\n".join(
        [
            data.raw.size,
            f"Protocol {protocol.name}, seed {data.seed}, {leaks}",
            *_aligned(splits, right=(1, 2)),
            *_sampled(data),
            *_not_seen(data),
            *_aligned(features),
            *_notes(data),
        ]
    )


def summarize(data: Dataset) -> str:
    """What was loaded and how it was split: what a run prints before it trains."""
    sizes = {name: len(rows) for name, rows in data.protocol.splits.items()}
    kept, counts = sum(sizes.values()), list(data.raw.counts)
    if kept < len(data.raw):  # the published protocol alone drops rows
        counts.append(RowCount("protocol", len(data.raw), kept, data.protocol.dropped))
    splits = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
    return "\n".join(
        [
            f"Data: {visible(data.name)}, {data.raw.contents}",
            f"Protocol: {data.protocol.name}, seed {data.seed}: {splits} rows",
            *_sampled(data),
            *_not_seen(data),
            *(f"  {visible(count)}" for count in counts),
            *_notes(data),
        ]
    )


def _sampled(data: Dataset) -> list[str]:
    """A line for each split of a log of positives: how many rows are positives, and how the others were sampled."""
    negatives, lines = data.raw.negatives, []
    if negatives is None:
        return []
    for split, rows in data.protocol.splits.items():
        positives = int(np.count_nonzero(data.raw.label[rows]))
        sampled, how = len(rows) - positives, negatives.of(split)
        asked = negatives.per_positive if how else 0
        fewer = asked * positives - sampled
        line = f"  {split}: {positives:,} positives and {sampled:,} negatives, "
        line += f"{asked} each, sampled by {how}" if how == "popularity" else ""
        line += f"{asked} each, sampled uniformly" if how == "uniform" else ""
        line += "" if how else "which are the items of the other rows of a batch"
        lines.append(line + (f", less {fewer:,} of users who have nearly all items" if fewer else ""))
    return lines


def _notes(data: Dataset) -> list[str]:
    """A line for each feature that is hardly what was meant."""
    return [f"  note: {visible(note)}" for note in notes(data)]


def _not_seen(data: Dataset) -> list[str]:
    """A line under `temporal`, where the splits differ in it, and none elsewhere. Of sampled negatives nothing."""
    raw, splits = data.raw, data.protocol.splits
    if data.protocol.name != "temporal":
        return []
    if raw.negatives is not None:
        splits = {split: rows[raw.label[rows] == 1] for split, rows in splits.items()}
    new: dict[str, list[str]] = {split: [] for split in splits if split != "train"}
    for entity, size in ((raw.user, len(raw.users)), (raw.item, len(raw.items))):
        seen = np.zeros(size, dtype=bool)
        seen[entity[splits["train"]]] = True
        for split, shares in new.items():
            shares.append(f"{np.mean(~seen[entity[splits[split]]]):.1%}")
    parts = ", ".join(f"{users} and {items} of {split}" for split, (users, items) in new.items())
    return [f"  rows of users and items that training has not seen: {parts}"]


def _feature(data: Dataset, side: str, column: Column) -> list[str]:
    """A line of the table."""
    name, schema, shown = column.name, data.schema, quoted(column.name)
    vocabulary = data.encoding.vocabulary_of(name)
    if vocabulary is not None:
        ids = f"{len(vocabulary):,} ids"
        if kind_of(column) == "sparse":
            return [side, shown, "category", ids]
        home = next(table for table in (data.users, data.items, data.per_row) if name in table)
        kind = "history" if name == schema.history else "list"
        return [side, shown, kind, f"{ids}, {_mean_length(home.lists[name]):.1f} a row"]
    kind = "mean label" if name in (schema.user_statistic, schema.item_statistic) else "number"
    scaler = data.scalers.get(name)
    return [side, shown, kind, "" if scaler is None else f"{scaler.low:g} to {scaler.high:g}"]


def _mean_length(lists: Lists) -> float:
    return float((lists.end - lists.start).double().mean()) if len(lists) else 0.0


def _aligned(rows: list[list[str]], right: tuple[int, ...] = ()) -> list[str]:
    """`aligned`, with cells that are not wide, but for the last of a line."""
    return aligned([[shortened(cell, WIDTH) for cell in row[:-1]] + [row[-1]] for row in rows], right)


def share(labels: np.ndarray) -> str:
    """The share of positives among labels, as text.

    >>> share(np.array([1.0, 0.0, 0.0]))
    '33.3%'
    """
    return f"{labels.mean(dtype=np.float64):.1%}" if len(labels) else "-"
