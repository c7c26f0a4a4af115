"""The settings in force, as a run shows them when it begins."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import Any

import torch

from experiment.defaults import origin, usual_protocol, usual_settings
from experiment.edited import edited_functions
from experiment.model_arguments import FILLED_IN, SCRIPT_ARGUMENTS
from experiment.options import Options
from experiment.parser import DATA, MODEL, TRAINING
from experiment.run_name import usual_options
from foundation.options import options_of
from foundation.shown import shortened, visible
from model import MODELS, name_of
from model.base import CTRModel
from model.effects import constructor_defaults, idle_settings
from model.layers.embedding_optimizer import table_size
from preprocessing.dataset import Dataset
from training import distributed

# In this order, then the others as they are declared.
FIRST = (
    *("embedding_dim", "batch_size", "lr", "lr_schedule", "epochs", "patience", "precision", "embedding_optimizer"),
)
FORM = ("as_released", "history")  # options that shape a model beside its constructor's arguments
UPDATES = {"dense": "all updated in each step", "rowwise": "of which a step updates those of its batch"}
MARK = "*"
WIDTH, INDENT = 100, 10
LONGEST = 60  # of a value


@dataclass(frozen=True)
class Setting:
    """A setting in force."""

    name: str
    value: Any
    default: Any

    @property
    def is_unusual(self) -> bool:
        return _text(self.value) != _text(self.default)

    def __str__(self) -> str:
        """name=value, marked if it is not the default."""
        return f"{visible(self.name)}={_text(self.value)}{MARK * self.is_unusual}"


def unusual_settings(model: CTRModel, options: Options) -> set[str]:
    """The names of those that a run marks when it begins."""
    device = Setting("device", options.device, usual_options(options).device)
    shown = [device, *(one for group in _groups(model, options).values() for one in group)]
    return {one.name for one in shown if one.is_unusual}


def settings_text(model: CTRModel, data: Dataset, options: Options, place: str | None) -> str:
    """Data, protocol, model, device and every setting, those that are not the default marked.

    The defaults are those of the model on the script's data set, and of the constructor of a model that is not in the
    table. Settings that do nothing beside the others are left out. place: where the run goes on, None for a new one.
    """
    leak = "yes, test results are better than they should be" if data.protocol.leaks_labels else "no"
    lines = [
        data.summary(),
        f"Leaks test labels: {leak}",
        f"Model: {_model_line(model)}",
        f"Device: {_device_line(options)}",
        _settings_line(options),
        *(line for title, group in _groups(model, options).items() for line in _wrapped(title, group)),
    ]
    return "\n".join([*lines, *([f"Continued: the run as it was {place}"] if place else [])])


def _model_line(model: CTRModel) -> str:
    name = name_of(model)
    title = MODELS[name].title if name in MODELS else visible(name)
    update = UPDATES.get(model.embedding_optimizer or "")
    tables = f", {table_size(model):,} of them in embeddings, {update}" if update else ""
    # Trees have none before they have grown.
    return f"{title}, {model.num_parameters:,} parameters{tables}" if model.num_parameters else title


def _device_line(options: Options) -> str:
    processes, threads = distributed.current().size, torch.get_num_threads()
    usual = usual_options(options).device
    texts = [_text(options.device) + MARK * (options.device != usual)]
    texts += [f"{processes} processes"] * (processes > 1)
    return ", ".join([*texts, f"{threads} thread{'s' * (threads > 1)}{' each' * (processes > 1)}"])


def _settings_line(options: Options) -> str:
    """What the marks mean; and where the defaults come from, if they were not chosen on the data of the script."""
    chosen_here = options.dataset == "movielens" and options.as_released is None
    what = "" if chosen_here else f"; defaults: {origin(options.dataset, options.as_released)}"
    return f"Settings ({MARK} is not the default{what}):"


def _groups(model: CTRModel, options: Options) -> dict[str, list[Setting]]:
    """The settings by what they are of."""
    usual, name = usual_options(options), name_of(model)
    chosen = {"embedding_optimizer": model.embedding_optimizer}  # by size, if it was not asked for
    settings = vars(options) | chosen
    defaults = vars(usual) | {"protocol": usual_protocol(options.dataset), "as_released": Options.as_released}
    defaults |= chosen if options.embedding_optimizer is None else {}
    own = constructor_defaults(type(model))
    arguments = {**own, **model.settings}
    table = usual_settings(name, options.dataset, options.protocol, options.as_released) if name in MODELS else {}
    data, training = (_names(group, options.dataset) for group in (DATA, TRAINING))
    idle = idle_settings(type(model), {name: settings[name] for name in training} | arguments)
    apart = {*idle, *FILLED_IN, *SCRIPT_ARGUMENTS} - {"dnn_dropout"}
    form = {name: settings[name] for name in _names(MODEL, options.dataset) if name in FORM}
    return {
        "data": _listed({name: settings[name] for name in data}, defaults),
        "training": _listed({name: settings[name] for name in training if name not in idle}, defaults),
        "model": _listed(form, defaults)
        + _listed({name: value for name, value in arguments.items() if name not in apart}, {**own, **table})
        + _listed({"edited": edited_functions(model) or None}, {}),
    }


def _names(group: str, dataset: str) -> list[str]:
    """Of the options of this group that the command line has."""
    every = options_of(Options).items()
    declared = [name for name, each in every if each.group == group and each.flags and each.is_of(dataset)]
    return [*(name for name in FIRST if name in declared), *(name for name in declared if name not in FIRST)]


def _listed(settings: dict[str, Any], defaults: dict[str, Any]) -> list[Setting]:
    """Without those that were not given and need not be."""
    return [
        Setting(name, value, defaults.get(name))
        for name, value in settings.items()
        if (value, defaults.get(name)) != (None, None)
    ]


def _text(value: Any) -> str:
    """As --set takes it, without spaces."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
    return shortened(text, LONGEST)


def _wrapped(title: str, group: list[Setting]) -> list[str]:
    begin = f"  {title:<{INDENT}}"
    return textwrap.wrap(
        " ".join(map(str, group)),
        WIDTH,
        initial_indent=begin,
        subsequent_indent=" " * len(begin),
        break_long_words=False,
        break_on_hyphens=False,
    )
