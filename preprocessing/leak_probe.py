"""A search for features that give labels of held-out rows away, before a model is trained: `docs/leaks.md`.

Each feature is looked at alone, on training and validation rows; labels of test rows are never read. Where a log has
many rows, those of some users and of some items are looked at, drawn whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from foundation.errors import InputWarning
from preprocessing import leak_rows as rows_of
from preprocessing.leak_rows import SIGNIFICANT, Counts, Ranking, ranking
from preprocessing.leak_totals import held_labels
from preprocessing.membership import membership
from preprocessing.raw import Ragged
from preprocessing.split import Split

if TYPE_CHECKING:
    from preprocessing.dataset import Dataset

# A feature is named from this AUC on. Alone, honest ones stay below: on the data sets of this project the best of them,
# the mean labels, reach 0.8, and whole models 0.9.
NEARLY_DECIDES = 0.9
MOST_ROWS = 200_000  # of whole users, and of whole items
MOST_HISTORIES = 20_000  # of training rows, and of validation rows

DECIDES = "nearly decides the label"
# How a feature is left out: of frames, and of a dataset.toml.
OF_FRAMES, OF_FILES = "kinds={{'{name}': 'ignore'}}", '{name} = "ignore" under [kinds] in dataset.toml'
LEAVE_OUT = "leave it out: {{leave_out}}"
# What a feature does -> what to do about it.
ADVICE = {
    "alone": f"Was the label made from it? Then {LEAVE_OUT}.",
    "id": "The rows of one {side} hardly differ in their labels: a good number may be no more than that.",
    "deviation": "A total or a mean that leaves out the label of its own row gives this label away so. Compute it from "
    f"earlier rows, or {LEAVE_OUT}.",
    "change": "A running total or mean that holds the label of its own row gives this label away so. Compute it from "
    f"the rows before, or {LEAVE_OUT}.",
    "total": f"Compute it from training rows alone, or {LEAVE_OUT}.",
    "computed": "The protocol computes it from labels and should keep it from this: please report it.",
}


class LeakWarning(InputWarning):
    """A feature gives labels away that a model is to predict."""


@dataclass(frozen=True)
class Finding:
    """A feature that gives labels away: by an `auc` on validation rows; how, and what to do, in words."""

    feature: str
    auc: float
    how: str
    advice: str

    def __str__(self) -> str:
        """
        >>> print(Finding("stars", 1.0, "nearly decides the label", "Was the label made from it?"))
        Feature 'stars' nearly decides the label (AUC 1.0000 on validation rows). Was the label made from it?
        """
        return f"Feature '{self.feature}' {self.how} (AUC {self.auc:.4f} on validation rows). {self.advice}"


def warn_of_leaks(findings: Iterable[Finding], stacklevel: int = 1) -> None:
    """A `LeakWarning` for each. stacklevel: as of `warnings.warn`, seen from the caller."""
    for finding in findings:
        warnings.warn(str(finding), LeakWarning, stacklevel=stacklevel + 1)


def probe(data: Dataset, leave_out: str = OF_FRAMES) -> tuple[Finding, ...]:
    """The features that give labels of validation rows away, with one finding each.

    leave_out: what to write to leave a feature out, `OF_FRAMES` or `OF_FILES`.
    Features of the log, of users and of items are looked at as they were read. What the protocol computes from labels
    is looked at as well, but not under a protocol that says itself that it leaks.
    Raises `InputError` for a data set without validation rows.
    """
    sides = [_Side.of(data, "user"), _Side.of(data, "item")]
    found = [*_of_log(data, sides), *(finding for side in sides for finding in _of_entities(data, side))]
    ids = {data.schema.user_id, data.schema.item_id}
    if not data.protocol.leaks_labels and not any(finding.feature in ids for finding in found):
        found += _computed(data, sides[0])  # which tells no more than the ids where the protocol keeps its promise
    first: dict[str, Finding] = {}
    for finding in found:
        advice = finding.advice.format(leave_out=leave_out.format(name=finding.feature))
        first.setdefault(finding.feature, replace(finding, advice=advice))
    return tuple(first.values())


@dataclass(frozen=True)
class _Side:
    """The training and validation rows of some users, or items, which are all that is looked at.

    rows: (n,) int64 of the log.  entity: (n,) int, whose row each is.  label: (n,).  is_train: (n,) bool, else a
    validation row.  total: (entities,) float64, rows of the whole log.  by_time: (n,) int, places of the rows in time
    order, equal times in the order of the log.
    """

    name: str
    rows: np.ndarray
    entity: np.ndarray
    label: np.ndarray
    is_train: np.ndarray
    total: np.ndarray
    by_time: np.ndarray

    @classmethod
    def of(cls, data: Dataset, name: str) -> _Side:
        raw = data.raw
        entity, size = (raw.user, len(raw.users)) if name == "user" else (raw.item, len(raw.items))
        total = np.bincount(entity, minlength=size)
        order = np.random.default_rng([data.seed, size]).permutation(size)
        drawn = np.zeros(size, dtype=bool)
        drawn[order[: max(1, int(np.searchsorted(np.cumsum(total[order]), MOST_ROWS)))]] = True
        parts = [data.split(split).rows.numpy() for split in ("train", "validation")]
        if not drawn.all():
            parts = [rows[drawn[entity[rows]]] for rows in parts]
        rows, is_train = np.concatenate(parts), np.repeat([True, False], [len(part) for part in parts])
        by_time = np.lexsort((rows, raw.timestamp[rows]))
        return cls(name, rows, entity[rows], raw.label[rows], is_train, total.astype(np.float64), by_time)

    @cached_property
    def counts(self) -> Counts:
        """Of each entity."""
        return Counts.of_rows(self.entity, self.label, self.is_train, len(self.total))

    def by_group(self, values: np.ndarray) -> Iterator[Ranking]:
        """Of a feature of the rows: by its categories, and by intervals where it is a number."""
        number = rows_of.numbers(values)
        if number is None or values.dtype.kind != "f":
            yield self._of_groups(*rows_of.categories(values))
        if number is not None:
            yield self.of_numbers(number)

    def of_numbers(self, values: np.ndarray) -> Ranking:
        """Of (n,) numbers."""
        return self._of_groups(*rows_of.intervals(values, values[self.is_train]))

    def _of_groups(self, group: np.ndarray, groups: int) -> Ranking:
        counts = Counts.of_rows(group, self.label, self.is_train, groups)
        return ranking(counts.target_means(), counts)

    def constant(self, values: np.ndarray) -> np.ndarray | None:
        """(entities,) the number of each entity, NaN where none is known; None if rows of one entity differ."""
        of, known = np.full(len(self.total), np.nan), ~np.isnan(values)
        of[self.entity[known]] = values[known]
        return of if (of[self.entity] == values)[known].all() else None


def _of_log(data: Dataset, sides: list[_Side]) -> Iterator[Finding]:
    """Features of the rows: alone, as totals of users or items, and against other rows of their user or item."""
    for name, values in data.raw.interactions.items():
        yield from _named(name, "alone", DECIDES, sides[0].by_group(values[sides[0].rows]))
        for side in sides:
            number = rows_of.numbers(values[side.rows])
            if number is None:
                continue
            of_entity = side.constant(number)
            if of_entity is not None:
                yield from _total(data, name, of_entity, side)
                continue
            how = f"{DECIDES} by its difference from the mean of its {side.name}"
            yield from _named(name, "deviation", how, [side.of_numbers(rows_of.deviations(number, side.entity))])
            how = f"{DECIDES} by its change since the {side.name}'s row before"
            yield from _named(
                name, "change", how, [side.of_numbers(rows_of.changes(number, side.entity, side.by_time))]
            )


def _of_entities(data: Dataset, side: _Side) -> Iterator[Finding]:
    """Features of users, or of items: alone, and as totals."""
    raw, schema = data.raw, data.raw.schema
    if side.name == "user":
        table, lists, key = raw.users, raw.user_lists, schema.user_id
        names = {*schema.user_sparse, *schema.user_dense}
    else:
        table, lists, key = raw.items, raw.item_lists, schema.item_id
        names = {*schema.item_sparse, *schema.item_dense}
    counts = side.counts
    for name in table.columns.intersection(sorted(names), sort=False):
        values = table[name].to_numpy()
        kind = "id" if name == key else "alone"
        counts_of = counts.merged(*rows_of.categories(values))
        found = [ranking(counts_of.target_means(), counts_of)]
        number = None if name == key else rows_of.numbers(values)
        if number is not None:
            counts_of = counts.merged(*rows_of.intervals(number, number[counts.train > 0]))
            found.append(ranking(counts_of.target_means(), counts_of))
        yield from _named(name, kind, DECIDES, found, side.name)
        if number is not None:
            yield from _total(data, name, number, side)
    for name, ragged in lists.items():
        yield from _named(name, "alone", DECIDES, [ranking(_list_score(ragged, counts), counts)])


def _list_score(ragged: Ragged, counts: Counts) -> np.ndarray:
    """(entities,) the mean of the target means of what each list holds; of an empty one that of all."""
    group, groups = rows_of.categories(ragged.values)
    owner = np.repeat(np.arange(len(ragged)), ragged.lengths)
    means = counts.take(owner).merged(group, groups).target_means()
    total = np.bincount(owner, weights=means[group], minlength=len(ragged))
    prior = counts.train_positives.sum() / max(counts.train.sum(), 1)
    return np.where(ragged.lengths > 0, total / np.maximum(ragged.lengths, 1), prior)


def _total(data: Dataset, name: str, x: np.ndarray, side: _Side) -> Iterator[Finding]:
    held = held_labels(x, side.counts, side.total, np.random.default_rng(data.seed))
    if held is not None:
        how = f"holds labels of validation rows: {held.how.format(side=side.name)}"
        yield Finding(name, held.auc, how, ADVICE["total"].format())


def _computed(data: Dataset, side: _Side) -> Iterator[Finding]:
    """What the protocol computes from labels."""
    schema = data.schema
    for name in filter(None, (schema.user_statistic, schema.item_statistic)):
        values = data.per_row.values[name].cpu().numpy()[side.rows].astype(np.float64)
        yield from _named(name, "computed", DECIDES, [side.of_numbers(values)])
    if schema.history:
        rng = np.random.default_rng(data.seed)
        # Who likes an item again had it in the history before, by right: rows of pairs that occur once are looked at.
        pair = side.entity.astype(np.int64) * len(data.raw.items) + data.raw.item[side.rows]
        _, place, times = np.unique(pair, return_inverse=True, return_counts=True)
        places = [np.flatnonzero((side.is_train == train) & (times[place] == 1)) for train in (True, False)]
        chosen = np.concatenate([rng.permutation(part)[:MOST_HISTORIES] for part in places])
        bit = membership(Split(data, torch.from_numpy(side.rows[chosen]))).astype(np.int64)
        counts = Counts.of_rows(bit, side.label[chosen], side.is_train[chosen], 2)
        how = f"{DECIDES} by whether it holds the item of the row"
        yield from _named(schema.history, "computed", how, [ranking(counts.target_means(), counts)])


def _named(name: str, kind: str, how: str, found: Iterable[Ranking], side: str = "") -> Iterator[Finding]:
    """A finding if the best of these is one."""
    best = max(found, key=lambda one: one.auc)
    if best.auc >= NEARLY_DECIDES and best.deviations >= SIGNIFICANT:
        yield Finding(name, best.auc, how, ADVICE[kind].format(side=side))
