"""A data set of one's own: two tables and a log, as pandas frames -> `RawData`. `docs/frames.md` shows its use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from foundation.errors import InputError
from foundation.kinds import ALIASES, kind_name
from foundation.nearest import did_you_mean
from foundation.shown import some
from foundation.values import plain, shown
from preprocessing import frame_columns as columns
from preprocessing import unmatched_ids
from preprocessing.column_storage import unpacked
from preprocessing.negatives import Negatives
from preprocessing.raw import Ragged, RawData, RowCount, Schema

KINDS = ("sparse", "dense", "list", "display", "ignore")
SIDES = ("user", "item")
READ = {"sparse": columns.categories, "dense": columns.numbers, "display": columns.texts}
USER_STATISTIC, ITEM_STATISTIC = "user_mean_label", "item_mean_label"


def raw_from_frames(
    users: pd.DataFrame | None,
    items: pd.DataFrame | None,
    interactions: pd.DataFrame,
    *,
    user_id: str,
    item_id: str,
    label: str | None = None,
    timestamp: str | None = None,
    kinds: Mapping[str, str] | None = None,
    sides: Mapping[str, str] | None = None,
    vocabulary_sizes: Mapping[str, int] | None = None,
    statistics: bool = True,
    history: bool = True,
    name: str = "own-data",
    negatives: Negatives | None = None,
) -> RawData:
    """Checks and joins the frames.

    users, items: one row an entity, with the id and any features; None if there is nothing to know but the id.
    interactions: one row an impression, with both ids, the label (0 or 1) and any features of the impression itself.
    negatives: instead of a label, where every row is a positive: how `Dataset.build` samples the others.
    timestamp: the column with integer seconds, dates or datetimes; without it, histories are in the order of rows.
    kinds: feature -> "sparse" or "category", "dense" or "number", "list" (of categories), "display" (a text of a user
        or item that is shown and that no model reads) or "ignore". By default floats and decimals are dense, columns of
        lists are lists, and everything else is sparse; the ids are always sparse.
    sides: feature of `interactions` -> "user" (the default: known when a request comes) or "item".
    vocabulary_sizes: sparse or list feature -> how many embedding rows it may have at most, the one for unknown values
        included. The most frequent values of the training rows get one. By default all of them do.
    statistics, history: whether models get mean labels of users and items, and may get a user's liked items.

    A missing category is an unknown value, a missing number the training mean, a missing list empty.
    Raises `InputError` for columns that are missing, named twice or of a kind that fits no feature, for ids that are
    missing, repeated or not in their table, for labels other than 0 and 1, and for both a label and negatives, or none.
    """
    _require_frames(users=users, items=items, interactions=interactions)
    if not len(interactions):
        raise InputError("interactions has no rows: there is nothing to learn from.")
    if (label is None) == (negatives is None):
        raise InputError(
            "Name the column of labels, label=..., or, where every row is a positive, say how negatives are sampled: "
            f"negatives=Negatives(). Received: label={shown(label)}, negatives={shown(negatives)}."
        )
    kinds = {name: kind_name(kind) for name, kind in (kinds or {}).items()}
    sides, sizes = dict(sides or {}), dict(vocabulary_sizes or {})
    reserved = [user_id, item_id, *filter(None, (label, timestamp))]
    _require_columns("interactions", interactions, reserved)
    for key in (user_id, item_id):
        columns.require_present("interactions", interactions[key])
    users = _only_ids(interactions[user_id]) if users is None else users
    items = _only_ids(interactions[item_id]) if items is None else items
    user_part, item_part = _entities("users", users, user_id, kinds), _entities("items", items, item_id, kinds)
    log = features_of("interactions", interactions.drop(columns=reserved), kinds)
    if log.lists:
        raise InputError(f"A feature of an interaction cannot be a list. Received: {', '.join(log.lists)}.")
    if log.display:
        raise InputError(f"Only columns of users and items are of kind 'display'. Received: {', '.join(log.display)}.")
    liked = f"liked_{item_id}" if history else None
    statistic = (USER_STATISTIC, ITEM_STATISTIC) if statistics else (None, None)
    shown_ones = dict.fromkeys((*user_part.display, *item_part.display))
    _require_distinct([*user_part.names, *item_part.names, *log.names, *shown_ones, *filter(None, (*statistic, liked))])
    _require_choices("kinds", kinds, KINDS, {*users, *items, *interactions} - set(reserved))
    _require_choices("sides", sides, SIDES, log.names)
    _require_sizes(sizes, {*user_part.sparse, *user_part.lists, *item_part.sparse, *item_part.lists, *log.sparse})
    on_user = log.only(name for name in log.names if sides.get(name, "user") == "user")
    on_item = log.only(name for name in log.names if sides.get(name, "user") == "item")
    raw = RawData(
        name=name,
        fingerprint="",
        schema=Schema(
            user_id=user_id,
            item_id=item_id,
            user_sparse=user_part.sparse + on_user.sparse,
            item_sparse=item_part.sparse + on_item.sparse,
            user_dense=user_part.dense + on_user.dense,
            item_dense=item_part.dense + on_item.dense,
            user_lists=tuple(user_part.lists),
            item_lists=tuple(item_part.lists),
            user_statistic=statistic[0],
            item_statistic=statistic[1],
            history=liked,
            fill_mean=user_part.dense + item_part.dense + log.dense,
            vocabulary_sizes=sizes,
            ignored=tuple(dict.fromkeys(name for name in (*users, *items) if kinds.get(name) == "ignore")),
            display=tuple(shown_ones),
        ),
        users=user_part.table,
        items=item_part.table,
        user=_rows("users", user_part.table[user_id].to_numpy(), users[user_id], interactions[user_id]),
        item=_rows("items", item_part.table[item_id].to_numpy(), items[item_id], interactions[item_id]),
        label=columns.labels(interactions[label]) if label else np.ones(len(interactions), dtype=np.float32),
        timestamp=columns.seconds(interactions[timestamp])
        if timestamp
        else np.zeros(len(interactions), dtype=np.int64),
        user_lists=user_part.lists,
        item_lists=item_part.lists,
        interactions={feature: log.table[feature].to_numpy() for feature in log.names},
        counts=tuple(
            RowCount(table, len(frame), len(frame))
            for table, frame in (("users", users), ("items", items), ("interactions", interactions))
        ),
        negatives=negatives,
    )
    return replace(raw, fingerprint=_fingerprint(raw))


@dataclass(frozen=True)
class Part:
    """The features of one table. sparse, dense, display: columns of `table`, the last no features.  lists: by name."""

    table: pd.DataFrame
    sparse: tuple[str, ...] = ()
    dense: tuple[str, ...] = ()
    lists: dict[str, Ragged] = field(default_factory=dict)
    display: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.sparse, *self.dense, *self.lists)

    def only(self, names: Iterable[str]) -> Part:
        names = set(names)
        sparse = tuple(name for name in self.sparse if name in names)
        dense = tuple(name for name in self.dense if name in names)
        return Part(self.table, sparse, dense)


def _entities(where: str, frame: pd.DataFrame, key: str, kinds: Mapping[str, str]) -> Part:
    """A table with the id as its first feature."""
    _require_columns(where, frame, [key])
    ids = columns.ids(where, frame[key])
    again = pd.Index(ids).duplicated()
    if again.any():
        repeated = pd.unique(ids[again]).tolist()
        number = f"{len(repeated)} ids occur" if len(repeated) > 1 else "1 id occurs"
        raise InputError(
            f"{number} more than once in column '{key}' of {where}: {some(map(repr, repeated))}. "
            f"The first repetition is at row {again.argmax()}. Give each id one row."
        )
    part = features_of(where, frame.drop(columns=key), kinds)
    table = pd.concat([pd.DataFrame({key: ids}), part.table], axis=1)
    return Part(table, (key, *part.sparse), part.dense, part.lists, part.display)


def features_of(where: str, frame: pd.DataFrame, kinds: Mapping[str, str]) -> Part:
    """The columns of a frame that are features, each of the kind that is given for it, or else by guess."""
    known = {str(name): kinds.get(str(name)) or columns.kind_of(where, column) for name, column in frame.items()}
    sparse = tuple(name for name, kind in known.items() if kind == "sparse")
    dense = tuple(name for name, kind in known.items() if kind == "dense")
    lists = {name: columns.lists(where, frame[name]) for name, kind in known.items() if kind == "list"}
    table = {name: READ[kind](where, frame[name]) for name, kind in known.items() if kind in READ}
    display = tuple(name for name, kind in known.items() if kind == "display")
    return Part(pd.DataFrame(table, index=range(len(frame))), sparse, dense, lists, display)


def _only_ids(used: pd.Series) -> pd.DataFrame:
    """The table of entities of which the log alone is known."""
    return pd.DataFrame({used.name: unpacked(used)}).drop_duplicates()


def _rows(where: str, keys: np.ndarray, ids: pd.Series, used: pd.Series) -> np.ndarray:
    """(n,) int32, the row of `keys`, which are `ids` as `columns.ids` gives them, of each id of the log."""
    used = unpacked(used)
    # Distinct ids alone are looked at, but for objects: to pandas, True is 1.
    codes, distinct = (range(len(used)), used) if used.dtype == object else pd.factorize(used)
    try:
        wanted = columns.ids("interactions", pd.Series(distinct, name=used.name))
    except InputError:
        columns.ids("interactions", used)  # the same, with the number of its row
        raise
    rows = pd.Index(keys).get_indexer(pd.Index(wanted))[codes]
    unknown = np.flatnonzero(rows < 0)
    if len(unknown):
        missing = pd.unique(np.asarray(codes)[unknown])
        types = f" ({used.dtype}; {where} hold {ids.dtype})" if wanted.dtype != keys.dtype else ""  # numbers and texts
        raise InputError(
            f"{len(unknown)} interactions have an id '{ids.name}' that is not in {where}, the first at row "
            f"{unknown[0]}: {plain(wanted[missing[0]])!r}{types}. "
            f"{unmatched_ids.advice(where, str(ids.name), keys, wanted[missing])}"
        )
    return rows.astype(np.int32)


def _require_frames(**frames: pd.DataFrame | None) -> None:
    for where, frame in frames.items():
        if not isinstance(frame, pd.DataFrame) and (frame is not None or where == "interactions"):
            raise InputError(f"{where} must be a pandas DataFrame. Received: {type(frame).__name__}.")


def _require_columns(where: str, frame: pd.DataFrame, columns: list[str]) -> None:
    there = list(frame.columns)
    missing = [name for name in columns if name not in there]
    received = f"Received: {', '.join(map(repr, there))}."
    if missing:
        in_index = [name for name in missing if name in frame.index.names]
        hint = " The index has it: reset_index()." if in_index else did_you_mean(missing[0], there)
        raise InputError(f"{where} has no column {', '.join(map(repr, missing))}. {received}{hint}")
    for names, wrong in (
        ([name for name in dict.fromkeys(there) if there.count(name) > 1], "has several columns named {}. Rename them"),
        (
            [name for name in dict.fromkeys(columns) if columns.count(name) > 1],
            "needs a column for each of ids, label and time, not {} for two",
        ),
        ([name for name in there if not isinstance(name, str)], "must have texts as names of columns, not {}"),
    ):
        if names:
            raise InputError(f"{where} {wrong.format(', '.join(map(repr, names)))}. {received}")


def _require_distinct(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"Two features are named {', '.join(map(repr, twice))}. Rename one of each.")


def _require_choices(argument: str, given: Mapping[str, str], choices: tuple[str, ...], known: Iterable[str]) -> None:
    for name, choice in given.items():
        _require_feature(argument, name, known)
        if choice not in choices:
            other = [f"{alias} ({kind})" for alias, kind in ALIASES.items() if kind in choices]
            raise InputError(
                f"{argument} must give '{name}' one of {', '.join([*choices, *other])}. Received: {choice!r}."
                f"{did_you_mean(choice, [*choices, *ALIASES])}"
            )


def _require_sizes(sizes: Mapping[str, int], known: set[str]) -> None:
    for name, size in sizes.items():
        _require_feature("vocabulary_sizes", name, known)
        if not isinstance(size, int) or size < 2:
            raise InputError(
                f"vocabulary_sizes must give '{name}' a whole number of at least 2. Received: {shown(size)}."
            )


def _require_feature(argument: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        names = ", ".join(map(repr, sorted(known)))
        raise InputError(
            f"{argument} names {name!r}, which is not among the columns that it may name: {names}."
            f"{did_you_mean(name, known)}"
        )


def _fingerprint(raw: RawData) -> str:
    digest = hashlib.sha256()
    for array in (raw.user, raw.item, raw.label, raw.timestamp):
        digest.update(array.tobytes())
    for table in (raw.users, raw.items, pd.DataFrame(dict(raw.interactions))):
        digest.update(f"{list(table.columns)} {len(table)}".encode())
        digest.update(
            pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes() if len(table.columns) else b""
        )
    for name, ragged in (*raw.user_lists.items(), *raw.item_lists.items()):
        digest.update(f"{name} {ragged.values.tolist()}".encode() + ragged.offsets.tobytes())
    if raw.negatives is not None:
        digest.update(repr(raw.negatives).encode())
    return digest.hexdigest()
