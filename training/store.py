"""Models on disk: `model.safetensors` holds the weights, `config.json` what the model around them is built from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from foundation.atomic import write_atomic
from preprocessing.data_encoding import DataEncoding
from preprocessing.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from preprocessing.errors import InputError
from preprocessing.feature_columns import columns_from_json, columns_to_json

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save_model(model: nn.Module, folder: Path, extra: dict) -> None:
    """Writes both files. extra: further entries of `config.json`, such as vocabularies and scalers."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    config = {"class": type(model).__name__, "arguments": _to_json(model.arguments), **extra}
    write_atomic(folder / CONFIG, json.dumps(config, indent=1, default=_plain_number) + "\n")
    write_atomic(folder / WEIGHTS, save(weights))


def read_config(folder: Path) -> dict:
    """`config.json` of a folder. Raises `InputError` if it is not there or is no JSON object."""
    path = folder / CONFIG
    if not path.is_file():
        raise InputError(f"{folder} holds no saved model: {CONFIG} is missing.")
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}). Train again, or restore the file.") from None
    if not isinstance(config, dict):
        raise InputError(f"{path} holds no JSON object. Train again, or restore the file.")
    return config


def load_model(model_class: type[nn.Module], folder: Path, device: str | torch.device) -> nn.Module:
    """Builds the model and reads its weights, in evaluation mode. Raises `InputError` for another class or damage."""
    config = read_config(folder)
    if config.get("class") != model_class.__name__:
        raise InputError(f"{folder} holds a {config.get('class')}, not a {model_class.__name__}.")
    try:
        arguments = {name: _from_json(value) for name, value in config["arguments"].items()}
        model = model_class(**(arguments | {"device": device}))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{folder / CONFIG} does not describe a {model_class.__name__} ({error!r}).") from None
    try:
        model.load_state_dict(load_file(folder / WEIGHTS, device=str(device)))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        raise InputError(f"The weights in {folder / WEIGHTS} cannot be used: {reason}") from None
    model.encoding, model.trained_with = DataEncoding.from_json(config), config.get("trained_with", {})
    model.warn_if_edited()
    return model.eval()


def _to_json(arguments: dict) -> dict:
    def convert(value):
        if (
            isinstance(value, (list, tuple))
            and value
            and isinstance(value[0], (SparseFeat, DenseFeat, VarLenSparseFeat))
        ):
            return {"feature_columns": columns_to_json(list(value))}
        return str(value) if isinstance(value, torch.device) else value

    return {name: convert(value) for name, value in arguments.items()}


def _plain_number(value):
    """A numpy number as Python's, such as `vocabulary_size=data[name].max() + 1`."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be saved in {CONFIG}")


def _from_json(value):
    if isinstance(value, dict) and "feature_columns" in value:
        return columns_from_json(value["feature_columns"])
    return tuple(value) if isinstance(value, list) else value
