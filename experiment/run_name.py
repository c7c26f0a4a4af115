"""Where a run writes by default: a folder that has what differs from the defaults in its name."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from experiment.defaults import usual_settings
from experiment.model_arguments import without_defaults
from experiment.options import LOOP, Options, parse_options
from foundation.precisions import ALIASES
from model import MODELS
from model.effects import idle_settings

# Longer or stranger settings are told by a checksum.
LONGEST_NAME, SAFE = 80, re.compile(r"[A-Za-z0-9_.,=+-]+")
# The last two are in the data set's name.
IN_THE_PATH = ("model_name", "as_released", "protocol", "seed", "max_rows", "sample_rate")
FIRST = ("embedding_dim", "batch_size", "lr", "lr_schedule", "embedding_optimizer")  # in a name; others as declared
SHORT = {name: alias for alias, name in ALIASES.items()}  # as the names of folders have them


def run_folder(options: Options, dataset_name: str, model_name: str, edited: str = "") -> Path:
    """--out, --ckpt_fold, or the default place of this run. edited: `edited_functions`."""
    if options.out:
        return Path(options.out)
    if options.ckpt_fold:
        return Path(options.ckpt_fold, model_name)
    name = f"{options.protocol}-seed{options.seed}"
    name += f"-as_released={options.as_released}" if options.as_released else ""
    usual = _settings(usual_options(options))
    idle = LOOP & idle_settings(MODELS[options.model_name].model_class, _all_settings(options), Options).keys()
    told = {key: value for key, value in _settings(options).items() if key not in idle}
    unusual = {key: value for key, value in told.items() if (key, value) not in usual.items()}
    unusual |= {"edited": edited} if edited else {}
    if unusual:
        readable = "-".join(f"{key}={_short(value)}" for key, value in unusual.items())
        digest = hashlib.sha256(json.dumps(unusual, sort_keys=True).encode()).hexdigest()[:10]
        name += f"-{readable if SAFE.fullmatch(readable) and len(readable) <= LONGEST_NAME else digest}"
    return Path("runs", dataset_name, model_name, name)


def usual_options(options: Options) -> Options:
    """What the script does without other options, under this protocol and as this release."""
    argv = ["--model_name", options.model_name, "--protocol", options.protocol]
    argv += ["--as_released", options.as_released] if options.as_released else []
    return parse_options(options.dataset, None, argv)


def _settings(options: Options) -> dict[str, Any]:
    """What decides the result, but for what is in the path anyway, and the device."""
    config = options.config | {"precision": SHORT[options.precision]}
    names = [*FIRST, *(name for name in config if name not in (*FIRST, *IN_THE_PATH, "device"))]
    usual = usual_settings(options.model_name, options.dataset, options.protocol, options.as_released)
    told = without_defaults(options.model_name, usual, options.model_arguments)
    return {name: config[name] for name in names} | {"dropout": options.dropout} | told


def _all_settings(options: Options) -> dict[str, Any]:
    return options.config | {"dnn_dropout": options.dropout} | options.model_arguments


def _short(value: Any) -> str:
    """Lists as their entries, true and false as in JSON."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(_short, value))
    return value if isinstance(value, str) else json.dumps(value)
