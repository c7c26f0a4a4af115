"""What a ranker works with at one moment: the model, the known users and the items, all of one generation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foundation.errors import InputError
from foundation.features import Features
from foundation.ids import keys_of
from foundation.values import shown
from model import MODELS, load_model
from model.base import CTRModel, TwoTower
from model.scorer import Scorer, make_scorer
from serving.fold_batch_norm import for_inference
from serving.given import one_id
from serving.manifest import Manifest, how_to_build, model_signature, read_manifest, signature
from serving.raw_encoder import RawEncoder, concatenate
from serving.section_file import SectionFile
from serving.snapshot import Snapshot, open_file
from serving.users import Users
from training.model_files import model_checksum, read_config

ATTEMPTS = 20  # to open what the manifest names, while writers replace both
SAMPLE = 8  # users and items on which the scorer is checked

if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    # A child has no threads of its parent's OpenMP, whose first larger product would wait for them for ever.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


@dataclass(frozen=True)
class State:
    """signature: of the manifest that named these files. new_user, new_item: stand in for features nobody gave."""

    run: Path
    signature: tuple[int, ...]
    manifest: Manifest
    model: TwoTower
    encoder: RawEncoder
    scorer: Scorer
    users: Users
    items: Snapshot
    new_user: Features
    new_item: Features

    @classmethod
    def load(cls, run: str | Path) -> State:
        run = Path(run).absolute()  # the process may change its folder
        trained, config, checksum = read_run(run)
        seen, manifest, users, items = _open(run, None)
        if manifest.model != checksum:
            raise InputError(
                f"The item index of {run} is of another model than the run's: it is older, or of another run. Build it "
                f"again: {how_to_build(run)}"
            )
        model = for_inference(trained)
        names = [column.name for column in model.user_columns]
        sample = np.arange(min(SAMPLE, users.places))
        known = users.features(sample, names)
        zeros = torch.zeros(len(sample), dtype=torch.int32)
        unknown: Features = {name: zeros for name in names if name not in known}
        with torch.inference_mode():
            vectors = items.vectors(np.arange(min(SAMPLE, items.places))).unflatten(1, (items.num_heads, items.dim))
            scorer = make_scorer(model.interaction, model.encode_user({**known, **unknown}), vectors)
        return cls(
            run=run,
            signature=seen,
            manifest=manifest,
            model=model,
            encoder=RawEncoder(model, config),
            scorer=scorer,
            users=users,
            items=items,
            new_user=_stand_ins(items, "new_user"),
            new_item=_stand_ins(items, "new_item"),
        )

    def refreshed(self) -> State:
        """The state that the manifest names now: with another delta, or all anew after another build."""
        seen, manifest, users, items = _open(self.run, self)
        if manifest.model != self.manifest.model:
            return State.load(self.run)
        user, item = _stand_ins(items, "new_user"), _stand_ins(items, "new_item")
        return replace(self, signature=seen, manifest=manifest, users=users, items=items, new_user=user, new_item=item)

    @property
    def files(self) -> dict[str, SectionFile]:
        """All that are open, by their ids."""
        return {file.meta["id"]: file for file in (*self.users.files, *self.items.files)}

    def request(self, users: list) -> Features:
        """What the user tower reads for these users, a batch. Raises `InputError` for whatever cannot be one."""
        if any(isinstance(user, Mapping) for user in users):
            return concatenate([self._one(user) for user in users])
        return self.known_users(users)

    def _one(self, user: Any) -> Features:
        """Given features stand before stored ones, and those before what stands for a new user."""
        if not isinstance(user, Mapping):
            return self.known_users([user])
        row = self.find_users([user.get(self.encoder.schema["user_id"])])
        stored = self.stored(row) if row[0] >= 0 else {}
        return self.encoder.user(user, {**self.new_user, **stored})

    def find_users(self, users: list) -> np.ndarray:
        """(n,) rows of user ids, -1 for whatever is no id of a known user."""
        ids = [one_id(user, self.users.has_text_ids) for user in users]
        fitting = [one is not None for one in ids]
        if all(fitting):
            return self.users.find_keys(keys_of(ids))
        rows = np.full(len(users), -1)
        if any(fitting):
            rows[fitting] = self.users.find_keys(keys_of([one for one in ids if one is not None]))
        return rows

    def stored(self, rows: np.ndarray) -> Features:
        """(n,) rows of users -> what the index knows of what the user tower reads."""
        return self.users.features(rows, [column.name for column in self.model.user_columns])

    def known_users(self, users: list) -> Features:
        """A batch, from ids. Raises `InputError` for an unknown one, or where the model reads more than is stored."""
        rows = self.find_users(users)
        unknown = np.flatnonzero(rows < 0)
        if len(unknown):
            user, text = users[unknown[0]], self.users.has_text_ids
            kind = "" if one_id(user, text) is not None else f", whose ids are {'strings' if text else 'whole numbers'}"
            raise InputError(
                f"Unknown user {shown(user)}: the index knows {len(self.users):,} users{kind}. "
                "Give features by name for anybody else."
            )
        if self.of_the_request:
            names = ", ".join(self.of_the_request)
            raise InputError(f"The model reads {names} of a request. Give them beside the user's id, by name.")
        return self.stored(rows)

    @property
    def of_the_request(self) -> list[str]:
        """Names of what the user tower reads and the index knows of no user."""
        return [column.name for column in self.model.user_columns if column.name not in self.users.names]


def load_two_tower(run: Path) -> TwoTower:
    """The model of a run. Raises `InputError` for a ranking model."""
    return as_two_tower(load_model(run), f"{run} holds")


def as_two_tower(model: object, where: str) -> TwoTower:
    """The model, if it is one. where: what stands before its name in the message. Raises `InputError` for another."""
    if not isinstance(model, CTRModel):
        raise InputError(f"{where} {shown(model)} of type {type(model).__name__}, which is no model.")
    if not isinstance(model, TwoTower):
        two_towers = [name for name, entry in MODELS.items() if issubclass(entry.model_class, TwoTower)]
        raise InputError(
            f"{where} {type(model).__name__}, a ranking model: it reads user and item together, so that no item can be "
            f"encoded ahead of time. An index needs a two-tower model: {' or '.join(two_towers)}."
        )
    return model


def read_run(run: Path) -> tuple[TwoTower, dict, str]:
    """Model, configuration and checksum, all of one training.

    Raises `InputError` for a run without a two-tower model.
    """
    for _ in range(ATTEMPTS):
        before = model_signature(run)
        found = load_two_tower(run), read_config(run), model_checksum(run)
        if model_signature(run) == before:
            return found
    raise InputError(f"The model in {run} was replaced again and again while it was read. Try again.")


def _open(run: Path, before: State | None) -> tuple[tuple[int, ...], Manifest, Users, Snapshot]:
    """Opens what the manifest names; files of `before` that it still names are not opened again."""
    for _ in range(ATTEMPTS):
        seen = signature(run)
        try:
            manifest = read_manifest(run)
            held = {} if before is None else before.files
            files = {name: held.get(manifest.ids[name]) or open_file(run, manifest, name) for name in manifest.names}
        except InputError:
            if signature(run) == seen:
                raise
            continue  # replaced between reading the manifest and opening the files
        users = Users(files[manifest.users], files.get(manifest.users_delta or ""))
        return seen, manifest, users, Snapshot(files[manifest.base], files.get(manifest.delta or ""))
    raise InputError(f"The index of {run} was replaced again and again while it was read. Try again.")


def _stand_ins(items: Snapshot, name: str) -> Features:
    """name: new_user or new_item."""
    return {key: torch.tensor([value], dtype=torch.float32) for key, value in items.base.file.meta[name].items()}
