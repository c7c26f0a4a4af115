"""Settings of a run as a dict, and as words of a training script's command line."""

from __future__ import annotations

import json
from typing import Any

from experiment.options import Options
from foundation.options import options_of

Settings = dict[str, Any]
# Those with an option of their own; all others are arguments of the model's constructor.
OPTIONS = {name: declared.flags[0] for name, declared in options_of(Options).items() if declared.flags}
OFF = {name: declared.off[0] for name, declared in options_of(Options).items() if declared.off}
OPTIONS |= {"fe_score": "--fe_score", "dnn_dropout": "--dropout"}


def arguments_of(settings: Settings) -> tuple[str, ...]:
    """
    >>> arguments_of({"epochs": 6, "dnn_dropout": 0.1, "gamma": "learned", "published_eval_mode": True})
    ('--epoch', '6', '--dropout', '0.1', '--set', 'gamma=learned', '--published_eval_mode')
    >>> arguments_of({"history": False})
    ('--no_history',)
    """
    words: list[str] = []
    for name, value in settings.items():
        if name in OPTIONS and isinstance(value, bool):
            words += [OPTIONS[name]] if value else [OFF[name]] if name in OFF else []
        else:
            words += [OPTIONS[name], _text(value)] if name in OPTIONS else ["--set", f"{name}={_text(value)}"]
    return tuple(words)


def text_of(settings: Settings) -> str:
    """
    >>> text_of({"lr": 1e-3, "dnn_use_bn": True})
    'lr=0.001, dnn_use_bn=true'
    """
    return ", ".join(f"{name}={_text(value)}" for name, value in settings.items())


def _text(value) -> str:
    return value if isinstance(value, str) else json.dumps(value)
