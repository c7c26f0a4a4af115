"""Users of an index that change: new ones come, and features, statistics and histories of known ones move on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch import Tensor

from foundation.features import Features
from foundation.ids import keys_of
from serving.entities import Entities, in_key_order
from serving.manifest import Manifest, index_folder, write_manifest
from serving.raw_encoder import Raw, stack
from serving.seen import liked_keys
from serving.snapshot import open_file, write_users
from serving.state import State
from serving.unseen import warn_unseen
from serving.users import Users
from serving.writer import Change, changing, ids_of, raw_rows


def upsert_users(state: State, rows: Raw | Iterable[Raw]) -> int:
    """Adds or replaces users by raw features. Returns the new generation."""
    rows = raw_rows("user", rows)
    with changing(state) as manifest:
        delta = open_file(state.run, manifest, manifest.users_delta) if manifest.users_delta else None
        current = Users(open_file(state.run, manifest, manifest.users), delta)
        return _write(state, manifest, current, in_key_order(_encoded(state, current, rows)))


def _encoded(state: State, current: Users, rows: list[Raw]) -> Entities:
    """Raw users as entities, what is not given taken from the user that is there."""
    encoder, names = state.encoder, sorted(current.names)
    history = encoder.schema["history"]
    ids = ids_of("A user", encoder.schema["user_id"], rows, current.has_text_ids)
    found = current.find_keys(keys_of(ids))
    features: list[Features] = []
    liked: list[Tensor] = []
    for raw, row in zip(rows, found.tolist(), strict=True):
        place = np.array([row] if row >= 0 else [], dtype=np.int64)
        stored = current.features(place, names) if row >= 0 else {}
        features.append(encoder.known_user(raw, {**state.new_user, **stored}, names))
        if history:
            kept = None if history in raw else current.liked(place)
            liked.append(liked_keys(state, raw) if kept is None else kept.values)
    warn_unseen(encoder, "users", rows, features)
    return stack(ids, features, {}, liked)


def _write(state: State, manifest: Manifest, current: Users, changed: Entities) -> int:
    """The next generation, with these users in it."""
    folder, number, keys = index_folder(state.run), manifest.generation + 1, keys_of(changed.ids)
    change = Change.of(current, keys, enter=True)
    users = Entities.join([current.entities(change.kept if change.is_large else change.in_delta), changed])
    if change.is_large:
        manifest = manifest.next(users=f"users-{number}.idx", users_delta=None)
        write_users(folder / manifest.users, users, manifest.marks(manifest.users))
    else:
        delta = f"users_delta-{number}.idx"
        manifest = manifest.next(users_delta=delta)
        gone = current.base.file.rows("key", change.gone)
        write_users(folder / delta, users, manifest.marks(delta), gone)
    write_manifest(state.run, manifest)
    return manifest.generation
