"""Models on disk: `model.safetensors` holds the weights, `config.json` what the model around them is built from.

`config.json` carries the checksum of the weights and one of its own, so that neither is ever read changed, or beside
the other of another model.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from foundation.advice import advice
from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from foundation.feature_columns import columns_from_json, columns_to_json
from foundation.run_files import (
    ADVICE,
    CONFIG,
    CURVES,
    EXPLAINED,
    HISTORY,
    RESULT,
    WEIGHTS,
    WEIGHTS_SHA256,
    committed,
    own_card,
    read_config,
    unchanged,
)
from foundation.sealed import seal
from preprocessing.data_encoding import DataEncoding
from training.claim import Claim
from training.click_loss import IN_BATCH, ClickLoss
from training.commit import finish, remove_unfinished, replace_together

CHUNK = 1 << 20


class OnDisk(Protocol):
    """A model that can be saved and read again.

    arguments: of its constructor. encoding: of the data that it was trained on. trained_with: function that its scores
    hang on -> version. click_loss: that it was trained by.
    """

    arguments: dict[str, Any]
    click_loss: ClickLoss
    encoding: DataEncoding | None
    trained_with: Mapping[str, str]

    @classmethod
    def effective(cls, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments without those that do nothing."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> Any: ...

    def warn_if_edited(self) -> None: ...

    def eval(self) -> Self: ...


Model = TypeVar("Model", bound=OnDisk)


def save_model(model: OnDisk, folder: Path, extra: dict, overwrite: bool = False) -> None:
    """Writes both files, or changes nothing. extra: further entries of `config.json`, as vocabularies and scalers.

    overwrite: in a folder with a finished run, delete its result, card, history and pictures, which are of another
    model.
    Raises `InputError` for a finished run without it, for a model that cannot be saved, where another process writes to
    the folder, and where it cannot be written.
    """
    files = model_files(model, extra)
    folder = Path(os.path.abspath(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Claim(folder):
            _replace(folder, files, overwrite)
    except OSError as error:
        raise InputError(
            f"The model cannot be saved in {folder}: {error.strerror}. {advice(error, 'Use another folder.')}"
        ) from None


def _replace(folder: Path, files: dict[str, bytes], overwrite: bool) -> None:
    finish(folder)
    remove_unfinished(folder)
    finished = (folder / RESULT).exists()
    if finished and not overwrite:
        raise InputError(
            f"{folder} holds a finished run, whose {RESULT} would not describe this model. Save it in another folder, "
            "or with overwrite=True, which deletes the result."
        )
    replace_together(folder, files, of_a_result(folder) if finished else own_card(folder))


def of_a_result(folder: Path) -> list[str]:
    """The files that describe one model, beside its own."""
    return [RESULT, HISTORY, CURVES, *own_card(folder), *(path.name for path in folder.glob(EXPLAINED))]


def model_files(model: OnDisk, extra: dict) -> dict[str, bytes]:
    """What `save_model` writes: name -> content. Raises `InputError` for a model that cannot be saved."""
    taken = [name for name in ("sha256", "class", "arguments", WEIGHTS_SHA256) if name in extra]
    if taken:
        raise InputError(f"`extra` cannot hold {', '.join(taken)}, which {CONFIG} has of the model itself. Rename it.")
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    try:
        content = save(weights)
    except (RuntimeError, SafetensorError, ValueError) as error:
        reason = " ".join(str(error).split()).partition(". A potential way")[0]  # which is not one here
        raise InputError(
            f"The weights of {type(model).__name__} cannot be saved, and nothing was written: {reason}"
        ) from None
    config = {
        "class": type(model).__name__,
        "arguments": _to_json(model.arguments),
        **extra,
        WEIGHTS_SHA256: hashlib.sha256(content).hexdigest(),
    }
    try:
        text = seal(config, default=_plain_number)
    except (TypeError, ValueError) as error:
        raise InputError(f"{type(model).__name__} cannot be saved, and nothing was written: {error}") from None
    return {CONFIG: text.encode(), WEIGHTS: content}


def model_checksum(folder: Path) -> str:
    """sha256 over configuration and weights, one after the other. Raises `InputError` as `load_model` does."""

    def read() -> str:
        config = read_config(folder)
        digest = hashlib.sha256(committed(folder, CONFIG).read_bytes())
        for chunk in _weights(folder, config):
            digest.update(chunk)
        return digest.hexdigest()

    return unchanged(folder, [CONFIG, WEIGHTS], read)


def load_model(model_class: type[Model], folder: Path, device: str | torch.device) -> Model:
    """Builds the model and reads its weights, in evaluation mode. Raises `InputError` for another class or damage."""
    return unchanged(folder, [CONFIG, WEIGHTS], lambda: _load_model(model_class, folder, device))


def _load_model(model_class: type[Model], folder: Path, device: str | torch.device) -> Model:
    config = read_config(folder)
    if config.get("class") != model_class.__name__:
        raise InputError(f"{folder} holds a {config.get('class')}, not a {model_class.__name__}.")
    for _ in _weights(folder, config):
        pass
    try:
        arguments = {name: _from_json(value) for name, value in config["arguments"].items()}
        build: Callable[..., Model] = model_class
        model = build(**(model_class.effective(arguments) | {"device": device}))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{folder / CONFIG} does not describe a {model_class.__name__} ({error!r}).") from None
    try:
        model.load_state_dict(load_file(committed(folder, WEIGHTS), device=str(device)))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise _unusable(folder, " ".join(line.strip() for line in str(error).splitlines()[:2])) from None
    model.encoding, model.trained_with = DataEncoding.from_json(config), config.get("trained_with", {})
    if config.get("loss") == IN_BATCH:  # its scores are no click probabilities
        model.click_loss = ClickLoss(in_batch=True)
    model.warn_if_edited()
    return model.eval()


def _weights(folder: Path, config: dict) -> Iterator[bytes]:
    """The file of the weights, piece by piece. Raises `InputError` at the end if they are not those of `config`."""
    digest = hashlib.sha256()
    try:
        with committed(folder, WEIGHTS).open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                yield chunk
    except OSError as error:
        raise _unusable(folder, f"{error.strerror}.") from None
    if digest.hexdigest() != config[WEIGHTS_SHA256]:
        raise _unusable(folder, f"their checksum is not the one in {CONFIG}. They are damaged, or of another model.")


def _unusable(folder: Path, reason: str) -> InputError:
    return InputError(f"The weights in {folder / WEIGHTS} cannot be used: {reason} {ADVICE}")


def _to_json(arguments: dict) -> dict:
    """Without `gpus`, which says where a model was trained: loaded, it is where `device` says."""

    def convert(value: Any) -> Any:
        if (
            isinstance(value, (list, tuple))
            and value
            and isinstance(value[0], (SparseFeat, DenseFeat, VarLenSparseFeat))
        ):
            return {"feature_columns": columns_to_json(list(value))}
        if isinstance(value, type):
            return _class_name(value)
        return str(value) if isinstance(value, torch.device) else value

    return {name: convert(value) for name, value in arguments.items() if name != "gpus"}


def _class_name(value: type) -> str:
    """ "torch.nn.GELU", as a constructor takes it. Raises `InputError` for a class that torch does not have."""
    if getattr(nn, value.__name__, None) is not value:
        raise InputError(
            f"A model built with the class {value.__name__} cannot be saved, and nothing was written: {CONFIG} can "
            "name classes of torch.nn alone. Use one of these, or keep the weights by torch.save(model.state_dict())."
        )
    return f"torch.nn.{value.__name__}"


def _plain_number(value: object) -> int | float | bool:
    """A numpy number as Python's, such as `vocabulary_size=data[name].max() + 1`."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be saved in {CONFIG}")


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and "feature_columns" in value:
        return columns_from_json(value["feature_columns"])
    return tuple(value) if isinstance(value, list) else value
