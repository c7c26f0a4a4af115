"""ONNX: what another language needs to score as `PreRanker` does, checked against torch before it counts.

    RUN/onnx/user_tower.onnx, item_tower.onnx, scorer.onnx    the programs (`serving.onnx_programs`)
    RUN/onnx/encoding.json                                    raw values -> their inputs (`serving.export_rules`)
    RUN/onnx/users.parquet, items.parquet                     what the index knows of each (`serving.export_tables`)

All are replaced together. Each names the model by its checksum (`CHECKSUM`), and `encoding.json` the others by theirs,
so that a reader never takes files of two exports together. docs/onnx.md is for that reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from foundation.errors import InputError
from foundation.features import Features, values_of
from foundation.sealed import seal
from model.base import TwoTower
from model.scorer import make_scorer
from serving.export_check import check_raw_values, check_shapes, examples
from serving.export_files import file_sha256, replaced_together
from serving.export_rules import Rules
from serving.export_tables import FILES, write_tables
from serving.manifest import MANIFEST, index_folder, read_manifest
from serving.onnx_programs import (
    ItemTower,
    Program,
    Score,
    UserTower,
    named,
    require_onnx,
    score_program,
    tower_program,
)
from serving.state import State, read_run

FORMATS = ("onnx",)
FOLDER, ENCODING = "onnx", "encoding.json"
PROGRAMS = ("user_tower", "item_tower", "scorer")
NOT_EXPORTED = (
    "This model's interaction has a forward alone (a cosine as released has, and an edited fe_score), which is not "
    "exported. Derive it from AdditiveInteraction (model/interaction.py), or name one that is there."
)


@dataclass(frozen=True)
class Export:
    """files: what was written. left_out: what is not there, why, and what to do; None where nothing is missing."""

    files: list[Path]
    left_out: str | None


def export_onnx(run: Path) -> Export:
    """Writes RUN/onnx. Without an item index of this model, the tables of users and items are left out.

    Warns as `predict` does where a function of the model was edited since training.
    Raises `InputError` where onnx is not installed, the score is the model's own, the programs do not agree with torch,
    or the folder cannot be written. What was there before is then as it was.
    """
    runtime = require_onnx()
    model, config, checksum = read_run(run)
    model.warn_if_edited()
    programs = _programs(model.requires_grad_(False), checksum)
    sessions = {
        name: runtime.InferenceSession(program.content, providers=["CPUExecutionProvider"])
        for name, program in programs.items()
    }
    check_shapes(model, programs, sessions)
    state, left_out = _state(run, config, checksum)
    rules = Rules(config, {} if state is None else {**_defaults(state.new_user), **_defaults(state.new_item)})
    document = rules.document(model, checksum, programs, {"left_out": left_out, "files": {}, "tables": None})
    if rules.covers(model):
        check_raw_values(model, config, document, sessions)
    names = [f"{name}.onnx" for name in PROGRAMS]
    with replaced_together(run / FOLDER, (*names, *FILES.values(), ENCODING)) as folder:
        for name, program in programs.items():
            (folder / f"{name}.onnx").write_bytes(program.content)
        if state is not None:
            document["tables"] = write_tables(folder, state, programs)
            names += FILES.values()
        document["files"] = {name: file_sha256(folder / name) for name in names}
        (folder / ENCODING).write_text(seal(document), encoding="utf-8")
    return Export([run / FOLDER / name for name in (*names, ENCODING)], left_out)


def _programs(model: TwoTower, checksum: str) -> dict[str, Program]:
    users, items = (examples(columns, 3, 4) for columns in (model.user_columns, model.item_columns))
    with torch.inference_mode():
        encoded = model.encode_user(named(model.user_columns, users))
        vectors = model.encode_item(named(model.item_columns, items))
        scorer = make_scorer(model.interaction, encoded, vectors)
        if scorer.is_plain:
            raise InputError(NOT_EXPORTED)
        query = scorer.query(encoded)
    return {
        "user_tower": tower_program(UserTower(model, scorer), model.user_columns, users, "query", checksum),
        "item_tower": tower_program(ItemTower(model), model.item_columns, items, "item", checksum),
        "scorer": score_program(Score(scorer), query, vectors.flatten(1), checksum),
    }


def _state(run: Path, config: dict, checksum: str) -> tuple[State | None, str | None]:
    """The index, or why it is left out."""
    without = f"{', '.join(FILES.values())} are left out"
    remedy = f"Build one, python prerank.py build {run}, and export again."
    if not Rules(config, {}).known:
        return None, f"{without}: config.json of {run} lacks columns, vocabularies or scalers. Train with a script."
    if not (index_folder(run) / MANIFEST).exists():
        return None, f"{without}: {run} has no item index. {remedy}"
    if read_manifest(run).model != checksum:
        return None, f"{without}: the item index of {run} is of another model than the run's. {remedy}"
    state = State.load(run)
    if state.manifest.model != checksum:
        raise InputError(f"The model in {run} was replaced while it was exported. Export again.")
    return state, None


def _defaults(values: Features) -> dict[str, float]:
    return {name: values_of(values, name).item() for name in values}
