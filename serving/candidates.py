"""Ids that a request gives, one list for all users or a list for each of them -> rows of the items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foundation.errors import InputError, one_of
from foundation.values import is_list, plain, shown
from serving.given import id_array, listed
from serving.snapshot import Snapshot

MISSING = ("error", "skip")  # what becomes of candidates that are not in the index


@dataclass(frozen=True)
class Candidates:
    """What a request may be answered with.

    rows: of the items, one array of them for all users, or a list of arrays, one a user. From `find_candidates` they
        are in the order given, -1 for an id that is not in the index; from `distinct` they are known, ascending, each
        once.
    missing: the ids that are not in the index, each once, as an array or a list of arrays likewise.
    """

    rows: np.ndarray | list[np.ndarray]
    missing: np.ndarray | list[np.ndarray]

    def distinct(self) -> Candidates:
        rows = self.rows
        return Candidates([distinct(one) for one in rows] if isinstance(rows, list) else distinct(rows), self.missing)

    def part(self, first: int, last: int) -> Candidates:
        """Those of users first..last-1."""
        rows, missing = self.rows, self.missing
        return Candidates(rows[first:last], missing[first:last]) if isinstance(rows, list) else self

    def missing_of(self, user: int) -> np.ndarray:
        return self.missing[user] if isinstance(self.missing, list) else self.missing


def find_candidates(
    items: Snapshot, given: Any, users: int | None = None, missing: str = "error", ordered: bool = False
) -> Candidates:
    """given: ids, or a list of ids a user. users: how many ask in one request, None for one that asks alone.

    ordered: whether the answer has the order of the ids, so that a set is refused.
    Raises `InputError` for what is neither and, if missing="error", for an empty list and an unknown id.
    """
    one_of("missing", missing, MISSING)
    parts, apart = id_lists("Candidates", items, given, users, ordered)
    lengths = [len(part) for part in parts]
    if missing == "error" and 0 in lengths:
        if apart:
            raise InputError(
                f"The list of candidates of user {lengths.index(0) + 1} of {users} is empty. Leave the user out, or "
                'give missing="skip" for an empty ranking.'
            )
        raise InputError("The list of candidates is empty. Leave it out to rank all items.")
    ids = np.concatenate(parts) if apart else parts[0]
    rows = items.find(ids)
    unknown = ids[rows < 0].tolist()
    if unknown and missing == "error":
        some = ", ".join(map(repr, unknown[:5]))
        raise InputError(
            f"{len(unknown)} of {len(rows)} candidates are not in the index: {some}. Leave them out, as "
            'missing="skip" does.'
        )
    if not apart:
        return Candidates(rows, _each_once(ids[rows < 0]))
    lists = np.split(rows, np.cumsum(lengths)[:-1])
    return Candidates(lists, [_each_once(part[found < 0]) for part, found in zip(parts, lists, strict=True)])


def known_rows(what: str, items: Snapshot, given: Any, users: int | None) -> list[np.ndarray]:
    """Rows of the ids that the index holds, ascending, each once: an array a user, the same for all with one list.

    Raises `InputError` as `id_lists` does.
    """
    parts, apart = id_lists(what, items, given, users)
    rows = [distinct(items.find(part)) for part in parts]
    return rows if apart else rows * (users or 1)


def id_lists(
    what: str, items: Snapshot, given: Any, users: int | None, ordered: bool = False
) -> tuple[list[np.ndarray], bool]:
    """Arrays of ids, and whether there is one a user; otherwise it is one for all.

    what: they are called in a message. Raises `InputError` for ids of another kind, and where there are not as many
    lists as users.
    """
    if isinstance(given, np.ndarray) and given.ndim == 2 and users is not None:
        given = list(given)
    entries = listed(what, given, ordered)
    text, apart = items.has_text_ids, bool(len(entries)) and is_list(entries[0])
    if apart:
        _require_one_a_user(what, entries, users)
    return [id_array(what, one, text, ordered) for one in (entries if apart else [entries])], apart


def _require_one_a_user(what: str, lists: Sequence | np.ndarray, users: int | None) -> None:
    if users is None:
        raise InputError(
            f"{what} must be one list of ids where one user asks. Received: a list of lists. Give one list, or a list "
            "of users."
        )
    strange = next((one for one in lists if not is_list(one)), None)
    if strange is not None:
        raise InputError(
            f"{what} must be a list of ids for all users, or a list of lists, one a user. Received both: "
            f"{shown(plain(strange))} beside {shown(lists[0])}."
        )
    if len(lists) != users:
        raise InputError(
            f"{what} must be one list of ids for all users, or a list a user. Received: {len(lists)} lists for {users} "
            "users."
        )


def distinct(rows: np.ndarray) -> np.ndarray:
    """As np.unique, in a tenth of its time, and without -1."""
    rows = np.sort(rows)
    return rows[np.append(rows[:1] >= 0, (rows[1:] != rows[:-1]) & (rows[1:] >= 0))]


def _each_once(ids: np.ndarray) -> np.ndarray:
    """In the order of their first places."""
    return np.array(list(dict.fromkeys(ids.tolist())), dtype=ids.dtype)
