"""Writing an index: the first build, and items that come and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file

from foundation.run_files import WEIGHTS, committed, read_config
from model.base import TwoTower
from preprocessing.data_encoding import DataEncoding
from preprocessing.dataset import Dataset
from preprocessing.errors import InputError
from preprocessing.values import entries, is_list, is_missing, plain
from serving.features import Raw, stack
from serving.format import SectionFile, create
from serving.given import id_array, listed
from serving.index import Snapshot, encode, write_base, write_delta
from serving.manifest import Manifest, index_folder, model_checksum, read_manifest, write_manifest, writing
from serving.scorers import item_heads
from serving.source import defaults, item_entities, user_entities
from serving.table import Entities, in_key_order, keys_of, sections_of

if TYPE_CHECKING:
    from serving.state import State

# A delta is rewritten by every change and scored from float32 rows; an item that is gone from the base is still scored
# there, and may set its int8 scale. As many items as the larger of these may differ from the base, then it is written
# anew.
DELTA_ITEMS, DELTA_SHARE = 1024, 0.02


def build_index(run: Path, model: TwoTower, data: Dataset, precision: str = "float32") -> Manifest:
    """Encodes all items of a data set by a run's model and writes its index, with the users of the data set."""
    _require_encoding(run, data)
    meta = {"new_user": defaults(data, model.user_columns), "new_item": defaults(data, model.item_columns)}
    return write_index(run, model, user_entities(data, model), item_entities(data, model), precision, meta)


def write_index(run: Path, model: TwoTower, users: Entities, items: Entities, precision: str, meta: dict) -> Manifest:
    """Readers see the index that was there before until the new one is complete."""
    checksum = model_checksum(run)
    _require_saved(run, model)
    names = [column.name for column in model.item_columns]
    with writing(run) as folder, torch.inference_mode():
        generation = _last_generation(run) + 1
        manifest = Manifest(generation, checksum, f"base-{generation}.idx", f"users-{generation}.idx")
        sections, content, table = sections_of(in_key_order(users))
        with create(folder / manifest.users, sections, table) as arrays:
            for name, array in content.items():
                arrays[name][...] = array
        write_base(folder / manifest.base, items, model.encode_item, names, item_heads(model), precision, meta)
        write_manifest(run, manifest)
    return manifest


def _require_encoding(run: Path, data: Dataset) -> None:
    """Ids of the index are read by the encoding that the run has saved."""
    saved = DataEncoding.from_json(read_config(run))
    if saved is None:
        raise InputError(f"{run} has no encoding of raw values. Train on a data set, or save with its encoding_json().")
    saved.require_same(data.encoding, saved.identity, f"Data set '{data.name}'")


def _require_saved(run: Path, model: TwoTower) -> None:
    """The run may have been trained again since `model` was read: readers would take the new model with these items."""
    saved, given = load_file(committed(run, WEIGHTS)), model.state_dict()
    if saved.keys() != given.keys() or not all(torch.equal(given[name].cpu(), saved[name]) for name in saved):
        raise InputError(f"The model in {run} is another one than that which is to encode the items. Build again.")


def upsert_items(state: State, rows: Iterable[Raw]) -> int:
    """Adds or replaces items by raw features. Returns the new generation."""
    rows = list(listed("Items", rows))
    wrong = next((row for row in rows if not isinstance(row, Mapping)), None)
    if wrong is not None:
        raise InputError(f"Items must be a list of dicts of raw features. Received: {str(wrong)[:80]}.")
    if not rows:
        raise InputError("There is no item to add.")
    with writing(state.run), torch.inference_mode():
        manifest, current = _current(state)
        changed = in_key_order(_encoded(state, current, rows))
        return _write(state, manifest, current, changed, keys_of(changed.ids))


def delete_items(state: State, ids: Iterable) -> int:
    """Removes items by id, each once however often it is named. Returns the new generation."""
    ids = id_array("Ids to delete", ids, state.items.base.has_text_ids)
    if len(ids) == 0:
        raise InputError("There is no item to delete.")
    with writing(state.run), torch.inference_mode():
        manifest, current = _current(state)
        unknown = ids[current.find(ids) < 0].tolist()
        if unknown:
            raise InputError(f"{len(unknown)} items to delete are not in the index: {unknown[:5]}.")
        return _write(state, manifest, current, None, np.unique(keys_of(ids)))


def _current(state: State) -> tuple[Manifest, Snapshot]:
    """What is on disk now. Raises `InputError` where it belongs to another model than the writer's."""
    manifest = read_manifest(state.run)
    if manifest.model != state.manifest.model:
        raise InputError(f"The index of {state.run} was built anew for another model. Load it again.")
    folder = index_folder(state.run)
    delta = SectionFile(folder / manifest.delta) if manifest.delta else None
    return manifest, Snapshot(SectionFile(folder / manifest.base), delta)


def _encoded(state: State, current: Snapshot, rows: Iterable[Raw]) -> Entities:
    """Raw items as entities, what is not given taken from the item that is there."""
    encoder, name = state.encoder, state.encoder.schema["item_id"]
    missing = [raw for raw in rows if is_missing(raw.get(name))]
    if missing:
        raise InputError(f"An item lacks its id '{name}'. Received: {str(dict(missing[0]))[:80]}.")
    ids = id_array(f"'{name}' of items", [raw[name] for raw in rows], current.base.has_text_ids)
    found = current.find(ids)
    columns = [column.name for column in encoder.item_columns]
    features, texts = [], {text: [] for text in current.texts}
    for raw, row in zip(rows, found.tolist(), strict=True):
        old = current.entities(np.array([row])) if row >= 0 else None
        stored = {} if old is None else {one: old.features.batch(one, torch.tensor([0])) for one in columns}
        features.append(encoder.item(raw, state.new_item | stored, current.texts))
        for text in texts:
            texts[text].append(_text(text, raw[text]) if text in raw else old.texts[text][0] if old else "")
    return stack(ids, features, texts)


def _text(name: str, value: Any) -> str:
    """What to show of a text, or of a list feature of the same name. Raises `InputError` for anything but these."""
    parts = [part for part in (entries(value) if is_list(value) else [plain(value)]) if part is not None]
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f"'{name}' must be a string, a list of strings, or null. Received: {str(value)[:80]}.")
    return "|".join(parts)


def _write(state: State, manifest: Manifest, current: Snapshot, changed: Entities | None, keys: np.ndarray) -> int:
    """The next generation. changed: items to put in, or None. keys: of all items that change or go."""
    folder, generation = index_folder(state.run), manifest.generation + 1
    kept = current.live()[~np.isin(current.live(), current.find_keys(keys))]
    in_delta = kept[kept >= current.size]
    rows = current.base.find(keys)
    gone = np.union1d(current.gone, rows[rows >= 0])  # rows of the base
    new = np.append(keys_of(current.ids(in_delta)), keys if changed else keys[:0])
    differing = len(gone) + int((current.base.find(new) < 0).sum())  # those that were replaced are among the gone ones
    names = [column.name for column in state.model.item_columns]
    # Not where nothing is left: there is no index without items.
    if (len(kept) or changed) and differing > max(DELTA_ITEMS, DELTA_SHARE * current.size):
        items = Entities.join([current.entities(kept), *([changed] if changed else [])])
        old = current.base.file.meta
        meta = {name: old[name] for name in ("new_user", "new_item")}
        manifest = replace(manifest, generation=generation, base=f"base-{generation}.idx", delta=None)
        base, heads = folder / manifest.base, item_heads(state.model)
        write_base(base, items, state.model.encode_item, names, heads, old["precision"], meta)
    else:
        items, vectors = current.entities(in_delta), current.vectors(in_delta).numpy()
        if changed:
            items = Entities.join([items, changed])
            vectors = np.concatenate([vectors, encode(changed, state.model.encode_item, names)])
        order = np.argsort(keys_of(items.ids))
        manifest = replace(manifest, generation=generation, delta=f"delta-{generation}.idx")
        write_delta(folder / manifest.delta, items.take(order), vectors[order], current.base.file.rows("key", gone))
    write_manifest(state.run, manifest)
    return generation


def _last_generation(run: Path) -> int:
    """Of the index that is there, whatever its state; file names never come twice, so that no reader mixes two."""
    files = [path.stem.partition("-")[2] for path in index_folder(run).glob("*-*.idx")]
    return max((int(number) for number in files if number.isdigit()), default=0)
