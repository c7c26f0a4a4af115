"""Entities of a base file that is built once, and behind them those of a small delta file of later changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from serving.entities import Entities, EntityTable
from serving.section_file import SectionFile

GONE = "gone"  # the section of a delta with the keys that the base no longer speaks for


class Layered:
    """All users or items at one moment: the base's in rows 0..N-1, the delta's behind them. Never changes.

    Raises `InputError` for a file that is missing or damaged.
    """

    def __init__(self, base: SectionFile, delta: SectionFile | None):
        self.base, self.size = EntityTable(base), base.shape("key")[0]
        self.delta = None if delta is None else EntityTable(delta)
        self.gone = np.zeros(0, dtype=np.int64)  # rows of the base
        if delta is not None:
            gone = self.base.find(delta.section(GONE))
            self.gone = gone[gone >= 0]

    def __len__(self) -> int:
        """Without those that are gone."""
        return self.places - len(self.gone)

    @property
    def places(self) -> int:
        """Rows, those that are gone included."""
        return self.size + (0 if self.delta is None else len(self.delta))

    @property
    def deleted(self) -> int:
        """Of the base, without those that stand in the delta again."""
        if self.delta is None:
            return 0
        return int((self.delta.find(self.base.file.rows("key", self.gone)) < 0).sum())

    @property
    def files(self) -> list[SectionFile]:
        return [table.file for table in (self.base, self.delta) if table is not None]

    @property
    def has_text_ids(self) -> bool:
        return self.base.has_text_ids

    def find_keys(self, keys: np.ndarray) -> np.ndarray:
        """(n,) keys -> (n,) int64 rows, -1 where there is none."""
        rows = self.base.find(keys)
        if self.delta is None:
            return rows
        if len(self.gone):
            rows[np.isin(rows, self.gone)] = -1
        newer = self.delta.find(keys)
        return np.where(newer >= 0, self.size + newer, rows)

    def ids(self, rows: np.ndarray) -> np.ndarray:
        """(n,) whole numbers, or strings as objects."""
        return self._both(rows, lambda table, part: table.ids(part))

    def entities(self, rows: np.ndarray) -> Entities:
        """Rows of the base before rows of the delta; what else is asked for is in the order asked for."""
        rows = np.sort(rows)
        parts = [self.base.entities(rows[rows < self.size])]
        if self.delta is not None:
            parts.append(self.delta.entities(rows[rows >= self.size] - self.size))
        return Entities.join(parts)

    def live(self) -> np.ndarray:
        """(len,) int64: all rows but those that are gone."""
        return np.delete(np.arange(self.places), self.gone)

    def _both(self, rows: np.ndarray, read: Callable[[EntityTable, np.ndarray], np.ndarray]) -> np.ndarray:
        """Reads rows of the base and of the delta, in the order asked for."""
        if self.delta is None:
            return read(self.base, rows)
        newer = rows >= self.size
        old, new = read(self.base, rows[~newer]), read(self.delta, rows[newer] - self.size)
        result = np.empty((len(rows), *old.shape[1:]), dtype=old.dtype)
        result[~newer], result[newer] = old, new
        return result
