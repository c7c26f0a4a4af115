"""Writing an index: the first build, and items that come and go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foundation.errors import InputError
from foundation.features import Features
from foundation.ids import keys_of
from foundation.run_files import read_config
from foundation.values import entries, is_list, is_missing, plain, shown
from model.base import TwoTower
from preprocessing.data_encoding import DataEncoding
from preprocessing.dataset import Dataset
from serving.entities import Entities, in_key_order
from serving.from_run import defaults, item_entities, user_entities
from serving.given import id_array, records
from serving.layered import Layered
from serving.manifest import (
    Manifest,
    how_to_build,
    index_folder,
    last_generation,
    read_manifest,
    signature,
    write_manifest,
    writing,
)
from serving.raw_encoder import Raw, stack
from serving.snapshot import Snapshot, encode, open_file, write_base, write_delta, write_users
from serving.state import State, as_two_tower, read_run
from serving.unseen import warn_unseen

# A delta is rewritten by every change and scored in float32; an item that is gone from the base is still scored there,
# and may set its int8 scale. As many items as the larger of these may differ from the base, then it is written anew.
DELTA_ITEMS, DELTA_SHARE = 1024, 0.02


def build_index(run: str | Path, model: TwoTower, data: Dataset, precision: str = "float32") -> Manifest:
    """Encodes all items of a data set by a run's model and writes its index, with the users of the data set.

    model: as saved in the run; in training mode or not, it stays as it is.
    """
    run, model = Path(run).absolute(), as_two_tower(model, "build_index got")
    if not isinstance(data, Dataset):
        raise InputError(f"build_index needs the Dataset of the run. Received: {shown(data)}.")
    _require_encoding(run, data)
    meta = {"new_user": defaults(data, model.user_columns), "new_item": defaults(data, model.item_columns)}
    return write_index(run, model, user_entities(data, model), item_entities(data, model), precision, meta)


def write_index(
    run: str | Path, model: TwoTower, users: Entities, items: Entities, precision: str, meta: dict
) -> Manifest:
    """Readers see the index that was there before until the new one is complete."""
    run = Path(run).absolute()
    # Not `model` itself, which may be in training mode: requests, too, meet what was saved.
    saved, _, checksum = read_run(run)
    _require_same(run, saved, model)
    with writing(run) as folder, torch.inference_mode():
        manifest = Manifest.of_build(last_generation(run) + 1, checksum)
        write_users(folder / manifest.users, users, manifest.marks(manifest.users))
        write_base(folder / manifest.base, items, saved, precision, meta | manifest.marks(manifest.base))
        write_manifest(run, manifest)
    return manifest


def replaced(run: str | Path, precision: str) -> str:
    """What a build of this precision is about to undo of the index that is there, for people; "" for nothing."""
    run = Path(run).absolute()
    try:
        manifest = read_manifest(run)
        before = open_file(run, manifest, manifest.base).meta["precision"]
    except InputError:
        return ""
    writes = manifest.generation - manifest.built
    of = [f"{writes:,} change{'s' if writes > 1 else ''} since its build, not carried over: apply them again"]
    parts = (of if writes else []) + ([f"{before} -> {precision}"] if before != precision else [])
    return f"Replaces an index: {'; '.join(parts)}" if parts else ""


def _require_encoding(run: Path, data: Dataset) -> None:
    """Ids of the index are read by the encoding that the run has saved."""
    saved = DataEncoding.from_json(read_config(run))
    if saved is None:
        raise InputError(f"{run} has no encoding of raw values. Train on a data set, or save with its encoding_json().")
    saved.require_same(data.encoding, saved.identity, f"Data set '{data.name}'")


def _require_same(run: Path, saved: TwoTower, given: TwoTower) -> None:
    """The run may have been trained again since `given` was read: readers would take the new model with these items."""
    one, other = saved.state_dict(), given.state_dict()
    if one.keys() != other.keys() or not all(_same_bits(one[name], other[name]) for name in one):
        raise InputError(f"The model in {run} is another one than that which is to encode the items. Build again.")


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    one, other = (each.cpu().contiguous().view(-1).view(torch.uint8) for each in (one, other))  # NaN equals itself
    return torch.equal(one, other)


def upsert_items(state: State, rows: Raw | Iterable[Raw]) -> int:
    """Adds or replaces items by raw features. Returns the new generation."""
    rows = raw_rows("item", rows)
    with changing(state) as manifest:
        current = _items(state, manifest)
        changed = in_key_order(_encoded(state, current, rows))
        return _write(state, manifest, current, changed, keys_of(changed.ids))


def raw_rows(what: str, rows: Raw | Iterable[Raw]) -> list[Raw]:
    """what: item or user. One dict is a list of one. Raises `InputError` for anything but dicts, and for none."""
    rows = [rows] if isinstance(rows, Mapping) else records(f"{what.capitalize()}s", rows)
    wrong = [row for row in rows if not isinstance(row, Mapping)]
    if wrong:
        raise InputError(f"{what.capitalize()}s must be a list of dicts of raw features. Received: {shown(wrong[0])}.")
    if not rows:
        raise InputError(f"There is no {what} to add.")
    return rows


def ids_of(what: str, name: str, rows: list[Raw], text: bool) -> np.ndarray:
    """The ids of raw users or items. what: An item or A user. Raises `InputError` where one is missing or no id."""
    missing = [raw for raw in rows if is_missing(raw.get(name))]
    if missing:
        raise InputError(f"{what} lacks its id '{name}'. Received: {shown(dict(missing[0]))}.")
    return id_array(f"'{name}' of {what.split()[1]}s", [raw[name] for raw in rows], text)


def delete_items(state: State, ids: Iterable) -> int:
    """Removes items by id, each once however often it is named. Returns the new generation."""
    ids = id_array("Ids to delete", ids, state.items.base.has_text_ids)
    if len(ids) == 0:
        raise InputError("There is no item to delete.")
    with changing(state) as manifest:
        current = _items(state, manifest)
        unknown = ids[current.find(ids) < 0].tolist()
        if unknown:
            raise InputError(f"{len(unknown)} items to delete are not in the index: {unknown[:5]}.")
        return _write(state, manifest, current, None, np.unique(keys_of(ids)))


@contextmanager
def changing(state: State) -> Iterator[Manifest]:
    """What is on disk now, with no other writer. Raises `InputError` where the writer's model is another one's."""
    signature(state.run)  # where there is no index, no folder of one comes to be
    with writing(state.run), torch.inference_mode():
        manifest = read_manifest(state.run)
        if manifest.model != state.manifest.model:
            raise InputError(
                f"The index of {state.run} is of another model than this reader's (older, newer or of another run). "
                f"Load it again, and where that is refused build it: {how_to_build(state.run)}"
            )
        yield manifest


def _items(state: State, manifest: Manifest) -> Snapshot:
    delta = open_file(state.run, manifest, manifest.delta) if manifest.delta else None
    return Snapshot(open_file(state.run, manifest, manifest.base), delta)


def _encoded(state: State, current: Snapshot, rows: list[Raw]) -> Entities:
    """Raw items as entities, what is not given taken from the item that is there."""
    encoder = state.encoder
    ids = ids_of("An item", encoder.schema["item_id"], rows, current.has_text_ids)
    found = current.find(ids)
    columns = [column.name for column in encoder.item_columns]
    features: list[Features] = []
    texts: dict[str, list[str]] = {text: [] for text in current.texts}
    for raw, row in zip(rows, found.tolist(), strict=True):
        old = current.entities(np.array([row])) if row >= 0 else None
        stored = {} if old is None else {one: old.features.batch(one, torch.tensor([0])) for one in columns}
        features.append(encoder.item(raw, {**state.new_item, **stored}, current.texts))
        for text in texts:
            texts[text].append(_text(text, raw[text]) if text in raw else old.texts[text][0] if old else "")
    warn_unseen(encoder, "items", rows, features)
    return stack(ids, features, texts)


def _text(name: str, value: Any) -> str:
    """What to show of a text, or of a list feature of the same name. Raises `InputError` for anything but these."""
    parts = [part for part in (entries(value) if is_list(value) else [plain(value)]) if part is not None]
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f"'{name}' must be a string, a list of strings, or null. Received: {shown(value)}.")
    return "|".join(parts)


@dataclass(frozen=True)
class Change:
    """What a change does to a base and its delta.

    kept: rows of all that stay as they are. in_delta: of those the rows of the delta. gone: rows of the base that it
    no longer speaks for. is_large: whether the base is to be written anew.
    """

    kept: np.ndarray
    in_delta: np.ndarray
    gone: np.ndarray
    is_large: bool

    @classmethod
    def of(cls, current: Layered, keys: np.ndarray, enter: bool) -> Change:
        """keys: of all that change or go. enter: whether they are put in again, and do not only go."""
        kept = current.live()[~np.isin(current.live(), current.find_keys(keys))]
        in_delta = kept[kept >= current.size]
        rows = current.base.find(keys)
        gone = np.union1d(current.gone, rows[rows >= 0])
        new = np.append(keys_of(current.ids(in_delta)), keys if enter else keys[:0])
        differing = len(gone) + int((current.base.find(new) < 0).sum())  # those replaced are among the gone ones
        # Not where nothing is left: there is no index without items.
        is_large = differing > max(DELTA_ITEMS, DELTA_SHARE * current.size) and bool(len(kept) or enter)
        return cls(kept, in_delta, gone, is_large)


def _write(state: State, manifest: Manifest, current: Snapshot, changed: Entities | None, keys: np.ndarray) -> int:
    """The next generation. changed: items to put in, or None. keys: of all items that change or go."""
    folder, number = index_folder(state.run), manifest.generation + 1
    change = Change.of(current, keys, enter=changed is not None)
    if change.is_large:
        items = Entities.join([current.entities(change.kept), *([changed] if changed else [])])
        old = current.base.file.meta
        manifest = manifest.next(base=f"base-{number}.idx", delta=None)
        meta = {name: old[name] for name in ("new_user", "new_item")} | manifest.marks(manifest.base)
        write_base(folder / manifest.base, items, state.model, old["precision"], meta)
    else:
        items, vectors = current.entities(change.in_delta), current.vectors(change.in_delta).numpy()
        if changed:
            items = Entities.join([items, changed])
            vectors = np.concatenate([vectors, encode(changed, state.model).reshape(len(changed), -1)])
        order = np.argsort(keys_of(items.ids))
        delta = f"delta-{number}.idx"
        manifest = manifest.next(delta=delta)
        gone_keys = current.base.file.rows("key", change.gone)
        write_delta(folder / delta, items.take(order), vectors[order], gone_keys, manifest.marks(delta))
    write_manifest(state.run, manifest)
    return manifest.generation
