"""Arguments of a model's constructor on the command line: read, checked, listed, and what leaving them out means."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from experiment.arguments import MOST, as_annotated, plain_value
from foundation.annotations import fits, type_words
from foundation.errors import InputError
from foundation.nearest import did_you_mean
from model import MODELS
from model.effects import constructor_defaults
from model.signature import keyword_parameters

# Constructor arguments that have an option of their own, or none.
SCRIPT_ARGUMENTS = {"device", "gpus", "seed", "task", "dnn_dropout"}
FILLED_IN = ("user_static", "item_static")  # left out, they are those of the data set (`model.build_model`)


def constructor_arguments(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """From --dropout, --fe_score and --set. One that the model does not take is an error."""
    known = MODELS[name].arguments
    arguments: dict[str, Any] = {}
    for option, argument in (("dropout", "dnn_dropout"), ("fe_score", "fe_score")):
        if option in given:
            if argument not in known:
                raise InputError(f"--{option} has no effect on {name}. Leave it out.")
            arguments[argument] = given[option]
    for entry in given.get("set", []):
        argument, separator, text = entry.partition("=")
        if not separator or argument not in known - SCRIPT_ARGUMENTS:
            free = sorted(known - SCRIPT_ARGUMENTS)
            raise InputError(
                f"--set expects NAME=VALUE with an argument of {name}. Received {entry!r}."
                f"{did_you_mean(argument, free) if separator else ''} Known: {', '.join(free)}."
            )
        if argument in arguments:
            raise InputError(f"{argument} of {name} is set twice. Received: {entry!r} as well. Leave one out.")
        value, annotation = plain_value(text), keyword_parameters(MODELS[name].model_class)[argument].annotation
        if not (fits(value, annotation) and _is_finite(value)):
            kind = type_words(annotation, classes=False)
            of_type = "" if kind.startswith("one of") else "of type "
            most = f", whole numbers at most {MOST[int]}" if "int" in kind or "float" in kind else ""
            raise InputError(f"--set {argument} of {name} must be {of_type}{kind}{most}. Received: {text[:80]!r}.")
        arguments[argument] = as_annotated(value, annotation)
    return arguments


def _is_finite(value: Any) -> bool:
    """Whether every number in it is one that is taken (`MOST`)."""
    entries = value if isinstance(value, tuple) else (value,)
    return all(abs(entry) <= MOST[type(entry)] for entry in entries if type(entry) in MOST)


def listed_arguments(name: str, usual: Mapping[str, Any]) -> list[str]:
    """What --set takes for a model, a line each: name, type or choices, default. usual: other defaults than the
    constructor's."""
    defaults = {**constructor_defaults(MODELS[name].model_class), **usual}
    return [
        f"{argument}: {type_words(entry.annotation, classes=False)}; default {defaults[argument]}"
        for argument, entry in keyword_parameters(MODELS[name].model_class).items()
        if argument in MODELS[name].arguments - SCRIPT_ARGUMENTS
    ]


def without_defaults(model_name: str, usual: Collection[str], arguments: dict[str, Any]) -> dict[str, Any]:
    """Constructor arguments without those that say what leaving them out says: equal settings are one run.

    usual: names of those whose default is another than the constructor's.
    """
    if model_name not in MODELS:
        return arguments
    own = constructor_defaults(MODELS[model_name].model_class)
    return {key: value for key, value in arguments.items() if key in usual or key in FILLED_IN or value != own.get(key)}
