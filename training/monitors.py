"""The names under which callbacks find an epoch's figures: this project's, and those of deepctr-torch and Keras."""

from __future__ import annotations

import math
import string
import warnings
from collections.abc import Sequence
from typing import Any

from foundation.deepctr import Callback, EarlyStopping, History, ModelCheckpoint
from foundation.errors import InputError, InputWarning
from foundation.values import shown
from training.metrics import FIGURES
from training.rank_metrics import is_rank_metric

ALIASES = {"binary_crossentropy": "logloss"}
PLAIN = (EarlyStopping, ModelCheckpoint, History)  # classes whose figures are those of an epoch
VALIDATION = ("auc", "logloss", "gauc", "loss", *ALIASES)  # whatever was named at `compile`


def checked(callbacks: Any) -> list[Callback]:
    """What `fit` is given as callbacks, as a list. Raises `InputError` for anything but a list of them."""
    given = callbacks or []
    if not isinstance(given, (list, tuple)) or not all(isinstance(one, Callback) for one in given):
        raise InputError(f"callbacks must be a list of Callback objects. Received: {shown(callbacks)}.")
    return list(given)


def figures_for_callbacks(logs: dict[str, float]) -> dict[str, float]:
    """The figures of an epoch with their other names. `val_loss` is the click loss of the validation rows, without l2:
    their logloss, unless an epoch has it of its own, for another loss or for weights of rows.

    >>> sorted(figures_for_callbacks({"loss": 0.4, "logloss": 0.4, "val_logloss": 0.5}))
    ['binary_crossentropy', 'logloss', 'loss', 'val_binary_crossentropy', 'val_logloss', 'val_loss']
    """
    figures = dict(logs)
    for prefix in ("", "val_"):
        for alias, name in ALIASES.items():
            if prefix + name in logs:
                figures.setdefault(prefix + alias, logs[prefix + name])
    if not math.isnan(logs.get("val_logloss", math.nan)):
        figures.setdefault("val_loss", logs["val_logloss"])
    return figures


def require_validation_figures(callbacks: Sequence, validated: bool, named: Sequence[str]) -> None:
    """Raises `InputError` for a callback that waits for a validation figure that will never come.

    validated: whether there are validation rows; named: the metrics given at `compile`. Callbacks of someone's own may
    bring figures of their own. Warns of an `EarlyStopping` whose best epoch is another than that of `fit`.
    """
    for one in callbacks if validated else ():
        if type(one) is EarlyStopping and one.restore_best_weights and one.monitor != "val_auc":
            warnings.warn(
                f"EarlyStopping stops by '{one.monitor}', but restore_best_weights has no effect: fit ends with the "
                "weights of the best val_auc. Leave it out, or monitor 'val_auc'.",
                InputWarning,
                stacklevel=4,
            )
    figures = list(dict.fromkeys((*VALIDATION, *named)))
    if not all(type(one) in PLAIN for one in callbacks):
        return
    for monitor in map(str, _monitored(callbacks)):
        if monitor.startswith("val_") and not (validated and monitor.removeprefix("val_") in figures):
            known = ", ".join(f"val_{name}" for name in figures) if validated else "none without validation rows"
            raise InputError(f"A callback monitors '{monitor}', which no epoch has. Known: {known}.{_hint(monitor)}")


def require_figures(callbacks: Sequence, figures: dict[str, float]) -> None:
    """Raises `InputError` for a callback that monitors what an epoch did not have, after all have seen it."""
    for monitor in _monitored(callbacks):
        if monitor not in figures:
            known = ", ".join(sorted(figures))
            raise InputError(f"A callback monitors '{monitor}', which no epoch has. Known: {known}.{_hint(monitor)}")


def _hint(monitor: Any) -> str:
    name = str(monitor).removeprefix("val_")
    return f" Name it at compile, metrics=[{name!r}]." if name in FIGURES or is_rank_metric(name) else ""


def _monitored(callbacks: Sequence) -> list[str]:
    """Of each callback, and in a `ModelCheckpoint`'s `filepath`. One that saves each epoch monitors nothing, and a
    class of someone's own decides for itself.
    """
    plain = [one for one in callbacks if type(one) in PLAIN]
    monitored = [one.monitor for one in plain if type(one) is EarlyStopping or getattr(one, "save_best_only", False)]
    for one in plain:
        if type(one) is ModelCheckpoint:
            monitored += [name for _, name, *_ in string.Formatter().parse(one.filepath) if name not in (None, "epoch")]
    return monitored
