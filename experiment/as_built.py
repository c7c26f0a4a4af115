"""A script whose model line was edited: its options as those of the model that it builds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from experiment.model_arguments import FILLED_IN, SCRIPT_ARGUMENTS
from experiment.options import Options
from foundation.errors import InputError
from foundation.values import shown
from model import MODELS, name_of
from model.base import CTRModel
from model.effects import constructor_defaults


def as_built(options: Options, model: CTRModel) -> Options:
    """The options with name and arguments of the model, if it is another of the table than they were read for.

    Raises `InputError` for an argument that was asked for and that the model does not have, or was not given.
    """
    _require_passed_on(options, model)
    name = name_of(model)
    if name == options.model_name or name not in MODELS:
        return options
    settings = type(model).effective({**constructor_defaults(type(model)), **model.settings})
    arguments = {key: value for key, value in settings.items() if key not in (*SCRIPT_ARGUMENTS, *FILLED_IN)}
    dropout = settings.get("dnn_dropout", 0.0) if "dnn_dropout" in MODELS[name].arguments else None
    return replace(options, model_name=name, dropout=dropout, model_arguments=arguments)


def _require_passed_on(options: Options, model: CTRModel) -> None:
    asked: dict[str, Any] = {name: options.model_arguments.get(name, options.dropout) for name in options.asked}
    model_class, title = type(model), type(model).__name__
    settings = {**constructor_defaults(model_class), **model.settings}
    for name, value in asked.items():
        option = {"dnn_dropout": "--dropout", "fe_score": "--fe_score"}.get(name, f"--set {name}")
        if name not in settings or name in model_class.without_effect:
            raise InputError(f"{option} has no effect on {title}, the model that the script makes. Leave it out.")
        if settings[name] != value:
            raise InputError(
                f"{option} did not reach the model: the script makes {title} with {name}={shown(settings[name])}. "
                f"Received: {shown(value)}. Pass it on in the line that makes the model, or leave it out."
            )
