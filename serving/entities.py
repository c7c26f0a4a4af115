"""Users or items on disk: ids, encoded features, and texts to show, one row an entity in the order of its key."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from foundation.errors import InputError
from foundation.features import Bags, Features, Lists, values_of
from foundation.ids import keys_of, plain_ids, utf8
from preprocessing.dataset import FeatureTable
from serving.id_rows import IdRows
from serving.section_file import SectionFile, Sections

# Sections: ids that are texts, keys of the items of histories, and where each list or text begins.
IDS, LIKED, OFFSETS = "text.id", "liked", ".offsets"


@dataclass(frozen=True)
class Entities:
    """What is known of users or items ahead of time.

    ids: (n,) whole numbers or strings, distinct. features: encoded, one row an entity.
    texts: what to show, by name, one string an entity (title, genres).
    liked: of users with a history the keys (`keys_of`) of its items, in its order: an item that training has not seen
        has no encoded id of its own.
    """

    ids: np.ndarray
    features: FeatureTable
    texts: dict[str, list[str]] = field(default_factory=dict)
    liked: Lists | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> Entities:
        """Only these rows, in this order."""
        place = torch.from_numpy(np.asarray(rows, dtype=np.int64))
        bags = {name: lists.batch(place) for name, lists in self.features.lists.items()}
        values = {name: value[place] for name, value in self.features.values.items()}
        lists = {name: as_lists(bag) for name, bag in bags.items()}
        texts = {name: [text[row] for row in rows] for name, text in self.texts.items()}
        liked = None if self.liked is None else as_lists(self.liked.batch(place))
        return Entities(self.ids[rows], FeatureTable(values, lists), texts, liked)

    @staticmethod
    def join(parts: list[Entities]) -> Entities:
        """One after the other; all have the same features."""
        tables = [part.features for part in parts]
        values = {name: torch.cat([table.values[name] for table in tables]) for name in tables[0].values}
        lists = {name: join_lists([table.lists[name] for table in tables]) for name in tables[0].lists}
        texts = {name: [text for part in parts for text in part.texts[name]] for name in parts[0].texts}
        histories = [part.liked for part in parts if part.liked is not None]
        liked = join_lists(histories) if histories else None
        return Entities(np.concatenate([part.ids for part in parts]), FeatureTable(values, lists), texts, liked)


def as_lists(bags: Bags) -> Lists:
    """The same lists, each a row."""
    bounds = bags.offsets.long()
    return Lists(bags.values, bounds[:-1], bounds[1:])


def join_lists(parts: list[Lists]) -> Lists:
    """Rows of lists, one part after the other."""
    bags = [part.batch(torch.arange(len(part))) for part in parts]
    lengths = torch.cat([bag.offsets.diff() for bag in bags]).long()
    ends = lengths.cumsum(0)
    return Lists(torch.cat([bag.values for bag in bags]), ends - lengths, ends)


def _section(kind: str, name: str) -> str:
    """Where a feature or a text stands: no name is another's offsets, and no text called "id" the ids.

    >>> _section("list", "tags"), _section("text", "tags.offsets"), _section("text", "id") == IDS
    ('list.tags', 'text.tags%2Eoffsets', False)
    """
    safe = name.replace("%", "%25").replace(".", "%2E")
    return f"{kind}.%69d" if f"{kind}.{safe}" == IDS else f"{kind}.{safe}"


def in_key_order(entities: Entities) -> Entities:
    """With ids as `plain_ids`. Raises `InputError` for an id that is there twice."""
    entities = replace(entities, ids=plain_ids(entities.ids))
    keys = keys_of(entities.ids)
    order = np.argsort(keys, kind="stable")
    twice = np.flatnonzero(np.diff(keys[order]) == 0)
    if len(twice):
        one = entities.ids[order[twice[:1]]].tolist()[0]
        raise InputError(f"The id {one!r} is there twice. Give each entity one row.")
    return entities if (np.diff(order) == 1).all() else entities.take(order)


def sections_of(entities: Entities) -> tuple[Sections, dict[str, np.ndarray], dict]:
    """Sections, contents and meta of entities in key order, for `section_writer.create`. Raises `InputError` as `utf8`
    does."""
    content = {"key": keys_of(entities.ids)}
    names = {"value": list(entities.features.values), "list": list(entities.features.lists)}
    strings = {_section("text", name): (name, texts) for name, texts in entities.texts.items()}
    if entities.ids.dtype.kind not in "iu":
        strings[IDS] = ("id", entities.ids.tolist())
    for name, value in entities.features.values.items():
        content[_section("value", name)] = value.numpy()
    several = {_section("list", name): lists for name, lists in entities.features.lists.items()}
    several |= {} if entities.liked is None else {LIKED: entities.liked}
    for section, lists in several.items():
        content[section] = lists.batch(torch.arange(len(lists))).values.numpy()
        content[section + OFFSETS] = np.append(0, (lists.end - lists.start).cumsum(0).numpy())
    for section, (name, texts) in strings.items():
        encoded = [utf8(f"'{name}'", text) for text in texts]
        content[section] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        content[section + OFFSETS] = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    meta = {"values": names["value"], "lists": names["list"], "texts": list(entities.texts), "strings": IDS in strings}
    return {name: (array.dtype.str, array.shape) for name, array in content.items()}, content, meta


class EntityTable:
    """Entities in a `SectionFile`, read row by row."""

    def __init__(self, file: SectionFile):
        self.file = file
        self.texts: list[str] = file.meta["texts"]
        self._rows: IdRows | None = None

    def __len__(self) -> int:
        return self.file.shape("key")[0]

    @property
    def has_text_ids(self) -> bool:
        return self.file.meta["strings"]

    def find(self, keys: np.ndarray) -> np.ndarray:
        """(n,) keys -> (n,) int64 rows, -1 where there is none."""
        if self._rows is None:
            self._rows = IdRows(self.file.section("key"))
        return self._rows.find(keys)

    def ids(self, rows: np.ndarray) -> np.ndarray:
        """(n,) whole numbers, or strings as objects."""
        if self.has_text_ids:
            return np.array(self._texts(IDS, rows), dtype=object)
        return self.file.rows("key", rows)

    def text(self, name: str, rows: np.ndarray) -> list[str]:
        return self._texts(_section("text", name), rows)

    def _texts(self, section: str, rows: np.ndarray) -> list[str]:
        pieces, lengths = self._slices(section, rows)
        ends = np.cumsum(lengths)
        content = pieces.tobytes()
        return [content[start:end].decode() for start, end in zip(ends - lengths, ends, strict=True)]

    @property
    def names(self) -> set[str]:
        """Of all features."""
        return {*self.file.meta["values"], *self.file.meta["lists"]}

    def features(self, rows: np.ndarray, names: list[str]) -> Features:
        """name -> (n,) ids or values, or `Bags`; only of the names that are there."""
        features: dict[str, torch.Tensor | Bags] = {}
        for name in names:
            if name in self.file.meta["values"]:
                features[name] = torch.from_numpy(self.file.rows(_section("value", name), rows))
            elif name in self.file.meta["lists"]:
                features[name] = self._bags(_section("list", name), rows)
        return features

    def liked(self, rows: np.ndarray) -> Bags | None:
        """The keys (total,) int64 of the items in the histories of users, None where they have none."""
        return self._bags(LIKED, rows) if LIKED in self.file else None

    def entities(self, rows: np.ndarray) -> Entities:
        """These rows as they were before they were written."""
        values, lists = self.file.meta["values"], self.file.meta["lists"]
        features = self.features(rows, [*values, *lists])
        bags = {name: bag for name in lists if isinstance(bag := features[name], Bags)}
        table = FeatureTable(
            {name: values_of(features, name) for name in values}, {name: as_lists(bag) for name, bag in bags.items()}
        )
        texts, liked = {name: self.text(name, rows) for name in self.texts}, self.liked(rows)
        return Entities(self.ids(rows), table, texts, None if liked is None else as_lists(liked))

    def _bags(self, section: str, rows: np.ndarray) -> Bags:
        values, lengths = self._slices(section, rows)
        offsets = np.append(0, np.cumsum(lengths)).astype(np.int32)
        return Bags(torch.from_numpy(values), torch.from_numpy(offsets))

    def _slices(self, section: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pieces of these rows end to end, and the length of each."""
        start, end = self.file.rows(section + OFFSETS, rows), self.file.rows(section + OFFSETS, rows + 1)
        length = end - start
        shift = np.repeat(start - (np.cumsum(length) - length), length)
        return self.file.rows(section, shift + np.arange(len(shift))), length
