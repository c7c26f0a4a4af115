"""Items that a user has liked before: what the index knows of a user's history, and what a request gives of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foundation.errors import InputError
from foundation.values import entries, is_missing
from serving.candidates import distinct
from serving.entities import keys_of
from serving.given import id_array
from serving.state import State

SEEN = "seen"


def liked_keys(state: State, raw: Mapping[str, Any]) -> Tensor:
    """(n,) the keys of the items of the history in raw features, none where there is none."""
    name = state.encoder.schema["history"]
    value = raw.get(name)
    ids = [] if is_missing(value) else entries(value)
    return torch.from_numpy(keys_of(id_array(f"'{name}'", ids, state.items.has_text_ids)))


def require_history(state: State) -> None:
    """Raises `InputError` where the data of the model have none."""
    if state.encoder.schema["history"] is None:
        raise InputError(
            'exclude="seen" leaves out the items of a user\'s history, and the data of this model have no history. '
            "Give a list of ids to leave out."
        )


def seen_rows(state: State, users: list) -> list[np.ndarray]:
    """Rows of the items that each of these users has liked and the index holds, each once.

    users: of a request that was found good. A history that the request gives stands instead of the stored one.
    """
    name, identity = state.encoder.schema["history"], state.encoder.schema["user_id"]
    given = {place: user for place, user in enumerate(users) if isinstance(user, Mapping) and name in user}
    keys = [np.zeros(0, dtype=np.int64)] * len(users)
    ids = [user.get(identity) if isinstance(user, Mapping) else user for user in users]
    rows = state.find_users(ids)
    known = np.flatnonzero(rows >= 0)
    stored = state.users.liked(rows[known])
    if stored is not None and len(known):
        for place, part in zip(
            known.tolist(), np.split(stored.values.numpy(), stored.offsets.numpy()[1:-1]), strict=True
        ):
            keys[place] = part
    for place, user in given.items():
        keys[place] = liked_keys(state, user).numpy()
    found = state.items.find_keys(np.concatenate(keys))
    return [distinct(part) for part in np.split(found, np.cumsum([len(part) for part in keys])[:-1])]
